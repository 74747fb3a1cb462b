"""From an answer to a note: committed, then published, then told to whoever waits."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from pathlib import Path

import pytest

from hudd.errors import CommandError
from hudd.journal.store import Journal
from hudd.ledger.records import Settlement
from hudd.model import Answer, Usage
from hudd.wire.messages import note_topic
from tests.fakes.clock import ManualClock, settle
from tests.fakes.delivery import FULL, delivering, failed, withheld
from tests.fakes.journal import make_answer, make_question


async def test_a_note_is_committed_before_it_is_published_and_only_then_told() -> None:
    async with delivering() as house:
        note = await house.outcome(make_answer("Larkspur sends an invoice.", trigger="manual"))
        assert house.log == ["commit 1", "committed", "publish note/eDP-1/ 1", "published 01JD"]
        assert note == house.bodies[0] == house.store.notes[0].to_json()
        assert note["seq"] == 1
        assert note["cost_microusd"] == 4100
        assert note["engine"] == "service"
        assert house.remembered == [("eDP-1", "Larkspur sends an invoice.")]
        assert house.counters.notes == 1


async def test_nobody_hears_of_a_note_while_it_is_not_committed() -> None:
    async with delivering() as house:
        house.store.go_on.clear()
        future, _ = house.waiters.begin("01JD")
        waiting = asyncio.create_task(house.delivery.next_note())
        house.delivery.put(make_answer())
        await settle()
        assert house.log == []
        assert not future.done()
        assert not waiting.done()
        assert house.delivery.last_note_at is None
        house.store.go_on.set()
        await future
        await waiting
        assert house.delivery.last_note_at == house.clock.monotonic()


async def test_answers_are_delivered_one_after_the_other_in_their_order() -> None:
    async with delivering() as house:
        house.store.go_on.clear()
        for number in range(20):
            question = make_question(id=f"q{number}")
            house.delivery.put(make_answer(f"Note number {number} tells of {number} things.", question=question))
        await settle()
        house.store.go_on.set()
        await house.delivery.drain()
        assert [body["seq"] for body in house.bodies] == list(range(1, 21))
        assert [body["snap"]["id"] for body in house.bodies] == [f"q{number}" for number in range(20)]
        published = [line for line in house.log if line.startswith(("commit ", "publish "))]
        assert [line.split()[0] for line in published] == ["commit", "publish"] * 20


async def test_an_answer_that_says_nothing_new_is_numbered_counted_and_not_remembered() -> None:
    async with delivering() as house:
        for _ in range(3):
            house.delivery.put(make_answer("A terminal shows the build log."))
        await house.delivery.drain()
        assert [body["kind"] for body in house.bodies] == ["note", "unchanged", "unchanged"]
        assert (house.counters.notes, house.counters.unchanged) == (1, 2)
        assert len(house.remembered) == 1


async def test_what_is_unchanged_is_told_per_source_and_never_of_a_snap() -> None:
    async with delivering() as house:
        first = make_question()
        other = replace(first.pictures[0], source=replace(first.pictures[0].source, name="HDMI-1"))
        for answer in (
            make_answer("The build is green.", question=first),
            make_answer("The build is green.", question=replace(first, pictures=(other,))),
            make_answer("The build is green.", question=replace(first, trigger="manual")),
        ):
            house.delivery.put(answer)
        await house.delivery.drain()
        assert [body["kind"] for body in house.bodies] == ["note"] * 3
        assert house.log[2] == f"publish {note_topic('eDP-1')} 1"


async def test_a_failed_answer_makes_a_failed_note_and_tells_the_services_own_words() -> None:
    async with delivering() as house:
        with pytest.raises(CommandError) as told:
            await house.outcome(failed())
        assert told.value.code == "E_UPSTREAM"
        assert told.value.message == "The service failed; hudd goes on."
        assert told.value.upstream is not None
        assert told.value.upstream["message"] == "boom"
        assert house.bodies[0]["kind"] == "failed"
        assert house.bodies[0]["text"] == "The service failed; hudd goes on."
        assert house.counters.failed == 1
        assert house.remembered == []


async def test_an_answer_without_words_is_a_failure_for_whoever_waits() -> None:
    async with delivering() as house:
        with pytest.raises(CommandError) as told:
            await house.outcome(make_answer("", trigger="manual"))
        assert told.value.code == "E_UPSTREAM"
        assert told.value.message == house.bodies[0]["text"]
        assert [error.sentence for error in house.errors] == [told.value.message]


async def test_an_answer_that_the_service_cancelled_is_among_the_errors() -> None:
    async with delivering() as house:
        house.delivery.put(make_answer("The bu", status="cancelled", reason="turn_detected"))
        await house.delivery.drain()
        [error] = house.errors
        assert error.sentence == "The service cancelled the answer (turn_detected); ask again."
        assert (error.code, error.param) == ("cancelled", "turn_detected")


async def test_a_cut_answer_is_a_note_although_something_went_wrong_behind_it() -> None:
    async with delivering() as house:
        answer = make_answer("The build", trigger="manual", status="incomplete", reason="max_output_tokens")
        note = await house.outcome(answer)
        assert (note["kind"], note["complete"]) == ("note", False)


async def test_a_withheld_question_makes_no_note_frees_its_money_and_says_why() -> None:
    async with delivering() as house:
        with pytest.raises(CommandError, match="paused") as told:
            await house.outcome(withheld())
        assert told.value.code == "E_STATE"
        assert house.bodies == []
        assert [s.cost_microusd for s in house.store.settled] == [0]
        assert (house.counters.withheld, house.counters.failed) == (1, 0)
        assert [q.id for q in house.unsent] == ["01JD"]


async def test_a_second_try_that_is_withheld_makes_no_note_either() -> None:
    async with delivering() as house:
        with pytest.raises(CommandError) as told:
            await house.outcome(withheld(sent=True))
        assert told.value.code == "E_STATE"
        assert house.bodies == []
        assert len(house.store.settled) == 1


async def test_a_question_that_was_lost_before_it_was_sent_makes_no_note() -> None:
    async with delivering() as house:
        with pytest.raises(CommandError) as told:
            await house.outcome(failed("connection_lost", sent=False))
        assert told.value.code == "E_UPSTREAM"
        assert house.bodies == []
        assert house.counters.failed == 1
        assert len(house.unsent) == 1
        with pytest.raises(CommandError, match="ask again"):
            await house.outcome(make_answer("", question=make_question(id="other"), status="vanished", sent=False))


async def test_without_a_reservation_nothing_is_settled() -> None:
    async with delivering() as house:
        house.spending.reserved = False
        house.delivery.put(withheld())
        house.delivery.put(make_answer())
        await house.delivery.drain()
        assert house.store.settled == []
        assert house.bodies[0]["cost_microusd"] is None
        assert "committed" not in house.log


@pytest.mark.parametrize("answer", [make_answer(trigger="manual"), withheld()], ids=["note", "withheld"])
async def test_a_journal_that_fails_is_told_and_the_next_answer_is_delivered_all_the_same(answer: Answer) -> None:
    async with delivering() as house:
        house.store.error = FULL
        with pytest.raises(CommandError) as told:
            await house.outcome(answer)
        assert (told.value.code, told.value.message, told.value.hint) == ("E_STORAGE", FULL.message, FULL.hint)
        assert house.bodies == []
        assert [error.sentence for error in house.errors] == [str(FULL)]
        assert house.counters.notes == 0
        house.store.error = None
        await house.outcome(make_answer(question=make_question(id="next", trigger="manual")))
        assert len(house.bodies) == 1


async def test_a_reservation_that_could_not_be_committed_is_a_failing_journal_and_told_as_one() -> None:
    async with delivering() as house:
        with pytest.raises(CommandError) as told:
            await house.outcome(withheld("E_STORAGE"))
        assert told.value.code == "E_STORAGE"
        assert [error.code for error in house.errors] == ["storage"]


async def test_automatic_questions_have_nobody_who_waits() -> None:
    async with delivering() as house:
        house.delivery.put(withheld())
        house.delivery.put(failed())
        house.delivery.put(make_answer())
        await house.delivery.drain()
        assert [body["kind"] for body in house.bodies] == ["failed", "note"]


async def test_each_waiter_for_the_next_note_gets_one_and_a_cancelled_one_leaves_nothing() -> None:
    async with delivering() as house:
        house.delivery.put(make_answer())
        await house.delivery.drain()
        waiting = [asyncio.create_task(house.delivery.next_note()) for _ in range(3)]
        await settle()
        assert not any(task.done() for task in waiting)
        waiting.pop().cancel()
        house.delivery.put(make_answer("Something else is on the screen."))
        await asyncio.gather(*waiting)


async def test_note_text_stands_in_the_log_at_debug_level_only(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "hudd")
    async with delivering() as house:
        await house.outcome(make_answer("The secret is larkspur.", trigger="manual"))
        house.store.error = FULL
        house.delivery.put(make_answer("The secret is larkspur again."))
        await house.delivery.drain()
    assert any("larkspur" in r.getMessage() and r.levelno == logging.DEBUG for r in caplog.records)
    assert not [r for r in caplog.records if "larkspur" in r.getMessage() and r.levelno > logging.DEBUG]


async def test_with_the_real_journal_what_was_published_can_be_fetched_again(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "journal.db", clock=ManualClock())
    try:
        async with delivering(journal) as house:
            house.spending.reserved = False
            notes = [
                await house.outcome(
                    make_answer(f"Window {n} of {n} shows {n} mails.", question=make_question(id=f"q{n}"))
                )
                for n in range(5)
            ]
            page = await journal.notes_since(0)
            assert [note.to_json() for note in page.notes] == notes == house.bodies
            assert [note["prev"] for note in notes] == [0, 1, 2, 3, 4]
    finally:
        await journal.close()


async def test_the_answer_to_a_forgotten_picture_gets_its_number_and_loses_its_words() -> None:
    async with delivering() as house:
        house.forgotten = True
        note = await house.outcome(make_answer("Larkspur sends an invoice.", trigger="manual"))
        assert (note["seq"], note["text"], note["complete"]) == (1, "", False)
        assert [picture["hash"] for picture in note["snap"]["pictures"]] == [""]
        assert house.store.notes[0].text == ""
        assert house.bodies == [note]
        assert house.remembered == []


async def test_what_is_forgotten_while_its_note_is_committed_is_neither_told_nor_remembered() -> None:
    async with delivering() as house:
        house.store.go_on.clear()
        future, _ = house.waiters.begin("01JD")
        house.delivery.put(make_answer("Larkspur sends an invoice."))
        await settle()
        house.forgotten = True
        house.store.go_on.set()
        note = await future
        assert isinstance(note, dict)
        assert (note["text"], house.bodies, house.remembered) == ("", [note], [])


async def test_after_a_forgetting_nothing_is_compared_with_what_was_forgotten() -> None:
    async with delivering() as house:
        await house.outcome(make_answer("Larkspur sends an invoice.", question=make_question(id="a")))
        house.delivery.forget()
        note = await house.outcome(make_answer("Larkspur sends an invoice.", question=make_question(id="b")))
        assert note["kind"] == "note"


async def test_a_snap_held_back_by_a_full_disk_says_storage() -> None:
    async with delivering() as house:
        for param, code in (("storage", "E_STORAGE"), ("paused, storage", "E_STORAGE"), ("paused", "E_STATE")):
            answer = withheld(param, question=make_question(id=param, trigger="manual"))
            with pytest.raises(CommandError) as told:
                await house.outcome(answer)
            assert told.value.code == code


async def test_the_note_names_the_model_that_was_asked_though_another_one_took_over() -> None:
    async with delivering() as house:
        house.spending.asked = "gpt-realtime-2"
        assert (await house.outcome(make_answer()))["model"] == "gpt-realtime-2"


@pytest.mark.parametrize(("usage", "assumed"), [(None, True), (Usage(input_tokens=500, output_tokens=60), False)])
async def test_an_assumed_cost_is_published_and_marked(usage: Usage | None, assumed: bool) -> None:
    async with delivering() as house:
        settled = Settlement(1, "completed", usage, None if assumed else 4100, assumed=assumed, reserved_microusd=9000)
        house.spending.settlement = lambda answer: settled
        answer = replace(make_answer(), usage=usage)
        body = await house.outcome(answer)
        assert (body["cost_microusd"], body["cost_assumed"]) == ((9000, True) if assumed else (4100, False))
