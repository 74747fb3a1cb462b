from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hudctl.flowing import Flow
from hudctl.words import cells

TEXT = "The screen shows a terminal. It reads: make check && git push harbour main, and nothing else."


def flown(text: str, width: int, size: int) -> str:
    flow = Flow(width)
    return "".join(flow.push(text[at : at + size]) for at in range(0, len(text), size)) + flow.end()


@given(st.integers(1, 30), st.integers(12, 100))
def test_lines_end_between_words_however_the_text_comes_in(size: int, width: int):
    told = flown(TEXT, width, size)
    assert told.split() == TEXT.split()
    assert max(cells(row) for row in told.split("\n")) <= width


def test_without_a_width_a_text_stays_as_it_is():
    text = "  one  two\n\n  three\tfour"
    assert flown(text, 0, 3) == "  one  two\n\n  three four"


def test_a_word_is_printed_when_its_end_is_known():
    flow = Flow(80)
    assert [flow.push(piece) for piece in ("New: fer", "ry to", " Ven", " leaves")] == ["New:", " ferry", " to", " Ven"]
    assert flow.end() == " leaves"
    assert flow.push("again ") == "again"


def test_a_line_break_of_the_text_begins_a_line():
    assert flown("one two\nthree four five", 10, 4) == "one two\nthree four\nfive"


def test_a_word_that_just_fits_stays():
    assert flown("four four", 9, 2) == "four four"
    assert flown("four fours", 9, 2) == "four\nfours"


def test_scripts_without_spaces_are_not_held_back_to_their_end():
    flow = Flow(20)
    assert flow.push("画面には端末が表示されている") == "画面には端末が表示されている"
    assert flow.push("。") == ""
    assert flow.end() == "。"


@given(st.text(max_size=80), st.integers(0, 40), st.integers(1, 7))
def test_nothing_in_it_can_steer_the_terminal(text: str, width: int, size: int):
    told = flown(f"{text}\x1b[2Jx\x1b]0;a b\x07\x9b31m\x7f", width, size)
    assert not [letter for letter in told if letter != "\n" and (ord(letter) < 32 or 127 <= ord(letter) < 160)]


def test_a_whole_text_comes_at_once():
    assert Flow(9).whole(" four five six\n") == "four five\nsix"
