from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import InvalidStatus

from hudd.engine.answers import TEXT_ONLY_ANSWER, AnswerError, ReadingAnswerer
from hudd.engine.commands import Ask
from hudd.engine.errors import ReaderCrashedError
from hudd.engine.options import EngineOptions
from hudd.engine.server import EngineServer
from hudd.errors import PictureError
from tests.fakes.bus import await_until
from tests.fakes.engine import FIRST_UPDATE, data_url, image, png, running_engine, user, words
from tests.fakes.engine_client import closing, events_until, open_session, question, ready, say

SHOT = data_url(png(64, 36))


async def test_a_question_is_answered() -> None:
    async with running_engine() as engine, open_session(engine.url) as socket:
        await ready(socket)
        await say(socket, question(image(SHOT), metadata={"snap": "1"}))
        events = await events_until(socket, "rate_limits.updated")
        assert events[-2]["response"]["status"] == "completed"
        assert "canned" in events[-2]["response"]["output"][0]["content"][0]["text"]


async def test_a_wrong_token_is_told_in_band() -> None:
    async with running_engine(token="right") as engine:
        async with open_session(engine.url, key="wrong") as socket:
            event = json.loads(await socket.recv())
            assert event["error"]["code"] == "invalid_api_key"
            assert event["event_id"].startswith("event_")
            assert await closing(socket) == (3000, "invalid_request_error.invalid_api_key")
        async with open_session(engine.url, key="right") as socket:
            assert json.loads(await socket.recv())["type"] == "session.created"


async def test_the_key_may_come_as_a_subprotocol() -> None:
    async with running_engine(token="right") as engine:
        offered = ["realtime", "openai-insecure-api-key.right"]
        async with open_session(engine.url, additional_headers={}, subprotocols=offered) as socket:
            assert socket.subprotocol == "realtime"
            assert json.loads(await socket.recv())["type"] == "session.created"


async def test_the_beta_header_is_told_in_band() -> None:
    headers = {"Authorization": "Bearer x", "OpenAI-Beta": "realtime=v1"}
    async with running_engine() as engine, open_session(engine.url, additional_headers=headers) as socket:
        assert (await events_until(socket, "error"))[0]["error"]["code"] == "beta_api_shape_disabled"
        assert (await closing(socket))[0] == 4000


@pytest.mark.parametrize(("url_tail", "headers", "status"), [("/v1/other", {"api-key": "x"}, 404), ("", {}, 401)])
async def test_refused_upgrades(url_tail: str, headers: dict[str, str], status: int) -> None:
    async with running_engine() as engine:
        with pytest.raises(InvalidStatus) as caught:
            async with open_session(engine.url + url_tail, additional_headers=headers):
                pass
        assert caught.value.response.status_code == status


async def test_binary_frames_and_bad_json_leave_the_session_open() -> None:
    async with running_engine() as engine, open_session(engine.url) as socket:
        await socket.send(b"\0\1")
        await socket.send("{")
        events = await events_until(socket, "error") + await events_until(socket, "error")
        assert [e["error"]["code"] for e in events if e["type"] == "error"] == ["invalid_event", "invalid_json"]
        await ready(socket)


async def test_a_message_above_16_mib_closes_with_1009() -> None:
    async with running_engine() as engine:
        socket = await open_session(engine.url)
        await events_until(socket, "session.created")
        await socket.send("x" * (16 * 1024 * 1024 + 1))
        assert (await closing(socket))[0] == 1009


async def test_a_large_picture_passes() -> None:
    async with running_engine() as engine, open_session(engine.url) as socket:
        await ready(socket)
        await say(socket, question(image(data_url(png(64, 36) + bytes(4_000_000)))))
        assert (await events_until(socket, "response.done"))[-1]["response"]["status"] == "completed"


