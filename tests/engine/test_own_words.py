"""Our own notes on the screen: known again, and nothing else taken for them."""

from __future__ import annotations

import inspect
import os
import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudctl import trial, trial_notes
from hudctl.trial_notes import StreamedNotes
from hudd.engine.errors import ReaderError
from hudd.engine.findings import Area, TextLine
from hudd.engine.ocr import best_reader
from hudd.engine.own_words import TRIAL_SENTENCES, set_aside
from hudd.engine.phrases import ONLY_OWN_NEW
from hudd.engine.worker import Describer
from hudd.engine.writer import write_note
from tests.fakes.printed import PITCH, ROW, drawn, followed, pieces, printed_note, reading_of, snapped

NOTES = [
    'It looks like a terminal, titled "build - tidewater". New error: "test failed, 2 passed, 31 not run"; "FAILED".',
    (
        'It looks like a terminal and a web browser. New: "desk: echo Invoice Larkspur harbour seventeen"; "The ferry '
        'to Larkspur leaves at 07:40 and at 16:15 every weekday."; "Tickets cost 4.20 euro" and 3 more lines.'
    ),
    (
        'The screen shows 14 lines of text. It reads: "Please be at the pier ten minutes before departure."; "All '
        'boats are on time today.".'
    ),
    (
        "Nothing readable changed; the picture changed in the lower left part (less than 1 % of it). The screen is "
        'headed "Harbour timetable, winter".'
    ),
]
OTHER = [
    "The ferry to Larkspur leaves at 07:40 and at 16:15 every weekday.",  # quoted by a note, and no note
    "Tickets cost 4.20 euro",
    "10:31:06 INFO the server has started",
    "Please review the invoice before Friday",
]


def texts(lines: tuple[TextLine, ...]) -> list[str]:
    return [line.text for line in lines]


@pytest.mark.parametrize("answers", [NOTES, []], ids=["remembered", "after a restart"])
@pytest.mark.parametrize("width", [60, 80, 132])
def test_what_follow_prints_is_own_and_the_window_beside_it_is_not(answers: list[str], width: int):
    printed = pieces(followed(NOTES, width=width), 20, 40)
    other = pieces(OTHER, 20 + PITCH * width + 60, 40)
    reading = set_aside(reading_of(printed + other), answers)
    assert texts(reading.lines) == OTHER
    assert len(reading.own_lines) == len(printed)
    (area,) = reading.own_areas
    assert area.left == 20
    assert area.top == 40


@pytest.mark.parametrize("answers", [NOTES, []], ids=["remembered", "after a restart"])
@pytest.mark.parametrize("note", NOTES)
def test_what_snap_prints_is_own(answers: list[str], note: str):
    printed = pieces(["desk: hudctl snap", *snapped(note)], 20, 40)
    reading = set_aside(reading_of(printed + pieces(OTHER, 1000, 40)), answers)
    assert sorted(texts(reading.lines)) == sorted(["desk: hudctl snap", *OTHER])


def test_a_footer_whose_dots_were_not_read_is_own():
    rows = ["#5   screen   08:54:57 UTC   local, hudd-local   0.6 s   free", "", "desk: free"]
    lines = [TextLine(line.text, line.left, line.top, line.width, 9, 0.9) for line in pieces(rows, 20, 40)]
    assert texts(set_aside(reading_of(lines), []).lines) == ["desk: free"]


@pytest.mark.parametrize("answers", [NOTES, []], ids=["remembered", "after a restart"])
def test_what_try_streams_is_own(answers: list[str], capsys: pytest.CaptureFixture[str]):
    live = StreamedNotes(colour=False, width=72)
    for n, note in enumerate(NOTES):
        live.note(printed_note(note, seq=n + 1))
    rows = ["Watching screen by mss xshmgetimage on :96 for 40 seconds (ctrl-C ends it).", ""]
    rows += capsys.readouterr().out.split("\n")
    reading = set_aside(reading_of(pieces(rows, 20, 40) + pieces(OTHER, 1000, 40)), answers)
    assert texts(reading.lines) == OTHER


