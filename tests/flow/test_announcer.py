from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from hudd.errors import StorageError
from hudd.flow.announcer import LAST_ERRORS, Announcer
from hudd.flow.counters import Counters
from hudd.model import UpstreamError
from tests.fakes.clock import ManualClock, settle

QUOTA = UpstreamError(
    sentence="The account has no money left; add some and run `hudctl resume`.",
    type="invalid_request_error",
    code="insufficient_quota",
    message="You exceeded your current quota.",
    fatal=True,
)


class House:
    """An announcer and whoever it tells."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.counters = Counters()
        self.published: list[tuple[str, dict[str, Any]]] = []
        self.kept: list[tuple[UpstreamError, str, float]] = []
        self.notified: list[str] = []
        self.storage_error: StorageError | None = None
        self.line = "ready, eyes watching"
        self.passing: set[str] = set()
        self.statuses = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.announcer = Announcer(
            store=self,
            publisher=self,
            counters=self.counters,
            clock=self.clock,
            status=self.status,
            notify=self.notified.append,
            headline=lambda: self.line,
            passing=lambda: self.line in self.passing,
        )

    async def add_error(self, error: UpstreamError, *, session_id: str = "", time: float) -> int:
        if self.storage_error:
            raise self.storage_error
        self.kept.append((error, session_id, time))
        return len(self.kept)

    def publish(self, topic: str, body: dict[str, Any]) -> None:
        self.published.append((topic, body))

    async def status(self) -> dict[str, Any]:
        await self.gate.wait()
        if self.storage_error:
            raise self.storage_error
        self.statuses += 1
        return {"schema": 1, "number": self.statuses}

    def of(self, topic: str) -> list[dict[str, Any]]:
        return [body for t, body in self.published if t == topic]


@asynccontextmanager
async def announcing() -> AsyncIterator[House]:
    house = House()
    task = asyncio.create_task(house.announcer.run())
    try:
        yield house
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_an_error_goes_to_the_log_the_journal_the_socket_and_the_status(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "hudd")
    async with announcing() as house:
        house.announcer.error(QUOTA, "sess_1")
        assert house.counters.errors == 1
        assert house.announcer.last_errors[0]["code"] == "insufficient_quota"
        await settle()
        assert house.kept == [(QUOTA, "sess_1", house.clock.wall())]
        (body,) = house.of("error/")
        assert body == house.announcer.last_errors[0]
        assert body["sentence"] == QUOTA.sentence
        assert body["message"] == QUOTA.message
        assert body["fatal"] is True
        assert body["session_id"] == "sess_1"
        assert len(house.of("state/")) == 1
    assert [r.levelname for r in caplog.records if QUOTA.sentence in r.getMessage()] == ["WARNING"]
    assert "insufficient_quota" in caplog.text


async def test_an_error_has_the_keys_of_the_list_of_errors() -> None:
    async with announcing() as house:
        house.announcer.error(QUOTA)
        await settle()
        assert set(house.of("error/")[0]) == {
            *("time", "sentence", "type", "code", "message", "param", "event_id", "close_code", "close_reason"),
            *("http_status", "session_id", "fatal"),
        }


async def test_the_status_keeps_the_last_errors_newest_first_and_no_more() -> None:
    async with announcing() as house:
        for number in range(LAST_ERRORS + 5):
            house.announcer.error(UpstreamError(sentence=f"Error {number}."))
        assert [e["sentence"] for e in house.announcer.last_errors] == ["Error 7.", "Error 6.", "Error 5."]
        await settle()
        assert len(house.kept) == len(house.of("error/")) == LAST_ERRORS + 5
        assert [b["sentence"] for b in house.of("error/")] == [f"Error {n}." for n in range(LAST_ERRORS + 5)]


async def test_an_error_that_cannot_be_kept_is_still_shown(caplog: pytest.LogCaptureFixture) -> None:
    async with announcing() as house:
        house.storage_error = StorageError("The disk is full.")
        house.announcer.error(QUOTA)
        await settle()
        assert len(house.of("error/")) == 1
        assert "The disk is full." in caplog.text
        house.storage_error = None
        house.announcer.error(QUOTA)
        await settle()
        assert len(house.kept) == 1
        assert house.of("state/")


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (UpstreamError(sentence="Lost.", close_code=1006), "close 1006"),
        (UpstreamError(sentence="Bad.", type="server_error"), "server_error"),
        (UpstreamError(sentence="Odd."), ""),
    ],
)
async def test_an_error_without_a_code_is_named_by_what_there_is(
    error: UpstreamError, word: str, caplog: pytest.LogCaptureFixture
) -> None:
    house = House()
    house.announcer.error(error)
    assert caplog.messages == [f"{error.sentence} ({word})" if word else error.sentence]


async def test_many_changes_at_once_are_told_once() -> None:
    async with announcing() as house:
        for _ in range(50):
            house.announcer.state()
        await settle()
        assert len(house.of("state/")) == 1
        house.announcer.state()
        await settle()
        assert [body["number"] for body in house.of("state/")] == [1, 2]


async def test_a_change_while_the_status_is_made_is_told_afterwards() -> None:
    async with announcing() as house:
        house.gate.clear()
        house.announcer.state()
        await settle()
        house.announcer.state()
        house.announcer.state()
        await settle()
        house.gate.set()
        await settle()
        assert len(house.of("state/")) == 2


async def test_the_service_manager_and_the_log_hear_a_headline_only_when_it_differs(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "hudd")
    house = House()
    for line in ("connecting", "connecting", "ready", "ready", "connecting"):
        house.line = line
        house.announcer.state()
    assert house.notified == ["connecting", "ready", "connecting"]
    assert [r.getMessage() for r in caplog.records] == ["= connecting", "= ready", "= connecting"]


async def test_what_passes_is_for_the_service_manager_and_not_for_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "hudd")
    house = House()
    house.passing = {"connecting"}
    for line in ("waiting", "connecting", "waiting", "connecting", "waiting", "connecting", "ready"):
        house.line = line
        house.announcer.state()
    assert house.notified == ["waiting", "connecting", "waiting", "connecting", "waiting", "connecting", "ready"]
    assert [r.getMessage() for r in caplog.records] == ["= waiting", "= ready"]


async def test_everybody_who_waits_for_a_change_is_woken_once() -> None:
    async with announcing() as house:
        waiting = [asyncio.create_task(house.announcer.state_changed()) for _ in range(3)]
        await settle()
        assert not any(task.done() for task in waiting)
        house.announcer.state()
        await asyncio.gather(*waiting)
        late = asyncio.create_task(house.announcer.state_changed())
        await settle()
        assert not late.done()
        late.cancel()
        await asyncio.wait([late])


async def test_cost_is_published_as_it_is_and_changes_the_state() -> None:
    async with announcing() as house:
        body = {"day": "2026-11-21", "blocked": "cap_reached"}
        house.announcer.cost(body)
        await settle()
        assert house.of("cost/") == [body]
        assert len(house.of("state/")) == 1


async def test_nothing_happens_without_a_cause() -> None:
    async with announcing() as house:
        await house.clock.advance(86_400)
        assert house.clock.sleeping == 0
        assert house.published == []
