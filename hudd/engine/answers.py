"""Who answers: the reader of pictures, or a fixed sentence at once."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Final, Protocol

from hudd.engine.commands import Ask
from hudd.engine.errors import ReaderError
from hudd.errors import HuddError, PictureError

TEXT_ONLY_ANSWER: Final = (
    "I am hudd's local engine: I describe pictures of a screen by reading the text on them, and cannot answer other "
    "questions."
)
CANNED_ANSWER: Final = "A canned note: the engine got this picture and did not read it."


class AnswerError(HuddError):
    """Raised when there is no answer.

    Attributes:
        kind: ``error.type`` for the client.
        code: ``error.code`` for the client.
    """

    def __init__(self, message: str, *, kind: str, code: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.code = code


class Answerer(Protocol):
    """Answers one question at a time or several."""

    def answer(self, ask: Ask) -> AsyncGenerator[str, None]:
        """The answer in pieces. Closing the generator or cancelling its task gives the question up.

        Raises:
            AnswerError: There is none.
        """
        ...

    async def forget(self) -> None:
        """Forget every picture and answer; questions may follow."""
        ...

    async def close(self) -> None:
        """Let go of everything; no question follows."""
        ...


class Described(Protocol):
    """What a reader says of a picture."""

    @property
    def text(self) -> str:
        """One to three sentences."""
        ...


class PictureReader(Protocol):
    """What the reading answerer needs of the reading process."""

    async def describe(
        self, picture: bytes, media_type: str, *, stream: str = "default", max_tokens: int = 200, whole: bool = False
    ) -> Described:
        """Read a picture and say what is on it."""
        ...

    async def forget(self) -> None:
        """Forget every picture and every text that was read or written."""
        ...

    async def close(self) -> None:
        """End the process."""
        ...


class CannedAnswerer:
    """Answers at once, always the same; for benches and tests.

    Args:
        text: The answer to a question with pictures; '' for the usual one.
    """

    def __init__(self, text: str = "") -> None:
        self._text = text or CANNED_ANSWER

    async def answer(self, ask: Ask) -> AsyncGenerator[str, None]:
        yield self._text if ask.pictures else TEXT_ONLY_ANSWER

    async def forget(self) -> None:
        return

    async def close(self) -> None:
        return


class ReadingAnswerer:
    """Answers by reading the pictures, one after the other.

    Args:
        reader: The reading process.
    """

    def __init__(self, reader: PictureReader) -> None:
        self._reader = reader

    async def answer(self, ask: Ask) -> AsyncGenerator[str, None]:
        if not ask.pictures:
            yield TEXT_ONLY_ANSWER
            return
        budget = 200 if ask.most_tokens is None else ask.most_tokens
        share = max(1, budget // len(ask.pictures))
        whole = ask.metadata.get("trigger") == "manual"  # a person who asks wants all, not only the news
        for index, picture in enumerate(ask.pictures):
            # Several pictures of one question are several screens: each is compared with its own predecessor.
            stream = ask.stream if index == 0 else f"{ask.stream}/{index}"
            try:
                described = await self._reader.describe(
                    picture.data, picture.media_type, stream=stream, max_tokens=share, whole=whole
                )
            except PictureError as error:
                raise AnswerError(str(error), kind="invalid_request_error", code="invalid_image") from error
            except ReaderError as error:
                raise AnswerError(str(error), kind="server_error", code="server_error") from error
            yield described.text if index == 0 else f" {described.text}"

    async def forget(self) -> None:
        await self._reader.forget()

    async def close(self) -> None:
        await self._reader.close()