def test_what_try_says_around_its_notes_is_own():
    printed = pieces(
        [
            "Trying hudd: local engine, temporary folders, no key; nothing leaves this machine.",
            "Watching screen by mss xshmgetimage on :96 for 40 seconds (ctrl-C ends it).",
            "",
            *followed(NOTES[:2]),
            "",
            "Done: looked 27 times, asked 5 times, wrote 3 notes. Cost: nothing, the local engine is free.",
            "At the real service the same questions would have cost $0.0211 with gpt-realtime-1.5.",
            "Nothing is left running; the temporary folders are removed.",
        ],
        20,
        40,
    )
    assert set_aside(reading_of(printed), []).lines == ()


def test_the_sentences_of_try_are_those_that_it_says():
    source = inspect.getsource(trial) + inspect.getsource(trial_notes)
    for sentence in TRIAL_SENTENCES:
        assert sentence in source, sentence


def test_a_command_below_the_notes_and_what_it_prints_are_not_own():
    rows = [*followed(NOTES), "desk: cargo build", "error: could not find Cargo.toml in /home/ada", "desk:"]
    reading = set_aside(reading_of(pieces(rows, 20, 40)), NOTES)
    assert texts(reading.lines) == rows[-3:]


def test_a_log_with_time_stamps_is_not_own():
    rows = [
        "10:31:06 INFO server  The database is connected.",
        "                      and listens on port 5432",
        "10:31:09 INFO server  New: one client",
    ]
    lines = pieces(rows, 20, 40)
    answers = ['It looks like a terminal. New: "10:31:06 INFO server"; "The database is connected.".']
    assert set_aside(reading_of(lines), answers).own_lines == ()


def test_our_words_in_another_block_leave_the_quoted_original_alone():
    original = pieces(["All boats are on time today."], 20, 40 + ROW * 20)
    reading = set_aside(reading_of(pieces(followed(NOTES), 20, 40) + original), NOTES)
    assert texts(reading.lines) == ["All boats are on time today."]


def noisy(text: str, rng: random.Random, share: float) -> str:
    """Misread letters: so many of the text's, at any place, become others."""
    letters = list(text)
    for at in rng.sample(range(len(letters)), int(share * len(letters))):
        if letters[at] != " ":
            letters[at] = rng.choice("abcdefghijklmnopqrstuvwxyzIJO05|,.:")
    return "".join(letters)


@pytest.mark.parametrize("answers", [NOTES, []], ids=["remembered", "after a restart"])
def test_misread_notes_are_still_own(answers: list[str]):
    """One letter in twenty is misread. The seeds are fixed, so the count is as well."""
    missed = total = 0
    for seed in range(100):
        rng = random.Random(seed)
        rows = followed(rng.sample(NOTES, 3))
        printed = [
            TextLine(noisy(line.text, rng, 0.05), line.left, line.top, line.width, line.height, line.confidence)
            for line in pieces(rows, 20, 40)
        ]
        reading = set_aside(reading_of(printed + pieces(OTHER, 1000, 40)), answers)
        assert [line.text for line in reading.lines if line.left >= 1000] == OTHER
        missed += sum(len(line.text) for line in reading.lines if line.left < 1000)
        total += sum(len(line.text) for line in printed)
    assert missed <= (0.001 if answers else 0.02) * total


# A text that begins as a note of ours does may be taken for one; the generator knows words that stand in the code.
somewhere = st.builds(
    TextLine,
    text=st.text(max_size=60).filter(lambda text: "screen" not in text.lower())
    | st.sampled_from([*OTHER, "larkspur", "New", "it)"]),
    left=st.integers(900, 1800),
    top=st.integers(0, 1000),
    width=st.integers(1, 300),
    height=st.integers(1, 90),
    confidence=st.floats(0, 1),
)


@given(st.lists(somewhere, max_size=12), st.booleans())
def test_a_line_outside_a_block_of_ours_is_never_taken(lines: list[TextLine], remembered: bool):
    printed = pieces(followed(NOTES, width=80), 20, 40)  # ends far to the left of all the others
    reading = set_aside(reading_of(printed + lines), NOTES if remembered else [])
    assert sorted(line.area.left for line in reading.lines) == sorted(line.left for line in lines)


@given(st.lists(somewhere, max_size=12), st.lists(st.text(max_size=80), max_size=4))
def test_nothing_is_lost_and_without_a_mark_nothing_is_taken(lines: list[TextLine], answers: list[str]):
    before = reading_of(lines)
    after = set_aside(before, answers)
    assert sorted(after.lines + after.own_lines, key=repr) == sorted(before.lines, key=repr)
    assert after.own_lines == ()


