"""Secrets that stand in several pieces."""

from __future__ import annotations

import random
import string
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudd.policy.page import Piece, pieces_of_lines
from hudd.policy.scrub import scrub
from hudd.policy.secrets import find_secrets, is_card_number
from hudd.policy.spread import Spread, find_spread

RANDOM = (
    "Xq7RkT2mZ9vB4nLc8WdYp3GhJ6sFaE1uKoM5iQxNzU0tVbCrDyHwPjSgAeIlOf"
    "9a7K2bR5xT8mW1cV4nZ6qL3pY0dS7gH2jF5kB8vN1mX4zC6wQ9eR3tU7iO0pAs"
)
SK = f"sk-proj-{RANDOM}"
JWT = f"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIx{RANDOM}.{RANDOM[::-1]}"
PEM_BODY = [RANDOM[at : at + 64] for at in (0, 7, 20, 33, 60)]
PEM = ["-----BEGIN RSA PRIVATE KEY-----", *PEM_BODY, "-----END RSA PRIVATE KEY-----"]
ORDINARY = (
    "import os",
    "DEBUG=true",
    "client = newOpenAIClient(apiKey)",
    "githubToken: none",
    "version 1.2.3 of 2026-11-21",
    "The quick brown fox jumps over it",
    "getElementById(name)",
    "",
)


def wrapped(text: str, width: int) -> list[str]:
    return [text[at : at + width] for at in range(0, len(text), width)]


def taken(found: Sequence[Spread]) -> set[int]:
    return {part.piece for spread in found for part in spread.parts}


def lines(*texts: str) -> tuple[Piece, ...]:
    return pieces_of_lines("\n".join(texts))


@pytest.mark.parametrize("secret", [SK, JWT, f"ghp_{RANDOM[:36]}", f"Bearer {JWT}"])
@pytest.mark.parametrize("width", [40, 61, 80])
@pytest.mark.parametrize("after", ORDINARY)
def test_every_line_of_a_wrapped_key_is_found_and_the_next_one_is_not(secret: str, width: int, after: str) -> None:
    parts = wrapped(f"KEY={secret}", width)
    found = taken(find_spread(lines("the key is", *parts, after)))
    whole = {at for at, part in enumerate(parts, start=1) if len(part) > 4 or at < len(parts)}
    assert found >= (whole if len(parts) > 1 else set())
    assert len(parts) + 1 not in found
    assert 0 not in found


@given(st.integers(0, 10_000), st.integers(48, 200), st.integers(30, 90))
def test_no_line_of_any_wrapped_key_stays_in_a_note(seed: int, length: int, width: int) -> None:
    key = "".join(random.Random(seed).choices(string.ascii_letters + string.digits, k=length))
    parts = wrapped(f"OPENAI_API_KEY=sk-proj-{key}", width)
    told = scrub("\n".join(["Shown:", *parts]))
    assert told.startswith("Shown:\nOPENAI_API_KEY=[key]")
    assert not told.removeprefix("Shown:\nOPENAI_API_KEY=[key]").strip()


def test_a_key_that_was_read_with_spaces_and_wrong_letters_goes_on() -> None:
    page = lines(
        "token: eyJpLIix6MEOLeMa61EqJomTEI1JEz03j 00) 37HyVaQXekW9Lctxb03 rEMU64yT .eyJY6BZU\u00a2",
        "ViLVgxTMQDxEKynIHTLlLYj GOc Ff IYQWtn jOzq84Zm9hacCTlnuubaVbViKtOt",
        "ICuaWdIympI gw. GSY77k6 rBdLW9eBOVEOmJ 48454",
        "8B jW8J IWSAtTpZsnk",
        "DEBUG=true",
    )
    assert taken(find_spread(page)) == {0, 1, 2, 3}


def test_a_key_with_a_quote_behind_it_ends_there() -> None:
    assert find_spread(lines(f'key = "{SK}",', RANDOM[:40])) == ()


def test_a_key_that_goes_on_beside_its_beginning_is_found() -> None:
    page = (
        Piece("https://x:ghp,", 20, 500, 270, 18),
        Piece("_WoCHJs 1UJOKHG16JqtQy9235Nnt2j9IHrKFm", 300, 500, 390, 18),
    )
    assert taken(find_spread(page)) == {0, 1}


def test_a_private_key_is_one_block_from_end_to_end() -> None:
    (found,) = find_spread(lines("cat id_rsa", *PEM, "$ ls"))
    assert (found.kind, found.block, taken([found])) == ("key", True, set(range(1, len(PEM) + 1)))


