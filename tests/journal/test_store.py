from __future__ import annotations

import asyncio
import logging
import sqlite3
import stat
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from hudd.errors import StorageError, WithheldError
from hudd.journal.store import Journal
from hudd.ledger.budget import decide
from hudd.ledger.caps import Caps
from hudd.ledger.records import Changes, Period, Settlement, Totals
from hudd.model import UpstreamError, Usage
from hudd.notes.records import PauseState
from hudd.wire.messages import Note
from tests.fakes.clock import ManualClock
from tests.fakes.journal import NOTE, RESERVATION, make_note

DAY = RESERVATION.day
USAGE = Usage(1023, 60, 700, 323, 0, 384, 0, 0, 60, 0, 12)


async def test_a_note_gets_number_stream_time_and_the_note_before_it(journal: Journal) -> None:
    first = await journal.commit_note(make_note("a"), None)
    other = await journal.commit_note(make_note("b"), None)
    second = await journal.commit_note(make_note("a"), None)
    assert [(n.seq, n.prev) for n in (first, other, second)] == [(1, 0), (2, 0), (3, 1)]
    assert first.stream == journal.stream
    assert first.published == ManualClock().wall()
    assert journal.heads() == {"note/a/": 3, "note/b/": 2}


async def test_what_is_read_back_is_what_was_committed(journal: Journal) -> None:
    committed = [
        await journal.commit_note(make_note(usage=None, cost_microusd=None, engine="local", timing_ms={}), None),
        await journal.commit_note(make_note(kind="failed", complete=False, text="Ünïcode\n👩‍💻 \0 end"), None),
    ]
    page = await journal.notes_since(0)
    assert list(page.notes) == committed
    assert Note.from_json(page.notes[1].to_json()).text == "Ünïcode\n👩‍💻 \0 end"


async def test_names_that_make_one_topic_share_its_chain(journal: Journal) -> None:
    await journal.commit_note(make_note("HDMI 1"), None)
    second = await journal.commit_note(make_note("HDMI/1"), None)
    assert second.prev == 1
    assert (await journal.notes_since(0)).notes[1].source == "HDMI/1"


async def test_a_lone_surrogate_is_replaced_and_the_note_kept(journal: Journal) -> None:
    note = await journal.commit_note(make_note(text="half \ud83d pair"), None)
    assert note.text == "half ? pair"
    assert (await journal.notes_since(0)).notes == (note,)


async def test_a_note_and_its_cost_are_one_transaction(journal: Journal) -> None:
    taken = await journal.reserve(RESERVATION)
    await journal.commit_note(make_note(), Settlement(taken, "completed", USAGE, 4100, price_date="2026-11-01"))
    assert await journal.totals(DAY) == Totals(settled_microusd=4100, tokens=1083, answers=1, month=Period(4100))
    with pytest.raises(StorageError, match="no reservation 99"):
        await journal.commit_note(make_note(), Settlement(99, "completed", USAGE, 4100))
    assert journal.heads() == {NOTE.topic: 1}
    assert (await journal.notes_since(0)).head == 1


async def test_numbers_and_heads_go_on_after_a_restart(tmp_path: Path) -> None:
    first = Journal.open(tmp_path / "journal.db", clock=ManualClock())
    await first.commit_note(make_note(), None)
    await first.close()
    second = Journal.open(tmp_path / "journal.db", clock=ManualClock())
    assert second.stream == first.stream
    assert second.heads() == {NOTE.topic: 1}
    assert (await second.commit_note(make_note(), None)).prev == 1
    await second.close()


