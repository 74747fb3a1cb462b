"""The file in which a feed keeps how far its reader has come."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any, Final, cast

from hudctl.errors import StorageError
from hudctl.feed_core import Cursor
from hudd.wire.codec import decode_json, encode_json

SYNC_S: Final = 1.0
"""So often at most the disk is waited for. Killing the program loses nothing; a power cut loses what the system had not
written yet, half a minute as a rule, and its notes come again."""

_MOST_BYTES: Final = 4096


class CursorFile:
    """Holds one cursor, replaced as a whole: whenever it is read, there is one in it.

    Args:
        path: The file; it need not be there. For one reader only.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path).absolute()
        self._part = self._path.with_name(f".{self._path.name}.part")
        self._kept: Cursor | None = None
        self._synced_at = float("-inf")

    def read(self) -> Cursor | None:
        """What was kept last; None when there is no file.

        Raises:
            StorageError: It cannot be read, or holds something else.
        """
        try:
            with self._path.open("rb") as file:
                self._kept = cursor_of(file.read(_MOST_BYTES + 1))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageError(f"The cursor file {self._path} cannot be read: {error.strerror or error}.") from error
        except ValueError as error:
            hint = "Remove it to begin anew, or name another file."
            raise StorageError(f"The cursor file {self._path} holds no cursor.", hint=hint) from error
        return self._kept

    def keep(self, cursor: Cursor | None) -> None:
        """Write it beside and put it in place, unless it is there already.

        Raises:
            StorageError: It cannot be written.
        """
        if cursor is None or cursor == self._kept:
            return
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            with os.fdopen(os.open(self._part, flags, 0o600), "wb") as file:
                file.write(text_of(cursor))
                file.flush()
                if time.monotonic() >= self._synced_at + SYNC_S:
                    os.fsync(file.fileno())
                    self._synced_at = time.monotonic()
            self._part.replace(self._path)
        except OSError as error:
            raise StorageError(f"The cursor file {self._path} cannot be written: {error.strerror or error}.") from error
        self._kept = cursor


def text_of(cursor: Cursor) -> bytes:
    """A cursor as the content of its file."""
    return encode_json({"stream": cursor.stream, "seq": cursor.seq}) + b"\n"


def cursor_of(text: bytes) -> Cursor:
    """The other way round.

    Raises:
        ValueError: It is no such text.
    """
    found: object = decode_json(text, max_bytes=_MOST_BYTES)
    if isinstance(found, dict):
        match cast("dict[str, Any]", found):
            case {"stream": str(stream), "seq": int(seq)} if stream and seq >= 0 and not isinstance(seq, bool):
                return Cursor(stream, seq)
            case _:
                pass
    raise ValueError("this is no cursor")
