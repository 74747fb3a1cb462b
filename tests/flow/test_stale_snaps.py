"""Snaps that waited long for their connection: whoever still waits sees the screen of now, the others are told."""

from __future__ import annotations

from hudd.errors import LinkRefusedError
from hudd.flow.connection import STALE_S
from hudd.realtime.router import ASK_AGAIN_WITHIN_S
from tests.fakes.clock import settle
from tests.fakes.conversation import House, living

NO_NETWORK = [LinkRefusedError("No connection.")] * 1000


async def outage(house: House, seconds: float) -> None:
    """The network is away for so long, then back."""
    await house.clock.advance(seconds)
    house.refusals.clear()
    house.conversation.nudge()
    await settle()


async def test_a_snap_that_somebody_waits_for_gets_a_fresh_picture_after_an_outage() -> None:
    house = House()
    house.refusals.extend(NO_NETWORK)
    async with living(house):
        house.awaited.add(house.put(1).id)
        await outage(house, 3600)
        await house.until(lambda: house.answers)
        (answer,) = house.answers
        assert (answer.status, answer.question.pictures[0].hash) == ("completed", "fresh0")


async def test_snaps_that_nobody_waits_for_any_more_end_unpaid_and_say_so() -> None:
    house = House()
    house.refusals.extend(NO_NETWORK)
    async with living(house):
        for number in range(1, 6):
            house.put(number)
        await outage(house, 3600)
        await house.until(lambda: len(house.answers) == 5)
        assert {(answer.status, answer.sent) for answer in house.answers} == {("vanished", False)}
        sentences = {answer.error.sentence for answer in house.answers if answer.error is not None}
        assert len(sentences) == 1
        assert "nobody waited for its note any more; ask again" in sentences.pop()
        assert (house.asked(), house.retaken, house.reserved_for) == (0, [], [])


async def test_a_snap_whose_caller_may_still_repeat_it_gets_a_fresh_picture_without_being_waited_for() -> None:
    for seconds, fresh in ((STALE_S - 5, 0), (STALE_S + 5, 1), (ASK_AGAIN_WITHIN_S - 5, 1)):
        house = House()
        house.refusals.extend(NO_NETWORK)
        async with living(house):
            house.put()
            await outage(house, seconds)
            await house.until(lambda house=house: house.answers)
            assert (house.answers[0].status, len(house.retaken)) == ("completed", fresh)


async def test_after_an_outage_snaps_keep_their_order_and_new_ones_their_picture() -> None:
    house = House()
    house.refusals.extend(NO_NETWORK)
    async with living(house):
        house.awaited |= {house.put(1).id, house.put(2).id}
        await house.clock.advance(3600)
        house.put(3)
        await outage(house, 0)
        await house.until(lambda: len(house.answers) == 3)
        assert [a.question.id[-1] for a in house.answers] == ["1", "2", "3"]
        assert [a.question.pictures[0].hash.startswith("fresh") for a in house.answers] == [True, True, False]


async def test_an_interrupted_snap_that_somebody_waits_for_is_asked_again_however_long_it_took() -> None:
    house = House()
    house.peer.stop_after = "response.created"
    async with living(house):
        house.awaited.add(house.put(1).id)
        await house.until(lambda: house.asked() == 1)
        house.refusals.extend(NO_NETWORK)
        house.link.drop(1006, "")
        await house.clock.advance(ASK_AGAIN_WITHIN_S + 100)
        house.peer.stop_after = ""
        await outage(house, 0)
        await house.until(lambda: house.answers)
        assert (house.answers[0].status, len(house.retaken)) == ("completed", 1)
