from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudd.model import Answer, UpstreamError, Usage
from hudd.notes.assembler import MAX_TEXT, clean, same, to_note
from hudd.wire.messages import Note
from tests.fakes.journal import make_answer

LONG = (
    "A terminal runs the test suite of the billing service; 214 tests passed and the last lines name invoice.py. "
    "Beside it a browser shows the mail of Anna Larkspur about the delivery of the blue chairs on Friday."
)


def _note(answer: Answer, previous: str | None = None, cost: int | None = 4100) -> Note:
    return to_note(answer, model="gpt-realtime-1.5", engine="service", cost_microusd=cost, previous_text=previous)


def test_a_completed_answer_is_a_note_with_everything_mirrored() -> None:
    answer = make_answer(
        "  A terminal.\n", usage=Usage(input_tokens=5), queue_ms=0.04, first_delta_ms=402.26, total_ms=1240.0
    )
    note = _note(answer)
    assert (note.kind, note.text, note.complete) == ("note", "A terminal.", True)
    assert (note.seq, note.prev, note.stream, note.published) == (0, 0, "", 0.0)
    assert note.time == answer.question.pictures[0].captured_at
    assert note.topic == "note/eDP-1/"
    assert note.pictures[0].rect == (0, 0, 1920, 1080)
    assert note.pictures[0].scale == 0.6667
    assert note.usage is not None
    assert note.usage["input_tokens"] == 5
    assert note.timing_ms == {"capture": 9.0, "encode": 31.3, "queue": 0.0, "first_delta": 402.3, "total": 1240.0}
    assert (note.model, note.engine, note.cost_microusd) == ("gpt-realtime-1.5", "service", 4100)
    json.dumps(note.to_json())


def test_a_cut_answer_is_a_note_that_says_so() -> None:
    note = _note(make_answer("A terminal shows", status="incomplete", reason="max_output_tokens"), "A terminal shows")
    assert (note.kind, note.text, note.complete) == ("note", "A terminal shows", False)


def test_a_text_beyond_the_frame_is_cut_and_says_so() -> None:
    note = _note(make_answer("x" * (MAX_TEXT + 1)))
    assert len(note.text) == MAX_TEXT
    assert not note.complete


@pytest.mark.parametrize("status", ["cancelled", "failed", "vanished"])
def test_an_answer_that_did_not_come_is_a_failed_note_with_the_sentence(status: str) -> None:
    note = _note(make_answer("half a te", status=status, error=UpstreamError(sentence="The key was refused.")))
    assert (note.kind, note.text, note.complete) == ("failed", "The key was refused.", False)


@pytest.mark.parametrize("status", ["completed", "incomplete", "cancelled", "failed", "vanished"])
def test_a_failed_note_always_has_a_sentence(status: str) -> None:
    note = _note(make_answer(" \x00\n", status=status, reason="content_filter"))
    assert note.kind == "failed"
    assert note.text.endswith(".")


def test_the_same_text_again_is_unchanged() -> None:
    assert _note(make_answer("A terminal, the  Build log!"), "a terminal the build log").kind == "unchanged"


def test_what_a_person_asked_for_is_always_a_note() -> None:
    assert _note(make_answer(LONG, trigger="manual"), LONG).kind == "note"


def test_a_failed_answer_is_never_unchanged() -> None:
    assert _note(make_answer("", status="failed", error=UpstreamError(sentence="Gone.")), "Gone.").kind == "failed"


def test_the_first_note_of_a_source_is_never_unchanged() -> None:
    assert _note(make_answer(LONG), None).kind == "note"
    assert _note(make_answer(LONG), "").kind == "note"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("A terminal runs", "The terminal now runs"),
        ("chairs", "chair"),
        ("passed and", "passed, and"),
        ("mail", "mails"),
    ],
)
def test_fillers_and_endings_make_no_new_note(old: str, new: str) -> None:
    assert same(LONG.replace(old, new, 1), LONG)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("214", "215"),
        ("passed", "failed"),
        ("Anna", "Anne"),
        ("invoice.py", "invoice.rs"),
        ("blue", "red"),
        ("about the delivery", "about no delivery"),
        ("on Friday", "on Monday"),
        (" passed", ""),
    ],
)
def test_a_changed_fact_is_a_note_however_long_the_rest(old: str, new: str) -> None:
    assert old in LONG
    assert not same(LONG.replace(old, new, 1), LONG)


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ("The terminal shows pytest: 214 passed.", "A terminal displays pytest, 214 passed."),
        ("Chat is open. Build 41 failed in ci.yml.", "Build 41 failed in ci.yml. The chat is still open."),
        (
            "Anna asks about the blue chairs; the mail is unread.",
            "The mail is unread. Anna asks about the blue chairs.",
        ),
        ("Slides: quarterly figures\nNo pointer", "No pointer is visible. Slides: quarterly figures"),
    ],
)
def test_the_same_sentences_in_another_order_are_the_same(before: str, now: str) -> None:
    assert same(now, before)
    assert same(before, now)


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ("Build 41 failed. Build 42 passed.", "Build 42 failed. Build 41 passed."),
        ("Anna wrote to Ben.", "Ben wrote to Anna."),
        ("The chat is open. Build 41 failed.", "The chat is open."),
        ("The terminal shows 3 errors.", "The terminal shows 4 errors."),
        ("The invoice is v1.2.", "The invoice is v1.3."),
    ],
)
def test_other_facts_in_like_sentences_are_news(before: str, now: str) -> None:
    assert not same(now, before)
    assert not same(before, now)


def test_many_small_differences_are_a_difference() -> None:
    assert not same("chairs tables lamps carpets", "chair table lamp carpet")


def test_signs_alone_are_compared_as_they_are() -> None:
    assert same("…", " … ")
    assert not same("…", "!")


@given(st.text(), st.text())
def test_sameness_is_defined_for_any_two_texts_and_true_of_equal_ones(one: str, other: str) -> None:
    assert same(one, one)
    assert isinstance(same(one, other), bool)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("a\r\nb\rc", "a\nb\nc"),
        ("\x1b[31mred\x1b[0m", "[31mred[0m"),
        ("a\x00b\x07c\x9bd", "abcd"),
        ("tab\there", "tab here"),
        ("\u202eevil\u2066", "evil"),
        ("\ufefftext", "text"),
        ("half \ud83d pair", "half  pair"),
        ("👩\u200d💻", "👩\u200d💻"),
        ("a\n\n\n\n\nb", "a\n\nb"),
        (" \n a \n ", "a"),
    ],
)
def test_cleaning(raw: str, text: str) -> None:
    assert clean(raw) == (text, False)


@given(st.text(alphabet=st.characters(codec=None)))
def test_a_clean_text_can_be_stored_printed_and_cleaned_again(raw: str) -> None:
    text, cut = clean(raw)
    assert not cut
    assert text.encode("utf-8").decode() == text
    assert all(c == "\n" or c.isprintable() or not c.isascii() for c in text)
    assert clean(text) == (text, False)
