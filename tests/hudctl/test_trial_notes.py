"""Notes on a terminal while they are written: each ends up whole, once, and one after the other."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudctl.client import Client
from hudctl.feed import Feed
from hudctl.trial_notes import StreamedNotes
from hudctl.words import wrap
from hudd.wire.messages import Note, PictureInfo
from tests.fakes.bus import ThreadedDaemon

TEXT = "It looks like a terminal. New error: 31 tests not run, and the ferry to Saltholm is late."
FOOTER = re.compile(r"^#\d+ · ", re.MULTILINE)


def note(text: str = TEXT, snap_id: str = "A", kind: str = "note", seq: int = 1) -> Note:
    picture = PictureInfo(kind="monitor", name="screen", rect=(0, 0, 10, 10), scale=1.0, hash="00")
    made = Note("s", seq, 0, "note", text, True, 1.0, 1.5, snap_id, "change", (picture,), "hudd-local", "local")
    return replace(made, kind=kind)


def printed_text(out: str) -> str:
    """What was printed of notes, without the lines below them."""
    return "\n".join(line for line in out.splitlines() if line and not line.startswith("#"))


@given(cuts=st.lists(st.integers(0, len(TEXT)), max_size=12), width=st.integers(20, 100), shown=st.integers(0, 12))
def test_pieces_of_any_size_print_the_wrapped_note_once(cuts: list[int], width: int, shown: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        out: list[str] = []
        patch.setattr("builtins.print", lambda *what, end="\n", **_: out.append(" ".join(map(str, what)) + end))
        live = StreamedNotes(colour=False, width=width)
        edges = [0, *sorted(cuts), len(TEXT)]
        for start, stop in list(pairwise(edges))[:shown]:
            live.piece("A", TEXT[start:stop])
        live.note(note())
        assert "".join(out).startswith("\n".join(wrap(TEXT, width)) + "\n#1 · ")


def test_words_appear_before_the_note_does(capsys: pytest.CaptureFixture[str]) -> None:
    live = StreamedNotes(colour=False, width=80)
    live.piece("A", "It looks like a term")
    assert capsys.readouterr().out == "It looks like a"
    assert live.unfinished
    live.note(note("It looks like a terminal."))
    assert capsys.readouterr().out.startswith(" terminal.\n#1 · ")
    assert not live.unfinished


def test_a_note_without_its_pieces_is_printed_whole(capsys: pytest.CaptureFixture[str]) -> None:
    StreamedNotes(colour=False, width=80).note(note("The harbour is open."))
    assert printed_text(capsys.readouterr().out) == "The harbour is open."


def test_a_note_that_became_another_is_printed_whole(capsys: pytest.CaptureFixture[str]) -> None:
    live = StreamedNotes(colour=False, width=80)
    live.piece("A", "The harbour is closed today")
    live.note(note("The harbour is open."))
    assert printed_text(capsys.readouterr().out) == "The harbour is closed …\nThe harbour is open."


def test_pieces_of_two_notes_do_not_mix(capsys: pytest.CaptureFixture[str]) -> None:
    live = StreamedNotes(colour=False, width=80)
    live.piece("A", "The harbour is ")
    live.piece("B", "The mail says ")
    live.piece("A", "open. ")
    live.note(note("The harbour is open.", "A"))
    live.piece("B", "hello.")
    live.note(note("The mail says hello.", "B", seq=2))
    out = capsys.readouterr().out
    assert printed_text(out) == "The harbour is open.\nThe mail says hello."
    assert len(FOOTER.findall(out)) == 2


def test_an_answer_without_news_leaves_no_half_line(capsys: pytest.CaptureFixture[str]) -> None:
    live = StreamedNotes(colour=False, width=80)
    live.note(note("", kind="unchanged"))
    assert capsys.readouterr().out == ""
    live.piece("B", "It looks like a ")
    live.note(note("", "B", kind="unchanged"))
    assert capsys.readouterr().out == "It looks like …\n"


def test_a_failed_answer_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    live = StreamedNotes(colour=False, width=80)
    live.piece("A", "It looks like a ")
    live.note(note("the answer broke off", kind="failed"))
    assert "failed: the answer broke off" in capsys.readouterr().out


def test_the_end_closes_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    live = StreamedNotes(colour=False, width=80)
    live.piece("A", "It looks like a ")
    live.end()
    assert capsys.readouterr().out == "It looks like …\n\n"
    live.end()
    assert capsys.readouterr().out == ""


def test_text_from_the_screen_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    live = StreamedNotes(colour=False, width=80)
    live.piece("A", "red \x1b[31m alarm \x07 now ")
    live.note(note("red \x1b[31m alarm \x07 now"))
    assert not {"\x1b", "\x07"} & set(capsys.readouterr().out)


def test_a_feed_hands_out_the_pieces_before_their_note(tmp_path: Path) -> None:
    told: list[tuple[str, str]] = []

    def take(snap_id: str, text: str) -> None:
        told.append((snap_id, text))

    with (
        ThreadedDaemon(tmp_path),
        Feed(("note/eDP-1/",), runtime_dir=tmp_path, on_delta=take) as feed,
        Client(runtime_dir=tmp_path) as client,
    ):
        while feed.cursor is None:  # until it is subscribed
            assert feed.get(0.05) is None
        client.snap(snap_id="01JB0000000000000000000001")
        client.snap("HDMI-1", snap_id="01JB0000000000000000000002")  # of another topic
        found = feed.get(5.0)
        assert feed.get(0.3) is None
    assert found is not None
    assert found.text == "A mail about larkspur."
    assert told == [("01JB0000000000000000000001", text) for text in ("A mail ", "about ", "larkspur.")]