async def test_a_session_expires() -> None:
    async with running_engine("expire:0.05") as engine, open_session(engine.url) as socket:
        assert (await events_until(socket, "error"))[-1]["error"]["code"] == "session_expired"
        code, reason = await closing(socket)
        assert code == 1001
        assert "60 minutes" in reason


async def test_a_connection_is_dropped_once() -> None:
    async with running_engine("close:1006@session.updated*1") as engine:
        async with open_session(engine.url) as socket:
            await say(socket, FIRST_UPDATE)
            assert (await closing(socket))[0] == 1006
        async with open_session(engine.url) as socket:
            await ready(socket)


async def test_an_upgrade_is_refused_as_often_as_wished() -> None:
    async with running_engine("http:503*2") as engine:
        for _ in range(2):
            with pytest.raises(InvalidStatus) as caught:
                async with open_session(engine.url):
                    pass
            assert caught.value.response.status_code == 503
        async with open_session(engine.url) as socket:
            await ready(socket)


async def test_half_a_character_passes_through() -> None:
    async with running_engine() as engine, open_session(engine.url) as socket:
        await ready(socket)
        create = {"type": "conversation.item.create", "item": user("x")}
        await socket.send(json.dumps(create).replace('"x"', r'"\ud83d"'))
        added = (await events_until(socket, "conversation.item.done"))[-1]
        assert added["item"]["content"][0]["text"] == "\ud83d"
        await say(socket, {"type": "response.create"})
        assert (await events_until(socket, "response.done"))[-1]["response"]["status"] == "completed"


class Held:
    """An answerer that says one word and then waits until it is cancelled."""

    def __init__(self) -> None:
        self.cancelled = asyncio.Event()
        self.closed = False

    async def answer(self, ask: Ask) -> AsyncGenerator[str, None]:
        try:
            yield "one two "
            await asyncio.Event().wait()
        finally:
            self.cancelled.set()

    async def forget(self) -> None:
        return

    async def close(self) -> None:
        self.closed = True


async def test_cancel_reaches_the_answerer() -> None:
    held = Held()
    async with running_engine(answerer=held) as engine, open_session(engine.url) as socket:
        await ready(socket)
        await say(socket, question(words("x"), conversation="auto"))
        await events_until(socket, "response.output_text.delta")
        await say(socket, {"type": "response.cancel"})
        assert (await events_until(socket, "response.done"))[-1]["response"]["status"] == "cancelled"
        await asyncio.wait_for(held.cancelled.wait(), 5)
    assert held.closed


async def test_a_client_that_leaves_takes_its_questions_with_it() -> None:
    held = Held()
    async with running_engine(answerer=held) as engine:
        async with open_session(engine.url) as socket:
            await ready(socket)
            await say(socket, question(words("x")))
            await events_until(socket, "response.output_text.delta")
        await asyncio.wait_for(held.cancelled.wait(), 5)


async def test_the_server_ends_while_a_client_is_connected() -> None:
    async with running_engine() as engine:
        socket = await open_session(engine.url)
        await events_until(socket, "session.created")
    assert (await closing(socket))[0] == 1001


class Broken:
    """An answerer with a mistake."""

    async def answer(self, ask: Ask) -> AsyncGenerator[str, None]:
        raise ZeroDivisionError
        yield ""

    async def forget(self) -> None:
        return

    async def close(self) -> None:
        return


async def test_a_mistake_of_the_answerer_fails_one_response_only(caplog: pytest.LogCaptureFixture) -> None:
    async with running_engine(answerer=Broken()) as engine, open_session(engine.url) as socket:
        await ready(socket)
        await say(socket, question(words("x")))
        done = (await events_until(socket, "response.done"))[-1]["response"]
        assert done["status_details"]["error"]["code"] == "server_error"
        await ready(socket)
    assert "ZeroDivisionError" in caplog.text


class Said:
    def __init__(self, text: str) -> None:
        self.text = text


