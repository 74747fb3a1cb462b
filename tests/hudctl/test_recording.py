from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hudctl.errors import HudctlError, StorageError, UsageError
from hudctl.recording import Recorder, header, read_recording
from tests.fakes.bus import make_note

HELLO = {"stream": "s1", "instance": "i1", "version": "0.1.0", "protocol": [1, 1], "more": True}
HEAD = header(HELLO, recorded="2026-11-21T10:31:06.412Z", topics=("note/",))


def note_line(seq: int, at_s: float = 0.0, **changes: Any) -> dict[str, Any]:
    note = make_note(seq, prev=seq - 1)
    return {"t": at_s, "topic": note.topic, "body": note.to_json(), **changes}


def written(path: Path, *lines: object) -> Path:
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines), "utf-8")
    return path


def test_what_was_recorded_is_read_again(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "r")
    lines = [note_line(7, 0.5), {"t": 0.6, "topic": "state/", "body": {"Größe": "日本語"}}, note_line(9, 1.25)]
    for line in (HEAD, *lines):
        recorder.add(line)
    recorder.close()
    assert stat.S_IMODE((tmp_path / "r").stat().st_mode) == 0o600
    found = read_recording(tmp_path / "r")
    assert (found.stream, found.hudd) == ("s1", "0.1.0")
    assert [{"t": f.at_s, "topic": f.topic, "body": f.body} for f in found.frames] == lines
    assert [f.note.seq for f in found.frames if f.note is not None] == [7, 9]


def test_a_file_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    kept = written(tmp_path / "r", "mine")
    with pytest.raises(UsageError, match="exists already"):
        Recorder(kept)
    assert kept.read_text() == "mine\n"
    (tmp_path / "link").symlink_to(tmp_path / "new")
    with pytest.raises(UsageError, match="cannot be written"):
        Recorder(tmp_path / "link")
    with pytest.raises(UsageError, match="No such file"):
        Recorder(tmp_path / "nowhere" / "r")


def test_an_empty_file_becomes_private(tmp_path: Path) -> None:
    empty = tmp_path / "r"
    empty.touch(mode=0o644)
    Recorder(empty).close()
    assert stat.S_IMODE(empty.stat().st_mode) == 0o600


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full stands for a full disk")
def test_a_full_disk_is_said(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "r")
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, recorder._file.fileno())
    os.close(full)
    with pytest.raises(StorageError, match="No space left"):
        recorder.add(HEAD)
    recorder.close()


@pytest.mark.parametrize(
    ("lines", "number", "says"),
    [
        (["not json"], 1, "not JSON"),
        (["[]"], 1, "no JSON object"),
        ([{"t": 1}], 1, "no header"),
        ([{**HEAD, "hudd_recording": 2}], 1, "upgrade hudctl"),
        ([{**HEAD, "stream": None}], 1, "no stream"),
        ([HEAD, note_line(1), "{"], 3, "not JSON"),
        ([HEAD, note_line(1), '{"t":NaN}'], 3, "NaN"),
        ([HEAD, note_line(1, -1)], 2, "no time"),
        ([HEAD, note_line(1, 2), note_line(2, 1)], 3, "back in time"),
        ([HEAD, note_line(1, topic=7)], 2, "no topic"),
        ([HEAD, note_line(1, topic="hb/")], 2, "no topic"),
        ([HEAD, note_line(1, topic="note/other/")], 2, "a note for note/eDP-1/"),
        ([HEAD, note_line(1, body=[])], 2, "no body"),
        ([HEAD, note_line(1, body={})], 2, "no note"),
        ([HEAD, note_line(2), note_line(2)], 3, "note 2 after note 2"),
        ([{**HEAD, "stream": "s2"}, note_line(1)], 2, "belongs to the stream"),
    ],
)
def test_a_damaged_line_is_named_with_its_number(tmp_path: Path, lines: list[object], number: int, says: str) -> None:
    with pytest.raises(HudctlError, match=f"r, line {number}: ") as caught:
        read_recording(written(tmp_path / "r", *lines))
    assert says in str(caught.value)


def test_a_file_that_was_cut_names_its_last_line(tmp_path: Path) -> None:
    whole = written(tmp_path / "r", HEAD, note_line(1), note_line(2))
    whole.write_bytes(whole.read_bytes()[:-20])
    with pytest.raises(HudctlError, match="line 3: the line ends in its middle"):
        read_recording(whole)


def test_no_file_and_no_frames_are_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        read_recording(tmp_path / "r")
    with pytest.raises(UsageError, match="no frames"):
        read_recording(written(tmp_path / "r", HEAD))


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=200), keep=st.integers(0, 3))
def test_whatever_a_file_holds_ends_in_a_sentence(tmp_path: Path, data: bytes, keep: int) -> None:
    lines = [HEAD, note_line(1), note_line(2)][:keep]
    path = tmp_path / "r"
    path.write_bytes(b"".join(json.dumps(line).encode() + b"\n" for line in lines) + data)
    said = ""
    try:
        assert len(read_recording(path).frames) == keep - 1
    except HudctlError as error:
        said = str(error)
    assert "\n" not in said
