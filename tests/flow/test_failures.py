"""Each row of the failure table: what the connection becomes, what people are told, and what is kept raw."""

from __future__ import annotations

import pytest

from hudd.errors import LinkRefusedError
from hudd.model import UpstreamError
from hudd.protocol.vocabulary import BENIGN_CODES
from hudd.realtime.session import LINGER_S
from tests.fakes.clock import settle
from tests.fakes.conversation import SETTINGS, House, living
from tests.fakes.failures import ROWS, Row


def raw_of(error: UpstreamError) -> dict[str, object]:
    return {**error.wire(), "fatal": error.fatal}


def the_error(errors: list[UpstreamError], row: Row) -> UpstreamError:
    """The one that the row is about: the newest that keeps everything raw."""
    fitting = [error for error in errors if row.raw.items() <= raw_of(error).items()]
    assert fitting, [raw_of(error) for error in errors]
    return fitting[-1]


async def play(house: House, row: Row) -> None:
    match row.at:
        case "configuring":
            house.peer.silent_to.add("session.update")
            house.link.feed(*house.peer.greeting())
        case "ready":
            house.link.feed(*house.peer.greeting())
        case "answer":
            house.peer.silent_to.add("response.create")
            house.link.feed(*house.peer.greeting())
            await settle()
            house.put()
            await house.until(lambda: house.asked() == 1)
        case _:
            pass
    await settle()
    request = house.peer.received[-1] if house.peer.received else None
    house.link.feed(*row.frames(house.peer, request))
    await settle()
    if row.close is not None:
        house.link.drop(*row.close)
        await settle()
    else:
        await house.clock.advance(LINGER_S)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_the_failure_table(row: Row) -> None:
    house = House()
    house.greet = False
    if row.http is not None:
        status, headers, body = row.http
        after = headers.get("Retry-After")
        error = LinkRefusedError("h refused.", status=status, body=body, retry_after_s=float(after) if after else None)
        house.refusals.append(error)
    async with living(house):
        if row.http is None:
            await play(house, row)
        state = house.conversation.status()
        assert state.connection == row.word
        if not row.says:
            assert (house.errors, state.benign_errors) == ([], 1)
            return
        assert row.says in the_error(house.errors, row).sentence
        assert len(house.errors) == 1, "one failure is told once, however many messages it came in"
        if row.word != "ready":
            assert row.says in state.sentence
        if row.word == "backing_off":
            assert state.next_try_s is not None
            assert state.next_try_s >= row.retry_s
        if row.word == "needs_attention":
            before = state.connects
            await house.clock.advance(3600)
            assert house.conversation.status().connects == before


async def test_settings_that_met_trouble_which_passes_are_sent_again_in_another_session() -> None:
    house = House()
    house.peer.silent_to.add("session.update")
    async with living(house):
        trouble = {"type": "upstream_error", "status": 503, "event_id": "su_1"}
        house.link.feed(house.peer.event("error", error=trouble))
        house.peer.silent_to.clear()
        await house.clock.advance(SETTINGS.updated_s + 1)
        assert (house.conversation.status().connection, len(house.links)) == ("ready", 2)
        assert [(error.http_status, error.fatal) for error in house.errors] == [(503, False)]


def test_every_code_with_a_sentence_has_a_row() -> None:
    from hudd.realtime.sentences import BY_CLOSE, BY_CODE, BY_HTTP

    told = {str(row.raw.get("code", "")) for row in ROWS}
    assert set(BY_CODE) | BENIGN_CODES <= told
    assert set(BY_HTTP) <= {row.http[0] for row in ROWS if row.http}
    closes = {row.close[0] for row in ROWS if row.close}
    assert set(BY_CLOSE) - {1005, 1007, 1015} <= closes, "the three are never sent in a frame"
