"""The whole daemon on canned answers: start, questions, stop, crash, restart. Real processes, sockets and files."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from hudctl import Feed
from hudd.wire.messages import Note
from tests.fakes.daemon import DaemonProcess, draw_page
from tests.soak.dose import bar_at, dose_from_environment, part_of

pytestmark = pytest.mark.slow


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    draw_page(folder / "001.png", ["The first page", "Harbour office, berth 12"])
    return folder


@pytest.fixture
def daemon(tmp_path: Path, pictures: Path):
    with DaemonProcess(
        tmp_path,
        screen_source=f"pictures:{pictures}",
        screen_interval_s=0.1,
        screen_pictures_interval_s=0.1,
        gate_min_interval_s=0.0,
        gate_settle_s=0.0,
        engine_answers="canned",
    ) as made:
        yield made


def test_a_start_gives_a_note_and_an_honest_status(daemon: DaemonProcess) -> None:
    daemon.start().ready()
    status = daemon.until("the first note", lambda s: s["counters"]["notes"] == 1)
    assert status["connection"] == "ready"
    assert status["sending"]["allowed"] is True
    assert status["sending"]["reasons"] == []
    assert (status["engine"], status["model"]) == ("local", "hudd-local")
    assert status["session"]["id"].startswith("sess_")
    assert 3000 < status["session"]["seconds_left"] <= 3600
    assert set(status["ages_s"]) == {"frame", "note", "event"}
    assert all(age is not None for age in status["ages_s"].values())
    assert status["cost_today"]["microusd"] == 0
    assert status["cost_today"]["cap_microusd"] == 1_000_000
    assert status["protocol"] == [1, 1]
    assert status["subscribers"]["total"] == 0
    assert status["capture"]["sources"][0]["name"] == "pictures"
    assert daemon.stop() == 0


def test_a_snap_streams_and_answers_with_the_committed_note(daemon: DaemonProcess) -> None:
    daemon.start().ready()
    daemon.until("the automatic note", lambda s: s["counters"]["notes"] == 1)
    done = daemon.hudctl("snap")
    assert done.returncode == 0, done.stderr
    text = done.stdout.strip()
    note = daemon.asked("notes", "--limit", "1")["notes"][0]
    assert note["text"] == text
    assert note["snap"]["trigger"] == "manual"
    assert note["snap"]["pictures"][0]["rect"] == [0, 0, 1000, 600]
    assert note["usage"]["image_tokens"] == 323
    assert note["cost_microusd"] == 0
    assert note["engine"] == "local"
    assert {"capture", "encode", "queue", "first_delta", "total"} <= set(note["timing_ms"])


def test_an_unknown_monitor_is_named_together_with_those_there_are(daemon: DaemonProcess) -> None:
    daemon.start().ready()
    done = daemon.hudctl("snap", "--monitor", "DP-7")
    assert done.returncode == 7
    assert "DP-7" in done.stderr
    assert "pictures" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_new_picture_becomes_a_note_and_the_same_one_does_not(daemon: DaemonProcess, pictures: Path) -> None:
    daemon.start().ready()
    daemon.until("the first", lambda s: s["counters"]["sent"] == 1)
    draw_page(pictures / "002.png", ["Another page altogether", "Ferry to Saltholm leaves at 15:40"], dark=True)
    daemon.until("the second", lambda s: s["counters"]["sent"] == 2)
    draw_page(pictures / "003.png", ["Another page altogether", "Ferry to Saltholm leaves at 15:40"], dark=True)
    seen = daemon.status()["counters"]["frames"]
    status = daemon.until("more looks", lambda s: s["counters"]["frames"] > seen + 5)
    assert status["counters"]["sent"] == 2


def test_a_picture_that_cannot_be_decoded_is_said_and_passed_over(daemon: DaemonProcess, pictures: Path) -> None:
    (pictures / "002.png").write_bytes(b"\x89PNG\r\n\x1a\nnot really")
    draw_page(pictures / "003.png", ["After the broken one", "everything goes on"])
    daemon.start().ready()
    daemon.until("both good ones", lambda s: s["counters"]["sent"] == 2)
    assert daemon.log().count("002.png") == 1


def test_sigterm_ends_it_in_time_with_a_snap_in_flight_answered(tmp_path: Path, pictures: Path) -> None:
    with DaemonProcess(
        tmp_path, screen_source=f"pictures:{pictures}", engine_answers="read", engine_reader="none"
    ) as daemon:
        daemon.start().ready()
        daemon.until("the first note", lambda s: s["counters"]["notes"] == 1)
        snap = subprocess.Popen(
            [sys.executable, "-m", "hudctl", "snap", "--json"],
            env=daemon.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        daemon.until("it is being answered", lambda s: s["responding"] or s["counters"]["notes"] > 1)
        started = time.monotonic()
        assert daemon.stop() == 0
        assert time.monotonic() - started < 5
        out, err = snap.communicate(timeout=10)
        body = json.loads(out)
        assert snap.returncode in (0, 7, 8), err
        assert "note" in body or body["error"]["message"]
        assert "Traceback" not in daemon.log()


def test_pause_holds_over_a_restart_and_says_why(daemon: DaemonProcess) -> None:
    daemon.start().ready()
    paused = daemon.hudctl("pause", "--why", "a meeting")
    assert paused.returncode == 0
    refused = daemon.hudctl("snap")
    assert refused.returncode == 7
    assert "hudctl resume" in refused.stderr
    daemon.kill()
    daemon.start().ready("connected")
    status = daemon.status()
    assert status["sending"]["allowed"] is False
    assert "paused" in status["sending"]["reasons"]
    assert status["pause"]["why"] == "a meeting"
    frames = status["counters"]["frames"]
    time.sleep(0.5)
    assert daemon.status()["counters"]["frames"] == frames == 0, "nothing is even looked at"
    assert daemon.hudctl("resume").returncode == 0
    daemon.until("it looks again", lambda s: s["counters"]["frames"] > 0)


def test_a_timed_pause_ends_by_itself(daemon: DaemonProcess) -> None:
    daemon.start().ready()
    assert daemon.hudctl("pause", "1s").returncode == 0
    assert daemon.status()["pause"]["until"] is not None
    daemon.until("it is over", lambda s: s["pause"] is None and s["sending"]["allowed"])


def test_a_second_daemon_is_refused_and_told_who_is_first(daemon: DaemonProcess) -> None:
    daemon.start().ready()
    assert daemon.process is not None
    second = subprocess.run(
        [sys.executable, "-m", "hudd"], env=daemon.environ, capture_output=True, text=True, timeout=30, check=False
    )
    assert second.returncode == 69
    assert str(daemon.process.pid) in second.stderr
    assert len(second.stderr.strip().splitlines()) == 1
    assert daemon.status()["connection"] == "ready"


def test_a_killed_engine_comes_back_and_the_session_with_it(daemon: DaemonProcess) -> None:
    daemon.start().ready()
    assert daemon.process is not None
    children = Path(f"/proc/{daemon.process.pid}/task/{daemon.process.pid}/children").read_text().split()
    engines = [c for c in children if b"hudd.engine" in Path(f"/proc/{c}/cmdline").read_bytes()]
    assert len(engines) == 1
    session = daemon.status()["session"]["id"]
    os.kill(int(engines[0]), signal.SIGKILL)
    daemon.until("a new session", lambda s: s["connection"] == "ready" and s["session"]["id"] != session)
    assert daemon.hudctl("snap").returncode == 0


def test_nothing_is_left_when_the_daemon_is_killed(daemon: DaemonProcess) -> None:
    daemon.start().ready()
    assert daemon.process is not None
    children = Path(f"/proc/{daemon.process.pid}/task/{daemon.process.pid}/children").read_text().split()
    daemon.kill()
    end = time.monotonic() + 5
    while any(Path(f"/proc/{child}").exists() for child in children):
        assert time.monotonic() < end, "the engine outlived its parent"
        time.sleep(0.05)


def test_a_journal_that_is_no_database_is_set_aside_loudly(daemon: DaemonProcess, tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    (state / "journal.db").write_bytes(b"this is no database at all" * 300)
    daemon.start().until_up()
    aside = daemon.status()["journal"]["set_aside"]
    assert aside is not None
    assert Path(aside).read_bytes().startswith(b"this is no database")
    assert Path(aside).name in daemon.log()
    assert daemon.status()["pause"] is not None, "nobody can tell whether it was paused"
    assert daemon.hudctl("resume").returncode == 0
    daemon.ready()


def test_kill_nine_loses_no_note_that_a_subscriber_has_seen(daemon: DaemonProcess, pictures: Path) -> None:
    """Some times at a random moment, while pictures keep coming; ready again within 3 s of each start."""
    dose = dose_from_environment()
    chance = random.Random(20261121)
    seen: list[Note] = []
    daemon.start().ready()
    feed = Feed(after=0, runtime_dir=daemon.environ["HUDD_RUNTIME_DIR"])
    reader = threading.Thread(target=lambda: seen.extend(feed))
    reader.start()
    slowest = 0.0
    try:
        for number in range(part_of(20, dose, least=6)):
            for page in range(3):
                draw_page(pictures / f"{number:03}-{page}.png", [f"Page {number} {page}", "x" * chance.randint(10, 40)])
            time.sleep(chance.uniform(0.0, 0.8))
            daemon.kill()
            started = time.monotonic()
            daemon.start().ready()
            slowest = max(slowest, time.monotonic() - started)
        daemon.until("a last note", lambda s: s["counters"]["sent"] >= 1)
        head = daemon.asked("notes", "--limit", "1")["notes"][0]["seq"]
        end = time.monotonic() + 20
        while (not seen or seen[-1].seq < head) and time.monotonic() < end:
            time.sleep(0.05)
    finally:
        feed.stop()
        reader.join()
        feed.close()
    assert daemon.stop() == 0
    with sqlite3.connect(daemon.folder / "state" / "journal.db") as journal:
        kept = dict(journal.execute("SELECT seq, text FROM notes"))
        assert journal.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    journal.close()
    assert [n.seq for n in seen] == sorted({n.seq for n in seen}), "in order, none twice"
    assert len(seen) >= 6
    assert all(kept[note.seq] == note.text for note in seen)
    newest = seen[-1].seq  # the daemon may have written one more before it stopped
    assert newest >= head
    assert {seq for seq in kept if seq <= newest} == {n.seq for n in seen}, "and the subscriber missed none"
    assert slowest <= bar_at(3.0, dose), f"ready after {slowest:.2f} s"
