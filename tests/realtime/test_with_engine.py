"""Our client half against the engine's server half over a real socket: the whole way, and every fault it can play."""

from __future__ import annotations

import pytest

from hudd.config.settings import SessionSettings
from tests.fakes.client import client
from tests.fakes.engine import running_engine


async def test_a_picture_becomes_an_answer() -> None:
    async with running_engine() as engine, client(engine.url) as one:
        one.ask()
        await one.until(lambda: one.answers)
        [answer] = one.answers
        assert (answer.status, answer.sent, answer.error) == ("completed", True, None)
        assert answer.text
        assert one.text == answer.text
        assert answer.usage is not None
        assert answer.usage.image_tokens == 323
        assert answer.session_id.startswith("sess_")
        assert answer.response_id.startswith("resp_")
        assert one.conversation.status().unknown_events == 0
        assert one.errors == []
    assert one.states == ["configuring", "ready"]


async def test_the_beginning_is_cached_from_the_second_question_on() -> None:
    async with running_engine() as engine, client(engine.url) as one:
        for number in (1, 2):
            one.ask(number)
            await one.until(lambda count=number: len(one.answers) == count)
        first, second = (answer.usage for answer in one.answers)
        assert first is not None
        assert second is not None
        assert second.cached_text_tokens > first.cached_text_tokens == 0


async def test_two_snaps_are_answered_side_by_side() -> None:
    async with running_engine(pace_s=0.01) as engine, client(engine.url) as one:
        one.ask(1)
        one.ask(2)
        await one.until(lambda: len(one.answers) == 2)
        assert {answer.status for answer in one.answers} == {"completed"}
        assert len({answer.response_id for answer in one.answers}) == 2


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ("fail:rate_limit_exceeded", "failed", "rate_limit_exceeded"),
        ("incomplete", "incomplete", None),
        ("cancelled", "cancelled", None),
        ("error:invalid_value", "failed", "invalid_value"),
        ("garbage", "completed", None),
        ("unknown_events", "completed", None),
        ("missing_usage", "completed", None),
        ("echo_images", "completed", None),
    ],
)
async def test_how_answers_end(fault: str, status: str, code: str | None) -> None:
    async with running_engine(fault) as engine, client(engine.url) as one:
        one.ask()
        await one.until(lambda: one.answers)
        [answer] = one.answers
        assert answer.status == status
        assert (None if answer.error is None else answer.error.code) == code
        assert (answer.usage is None) == (fault == "missing_usage" or status == "failed")
        state = one.conversation.status()
        assert state.connection == "ready"
        assert (state.unknown_events > 0) == (fault == "unknown_events")
        assert (state.malformed_events > 0) == (fault == "garbage")


@pytest.mark.parametrize("fault", ["http:401", "http:403", "http:404", "fail:insufficient_quota"])
async def test_faults_that_stop(fault: str) -> None:
    async with running_engine(fault) as engine, client(engine.url) as one:
        one.ask()
        await one.until(lambda: one.answers and "needs_attention" in one.states)
        assert one.answers[0].status == "failed"
        assert one.conversation.status().sentence


async def test_a_wrong_token_stops() -> None:
    async with running_engine(token="right") as engine, client(engine.url, token="wrong") as one:
        await one.until(lambda: "needs_attention" in one.states)
        assert one.errors[0].code == "invalid_api_key"
        assert one.conversation.status().connects == 1


@pytest.mark.parametrize("fault", ["http:503", "http:429", "close:1011@session.created", "close:1006@session.updated"])
async def test_faults_that_are_tried_again(fault: str) -> None:
    async with running_engine(fault) as engine, client(engine.url) as one:
        await one.until(lambda: one.conversation.status().connects >= 2)
        assert "backing_off" in one.states
        assert "needs_attention" not in one.states


@pytest.mark.parametrize("event", ["response.created", "response.output_text.delta"])
async def test_a_snap_survives_a_drop_within_its_answer_once(event: str) -> None:
    async with running_engine(f"close:1006@{event}") as engine, client(engine.url) as one:
        one.ask()
        await one.until(lambda: one.answers)
        [answer] = one.answers
        assert answer.status == "vanished"
        assert answer.error is not None
        assert answer.error.close_code == 1006
        assert one.conversation.status().connects >= 2


async def test_an_expired_session_is_followed_by_a_new_one() -> None:
    async with running_engine(lifetime_s=0.3) as engine, client(engine.url) as one:
        await one.until(lambda: one.states.count("ready") == 2)
        assert one.errors[0].code == "session_expired"


@pytest.mark.parametrize(
    ("fault", "step"),
    [
        ("no_created", "session.created"),
        ("stall@session.created", "session.updated"),
        ("stall@session.updated", "response.created"),
        ("stall@response.created", "first text"),
        ("stall@response.output_text.delta", "response.done"),
    ],
)
async def test_each_step_has_its_timeout(fault: str, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = SessionSettings(
        created_s=0.3, updated_s=0.3, response_created_s=0.3, first_delta_s=0.3, response_done_s=0.6
    )
    monkeypatch.setattr("hudd.realtime.exchanges.CANCEL_S", 0.3)
    async with running_engine(fault) as engine, client(engine.url, settings=quick) as one:
        one.ask()
        await one.until(lambda: one.errors)
        assert (one.errors[0].code, one.errors[0].param) == ("timeout", step)
