"""Finds card numbers, IBANs, keys, tokens and e-mail addresses in a text by their shapes. Pure.

Shapes: card numbers by ISO/IEC 7812 (13 to 19 digits, Luhn), IBAN by ISO 13616 (mod 97), keys and tokens by prefixes
that their makers print (OpenAI, Anthropic, GitHub, GitLab, AWS, Google, Slack, Stripe, npm, PyPI), JWT by RFC 7519, PEM
by RFC 7468. What has none of these shapes, a password for instance, is not found. What stands in several lines or
fields is put together by ``hudd.policy.spread``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["card", "iban", "key", "email"]

LONGEST_TEXT: Final = 100_000

_GAP: Final = r"[ \u00a0.\-]?"
_CARD: Final = re.compile(rf"(?<![\d])\d(?:{_GAP}\d){{12,18}}(?!\d)")
_PRINTED: Final = tuple(
    re.compile(rf"(?<!\d)(?<!\d\.)(?=((?:[3-6]\d|2[2-7])\d\d{rest})(?!\d))")
    for rest in (
        rf"(?:{_GAP}\d{{4}}){{3}}{_GAP}\d{{3}}",
        rf"(?:{_GAP}\d{{4}}){{3}}",
        rf"{_GAP}\d{{6}}{_GAP}\d{{4,5}}",
        r"\d{9,15}",
    )
)
"""How card numbers are printed; other numbers may stand beside them, an expiry date for instance."""
_IBAN: Final = re.compile(r"(?<![A-Za-z0-9])(?=([A-Z]{2}[ ]?[0-9]{2}(?:[ ]?[A-Z0-9]){11,30})(?![A-Za-z0-9]))")
_KEY: Final = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"sk-[A-Za-z0-9_\-]{16,}"  # OpenAI, Anthropic and those that follow them
    r"|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}"
    r"|glpat-[A-Za-z0-9_\-]{16,}"
    r"|(?:AKIA|ASIA)[A-Z0-9]{16}"
    r"|AIza[A-Za-z0-9_\-]{30,}"
    r"|xox[abeoprs]-[A-Za-z0-9\-]{10,}|xapp-[A-Za-z0-9\-]{10,}"
    r"|[rs]k_(?:live|test)_[A-Za-z0-9]{16,}"
    r"|npm_[A-Za-z0-9]{30,}|pypi-[A-Za-z0-9_\-]{30,}"
    r"|eyJ[A-Za-z0-9_\-]{17,}(?:\.[A-Za-z0-9_\-]+){0,4}"  # also the beginning alone, or where reading lost a dot
    r")"
)
_PEM: Final = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY-----|\Z)", re.DOTALL
)
EMAIL: Final = re.compile(r"(?<![\w.+\-])[\w.+\-]{1,64}@(?:[\w\-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![\w])")


@dataclass(frozen=True, slots=True)
class Secret:
    """One place in a text.

    Attributes:
        kind: What it looks like.
        start: First character.
        end: One after the last character.
    """

    kind: Kind
    start: int
    end: int


def find_secrets(text: str, *, email: bool = False) -> tuple[Secret, ...]:
    """Everything that has the shape of a secret, in order, without overlaps.

    Args:
        text: Of any origin.
        email: Whether e-mail addresses count.
    """
    text = text[:LONGEST_TEXT]
    searches: list[tuple[Kind, Iterable[tuple[int, int]]]] = [
        ("key", (match.span() for match in _PEM.finditer(text))),
        ("key", (match.span() for match in _KEY.finditer(text))),
        ("iban", ibans(text)),
        ("card", spaced_cards(text)),
        ("card", printed_cards(text)),
    ]
    if email:
        searches.append(("email", (match.span() for match in EMAIL.finditer(text))))
    spans = [(*span, rank) for rank, (_, places) in enumerate(searches) for span in places]
    whole: list[tuple[int, int, int]] = []
    for start, end, rank in sorted(spans):
        if whole and start < whole[-1][1]:
            whole[-1] = (whole[-1][0], max(end, whole[-1][1]), min(rank, whole[-1][2]))
        else:
            whole.append((start, end, rank))
    return tuple(Secret(searches[rank][0], start, end) for start, end, rank in whole)


def spaced_cards(text: str) -> Iterator[tuple[int, int]]:
    """From where to where card numbers go, however they are spaced, where no other number stands beside them."""
    for match in _CARD.finditer(text):
        if _is_spaced_card(match[0]):
            yield match.span()


def printed_cards(text: str) -> Iterator[tuple[int, int]]:
    """From where to where card numbers go that are grouped as on cards, whatever stands beside them; some overlap.

    Only those: some digits of every row of numbers have a right check digit.
    """
    for pattern in _PRINTED:
        for match in pattern.finditer(text):
            if _is_spaced_card(match[1]):
                yield match.span(1)


def ibans(text: str) -> Iterator[tuple[int, int]]:
    """From where to where IBANs go; a word in capitals may follow one."""
    for match in _IBAN.finditer(text):
        length = _iban_length(match[1])
        if length:
            yield match.start(), match.start() + length


def is_card_number(digits: str) -> bool:
    """Whether 13 to 19 digits have the check digit of ISO/IEC 7812 (Luhn); one digit alone, repeated, is none."""
    if not 13 <= len(digits) <= 19 or not digits.isascii() or not digits.isdigit() or len(set(digits)) == 1:
        return False
    doubled = (int(d) * (1 + place % 2) for place, d in enumerate(reversed(digits)))
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


def _is_spaced_card(text: str) -> bool:
    return is_card_number("".join(c for c in text if c.isdigit()))


def _iban_length(text: str) -> int:
    """The length of the longest beginning that is an IBAN, of a text of its shape; 0 where there is none."""
    head = longest = rest = letters = 0
    for end, letter in enumerate(text, start=1):
        if letter == " ":
            continue
        letters += 1
        if letters <= 4:
            head = head * (10 if letter.isdigit() else 100) + int(letter, 36)
            continue
        rest = (rest * (10 if letter.isdigit() else 100) + int(letter, 36)) % 97
        if letters >= 15 and (rest * 1_000_000 + head) % 97 == 1:  # a country's two letters and two digits go last
            longest = end
    return longest
