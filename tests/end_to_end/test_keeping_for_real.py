"""Forgetting, pruning, exporting and backing up with a real daemon; and that no picture is ever in its files."""

from __future__ import annotations

import base64
import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

import hudd
from hudctl import Feed
from hudd.errors import EXIT_STORAGE
from hudd.journal.opening import CHECKED_AT_OPENING_BYTES
from tests.fakes.daemon import DaemonProcess, draw_page

pytestmark = pytest.mark.slow


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[DaemonProcess]:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(1, 9):
        draw_page(folder / f"{number:03}.png", [f"Page {number}", "Harbour office, berth 12"] * number)
    with DaemonProcess(
        tmp_path,
        screen_source=f"pictures:{folder}",
        screen_pictures_interval_s=0.2,
        screen_interval_s=0.1,
        gate_min_interval_s=0.0,
        gate_settle_s=0.0,
        engine_answers="canned",
    ) as made:
        yield made.start()


def _with_notes(daemon: DaemonProcess, count: int) -> None:
    daemon.ready()
    daemon.until("notes", lambda s: s["counters"]["notes"] + s["counters"]["unchanged"] >= count)


def test_forget_takes_the_text_from_every_file_and_tells(daemon: DaemonProcess, tmp_path: Path) -> None:
    _with_notes(daemon, 3)
    assert daemon.hudctl("snap").returncode == 0
    assert daemon.hudctl("pause").returncode == 0
    notes = daemon.asked("notes", "--limit", "0")["notes"]
    texts = {note["text"].encode() for note in notes if note["text"]}
    state = tmp_path / "state"

    def found() -> list[str]:
        return [p.name for p in state.iterdir() for text in texts if text in p.read_bytes()]

    assert found()
    session = daemon.status()["session"]["id"]

    done = daemon.hudctl("forget", "--last", "1h")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"Forgot {len(notes)} notes")
    assert found() == []
    assert daemon.log().count(next(iter(texts)).decode()) == 0
    again = daemon.asked("notes", "--limit", "0")["notes"]
    assert [n["seq"] for n in again] == [n["seq"] for n in notes]
    assert {n["text"] for n in again} == {""}
    assert "(forgotten)" in daemon.hudctl("notes").stdout
    status = daemon.until("another session", lambda s: s["session"]["id"] not in ("", session))
    assert status["journal"]["forgotten"]["notes"] == len(notes)
    # A reader who was away gets the empty rows by their numbers and misses nothing.
    seen = []
    with Feed(after=0, runtime_dir=daemon.environ["HUDD_RUNTIME_DIR"]) as feed:
        for note in feed:
            seen.append(note.seq)
            if note.seq == notes[0]["seq"]:
                break
    assert seen == sorted(n["seq"] for n in notes)
    assert daemon.hudctl("resume").returncode == 0
    assert daemon.hudctl("snap").returncode == 0  # and life goes on
    assert daemon.stop() == 0


def test_mark_prune_export_and_backup(daemon: DaemonProcess, tmp_path: Path) -> None:
    _with_notes(daemon, 3)
    daemon.hudctl("pause")
    notes = daemon.asked("notes", "--limit", "0", "--reverse")["notes"]
    assert daemon.asked("mark", str(notes[0]["seq"]))["keep"] is True
    target = tmp_path / "all.jsonl"
    assert daemon.asked("export", "-o", str(target))["notes"] == len(notes)
    assert [json.loads(line) for line in target.read_text(encoding="utf-8").splitlines()] == notes
    for form in ("md", "csv", "ics"):
        assert daemon.hudctl("export", "--format", form).stdout
    copy = tmp_path / "copy.db"
    assert daemon.asked("backup", str(copy))["bytes"] == copy.stat().st_size
    time.sleep(1.1)  # the notes become old enough
    would = daemon.asked("prune", "--dry-run", "--older-than", "1s")
    assert (would["notes"], would["kept"]) == (len(notes) - 1, 1)
    assert daemon.asked("prune", "--older-than", "1s")["notes"] == would["notes"]
    assert [n["seq"] for n in daemon.asked("notes")["notes"]] == [notes[0]["seq"]]
    rows = sqlite3.connect(copy)
    assert rows.execute("SELECT count(*) FROM notes").fetchone() == (len(notes),)
    rows.close()
    assert daemon.stop() == 0