class Reader:
    """A reader that tells what it was asked."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.asked: list[tuple[str, str, int]] = []
        self.failure = failure

    async def describe(
        self, picture: bytes, media_type: str, *, stream: str = "default", max_tokens: int = 200, whole: bool = False
    ) -> Said:
        self.asked.append((media_type, stream, max_tokens))
        if self.failure is not None:
            raise self.failure
        return Said(f"Picture {len(self.asked)}.")

    async def forget(self) -> None:
        self.asked.append(("forgotten", "", 0))

    async def close(self) -> None:
        self.asked.append(("closed", "", 0))


async def test_pictures_are_read_each_in_its_own_stream() -> None:
    reader = Reader()
    async with running_engine(answerer=ReadingAnswerer(reader)) as engine, open_session(engine.url) as socket:
        await ready(socket)
        await say(socket, question(image(SHOT), image(SHOT), metadata={"source": "eDP-1"}, max_output_tokens=100))
        done = (await events_until(socket, "response.done"))[-1]["response"]
        assert done["output"][0]["content"][0]["text"] == "Picture 1. Picture 2."
        await say(socket, {"type": "conversation.item.create", "item": user("Who are you?")})
        await say(socket, {"type": "response.create"})
        done = (await events_until(socket, "response.done"))[-1]["response"]
        assert done["output"][0]["content"][0]["text"] == TEXT_ONLY_ANSWER
    assert reader.asked == [("image/png", "eDP-1", 50), ("image/png", "eDP-1/1", 50), ("closed", "", 0)]


@pytest.mark.parametrize(
    ("failure", "code"),
    [(PictureError("damaged"), "invalid_image"), (ReaderCrashedError("gone"), "server_error")],
)
async def test_a_reader_that_fails(failure: Exception, code: str) -> None:
    answerer = ReadingAnswerer(Reader(failure))
    async with running_engine(answerer=answerer) as engine, open_session(engine.url) as socket:
        await ready(socket)
        await say(socket, question(image(SHOT)))
        done = (await events_until(socket, "response.done"))[-1]["response"]
        assert done["status"] == "failed"
        assert done["status_details"]["error"]["code"] == code


def test_an_answer_error_says_what_the_client_is_told() -> None:
    error = AnswerError("No.", kind="server_error", code="server_error")
    assert (str(error), error.kind, error.code) == ("No.", "server_error", "server_error")


async def test_a_client_that_asks_much_and_reads_late_loses_nothing() -> None:
    async with running_engine() as engine, open_session(engine.url) as socket:
        await ready(socket)
        for _ in range(200):
            await say(socket, question(words("x")))
        ended = 0
        while ended < 200:
            event = json.loads(await asyncio.wait_for(socket.recv(), 5))
            ended += event["type"] in ("response.done", "error")
        await events_until(socket, "rate_limits.updated")


async def test_the_engine_of_a_daemon_forgets_with_its_last_session() -> None:
    """`hudctl forget` ends the session; a move to a second session, which is opened first, forgets nothing."""
    reader = Reader()
    options = EngineOptions(token="t0ken")
    said = question(image(SHOT), words("Larkspur " * 200), metadata={"source": "eDP-1"})

    async def cached(socket: ClientConnection) -> int:
        await ready(socket)
        await say(socket, said)
        usage = (await events_until(socket, "response.done"))[-1]["response"]["usage"]
        return int(usage["input_token_details"]["cached_tokens"])

    async with EngineServer(options, answerer=ReadingAnswerer(reader)) as engine:
        async with open_session(engine.url, key="t0ken") as first:
            assert await cached(first) == 0
            async with open_session(engine.url, key="t0ken") as second:
                await first.close()
                assert await cached(second) > 0
                assert ("forgotten", "", 0) not in reader.asked
        await await_until(lambda: reader.asked[-1] == ("forgotten", "", 0))
        async with open_session(engine.url, key="t0ken") as third:
            assert await cached(third) == 0
