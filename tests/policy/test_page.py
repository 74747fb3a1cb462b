"""How much is asked of a page, at most, and what becomes of one that asks too much."""

from __future__ import annotations

import random
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudd.policy import page, spread
from hudd.policy.page import MOST_STEPS, Page, Piece, TooManyStepsError, pieces_of_lines
from hudd.policy.scrub import scrub
from hudd.policy.spread import find_spread

LETTERS = string.ascii_letters + string.digits
RND = random.Random(7)


def key(length: int = 37) -> str:
    return "".join(RND.choices(LETTERS, k=length))


def steps_of(text: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many steps the search through a text takes."""
    pages: list[Page] = []

    class Counted(Page):
        def __init__(self, pieces: object) -> None:
            super().__init__(pieces)  # type: ignore[arg-type]  # passed on
            pages.append(self)

    with monkeypatch.context() as patch:
        patch.setattr(spread, "Page", Counted)
        find_spread(pieces_of_lines(text), email=True)
    return pages[0].steps


HOSTILE = {
    "keys": [f"sk-{key()}\n" for _ in range(400)],
    "one key": ["eyJ" + key(40) + "\n", *(key(76) + "\n" for _ in range(399))],
    "beginnings": ["sk-\n"] * 400,
    "beginnings and words": ["eyJ\n", "a\n"] * 200,
    "beginnings in one word": ["sk-"] * 400,
    "beginnings of private keys": ["BEGIN RSA PRIVATE KEY\n"] * 400,
    "short lines": ["1\n"] * 400,
    "half numbers": ["4111 1111\n"] * 400,
    "accounts": ["DE89 37\n"] * 400,
    "addresses": ["ada@exam\n"] * 400,
    "dashes": ["-----BEGIN "] * 400,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_twice_the_text_takes_twice_the_steps(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = HOSTILE[name]
    half, whole = (steps_of("".join(text), monkeypatch) for text in (parts[:200], parts))
    assert whole <= 2.2 * half + 20
    assert whole < 4 * len("".join(parts))


@pytest.mark.parametrize("hostile", ["sk- " * 300, "BEGIN RSA PRIVATE KEY\n" * 60 + "\na\n" * 9 + "END PRIVATE KEY"])
def test_what_would_take_longer_is_a_secret_as_a_whole(hostile: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bound = 30_000
    assert scrub(hostile).strip() != "[key]"
    assert steps_of(hostile, monkeypatch) > bound
    monkeypatch.setattr(page, "MOST_STEPS", bound)
    assert steps_of(hostile, monkeypatch) <= bound + len(hostile)
    assert scrub(hostile).strip() == "[key]"


def test_all_pieces_of_a_page_that_takes_too_long_are_one_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "MOST_STEPS", 10)
    pieces = [Piece(f"word {at}", 60.0 * at, 0, 50, 12) for at in range(30)]
    (found,) = find_spread(pieces)
    assert (found.kind, found.block, [part.piece for part in found.parts]) == ("key", True, list(range(30)))
    assert all(part.end == len(pieces[part.piece].text) for part in found.parts)
    assert scrub("a\nb\nc 1 2\nd\ne\nf\ng\nh\ni\nj\nk") == "[key]" + "\n" * 10


def test_a_screen_full_of_cells_is_far_from_the_bound() -> None:
    cells = [Piece(f"{at * 37 % 9973}", 95.0 * (at % 40), 20.0 * (at // 40), 60, 14) for at in range(2400)]
    sheet = Page(cells)
    for at in range(len(cells)):
        sheet.row_of(at, 16.0)
        sheet.next_line(at)
    assert 2400 < sheet.steps < MOST_STEPS / 3


def test_steps_are_counted_to_the_bound() -> None:
    one = Page([])
    one.step(MOST_STEPS)
    with pytest.raises(TooManyStepsError):
        one.step()


def taken(text: str) -> set[int]:
    return {part.piece for found in find_spread(pieces_of_lines(text)) for part in found.parts}


def test_a_key_is_followed_to_its_end_however_long_it_is() -> None:
    lines = ["eyJ" + key(60), *(key(76) for _ in range(300)), "The quick brown fox"]
    assert taken("\n".join(lines)) == set(range(301))


@given(st.lists(st.sampled_from(["sk-", "npm_", "KEY=AKIA", "token: eyJ", ""]), min_size=2, max_size=8))
def test_a_key_that_runs_into_one_found_before_is_found_too(prefixes: list[str]) -> None:
    rnd = random.Random(len(prefixes))
    lines = [prefix + "".join(rnd.choices(LETTERS, k=60)) for prefix in ["sk-proj-", *prefixes]]
    assert taken("\n".join(["It shows", *lines, "import os"])) == set(range(1, len(lines) + 1))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 6), st.integers(1, 90)), max_size=20, unique=True))
def test_the_next_line_is_the_nearest_one_below_or_above(places: list[tuple[int, int, int]]) -> None:
    pieces = [Piece("x", 100.0 * left, 14.0 * top, float(width), 12.0) for left, top, width in places]
    sheet = Page(pieces)
    for at, own in enumerate(pieces):
        below = {near: pieces[near].top - own.bottom for near in sheet.next_line(at)}
        above = {near: own.top - pieces[near].bottom for near in sheet.next_line(at, down=False)}
        for lines in (below, above):
            assert at not in lines
            assert all(-0.3 * 12 <= away <= 2 * 12 and away <= min(lines.values()) + 6 for away in lines.values())
        row = sheet.row_of(at, 3.0)
        assert at in row
        assert [pieces[one].left for one in row] == sorted(pieces[one].left for one in row)
        assert all(pieces[one].top == own.top for one in row)