def _damage(path: Path, size: int) -> None:
    """Make the journal as large as that by a long error, and overwrite its middle."""
    with closing(sqlite3.connect(path)) as filler:
        columns = "time, sentence, type, code, message, param, event_id, close_reason, session_id, fatal"
        row = (1.0, "x" * size, *("",) * 7, 0)
        filler.execute(f"INSERT INTO errors ({columns}) VALUES ({', '.join('?' * len(row))})", row)
        filler.commit()
    with path.open("r+b") as file:
        file.seek(size // 2)
        file.write(b"\xff" * (1 << 16))


def _lose_the_pauses(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'pauses'").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)


@pytest.mark.parametrize("readable", [True, False])
def test_after_damage_nothing_leaves_that_a_pause_held_back(
    daemon: DaemonProcess, tmp_path: Path, readable: bool
) -> None:
    _with_notes(daemon, 1)
    if readable:
        assert daemon.hudctl("pause", "--why", "a visitor").returncode == 0
    assert daemon.stop() == 0
    path = tmp_path / "state" / "journal.db"
    if readable:
        _damage(path, 1 << 20)
    else:
        _lose_the_pauses(path)

    daemon.start().until_up()
    status = daemon.status()
    assert status["journal"]["set_aside"] is not None
    assert status["pause"]["why"] == ("a visitor" if readable else "the journal was damaged")
    assert status["journal"]["paused"] in daemon.log()
    assert "`hudctl resume` ends" in status["journal"]["paused"]
    assert status["journal"]["paused"] in " ".join(daemon.hudctl("status").stdout.split())
    refused = daemon.hudctl("snap")
    assert (refused.returncode, "`hudctl resume`" in refused.stderr) == (7, True)
    assert daemon.status()["counters"]["sent"] == 0
    assert daemon.hudctl("resume").returncode == 0
    assert daemon.hudctl("snap").returncode == 0
    assert daemon.stop() == 0


def test_damage_in_a_large_journal_that_the_start_did_not_see_ends_hudd_and_the_next_start_sets_it_aside(
    daemon: DaemonProcess, tmp_path: Path
) -> None:
    _with_notes(daemon, 1)
    assert daemon.stop() == 0
    _damage(tmp_path / "state" / "journal.db", CHECKED_AT_OPENING_BYTES + (8 << 20))
    daemon.start()
    assert daemon.process is not None
    assert daemon.process.wait(30) == EXIT_STORAGE  # for which systemd and launchd start it again
    assert "its next start sets the file aside" in daemon.log()
    daemon.start().ready()
    aside = daemon.status()["journal"]["set_aside"]
    assert aside is not None
    assert Path(aside).stat().st_size > CHECKED_AT_OPENING_BYTES
    assert daemon.hudctl("snap").returncode == 0
    assert daemon.stop() == 0


def test_no_column_ever_holds_a_picture_or_a_request(daemon: DaemonProcess, tmp_path: Path) -> None:
    _with_notes(daemon, 5)
    assert daemon.hudctl("snap").returncode == 0
    assert daemon.stop() == 0
    pictures = [p.read_bytes() for p in (tmp_path / "pictures").iterdir()]
    # What would stand in a request: the pictures' base64, the instructions, the names of its fields.

    told = (Path(hudd.__path__[0]) / "data" / "instructions.txt").read_bytes().strip()[:60]
    signs = [b"\xff\xd8\xff", b"\x89PNG", b"JFIF", b"base64,", b"data:image", b"input_image", b"response.create", told]
    signs += [base64.b64encode(picture)[:40] for picture in pictures]
    rows = sqlite3.connect(tmp_path / "state" / "journal.db")
    tables = [row[0] for row in rows.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    looked = 0
    for table in tables:
        for row in rows.execute(f'SELECT * FROM "{table}"'):
            for value in row:
                looked += 1
                data = value if isinstance(value, bytes) else str(value).encode()
                assert not [sign for sign in signs if sign in data], (table, data[:100])
                assert len(data) < 20_000
    rows.close()
    assert looked > 100
    for path in (tmp_path / "state").iterdir():
        if not path.name.endswith(".ballast"):  # random bytes, in which three of a kind may well stand
            assert not [sign for sign in signs if sign in path.read_bytes()], path
        assert path.stat().st_mode & 0o777 == 0o600


def test_what_the_local_engine_read_is_forgotten_with_the_rest(tmp_path: Path) -> None:
    """The process that read the screen holds the last picture and the last notes; it ends with the session."""
    (tmp_path / "p").mkdir()
    draw_page(tmp_path / "p" / "1.png", ["The Larkspur secret"])
    with DaemonProcess(tmp_path, screen_source=f"pictures:{tmp_path / 'p'}", engine_reader="none") as daemon:
        daemon.start().ready()
        assert daemon.hudctl("snap").returncode == 0
        assert daemon.process is not None
        started = psutil.Process(daemon.process.pid)
        readers = [child for child in started.children(recursive=True) if "hudd.engine.worker" in child.cmdline()]
        assert len(readers) == 1
        assert daemon.hudctl("forget", "--last", "10m").returncode == 0
        psutil.wait_procs(readers, timeout=10)
        assert not readers[0].is_running()
        assert daemon.hudctl("snap").returncode == 0
        assert daemon.stop() == 0
