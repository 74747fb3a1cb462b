"""A feed that keeps its place in a file: whole at every moment, written in time, and one sentence when it is of no use."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import deque
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudctl import AsyncFeed, Cursor, Feed, Note, StorageError, UsageError
from hudctl.cursor_file import SYNC_S, CursorFile, cursor_of, text_of
from hudd.wire.remote_keys import ClientFile, write_private
from tests.fakes.bus import MemoryJournal, SmallDaemon, ThreadedDaemon


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "place"


def journal_of(count: int) -> MemoryJournal:
    journal = MemoryJournal()
    for _ in range(count):
        journal.append()
    return journal


def run_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir(mode=0o700)
    return folder


def kept(place: Path) -> tuple[str, int]:
    found = json.loads(place.read_bytes())
    return found["stream"], found["seq"]


@given(st.text(min_size=1), st.integers(0, 2**63))
def test_what_is_written_is_what_is_read(stream: str, seq: int) -> None:
    assert cursor_of(text_of(Cursor(stream, seq))) == Cursor(stream, seq)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"7", b"\xff", b'{"seq":1}', b'{"stream":"","seq":1}', b'{"stream":"s","seq":-1}',
     b'{"stream":"s","seq":true}', b'{"stream":"s","seq":"1"}', b'{"stream":"s","seq":1}' + b" " * 9000 + b"x",
     b"[" * 4000],
)  # fmt: skip
def test_a_file_that_holds_no_cursor_is_named(content: bytes, place: Path, tmp_path: Path) -> None:
    place.write_bytes(content)
    folder = run_folder(tmp_path)
    for opened in (Feed, AsyncFeed):
        with pytest.raises(StorageError) as caught:
            opened(cursor_file=place, runtime_dir=folder, wait=True)
        assert str(caught.value) == (
            f"The cursor file {place} holds no cursor. Remove it to begin anew, or name another file."
        )
    assert place.read_bytes() == content


def test_a_place_that_cannot_be_read_or_written_is_named(tmp_path: Path) -> None:
    folder = run_folder(tmp_path)
    with pytest.raises(StorageError, match=rf"The cursor file {tmp_path} cannot be read: Is a directory"):
        Feed(cursor_file=tmp_path, runtime_dir=folder, wait=True)
    absent = tmp_path / "absent" / "place"
    with (
        ThreadedDaemon(folder, journal_of(1)),
        pytest.raises(StorageError, match=rf"The cursor file {absent} cannot be written: No such file"),
        Feed(after=0, cursor_file=absent, runtime_dir=folder) as feed,
    ):
        deque(feed, maxlen=0)


def test_a_file_replaced_as_a_whole_and_private(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = CursorFile(place)
    assert file.read() is None
    file.keep(None)
    assert not place.exists()
    file.keep(Cursor("s1", 1))
    assert place.stat().st_mode & 0o777 == 0o600
    first = place.stat().st_ino
    holder = place.open("rb")
    file.keep(Cursor("s1", 2))
    with holder:
        assert json.loads(holder.read())["seq"] == 1, "who reads meanwhile has the whole of the one before"
    assert place.stat().st_ino != first
    monkeypatch.setattr(os, "open", None)
    file.keep(Cursor("s1", 2))  # is there already


def test_the_disk_is_waited_for_once_a_second(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    now = 1000.0
    monkeypatch.setattr(os, "fsync", synced.append)
    monkeypatch.setattr(time, "monotonic", lambda: now)
    file = CursorFile(place)
    for seq in range(50):
        file.keep(Cursor("s1", seq))
    assert len(synced) == 1
    now += SYNC_S
    file.keep(Cursor("s1", 50))
    assert len(synced) == 2
    assert kept(place) == ("s1", 50)


def test_a_note_is_read_when_the_next_one_is_asked_for(place: Path, tmp_path: Path) -> None:
    folder = run_folder(tmp_path)
    with ThreadedDaemon(folder, journal_of(3)), Feed(after=0, cursor_file=place, runtime_dir=folder) as feed:
        assert [note.seq for note in (feed.get(5), feed.get(5)) if note] == [1, 2]
        assert kept(place) == ("s1", 1)
        assert [note.seq for note in (feed.get(5),) if note] == [3]
        assert feed.get(0.01) is None
        assert kept(place) == ("s1", 3)


def test_a_with_that_ends_well_counts_the_note_in_hand_and_one_that_fails_does_not(place: Path, tmp_path: Path) -> None:
    folder = run_folder(tmp_path)
    with ThreadedDaemon(folder, journal_of(4)):
        with Feed(after=0, cursor_file=place, runtime_dir=folder) as feed:
            for note in feed:
                if note.seq == 2:
                    break
        assert kept(place) == ("s1", 2)
        got: list[int] = []

        def fail(note: Note) -> None:
            got.append(note.seq)
            raise RuntimeError

        with pytest.raises(RuntimeError), Feed(after=0, cursor_file=place, runtime_dir=folder) as feed:
            fail(next(feed))
        assert got == [3], "the file goes before after"
        assert kept(place) == ("s1", 2)


def test_what_came_before_the_first_note_is_kept_too(place: Path, tmp_path: Path) -> None:
    """From now on: a restart before the first note must not begin later."""
    folder = run_folder(tmp_path)
    with ThreadedDaemon(folder, journal_of(7)) as daemon:
        with Feed(cursor_file=place, runtime_dir=folder) as feed:
            while feed.cursor is None:
                feed.get(0.01)
        assert kept(place) == ("s1", 7)
        daemon.do(lambda there: there.note())
        with Feed(cursor_file=place, runtime_dir=folder) as feed:
            note = feed.get(5)
            assert note is not None
            assert note.seq == 8


async def test_the_asyncio_feed_keeps_it_likewise(place: Path, tmp_path: Path) -> None:
    folder = run_folder(tmp_path)
    async with SmallDaemon(folder, journal_of(4)):
        async with AsyncFeed(after=0, cursor_file=place, runtime_dir=folder) as feed:
            assert [(await feed.get()).seq, (await feed.get()).seq] == [1, 2]
            assert kept(place) == ("s1", 1)
        assert kept(place) == ("s1", 2)

        async def fail() -> None:
            async with AsyncFeed(after=0, cursor_file=place, runtime_dir=folder) as feed:
                assert (await feed.get()).seq == 3
                raise RuntimeError

        with pytest.raises(RuntimeError):
            await fail()
        async with AsyncFeed(after=0, cursor_file=place, runtime_dir=folder) as feed:
            assert (await feed.get()).seq == 3


READER = """
import sys
from hudctl import Feed
with Feed(after=0, cursor_file=sys.argv[2], runtime_dir=sys.argv[1]) as feed:
    for note in feed:
        print(note.seq, flush=True)
