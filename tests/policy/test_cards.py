"""Card numbers, with all that people write beside them."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudd.policy.page import Piece
from hudd.policy.scrub import scrub
from hudd.policy.secrets import find_secrets, is_card_number, printed_cards
from hudd.policy.spread import find_spread

VISA = "4111 1111 1111 1111"


@pytest.mark.parametrize("number", [VISA, VISA.replace(" ", ""), VISA.replace(" ", "-"), "3782 822463 10005"])
@pytest.mark.parametrize(
    "line",
    [
        "{} 12/27",
        "{} 1227",
        "{} 123",
        "{} 12/27 123",
        "{} 12 27 1234",
        "{}-123",
        "12/27 {}",
        "1 {}",
        "2026-11-22 {}",
        "10:31:06.412 {} 7",
        "No. 7 2 1 {} 12",
    ],
)
def test_a_card_number_is_found_with_other_numbers_beside_it(line: str, number: str) -> None:
    assert scrub(line.format(number)) == line.format("[card number]")


def test_card_numbers_in_a_row_are_all_found() -> None:
    assert scrub(f"{VISA} 5555 5555 5555 4444") == "[card number] [card number]"
    assert scrub("3782 822463 10005 4111111111111111 09/28") == "[card number] [card number] 09/28"


def test_a_number_that_only_begins_like_one_hides_no_part_of_the_next() -> None:
    before = next(f"{first} " for first in range(4000, 5000) if is_card_number(f"{first}411111111111"))
    assert scrub(f"{before}{VISA}") == "[card number]"


def test_accounts_in_a_row_are_all_found() -> None:
    assert scrub("DE89 3704 0044 0532 0130 00 GB82 WEST 1234 5698 7654 32") == "[IBAN] [IBAN]"


@given(
    st.text("0123456789", min_size=14, max_size=14),
    st.sampled_from("3456"),
    st.sampled_from(("", " ", "-", ".", "\u00a0")),
    st.integers(1, 12),
    st.integers(26, 36),
    st.one_of(st.integers(100, 9999).map(str), st.just("")),
)
def test_no_digit_of_a_card_number_stays_before_its_date_and_code(
    digits: str, issuer: str, gap: str, month: int, year: int, code: str
) -> None:
    number = next(issuer + digits + d for d in "0123456789" if is_card_number(issuer + digits + d) or d == "9")
    if not is_card_number(number):
        return
    printed = gap.join(number[at : at + 4] for at in range(0, 16, 4))
    (first, *_) = find_secrets(f"Visa {printed} {month:02d}/{year} {code}")
    assert first.kind == "card"
    assert first.start <= 5
    assert first.end >= 5 + len(printed)


@pytest.mark.parametrize(
    ("texts", "count"),
    [(("4111", "1111", "1111", "1111", "123"), 4), (("12", "4111", "1111", "1111", "1111", "12", "27"), 4)],
)
def test_a_card_number_in_the_fields_of_a_form_is_found_with_the_code_beside_it(
    texts: tuple[str, ...], count: int
) -> None:
    (found,) = find_spread([Piece(text, 60.0 * at, 10, 40, 12) for at, text in enumerate(texts)])
    assert [texts[part.piece] for part in found.parts] == ["4111", "1111", "1111", "1111"][:count]


def rows_of(make: Callable[[random.Random], object], count: int) -> Callable[[random.Random], str]:
    return lambda rnd: " ".join(str(make(rnd)) for _ in range(count))


PLAIN: dict[str, Callable[[random.Random], str]] = {
    "small numbers": rows_of(lambda rnd: rnd.randint(1, 999), 20),
    "years": rows_of(lambda rnd: rnd.randint(1990, 2035), 12),
    "amounts": rows_of(lambda rnd: f"{rnd.uniform(1, 99_999):.2f}", 8),
    "fractions": rows_of(lambda rnd: rnd.random(), 4),
    "six digits": rows_of(lambda rnd: rnd.randint(100_000, 999_999), 8),
    "addresses": rows_of(lambda rnd: ".".join(str(rnd.randint(1, 255)) for _ in range(4)), 3),
    "log": lambda rnd: f"2026-11-21 10:31:06.{rnd.randint(0, 999_999):06d} {rnd.randint(0, 10**6)} pid 4711",
    "milliseconds": lambda rnd: f"{rnd.randint(16 * 10**11, 19 * 10**11)} {rnd.randint(1, 999)}",
}


@pytest.mark.parametrize("rows", PLAIN.values(), ids=PLAIN)
def test_what_is_looked_for_inside_of_a_row_of_numbers_is_not_there_by_chance(
    rows: Callable[[random.Random], str],
) -> None:
    rnd = random.Random(1)
    found = sum(bool([*printed_cards(rows(rnd))]) for _ in range(1000))
    assert found <= 5