@pytest.mark.parametrize(("page", "expected"), [([*PEM[:-1], "", "", "$ ls", "$ cd"], 6), ([*PEM_BODY, PEM[-1]], 6)])
def test_of_a_private_key_that_the_screen_cuts_off_all_that_is_there_is_found(page: list[str], expected: int) -> None:
    assert taken(find_spread(lines(*page))) == set(range(expected))


def test_of_a_private_key_with_both_ends_also_what_was_read_badly_is_found() -> None:
    page = [PEM[0], PEM_BODY[0], "a b c", "oh dear", PEM_BODY[1], PEM[-1], "$ ls"]
    assert taken(find_spread(lines(*page))) == set(range(6))


def test_the_end_of_a_private_key_in_a_note_is_taken_out_with_what_stands_above() -> None:
    assert scrub("\n".join(["It shows", *PEM_BODY[:2], PEM[-1] + " and more"])) == "It shows\n[key]\n\n and more"


def test_the_words_that_begin_a_private_key_hide_no_program() -> None:
    code = ['BEGIN = "-----BEGIN PRIVATE KEY-----"', *ORDINARY[:4], "def main():", "    return 1"]
    assert find_spread(lines(*code)) == ()


def fields(*texts: str, gap: float = 110) -> tuple[Piece, ...]:
    return tuple(Piece(text, at * (40 + gap), 481, 40, 12) for at, text in enumerate(texts))


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        (("4111", "1111", "1111", "1111"), "card"),
        (("Card", "3782", "822463", "10005"), "card"),
        (("DE89", "3704", "0044", "0532", "0130", "00"), "iban"),
    ],
)
def test_a_number_in_the_fields_of_a_form_is_found(texts: tuple[str, ...], kind: str) -> None:
    (found,) = find_spread(fields(*texts))
    assert (found.kind, len(found.parts)) == (kind, len([text for text in texts if text != "Card"]))


@pytest.mark.parametrize(
    "texts",
    [
        ("4111", "1111", "1111", "1112"),
        ("41", "111", "11111", "111111"),
        ("2026", "11", "21", "10"),
    ],
)
def test_numbers_in_a_row_are_no_card(texts: tuple[str, ...]) -> None:
    assert find_spread(fields(*texts)) == ()


def test_fields_far_apart_are_not_one_number() -> None:
    assert find_spread(fields("4111", "1111", "1111", "1111", gap=400)) == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Pay 4111 1111\n1111 1111 now", "Pay [card number]\n now"),
        ("Pay 4111111111\n111111", "Pay [card number]\n"),
        ("To DE89 3704 0044\n0532 0130 00.", "To [IBAN]\n."),
        ("Write to ada@exam\nple.org now", "Write to [e-mail]\n now"),
        (f"It says {SK[:40]}\n{SK[40:]} there", "It says [key]\n there"),
        ("Write to ada@example.org\nToday", "Write to [e-mail]\nToday"),
    ],
)
def test_what_wraps_in_a_note_is_taken_out_of_it(text: str, expected: str) -> None:
    assert scrub(text, email=True) == expected


@given(st.lists(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\n"), max_size=60), max_size=12))
def test_parts_lie_in_their_pieces_whatever_they_say(texts: list[str]) -> None:
    page = lines(*texts)
    for spread in find_spread(page, email=True):
        assert all(0 <= part.start <= part.end <= len(page[part.piece].text) for part in spread.parts)
    scrub("\n".join(texts), email=True)


@given(st.lists(st.tuples(st.sampled_from([*ORDINARY, *PEM, SK, "4111"]), *[st.integers(-50, 400)] * 2), max_size=15))
def test_pieces_may_stand_anywhere(places: list[tuple[str, int, int]]) -> None:
    find_spread([Piece(text, left, top, 8.0 * len(text), 12.0) for text, left, top in places], email=True)


@given(st.text("0123456789", min_size=15, max_size=15), st.integers(1, 3))
def test_every_card_number_in_four_fields_is_found(digits: str, gap: int) -> None:
    number = next(digits + d for d in string.digits if is_card_number(digits + d) or d == "9")
    found = find_spread(fields(*wrapped(number, 4), gap=40 * gap))
    assert bool(found) == is_card_number(number)


@pytest.mark.parametrize("text", ["eyJhbGciOiJIUzI1NiJ9 alone", f"cut off: eyJ{RANDOM[:30]}"])
def test_the_beginning_of_a_token_alone_is_one(text: str) -> None:
    assert len(find_secrets(text)) == 1
