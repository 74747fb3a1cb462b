from __future__ import annotations

import asyncio

import pytest

from hudd.errors import CommandError
from hudd.flow.waiters import KEEP_MOST, KEEP_S, Waiters
from tests.fakes.clock import ManualClock

REFUSED = CommandError("E_STATE", "hudd is paused.")


async def test_the_first_request_starts_a_snap_and_the_same_id_again_waits_for_it() -> None:
    waiters = Waiters(ManualClock())
    first, new = waiters.begin("a")
    again, again_new = waiters.begin("a")
    assert (new, again_new) == (True, False)
    assert first is again
    waiters.end("a", {"seq": 1})
    assert await again == {"seq": 1}


async def test_a_repeated_request_gets_the_same_outcome_after_the_end_too() -> None:
    clock = ManualClock()
    waiters = Waiters(clock)
    for snap_id, outcome in (("a", {"seq": 1}), ("b", REFUSED)):
        waiters.begin(snap_id)
        waiters.end(snap_id, outcome)
        await clock.advance(60)
        future, new = waiters.begin(snap_id)
        assert not new
        assert future.result() is outcome


async def test_the_first_outcome_stands() -> None:
    waiters = Waiters(ManualClock())
    future, _ = waiters.begin("a")
    waiters.end("a", REFUSED)
    waiters.end("a", {"seq": 1})
    assert future.result() is REFUSED


async def test_the_end_of_a_question_that_nobody_waits_for_is_no_matter() -> None:
    waiters = Waiters(ManualClock())
    waiters.end("automatic", {"seq": 1})
    _, new = waiters.begin("automatic")
    assert new


async def test_an_outcome_is_forgotten_ten_minutes_after_the_end_however_long_the_snap_took() -> None:
    clock = ManualClock()
    waiters = Waiters(clock)
    waiters.begin("slow")
    await clock.advance(3 * KEEP_S)
    _, new = waiters.begin("slow")
    assert not new
    waiters.end("slow", {"seq": 1})
    await clock.advance(KEEP_S - 1)
    assert not waiters.begin("slow")[1]
    await clock.advance(2)
    assert waiters.begin("slow")[1]


async def test_no_more_outcomes_are_kept_than_needed_and_the_oldest_go_first() -> None:
    waiters = Waiters(ManualClock())
    pending, _ = waiters.begin("pending")
    for number in range(3 * KEEP_MOST):
        waiters.begin(f"snap {number}")
        waiters.end(f"snap {number}", {"seq": number})
    assert len(waiters._entries) <= KEEP_MOST + 1
    assert not waiters.begin(f"snap {3 * KEEP_MOST - 1}")[1]
    assert waiters.begin("snap 0")[1]
    assert waiters.begin("pending") == (pending, False)


@pytest.mark.parametrize("outcome", [{"seq": 1}, REFUSED])
async def test_a_snap_that_shares_a_question_ends_as_the_other_one(outcome: dict[str, int] | CommandError) -> None:
    waiters = Waiters(ManualClock())
    waiters.begin("first")
    second, _ = waiters.begin("second")
    waiters.join("second", "first")
    waiters.end("first", outcome)
    assert await second is outcome


async def test_a_snap_that_shares_a_question_that_ended_meanwhile_ends_at_once() -> None:
    waiters = Waiters(ManualClock())
    waiters.begin("first")
    waiters.end("first", {"seq": 1})
    second, _ = waiters.begin("second")
    waiters.join("second", "first")
    assert await second == {"seq": 1}


async def test_a_client_that_stops_waiting_cancels_nothing() -> None:
    waiters = Waiters(ManualClock())
    future, _ = waiters.begin("a")

    async def wait() -> object:
        return await asyncio.shield(future)

    impatient, patient = asyncio.create_task(wait()), asyncio.create_task(wait())
    await asyncio.sleep(0)
    impatient.cancel()
    await asyncio.wait([impatient])
    assert not future.done()
    waiters.end("a", {"seq": 1})
    assert await patient == {"seq": 1}


async def test_the_note_of_a_snap_that_was_forgotten_does_not_come_back_by_its_id() -> None:
    waiters = Waiters(ManualClock())
    for name, outcome in (("gone", {"seq": 1}), ("stays", {"seq": 2}), ("refused", REFUSED)):
        waiters.begin(name)
        waiters.end(name, outcome)
    pending, _ = waiters.begin("pending")
    waiters.forget(lambda note: note["seq"] == 1)
    gone, new = waiters.begin("gone")
    assert not new
    outcome = await gone
    assert isinstance(outcome, CommandError)
    assert (outcome.code, "forgotten" in outcome.message) == ("E_STATE", True)
    assert await waiters.begin("stays")[0] == {"seq": 2}
    assert await waiters.begin("refused")[0] is REFUSED
    assert waiters.begin("pending") == (pending, False)
    assert not pending.done()


async def test_a_snap_is_awaited_while_a_request_for_it_or_for_one_that_shares_its_question_waits() -> None:
    waiters = Waiters(ManualClock())
    assert not waiters.awaited("first")
    waiters.begin("first")
    waiters.begin("second")
    waiters.join("second", "first")
    assert not waiters.awaited("first")
    for snap_id in ("first", "second"):
        asking = asyncio.create_task(waiters.wait(snap_id))
        await asyncio.sleep(0)
        assert waiters.awaited("first")
        asking.cancel()
        await asyncio.wait([asking])
        assert not waiters.awaited("first")
    asking = asyncio.create_task(waiters.wait("second"))
    await asyncio.sleep(0)
    waiters.end("first", {"seq": 1})
    assert await asking == {"seq": 1}
    assert not waiters.awaited("first")
