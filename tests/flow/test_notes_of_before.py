"""What was said last before a restart is not said again after it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hudd.journal.store import Journal
from hudd.model import Answer, Source
from hudd.notes.keeping import Span
from tests.fakes.clock import ManualClock, settle
from tests.fakes.delivery import FULL, FakeStore, delivering
from tests.fakes.journal import make_answer, make_question

BUILD = "A terminal shows the build log."


def answer(text: str = BUILD, source: str = "eDP-1", trigger: str = "change") -> Answer:
    (picture,) = make_question().pictures
    picture = replace(picture, source=Source("monitor", source, (0, 0, 1920, 1080)))
    return make_answer(text, question=make_question(trigger=trigger, pictures=(picture,)))


async def said(file: Path, *answers: Answer, forget: bool = False) -> list[str]:
    """The kinds of the notes of one life of a daemon."""
    journal = Journal.open(file, clock=ManualClock())
    try:
        async with delivering(journal) as house:
            house.spending.reserved = False
            for one in answers:
                house.delivery.put(one)
            await house.delivery.drain()
            if forget:
                await journal.upkeep.empty(Span())
            return [body["kind"] for body in house.bodies]
    finally:
        await journal.close()


async def test_after_a_restart_the_same_is_no_note_and_something_else_is(tmp_path: Path) -> None:
    file = tmp_path / "journal.db"
    assert await said(file, answer(), answer(source="HDMI-1", text="A film.")) == ["note", "note"]
    assert await said(file, answer(), answer(source="HDMI-1", text="A film.")) == ["unchanged", "unchanged"]
    # A look that said nothing new lies between now.
    assert await said(file, answer(), answer(source="HDMI-1", text="A letter.")) == ["unchanged", "note"]
    assert await said(file, answer(trigger="manual")) == ["note"], "a person is always told"
    assert await said(file, answer("A terminal shows 3 errors."), answer()) == ["note", "note"]


async def test_what_was_forgotten_is_compared_with_nothing(tmp_path: Path) -> None:
    file = tmp_path / "journal.db"
    assert await said(file, answer("An editor."), answer(), forget=True) == ["note", "note"]
    assert await said(file, answer()) == ["note"]


async def test_where_only_the_newest_was_forgotten_an_older_one_does_not_stand_in(tmp_path: Path) -> None:
    file = tmp_path / "journal.db"
    journal = Journal.open(file, clock=ManualClock())
    async with delivering(journal) as house:
        house.spending.reserved = False
        for text in ("An editor.", BUILD):
            house.delivery.put(answer(text))
        await house.delivery.drain()
    assert await journal.last_texts() == {"note/eDP-1/": BUILD}
    await journal.upkeep.empty(Span(seq=2))
    assert await journal.last_texts() == {}
    await journal.close()


async def test_a_journal_that_cannot_be_read_delays_nothing(caplog: pytest.LogCaptureFixture) -> None:
    store = FakeStore([])
    store.error = FULL
    async with delivering(store) as house:
        await settle()
        store.error = None
        house.delivery.put(answer())
        await house.delivery.drain()
        assert [body["kind"] for body in house.bodies] == ["note"]
    assert "the first ones may repeat it" in caplog.text


async def test_what_is_forgotten_while_it_is_read_is_not_remembered() -> None:
    class Slow(FakeStore):
        async def last_texts(self) -> dict[str, str]:
            house.delivery.forget()
            return {"note/eDP-1/": BUILD}

    async with delivering(Slow([])) as house:
        house.delivery.put(answer())
        await house.delivery.drain()
        assert [body["kind"] for body in house.bodies] == ["note"]
