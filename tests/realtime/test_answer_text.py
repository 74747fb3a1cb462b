"""The text of an answer from its pieces."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hudd.protocol.events import OutputItem
from hudd.realtime.answer_text import LONGEST_TEXT, AnswerText


def message(text: str, phase: str = "", item_id: str = "i1") -> OutputItem:
    return OutputItem(item_id, "message", phase, (text,))


def test_what_done_tells_wins_over_the_pieces() -> None:
    text = AnswerText()
    text.delta("i1", 0, "hallo")
    assert text.final((message("hello"),)) == "hello"


def test_the_pieces_stand_in_when_done_holds_no_text() -> None:
    text = AnswerText()
    text.delta("i1", 0, "so far ")
    text.delta("i1", 0, "so good")
    assert text.final(()) == "so far so good"
    assert text.final((OutputItem("i1", "message"),)) == "so far so good"


def test_interleaved_parts_do_not_mix() -> None:
    text = AnswerText()
    text.delta("i1", 1, "second")
    text.delta("i1", 0, "first ")
    text.delta("i2", 0, "other")
    assert text.so_far() == "first second\nother"


def test_a_final_answer_hides_the_commentary() -> None:
    text = AnswerText()
    output = (message("I'll look.", "commentary"), message("A note.", "final_answer", "i2"))
    assert text.final(output) == "A note."


def test_commentary_alone_is_better_than_nothing() -> None:
    assert AnswerText().final((message("I'll look.", "commentary"),)) == "I'll look."


def test_a_phase_learnt_earlier_counts() -> None:
    text = AnswerText()
    text.item(OutputItem("i1", "message", "commentary"))
    assert text.delta("i1", 0, "I'll look.") == ""
    assert text.final((message("I'll look."), message("A note.", item_id="i2"))) == "A note."


def test_function_calls_are_no_text() -> None:
    assert AnswerText().final((OutputItem("i1", "function_call", "", ("x",)),)) == ""


def test_done_shows_only_what_no_piece_brought() -> None:
    text = AnswerText()
    text.delta("i1", 0, "Hello ")
    assert text.done("i1", 0, "Hello world") == "world"
    assert text.done("i1", 0, "Hello world") == ""
    assert text.done("i1", 0, "Something else") == ""


@given(st.lists(st.text(max_size=30), max_size=20))
def test_pieces_make_the_whole(pieces: list[str]) -> None:
    text = AnswerText()
    assert "".join(text.delta("i", 0, piece) for piece in pieces) == "".join(pieces) == text.so_far()


def test_an_endless_answer_is_cut() -> None:
    text = AnswerText()
    for _ in range(80):
        text.delta("i1", 0, "x" * 1000)
    assert len(text.so_far()) == LONGEST_TEXT
    assert len(text.final((message("y" * 100_000),))) == LONGEST_TEXT
