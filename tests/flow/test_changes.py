from __future__ import annotations

import asyncio
from collections.abc import Mapping

from hudd.errors import StorageError
from hudd.flow.changes import KEEP_EVERY_S, ChangeCounter
from hudd.flow.mailbox import Mailbox
from tests.fakes.clock import ManualClock, settle
from tests.fakes.questions import make_question


class Book:
    """A journal that may be broken."""

    def __init__(self) -> None:
        self.kept: list[dict[int, int]] = []
        self.broken = False

    async def add(self, seen: Mapping[int, int]) -> None:
        if self.broken:
            raise StorageError("The disk is full.")
        self.kept.append(dict(seen))


async def test_what_is_worth_a_question_counts_although_another_takes_its_place() -> None:
    clock, book = ManualClock(wall=600.0), Book()
    counter = ChangeCounter(book, clock)
    mailbox = Mailbox(on_put=counter.count)
    for number in range(5):
        mailbox.put(make_question(number, "change"))
    mailbox.put(make_question(9, "manual"))
    assert len(mailbox) == 2
    await counter.keep()
    assert book.kept == [{10: 6}]


async def test_counts_are_written_together_and_nothing_wakes_without_any() -> None:
    clock, book = ManualClock(wall=600.0), Book()
    counter = ChangeCounter(book, clock)
    running = asyncio.create_task(counter.run())
    await settle()
    assert clock.sleeping == 0
    for _ in range(3):
        counter.count()
        await clock.advance(KEEP_EVERY_S / 4)
    assert book.kept == []
    await clock.advance(KEEP_EVERY_S / 4)
    assert [sum(seen.values()) for seen in book.kept] == [3]
    assert clock.sleeping == 0
    book.broken = True
    counter.count()
    await clock.advance(KEEP_EVERY_S)
    book.broken = False
    counter.count()
    await clock.advance(KEEP_EVERY_S)
    assert [sum(seen.values()) for seen in book.kept] == [3, 2]
    running.cancel()
    await asyncio.wait([running])
