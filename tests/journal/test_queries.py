from __future__ import annotations

import sqlite3
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hudd.journal import queries, schema
from hudd.journal.store import Journal
from hudd.wire.messages import Note
from tests.fakes.clock import ManualClock
from tests.fakes.journal import make_note

TEXTS = (
    "The invoice from Larkspur says 42 €.",
    "A browser shows foo-bar.example and the Café Müller.",
    'Somebody wrote "OR NOT near" in the editor: invoice.',
    "Error: cannot open C:\\temp; 100% done",
    "The larkspur is blue.",
)


async def _fill(journal: Journal) -> None:
    for number, text in enumerate(TEXTS):
        await journal.commit_note(make_note(text=text, time=100.0 + number), None)


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("invoice", [3, 1]),
        ("INVOICE larkspur", [1]),
        ("larkspur", [5, 1]),
        ("cafe muller", [2]),
        ("Café", [2]),
        ("foo-bar", [2]),
        ("bar-foo", []),
        ("... invoice !", [3, 1]),
        ("OR", [3]),
        ("NOT near", [3]),
        ('"OR', [3]),
        ("invoice*", [3, 1]),
        ("text:invoice", []),
        ("in\0voice", []),
        ("42", [1]),
        ("nowhere", []),
        ("-- ; DROP TABLE", []),
        ('"""', []),
        ("   ", []),
    ],
)
async def test_full_text_search(journal: Journal, words: str, found: list[int]) -> None:
    await _fill(journal)
    assert [note.seq for note in await journal.search(search=words)] == found


@pytest.mark.parametrize(
    ("grep", "found"),
    [
        ("INVOICE", [3, 1]),
        ("100%", [4]),
        ("c:\\TEMP", [4]),
        ("/inv.*42/", [1]),
        ("/THE/", []),
        ("/^THE /i", [5, 1]),
        ("/\\.$/", [5, 3, 2, 1]),
        ("/", []),
        ("//", []),
        ("/i", []),
        ("€", [1]),
    ],
)
async def test_grep(journal: Journal, grep: str, found: list[int]) -> None:
    await _fill(journal)
    assert [note.seq for note in await journal.search(grep=grep)] == found


async def test_conditions_are_joined_and_pages_go_down(journal: Journal) -> None:
    await _fill(journal)

    async def seqs(**wanted: object) -> list[int]:
        return [note.seq for note in await journal.search(**wanted)]  # type: ignore[arg-type]  # named above

    assert await seqs() == [5, 4, 3, 2, 1]
    assert await seqs(limit=2) == [5, 4]
    assert await seqs(limit=2, before=4) == [3, 2]
    assert await seqs(limit=2, reverse=True) == [4, 5]
    assert await seqs(since=101.0, until=103.0) == [3, 2]
    assert await seqs(since=101.0) == [5, 4, 3, 2]
    assert await seqs(until=101.0) == [1]
    assert await seqs(since=500.0) == []
    assert await seqs(search="invoice", until=102.0) == [1]
    assert await seqs(search="invoice", before=3) == [1]
    assert await seqs(search="invoice", grep="wrote") == [3]
    assert await seqs(search="invoice", grep="/says/", since=100.0) == [1]
    assert await seqs(grep="o", limit=1, before=5) == [4]
    assert len(await seqs(limit=10_000)) == 5


async def test_a_clock_that_was_set_back_hides_no_note(journal: Journal) -> None:
    for number, when in enumerate((100.0, 500.0, 101.0, 102.0, 600.0), start=1):
        await journal.commit_note(make_note(text=f"word {number}", time=when), None)
    found = await journal.search(since=100.0, until=200.0)
    assert [note.seq for note in found] == [4, 3, 1]
    assert await journal.search(since=100.0, until=200.0, search="word") == found
    assert await journal.search(since=100.0, until=200.0, grep="WORD") == found


async def test_a_grep_finds_beyond_the_first_chunk(journal: Journal) -> None:
    def many(connection: sqlite3.Connection) -> None:
        with schema.transaction(connection):
            for number in range(1, 1301):
                queries.insert_note(connection, make_note(text=f"note number {number}"))

    await journal._writer.run(many)
    assert [n.seq for n in await journal.search(grep="NUMBER 7", limit=500)][-1] == 7
    assert [n.seq for n in await journal.search(grep="/number 7$/")] == [7]
    assert [n.seq for n in await journal.search(search="number 7")] == [7]


@pytest.mark.parametrize("grep", ["/(/", "/[a/", "/*/i", "/(?P<a>b)(?P<a>c)/"])
async def test_an_invalid_expression_is_a_sentence(journal: Journal, grep: str) -> None:
    await _fill(journal)
    with pytest.raises(ValueError, match=r"^The regular expression is invalid: .*\.$"):
        await journal.search(grep=grep)


