"""The commands ``pause`` and ``resume``: committed before they are answered, and never half in force."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from hudd.errors import StorageError
from hudd.journal.store import Journal
from hudd.wire.messages import parse_time
from tests.fakes.clock import ManualClock, settle
from tests.fakes.command_house import House, refused


async def test_a_pause_is_committed_before_it_is_answered_and_nothing_leaves_meanwhile() -> None:
    house = House()
    house.store.go_on.clear()
    asking = asyncio.create_task(house.ask("pause", for_s=600, why="lunch"))
    await settle()
    assert not asking.done()
    assert house.facts.reasons == ("paused",)
    assert house.store.paused is None
    house.store.go_on.set()
    now = house.clock.wall()
    answer = await asking
    assert house.store.paused == {"until": now + 600, "why": "lunch", "now": now}
    assert answer["paused"] is True
    assert parse_time(answer["until"]) == pytest.approx(now + 600, abs=0.001)
    assert house.calls == ["pause changed"]


async def test_a_pause_without_an_end_says_so() -> None:
    house = House()
    assert await house.ask("pause") == {"paused": True, "until": None}
    assert house.store.paused is not None
    assert house.store.paused["until"] is None


async def test_a_pause_that_cannot_be_committed_is_not_in_force_and_not_answered() -> None:
    house = House()
    house.store.failures = [StorageError("The journal is full.")]
    with pytest.raises(StorageError):
        await house.ask("pause")
    assert house.facts.reasons == ()
    await house.ask("pause")
    house.store.failures = [StorageError("The journal is full.")]
    with pytest.raises(StorageError):
        await house.ask("pause", for_s=60)
    assert house.facts.reasons == ("paused",)


async def test_two_pauses_of_which_one_fails_leave_what_the_journal_says() -> None:
    for failing in (0, 1):
        house = House()
        house.store.go_on.clear()
        asking = [asyncio.create_task(house.ask("pause")) for _ in range(2)]
        await settle()
        assert house.facts.reasons == ("paused",)
        house.store.failures = [StorageError("The journal is full.")] if failing == 0 else []
        house.store.go_on.set()
        await asyncio.gather(*asking, return_exceptions=True)
        assert house.facts.reasons == ("paused",)
    house = House()
    house.store.failures = [StorageError("The journal is full."), StorageError("The journal is full.")]
    await asyncio.gather(house.ask("pause"), house.ask("pause"), return_exceptions=True)
    assert house.facts.reasons == ()


async def test_a_pause_that_fails_opens_no_gap_while_another_is_being_committed() -> None:
    house = House()
    first, second = house.store.gates = [asyncio.Event(), asyncio.Event()]
    house.store.failures = [StorageError("The journal is full.")]
    asking = [asyncio.create_task(house.ask("pause")) for _ in range(2)]
    await settle()
    seen: list[tuple[str, ...]] = []
    house.facts.on_change(lambda: seen.append(house.facts.reasons))
    first.set()
    await settle()
    second.set()
    await asyncio.gather(*asking, return_exceptions=True)
    assert seen == []
    assert house.facts.reasons == ("paused",)


@pytest.mark.parametrize("method", ["pause", "resume"])
async def test_a_command_whose_deadline_passes_while_it_is_committed_takes_effect_all_the_same(method: str) -> None:
    house = House()
    if method == "resume":
        await house.ask("pause")
        house.calls.clear()
    house.store.go_on.clear()
    asking = asyncio.create_task(house.ask(method))
    await settle()
    asking.cancel()
    await asyncio.wait([asking])
    house.store.go_on.set()
    await settle()
    assert (house.store.paused is not None) == (method == "pause")
    assert house.facts.reasons == (("paused",) if method == "pause" else ())
    assert "pause changed" in house.calls


async def test_a_failure_that_nobody_waits_for_any_more_stands_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    for method in ("pause", "resume"):
        house = House()
        house.store.go_on.clear()
        house.store.failures = [StorageError(f"The journal is full at {method}.")]
        asking = asyncio.create_task(house.ask(method))
        await settle()
        asking.cancel()
        await asyncio.wait([asking])
        house.store.go_on.set()
        await settle()
        assert f"full at {method}" in caplog.text


@pytest.mark.parametrize("for_s", [1e11, 1e300])
async def test_a_pause_beyond_the_calendar_is_refused(for_s: float) -> None:
    house = House()
    assert (await refused(house, "pause", for_s=for_s)).code == "E_ARGS"
    assert house.store.log == []
    assert house.facts.reasons == ()


async def test_resume_ends_the_pause_tries_the_connection_and_says_what_still_holds() -> None:
    house = House()
    await house.ask("pause")
    house.facts.set("cap_reached", True)
    answer = await house.ask("resume")
    assert answer["paused"] is False
    assert answer["sending"]["allowed"] is False
    assert answer["sending"]["reasons"] == ["cap_reached"]
    assert house.calls[-2:] == ["pause changed", "rearm"]


async def test_a_resume_that_cannot_be_committed_ends_no_pause() -> None:
    house = House()
    await house.ask("pause")
    house.store.failures = [StorageError("The journal is full.")]
    with pytest.raises(StorageError):
        await house.ask("resume")
    assert house.facts.reasons == ("paused",)
    assert "rearm" not in house.calls


async def test_with_the_real_journal_a_pause_holds_over_a_restart(tmp_path: Path) -> None:
    clock = ManualClock()
    journal = Journal.open(tmp_path / "journal.db", clock=clock)
    house = House(journal)
    await house.ask("pause", why="lunch")
    await journal.close()
    journal = Journal.open(tmp_path / "journal.db", clock=clock)
    state = journal.pause_state()
    assert state is not None
    assert (state.why, state.until) == ("lunch", None)
    await journal.close()