"""


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_a_reader_that_is_killed_at_any_moment_misses_nothing(place: Path, tmp_path: Path) -> None:
    """At most the note that was in hand comes again."""
    folder, total, lives = run_folder(tmp_path), 3000, 0
    got: list[int] = []
    with ThreadedDaemon(folder, journal_of(total)):
        while not got or got[-1] < total:
            lives += 1
            command = [sys.executable, "-c", READER, str(folder), str(place)]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as reader:
                assert reader.stdout is not None
                read: list[int] = []
                for line in reader.stdout:
                    read.append(int(line))
                    if len(read) == 500 + lives or read[-1] == total:
                        reader.kill()
                        break
                read += [int(line) for line in reader.stdout]
            assert not got or read[0] in (got[-1], got[-1] + 1)
            got += read[1:] if got and read[0] == got[-1] else read
            assert kept(place)[1] in (got[-1] - 1, got[-1])
    assert got == list(range(1, total + 1))
    assert lives > 3


def test_a_key_that_may_only_listen_has_no_use_for_it(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = tmp_path / "key"
    write_private(key, json.dumps(ClientFile("laptop", "notes", "p" * 40, "s" * 40, "d" * 40).to_json()))
    monkeypatch.setenv("HUDD_REMOTE", "tcp://127.0.0.1:1")
    monkeypatch.setenv("HUDD_REMOTE_KEY", str(key))
    with pytest.raises(UsageError, match="cursor_file is of no use"):
        Feed(cursor_file=place, wait=True)
