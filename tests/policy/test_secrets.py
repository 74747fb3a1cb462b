"""The shapes of secrets."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudd.policy.scrub import scrub
from hudd.policy.secrets import find_secrets, ibans, is_card_number

CARDS = ("4111111111111111", "5555 5555 5555 4444", "3782-822463-10005", "6011.1111.1111.1117")
IBANS = ("DE89 3704 0044 0532 0130 00", "GB82WEST12345698765432", "NL91 ABNA 0417 1643 00", "NO9386011117947")
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
KEYS = (
    "sk-proj-abcDEF0123456789abcd",
    "ghp_0123456789abcdefABCDEF0123456789abcd",
    "AKIAIOSFODNN7EXAMPLE",
    "xoxb-123456789012-abcdefGHIJ",
    "glpat-abcdefghij0123456789",
    JWT,
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----",
)
HARMLESS = (
    "The order 4111111111111112 came",  # wrong check digit
    "0000 0000 0000 0000",
    "2026-11-21 10:31:06.412",
    "DE89 3704 0044 0532 0130 01",
    "sk-short",
    "commit 0f3b3614a7c98d11",
    "AKIA and ghp_ alone",
    "192.168.100.200 10.20.30.40",
)


@pytest.mark.parametrize("number", CARDS)
def test_card_numbers_are_found_however_they_are_spaced(number: str) -> None:
    assert scrub(f"Pay with {number}, please") == "Pay with [card number], please"


@pytest.mark.parametrize("number", IBANS)
def test_ibans_are_found_with_spaces_and_without(number: str) -> None:
    assert scrub(f"To {number} today") == "To [IBAN] today"


def test_words_in_capitals_after_an_iban_stay() -> None:
    assert scrub("NO93 8601 1117 947 THANKS") == "[IBAN] THANKS"


@pytest.mark.parametrize("key", KEYS)
def test_keys_and_tokens_are_found(key: str) -> None:
    assert scrub(f"export KEY={key} # mine") == "export KEY=[key] # mine"


@pytest.mark.parametrize("text", HARMLESS)
def test_what_only_resembles_one_stays(text: str) -> None:
    assert scrub(text, email=True) == text


def test_addresses_are_found_only_when_asked_for() -> None:
    text = "Write to ada.l+x@mail.example.org!"
    assert scrub(text) == text
    assert scrub(text, email=True) == "Write to [e-mail]!"


def test_a_key_that_is_cut_off_by_the_screen_is_found() -> None:
    assert scrub("-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBg") == "[key]"


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=300), st.booleans())
def test_any_text_can_be_scrubbed_and_then_holds_no_secret(text: str, email: bool) -> None:
    found = find_secrets(text, email=email)
    assert all(0 <= a.start < a.end <= len(text) for a in found)
    assert all(a.end <= b.start for a, b in pairwise(found))


def check_digit(digits: str) -> str:
    return next(d for d in "0123456789" if is_card_number(digits + d))


@given(
    st.text("0123456789", min_size=14, max_size=18).filter(lambda s: len(set(s)) > 2), st.sampled_from(("", " ", "-"))
)
def test_every_number_with_its_check_digit_is_found(digits: str, gap: str) -> None:
    number = gap.join(digits + check_digit(digits))
    assert [(s.kind, s.start, s.end) for s in find_secrets(f"a {number} b")] == [("card", 2, 2 + len(number))]


@given(
    st.text("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=15, max_size=24), st.sampled_from(("DE", "GB", "FR", "IT"))
)
def test_every_account_with_its_check_digits_is_one_and_no_other_is(account: str, country: str) -> None:
    whole = [(0, 4 + len(account))]
    right = [n for n in range(2, 99) if [*ibans(f"{country}{n:02d}{account}")] == whole]
    assert len(right) == 1