async def test_an_expression_that_never_ends_is_stopped_and_the_loop_goes_on(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "GREP_BUDGET_S", 0.5)
    await journal.commit_note(make_note(text="a" * 60 + "!"), None)
    started = time.monotonic()
    with pytest.raises(ValueError, match="took too long"):
        await journal.search(grep="/(a+)+$/")
    assert time.monotonic() - started < 5
    assert len(await journal.search(grep="/a+!/")) == 1


async def test_a_substring_search_keeps_to_its_time(tmp_path: Path) -> None:
    clock = ManualClock()
    journal = Journal.open(tmp_path / "journal.db", clock=clock)
    await _fill(journal)
    moments = iter([0.0, queries.GREP_BUDGET_S + 1])
    clock.monotonic = lambda: next(moments)  # type: ignore[method-assign]
    with pytest.raises(ValueError, match="took too long"):
        await journal.search(grep="invoice")
    await journal.close()


async def test_without_the_index_words_are_refused_with_the_remedy_and_grep_works(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = Journal.open(path, clock=ManualClock(), search=False)
    await _fill(journal)
    with pytest.raises(ValueError, match=r"\[journal\] search = true"):
        await journal.search(search="invoice")
    assert len(await journal.search(grep="invoice")) == 2
    await journal.close()
    journal = Journal.open(path, clock=ManualClock(), search=True)
    assert [n.seq for n in await journal.search(search="invoice")] == [3, 1]
    await journal.commit_note(make_note(text="another invoice"), None)
    assert [n.seq for n in await journal.search(search="invoice")] == [6, 3, 1]
    await journal.close()
    journal = Journal.open(path, clock=ManualClock(), search=False)
    rows = journal._reader.call(lambda c: c.execute("SELECT count(*) FROM notes_fts_docsize").fetchone()[0])
    assert rows == 0
    await journal.close()


def _search(connection: sqlite3.Connection, wanted: queries.Search) -> list[Note]:
    return queries.search(connection, "s", wanted, time.monotonic, threading.Event())


def _indexed_memory() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    schema.migrate(connection)
    return connection


@settings(deadline=None)
@given(text=st.text(alphabet=st.characters(codec=None)), words=st.text(alphabet=st.characters(codec=None)))
def test_no_words_are_ever_a_syntax_error(text: str, words: str) -> None:
    connection = _indexed_memory()
    queries.insert_note(connection, make_note(text=text))
    found = _search(connection, queries.Search(words=words))
    assert len(found) <= 1
    connection.close()


SYNTAX = st.lists(st.sampled_from(['"', "'", "(", ")", "*", "^", "+", "-", ":", "OR", "AND", "NOT", "NEAR", "{", "}", "a", "ä", ",", " "]))  # fmt: skip


@settings(deadline=None)
@given(parts=SYNTAX)
def test_the_query_language_of_the_index_means_nothing(parts: list[str]) -> None:
    connection = _indexed_memory()
    queries.insert_note(connection, make_note(text="nothing of it"))
    assert _search(connection, queries.Search(words="".join(parts) + " zebra")) == []
    connection.close()


@settings(deadline=None)
@given(words=st.lists(st.text(alphabet="abcäé01", min_size=1, max_size=6), min_size=1, max_size=6), data=st.data())
def test_any_words_of_a_note_find_it(words: list[str], data: st.DataObject) -> None:
    connection = _indexed_memory()
    queries.insert_note(connection, make_note(text=" ".join(words)))
    some = data.draw(st.lists(st.sampled_from(words), min_size=1))
    assert len(_search(connection, queries.Search(words=" ".join(some).upper()))) == 1
    connection.close()


@settings(deadline=None)
@given(
    stored=st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 100)), max_size=30),
    seq=st.integers(0, 31),
    limit=st.integers(1, 10),
    prefix=st.sampled_from(["note/", "note/a/", "note/x/", ""]),
)
def test_pages_put_together_are_all_notes_of_the_topics_in_order(
    stored: list[tuple[str, float]], seq: int, limit: int, prefix: str
) -> None:
    connection = _indexed_memory()
    notes = [queries.insert_note(connection, make_note(name, time=when)) for name, when in stored]
    wanted = [note.seq for note in notes if note.seq > seq and note.topic.startswith(prefix)]
    got: list[int] = []
    more = True
    while more:
        page = queries.since(connection, "s", max([seq, *got]), prefix, limit)
        assert len(page.notes) <= limit
        got += [note.seq for note in page.notes]
        more = page.more
    assert got == wanted
    held: dict[str, int] = {}
    for note in notes:
        assert note.prev == held.get(note.topic, 0)
        held[note.topic] = note.seq
    assert queries.heads(connection) == held
    connection.close()
