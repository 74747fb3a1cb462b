"""record and replay over real sockets: a recording plays to whatever subscribes to a daemon."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hudctl import AsyncFeed, Client, Feed, VersionError
from hudctl.cli import main
from hudctl.recording import Frame, Recording, read_recording
from hudctl.replay_stage import Stage
from tests.fakes.bus import ThreadedDaemon, make_note, wait_until
from tests.fakes.clock import ManualClock

SEQS = (5, 6, 8, 9)


def recording(*seqs: int, every_s: float = 1.0) -> Recording:
    frames: list[Frame] = []
    prev = 0
    for index, seq in enumerate(seqs):
        note = make_note(seq, prev=prev)
        prev = seq
        frames.append(Frame(index * every_s, note.topic, note.to_json(), note))
        frames.append(Frame(index * every_s, "state/", {"index": index}))
    return Recording("s1", "0.1.0", tuple(frames))


def write(path: Path, what: Recording) -> Path:
    head = {"hudd_recording": 1, "stream": what.stream, "hudd": what.hudd}
    lines = [head, *({"t": f.at_s, "topic": f.topic, "body": f.body} for f in what.frames)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


@contextmanager
def replaying(path: Path, *options: str) -> Iterator[str]:
    """``hudctl replay`` as a process; gives the folder that it prints."""
    command = [sys.executable, "-X", "dev", "-W", "error", "-m", "hudctl", "replay", str(path), *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        found = re.fullmatch(r"HUDD_RUNTIME_DIR=(\S+)\n", line)
        assert found, process.communicate(timeout=10)
        yield found[1]
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=10)
        assert process.returncode == 0, told
        assert "Traceback" not in told
        assert not Path(found[1]).exists()
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def test_a_real_recording_is_gapless_and_plays_to_a_feed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "run"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("HUDD_RUNTIME_DIR", str(folder))
    file = tmp_path / "r.jsonl"
    with ThreadedDaemon(folder) as daemon:
        command = [sys.executable, "-m", "hudctl", "record", str(file), "--limit", "4", "--topics", "note/,state/"]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        assert "ctrl-C" in process.stderr.readline()
        # The welcome is subscribed to last.
        wait_until(lambda: daemon.do(lambda there: there.publisher.listening("welcome/")))
        daemon.do(lambda there: there.note())
        daemon.do(lambda there: there.publisher.publish("state/", {"a": 1}))
        daemon.do(lambda there: there.journal.append())  # a frame that is lost on the way
        daemon.do(lambda there: there.note("HDMI-1"))
        daemon.do(lambda there: there.note())
        _, told = process.communicate(timeout=20)
        assert process.returncode == 0, told
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    found = read_recording(file)
    assert [frame.note.seq for frame in found.frames if frame.note is not None] == [1, 2, 3, 4]
    assert [frame.topic for frame in found.frames].count("state/") == 1
    assert [frame.topic for frame in found.frames].index("state/") == 1
    monkeypatch.delenv("HUDD_RUNTIME_DIR")
    with replaying(file, "--speed", "max") as there, Feed(after=0, runtime_dir=there) as feed:
        assert [feed.get(10) for _ in range(4)] == [f.note for f in found.frames if f.note is not None]
        assert feed.cursor is not None
        assert feed.cursor.stream == found.stream


def test_hudctl_works_against_a_replay_unchanged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path / "r", recording(*SEQS))
    with replaying(file, "--speed", "0") as folder:
        monkeypatch.setenv("HUDD_RUNTIME_DIR", folder)
        assert main(["follow", "--json", "--limit", "4"]) == 0
        assert [json.loads(line)["note"]["seq"] for line in capsys.readouterr().out.splitlines()] == list(SEQS)
        assert main(["status"]) == 0
        assert "replay" in capsys.readouterr().out
        assert main(["notes", "--json", "--search", "note 8"]) == 0
        assert [note["seq"] for note in json.loads(capsys.readouterr().out)["notes"]] == [8]
        assert main(["version"]) == 0
        assert main(["snap"]) == 6
        with Client() as client:
            page = client.call("notes.since", stream="s1", seq=5, limit=2)
            assert ([note["seq"] for note in page["notes"]], page["more"], page["head"]) == ([6, 8], True, 9)
            assert client.call("notes.since", stream="other", seq=8)["fresh"]
            assert client.status()["subscribers"]["total"] == 0


def test_a_loop_goes_on_in_numbers_and_late_joiners_miss_nothing(tmp_path: Path) -> None:
    file = write(tmp_path / "r", recording(*SEQS))
    expected = [seq + 5 * turn for turn in range(3) for seq in SEQS]
    with replaying(file, "--speed", "max", "--loop") as folder:
        for _ in range(3):
            with Feed(after=0, runtime_dir=folder) as feed:
                notes = [feed.get(10) for _ in expected]
                assert [note.seq for note in notes if note] == expected
                assert [note.prev for note in notes if note] == [0, *expected[:-1]]


def test_without_frames_or_with_a_damaged_line_one_sentence_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path / "r", recording(*SEQS))
    file.write_text(file.read_text().replace('"state/"', '"stat/"', 1))
    assert main(["replay", str(file)]) == 1
    assert capsys.readouterr().err.endswith("r, line 3: the line has no topic that can be published.\n")


@pytest.mark.parametrize("speed", ["-1", "fast", "nan", "inf", "1e9"])
def test_a_speed_is_a_number_or_max(tmp_path: Path, speed: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(tmp_path / "r"), "--speed", speed]) == 2
    assert "--speed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--topics", "state/"], "names no notes"),
        (["--topics", "note/,hb/"], "'hb/'"),
        (["--limit", "-1"], "--limit"),
    ],
)
def test_record_says_what_is_wrong_with_its_options(
    tmp_path: Path, words: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["record", str(tmp_path / "r"), *words]) == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "r").exists()


async def test_frames_come_at_their_times(tmp_path: Path) -> None:
    """Ten times faster than recorded; the first at once, whatever passed before it."""
    import asyncio

    clock = ManualClock()
    what = recording(*SEQS, every_s=10.0)
    late = Recording("s1", "0", tuple(Frame(f.at_s + 500, f.topic, f.body, f.note) for f in what.frames))
    async with Stage(tmp_path, late, clock=clock) as stage:
        play = asyncio.create_task(stage.play(speed=10.0, loop=False))
        seen: list[int] = []
        for _ in range(4):
            await clock.advance(0.5)
            seen.append(stage.published)
            await clock.advance(0.5)
        await play
    assert seen == [2, 4, 6, 8]


async def test_an_async_feed_works_against_a_replay(tmp_path: Path) -> None:
    what: Any = recording(*SEQS)
    folder = tmp_path / "run"
    folder.mkdir(mode=0o700)
    from hudd.clock import SystemClock

    async with Stage(folder, what, clock=SystemClock()) as stage, AsyncFeed(after=0, runtime_dir=folder) as feed:
        await stage.play(speed=0, loop=False)
        assert [(await feed.get()).seq for _ in SEQS] == list(SEQS)


def test_a_replay_loads_the_daemon_s_sockets_only_when_it_runs() -> None:
    code = "import sys, hudctl.verbs, hudctl.record, hudctl.replay; print([m for m in sys.modules if 'hudd.bus' in m])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert done.stdout == "[]\n"


def test_a_replay_refuses_what_it_cannot_do_with_the_list_of_what_it_can(tmp_path: Path) -> None:
    with (
        replaying(write(tmp_path / "r", recording(1))) as folder,
        Client(runtime_dir=folder) as client,
        pytest.raises(VersionError, match=r"notes\.since"),
    ):
        client.pause()
