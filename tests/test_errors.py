"""Cause and remedy of a sentence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudd.errors import cause_and_remedy


@pytest.mark.parametrize(
    ("sentence", "cause", "remedy"),
    [
        ("It is full; free some space.", "It is full.", "Free some space."),
        ("It is down; hudd tries again.", "It is down.", "hudd tries again."),
        ("It is paused; `hudctl resume` ends it.", "It is paused.", "`hudctl resume` ends it."),
        ("The key; the lock; turn it.", "The key; the lock.", "Turn it."),
        ("It is full.", "It is full.", ""),
        ("There is no 'a; b'.", "There is no 'a; b'.", ""),
        ('There is no "a; b".', 'There is no "a; b".', ""),
        ("hudd's box is full; free 'it'.", "hudd's box is full.", "Free 'it'."),
        ("It ends; ", "It ends; ", ""),
        ("", "", ""),
    ],
)
def test_the_remedy_stands_behind_the_last_semicolon(sentence: str, cause: str, remedy: str) -> None:
    assert cause_and_remedy(sentence) == (cause, remedy)


@given(st.text(alphabet="ab ;'\"`.", max_size=40))
def test_no_sentence_is_too_odd_and_nothing_is_lost(sentence: str) -> None:
    cause, remedy = cause_and_remedy(sentence)
    assert cause == sentence if not remedy else f"{cause[:-1]}; {remedy}".lower() == sentence.lower()