async def test_prev_stays_true_when_the_newest_note_was_removed(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    first = Journal.open(path, clock=ManualClock())
    await first.commit_note(make_note(), None)
    await first.close()
    with_rows = sqlite3.connect(path)
    with with_rows:
        with_rows.execute("DELETE FROM notes")
    with_rows.close()
    second = Journal.open(path, clock=ManualClock())
    note = await second.commit_note(make_note(), None)
    assert (note.seq, note.prev) == (2, 1)
    assert (await second.notes_since(0)).oldest == 2
    assert [n.seq for n in await second.search(search="larkspur")] == [2]
    await second.close()


async def test_files_are_for_their_owner_only_and_closing_leaves_one_and_its_lock(tmp_path: Path) -> None:
    path = tmp_path / "state" / "journal.db"
    journal = Journal.open(path, clock=ManualClock())
    await journal.commit_note(make_note(), None)
    await journal.notes_since(0)
    names = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert names == dict.fromkeys(("journal.db", "journal.db-wal", "journal.db-shm", "journal.lock"), 0o600)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    await journal.close()
    await journal.close()
    assert sorted(file.name for file in path.parent.iterdir()) == ["journal.db", "journal.lock"]


async def test_replay_comes_in_pages(journal: Journal) -> None:
    for _ in range(7):
        await journal.commit_note(make_note(), None)
    first = await journal.notes_since(0, limit=3)
    assert ([n.seq for n in first.notes], first.head, first.oldest, first.more) == ([1, 2, 3], 7, 1, True)
    last = await journal.notes_since(4, limit=3)
    assert ([n.seq for n in last.notes], last.more) == ([5, 6, 7], False)
    assert (await journal.notes_since(7)).notes == ()


async def test_replay_of_some_topics(journal: Journal) -> None:
    for name in ("a", "b", "ab", "a", "c"):
        await journal.commit_note(make_note(name), None)
    page = await journal.notes_since(0, topic_prefix="note/a")
    assert ([n.seq for n in page.notes], page.head) == ([1, 3, 4], 4)
    page = await journal.notes_since(1, topic_prefix="note/a", limit=1)
    assert ([n.seq for n in page.notes], page.more) == ([3], True)
    page = await journal.notes_since(0, topic_prefix="note/none/")
    assert (page.notes, page.head, page.oldest, page.more) == ((), 0, 1, False)


async def test_an_empty_journal_has_nothing(journal: Journal) -> None:
    page = await journal.notes_since(0)
    assert (page.notes, page.head, page.oldest, page.more) == ((), 0, 0, False)
    assert await journal.search(search="word") == []
    assert await journal.errors() == []
    assert await journal.totals(DAY) == Totals()
    assert (await journal.costs()).rows == ()
    assert journal.pause_state() is None
    assert journal.heads() == {}


async def test_reservations_count_until_they_are_settled(journal: Journal) -> None:
    first = await journal.reserve(RESERVATION)
    second = await journal.reserve(RESERVATION)
    await journal.reserve(replace(RESERVATION, day="2026-11-22"))
    assert (await journal.totals(DAY)).reserved_microusd == 18000
    await journal.settle(Settlement(first, "failed", None, None, assumed=True))
    await journal.settle(Settlement(second, "failed", None, 0))
    assert await journal.totals(DAY) == Totals(
        settled_microusd=9000, assumed_microusd=9000, tokens=1500, answers=2, month=Period(9000, 9000)
    )


async def test_known_figures_replace_assumed_ones_and_are_final(journal: Journal) -> None:
    taken = await journal.reserve(RESERVATION)
    await journal.settle(Settlement(taken, "vanished", None, None, assumed=True))
    await journal.settle(Settlement(taken, "completed", USAGE, 4100))
    await journal.settle(Settlement(taken, "vanished", None, None, assumed=True))
    await journal.settle(Settlement(taken, "completed", Usage(9, 9), 9999))
    assert await journal.totals(DAY) == Totals(settled_microusd=4100, tokens=1083, answers=1, month=Period(4100))


async def test_an_unknown_price_counts_in_tokens_and_is_never_zero(journal: Journal) -> None:
    unpriced = replace(RESERVATION, model="own", microusd=None)
    taken = await journal.reserve(unpriced)
    await journal.reserve(unpriced)
    await journal.settle(Settlement(taken, "completed", USAGE, None))
    totals = await journal.totals(DAY)
    assert (totals.unpriced_tokens, totals.unpriced_reserved_tokens, totals.settled_microusd) == (1083, 1500, 0)
    (row,) = (await journal.costs()).rows
    assert (row.microusd, row.unpriced, row.answers) == (None, 1, 1)


async def test_a_price_lost_after_the_question_keeps_the_reservation(journal: Journal) -> None:
    taken = await journal.reserve(RESERVATION)
    await journal.settle(Settlement(taken, "completed", USAGE, None))
    assert (await journal.totals(DAY)).settled_microusd == 9000


async def test_local_answers_touch_no_total(journal: Journal) -> None:
    taken = await journal.reserve(replace(RESERVATION, engine="local", microusd=0))
    await journal.commit_note(make_note(engine="local"), Settlement(taken, "completed", USAGE, 0))
    assert await journal.totals(DAY) == Totals(answers=1)


async def test_two_questions_cannot_both_take_what_is_left(journal: Journal) -> None:
    async def ask() -> int:
        return await journal.reserve(
            RESERVATION,
            check=lambda totals: decide(
                totals, engine="service", caps=Caps(day=20_000), token_cap=0, predicted_microusd=9000,
                predicted_tokens=1500, trigger="manual",
            ),
        )  # fmt: skip

    results = await asyncio.gather(*(ask() for _ in range(10)), return_exceptions=True)
    refused = [result for result in results if isinstance(result, WithheldError)]
    assert len(refused) == 8
    assert {error.reasons for error in refused} == {("cap_reached",)}
    assert (await journal.totals(DAY)).reserved_microusd == 18_000


async def test_a_note_that_is_no_failure_ends_the_count_of_money_without_one(journal: Journal) -> None:
    for kind, expected in (("failed", (1, 4100)), ("failed", (2, 8200)), ("unchanged", (0, 0)), ("note", (0, 0))):
        taken = await journal.reserve(RESERVATION)
        await journal.commit_note(make_note(kind=kind), Settlement(taken, "completed", USAGE, 4100))
        facts = await journal.money(day=DAY, at=RESERVATION.reserved_at, model=RESERVATION.model)
        assert (facts.unnoted, facts.unnoted_microusd) == expected
    assert facts.totals.hour == Period(4 * 4100)
    (row,) = (await journal.costs(by_time=True)).rows
    assert (row.unnoted_microusd, row.day, row.quarter) == (8200, DAY, int(RESERVATION.reserved_at // 900))
    assert await journal.changes.since(0.0) == Changes(((int(RESERVATION.reserved_at // 60), 4),), asked=4)


async def test_costs_are_told_by_engine_model_and_trigger(journal: Journal) -> None:
    for number, trigger in enumerate(("change", "change", "manual")):
        taken = await journal.reserve(replace(RESERVATION, trigger=trigger, reserved_at=100.0 + number))
        await journal.settle(Settlement(taken, "completed", USAGE, 4100))
    await journal.reserve(replace(RESERVATION, reserved_at=103.0))
    report = await journal.costs(since=101.0, until=104.0)
    assert [(r.trigger, r.answers, r.microusd, r.reserved_microusd) for r in report.rows] == [
        ("change", 1, 4100, 9000),
        ("manual", 1, 4100, 0),
    ]
    assert report.rows[1].usage == USAGE
    everything = await journal.costs()
    assert everything.rows[0].usage.input_tokens == 2 * USAGE.input_tokens
    assert (await journal.costs(since=200.0)).rows == ()


async def test_errors_come_newest_first_with_the_services_own_words(journal: Journal) -> None:
    error = UpstreamError(
        sentence="The key was refused.", type="invalid_request_error", code="invalid_api_key", message="Incorrect \ud800",
        param="", event_id="rc_1", close_code=3000, close_reason="bye", http_status=401, fatal=True,
    )  # fmt: skip
    await journal.add_error(UpstreamError(sentence="First."), time=100.0)
    number = await journal.add_error(error, session_id="sess_1", time=200.0)
    newest, oldest = await journal.errors()
    assert newest == {
        "id": number, "time": "1970-01-01T00:03:20.000Z", "sentence": "The key was refused.",
        "type": "invalid_request_error", "code": "invalid_api_key", "message": "Incorrect ?", "param": "",
        "event_id": "rc_1", "close_code": 3000, "close_reason": "bye", "http_status": 401, "session_id": "sess_1",
        "fatal": True,
    }  # fmt: skip
    assert oldest["sentence"] == "First."
    assert [e["sentence"] for e in await journal.errors(until=200.0)] == ["First."]
    assert len(await journal.errors(since=100.0, limit=1)) == 1


async def test_a_pause_holds_across_a_restart_until_it_is_resumed(tmp_path: Path) -> None:
    clock = ManualClock()
    path = tmp_path / "journal.db"
    journal = Journal.open(path, clock=clock)
    await journal.pause(until=None, why="lunch", now=clock.wall())
    assert journal.pause_state() == PauseState(clock.wall(), None, "lunch")
    await journal.close()
    journal = Journal.open(path, clock=clock)
    assert journal.pause_state() == PauseState(clock.wall(), None, "lunch")
    await journal.resume(clock.wall() + 1)
    await journal.resume(clock.wall() + 2)
    await journal.close()
    journal = Journal.open(path, clock=clock)
    assert journal.pause_state() is None
    await journal.close()


async def test_a_timed_pause_ends_by_itself_and_a_new_one_takes_its_place(tmp_path: Path) -> None:
    clock = ManualClock()
    path = tmp_path / "journal.db"
    journal = Journal.open(path, clock=clock)
    start = clock.wall()
    await journal.pause(until=start + 60, why="", now=start)
    await clock.advance(59)
    assert journal.pause_state() is not None
    await clock.advance(1)
    assert journal.pause_state() is None
    await journal.pause(until=None, why="again", now=clock.wall() + 100)
    await journal.close()
    rows = sqlite3.connect(path)
    assert rows.execute("SELECT since, until, why, ended FROM pauses ORDER BY id").fetchall() == [
        (start, start + 60, "", start + 60),
        (start + 160, None, "again", None),
    ]
    rows.close()


async def test_cancelling_the_caller_never_undoes_a_commit(journal: Journal) -> None:
    gate = threading.Event()
    blocked = asyncio.create_task(journal._writer.run(lambda _: gate.wait(10)))
    await asyncio.sleep(0)
    waiting = asyncio.create_task(journal.commit_note(make_note(), None))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    gate.set()
    assert await blocked
    assert (await journal.commit_note(make_note(), None)).seq == 2
    assert [n.seq for n in (await journal.notes_since(0)).notes] == [1, 2]


async def test_an_error_that_nobody_waits_for_any_more_is_logged(
    journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    gate = threading.Event()
    blocked = asyncio.create_task(journal._writer.run(lambda _: gate.wait(10)))
    await asyncio.sleep(0)
    waiting = asyncio.create_task(journal.settle(Settlement(7, "failed", None, 0)))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    with caplog.at_level(logging.ERROR):
        gate.set()
        await blocked
        # Its job ran before this one, so its result came to the loop before this one's.
        await journal._writer.run(lambda _: None)
    assert "no reservation 7" in caplog.text


async def test_a_long_search_delays_neither_commit_nor_replay(journal: Journal) -> None:
    gate = threading.Event()
    searching = asyncio.create_task(journal._searcher.run(lambda _: gate.wait(10)))
    await asyncio.sleep(0)
    await asyncio.wait_for(journal.commit_note(make_note(), None), 5)
    assert len((await asyncio.wait_for(journal.notes_since(0), 5)).notes) == 1
    assert not searching.done()
    gate.set()
    await searching


async def test_closing_finishes_what_was_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = Journal.open(path, clock=ManualClock())
    asked = [asyncio.create_task(journal.commit_note(make_note(), None)) for _ in range(20)]
    await asyncio.sleep(0)
    await journal.close()
    assert [note.seq for note in await asyncio.gather(*asked)] == list(range(1, 21))
    with pytest.raises(StorageError, match="closed"):
        await journal.commit_note(make_note(), None)


async def test_a_full_disk_is_a_sentence_changes_nothing_and_goes_away(journal: Journal) -> None:
    await journal.commit_note(make_note(), None)

    def pages(limit: int) -> None:
        journal._writer.call(lambda connection: connection.execute(f"PRAGMA max_page_count = {limit}").fetchone())

    pages(1)  # SQLite takes the present size as the least

    async def fill() -> None:
        for _ in range(50):
            await journal.commit_note(make_note(text="x" * 4000), None)

    with pytest.raises(StorageError, match=r"the disk is full\. Free some space\.") as caught:
        await fill()
    assert caught.value.wire_code == "E_STORAGE"
    head = journal.heads()[NOTE.topic]
    assert (await journal.notes_since(head - 1)).head == head
    pages(1_000_000)
    assert (await journal.commit_note(make_note(), None)).prev == head


async def test_a_journal_held_by_another_program_is_a_sentence(journal: Journal) -> None:
    other = sqlite3.connect(journal.path, isolation_level=None)
    journal._writer.call(lambda connection: connection.execute("PRAGMA busy_timeout = 10").fetchone())
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageError, match="another program"):
        await journal.commit_note(make_note(), None)
    other.execute("ROLLBACK")
    other.close()
    assert (await journal.commit_note(make_note(), None)).seq == 1


async def test_the_readers_cannot_write(journal: Journal) -> None:
    for lane in (journal._reader, journal._pages, journal._searcher):
        with pytest.raises(StorageError, match="may not be written"):
            await lane.run(lambda connection: connection.execute("DELETE FROM notes"))
