"""The command ``snap``: one picture and one note for each id, or a sentence that says why not."""

from __future__ import annotations

import asyncio

import pytest

from hudd.errors import CaptureError, CommandError, PictureError, WithheldError
from tests.fakes.clock import settle
from tests.fakes.command_house import House, refused

ULID = "01JD0000000000000000000000"
OTHER = "01JD0000000000000000000001"


async def test_a_snap_is_put_nudges_the_connection_and_answers_with_its_note() -> None:
    house = House()
    asking = asyncio.create_task(house.ask("snap", snap_id=ULID, monitor="HDMI-1"))
    await settle()
    assert house.snapped == [("HDMI-1", ULID)]
    assert [q.id for q in house.put] == [ULID]
    assert house.calls == ["nudge"]
    assert not asking.done()
    house.waiters.end(ULID, {"seq": 1})
    assert await asking == {"seq": 1}


async def test_the_same_id_again_takes_no_second_picture_and_ends_as_the_first() -> None:
    house = House()
    asking = [asyncio.create_task(house.ask("snap", snap_id=ULID)) for _ in range(3)]
    await settle()
    house.waiters.end(ULID, {"seq": 1})
    assert await asyncio.gather(*asking) == [{"seq": 1}] * 3
    assert await house.ask("snap", snap_id=ULID) == {"seq": 1}
    assert len(house.snapped) == len(house.put) == 1


async def test_a_snap_that_shares_a_grab_ends_with_the_other_and_puts_nothing() -> None:
    house = House()
    first = asyncio.create_task(house.ask("snap", snap_id=ULID))
    await settle()
    house.shared_with = ULID
    second = asyncio.create_task(house.ask("snap", snap_id=OTHER))
    await settle()
    assert len(house.put) == 1
    house.waiters.end(ULID, {"seq": 1})
    assert await first == await second == {"seq": 1}


async def test_a_client_that_leaves_cancels_nothing() -> None:
    house = House()
    asking = asyncio.create_task(house.ask("snap", snap_id=ULID))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.wait([asking])
    await settle()
    assert [q.id for q in house.put] == [ULID]
    again = asyncio.create_task(house.ask("snap", snap_id=ULID))
    await settle()
    house.waiters.end(ULID, {"seq": 1})
    assert await again == {"seq": 1}


async def test_a_snap_while_a_reason_holds_ends_in_all_the_reasons_and_takes_no_picture() -> None:
    house = House()
    house.facts.set("paused", True)
    house.facts.set("stopping", True)
    error = await refused(house, "snap", snap_id=ULID)
    assert error.code == "E_STATE"
    assert (error.message, error.hint) == ("hudd is paused. hudd is stopping.", "`hudctl resume` ends the pause.")
    assert house.snapped == []


@pytest.mark.parametrize(
    ("raised", "code", "words"),
    [
        (CaptureError("There is no monitor 'x'; there are: eDP-1."), "E_CAPTURE", "there are: eDP-1"),
        (PictureError("The picture does not fit.", hint="Raise [picture] max_bytes."), "E_CAPTURE", "does not fit"),
        (WithheldError(("paused", "facts_changed")), "E_STATE", "hudctl resume"),
        (CommandError("E_BUSY", "Too many snaps wait."), "E_BUSY", "Too many"),
    ],
)
async def test_a_snap_that_fails_says_why(raised: BaseException, code: str, words: str) -> None:
    house = House()
    house.snap_error = raised
    error = await refused(house, "snap", snap_id=ULID)
    assert error.code == code
    assert words in str(error)
    assert house.put == []
    house.snap_error = None
    assert (await refused(house, "snap", snap_id=ULID)).code == code


async def test_a_full_lane_is_told_with_when_to_try_again() -> None:
    house = House()
    house.put_error = CommandError("E_BUSY", "Too many snaps wait for an answer.", retry_after_ms=2000)
    error = await refused(house, "snap", snap_id=ULID)
    assert (error.code, error.retry_after_ms) == ("E_BUSY", 2000)


async def test_a_mistake_of_ours_ends_the_snap_too() -> None:
    house = House()
    house.snap_error = asyncio.CancelledError()
    error = await refused(house, "snap", snap_id=ULID)
    assert error.code == "E_INTERNAL"