def test_when_only_our_own_notes_are_new_the_note_says_that_nothing_else_changed():
    other = pieces(OTHER, 1000, 40)
    first = set_aside(reading_of(pieces(followed(NOTES[:1]), 20, 40) + other), NOTES)
    changed = (Area(16, 32, 720, 160), Area(1100, 500, 16, 32))  # the notes, and a cursor elsewhere
    rows = pieces(followed(NOTES[:2]), 20, 40)
    now = reading_of(rows + other, compared=True, changed=changed[0], changed_fraction=0.1, changed_areas=changed)
    assert write_note(set_aside(now, NOTES), first, max_tokens=200).startswith(ONLY_OWN_NEW)


def test_a_change_elsewhere_is_told_with_the_place_where_it_is():
    other = pieces(OTHER, 1000, 40)
    first = set_aside(reading_of(pieces(followed(NOTES[:1]), 20, 40) + other), NOTES)
    changed = (Area(16, 32, 720, 160), Area(1600, 900, 200, 100))
    rows = pieces(followed(NOTES[:2]), 20, 40)
    now = reading_of(rows + other, compared=True, changed=changed[0], changed_fraction=0.1, changed_areas=changed)
    note = write_note(set_aside(now, NOTES), first, max_tokens=200)
    assert note.startswith("Nothing readable changed; the picture changed in the lower right part (less than 1 %")


def test_our_notes_are_no_evidence():
    notes = ['It looks like a chat, titled "Larkspur - Slack". It shows an error: "Permission denied for ada".']
    reading = set_aside(reading_of(pieces(followed(notes), 20, 4) + pieces(OTHER[2:], 1000, 40)), notes)
    note = write_note(reading, None, max_tokens=200)
    assert "chat" not in note
    assert "denied" not in note
    assert "Please review the invoice before Friday" in note


def test_only_our_notes_on_the_screen():
    reading = set_aside(reading_of(pieces(followed(NOTES), 20, 40)), NOTES)
    assert write_note(reading, None, max_tokens=200) == "The screen shows nothing but hudd's own notes."


def test_many_lines_are_judged_quickly():
    lines = pieces(followed(NOTES * 5), 20, 4) + [
        TextLine(f"{text} {n}", 900 + 300 * (n % 3), 12 * (n // 3), 280, 10, 0.9)
        for n in range(900)
        for text in OTHER[:1]
    ]
    started_s = time.process_time()
    set_aside(reading_of(lines), NOTES * 5)
    assert time.process_time() - started_s < 2.0  # 0.1 s as a rule; a machine may be busy


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tesserocr", "rapidocr"])
@pytest.mark.parametrize("remembered", [True, False], ids=["remembered", "after a restart"])
def test_read_from_a_picture_only_the_other_window_is_quoted(name: str, remembered: bool):
    try:
        best_reader(name)
    except ReaderError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"{error}")
    describer = Describer(name)
    answers = NOTES if remembered else []
    notes = followed(NOTES[:2])
    other = ["Please review the invoice before Friday", "The meeting about the harbour begins at nine"]
    header = {
        "stream": "s",
        "media_type": "image/png",
        "max_tokens": 200,
        "whole": False,
        "budget_s": 30.0,
        "answers": answers,
    }
    before = drawn([(30, 30, notes), (930, 60, other[:1])])
    first = describer.answer({**header, "id": 1, "told": 0}, before, time.monotonic())["text"]
    assert "review the invoice" in first
    for word in ("looks like a terminal", "tidewater", "ferry", "Tickets", "eDP"):
        assert word not in first
    now = drawn([(30, 30, followed([*NOTES[:3]])), (930, 60, other)])
    second = describer.answer({**header, "id": 2, "told": 1}, now, time.monotonic())["text"]
    assert second == 'New: "The meeting about the harbour begins at nine".'
    last = drawn([(30, 30, followed(NOTES)), (930, 60, other)])
    third = describer.answer({**header, "id": 3, "told": 2}, last, time.monotonic())["text"]
    assert third.startswith(ONLY_OWN_NEW)
