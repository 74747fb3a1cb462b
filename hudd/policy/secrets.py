"""Finds card numbers, IBANs, keys, tokens and e-mail addresses in a text by their shapes. Pure.

Shapes: card numbers by ISO/IEC 7812 (13 to 19 digits, Luhn), IBAN by ISO 13616 (mod 97), keys and tokens by prefixes
that their makers print (OpenAI, Anthropic, GitHub, GitLab, AWS, Google, Slack, Stripe, npm, PyPI), JWT by RFC 7519, PEM
by RFC 7468. What has none of these shapes, a password for instance, is not found. What stands in several lines or
fields is put together by ``hudd.policy.spread``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["card", "iban", "key", "email"]

LONGEST_TEXT: Final = 100_000

_GAP: Final = r"[ \u00a0.\-]?"
_CARD: Final = re.compile(rf"(?<![\d])\d(?:{_GAP}\d){{12,18}}(?!\d)")
IBAN: Final = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}[ ]?\d{2}(?:[ ]?[A-Z0-9]){11,30}(?![A-Za-z0-9])")
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
    searches: list[tuple[Kind, re.Pattern[str], Callable[[str], int]]] = [
        ("key", _PEM, len),
        ("key", _KEY, len),
        ("iban", IBAN, iban_length),
        ("card", _CARD, _card_length),
    ]
    if email:
        searches.append(("email", EMAIL, len))
    found: list[Secret] = []
    for kind, pattern, length_of in searches:
        for match in pattern.finditer(text[:LONGEST_TEXT]):
            length = length_of(match[0])
            new = Secret(kind, match.start(), match.start() + length)
            if length and not any(new.start < old.end and old.start < new.end for old in found):
                found.append(new)
    return tuple(sorted(found, key=lambda secret: secret.start))


def is_card_number(digits: str) -> bool:
    """Whether 13 to 19 digits have the check digit of ISO/IEC 7812 (Luhn); one digit alone, repeated, is none."""
    if not 13 <= len(digits) <= 19 or not digits.isascii() or not digits.isdigit() or len(set(digits)) == 1:
        return False
    doubled = (int(d) * (1 + place % 2) for place, d in enumerate(reversed(digits)))
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


def is_iban(text: str) -> bool:
    """Whether a text without spaces has the check digits of ISO 13616 (mod 97)."""
    if not re.fullmatch(r"[A-Z]{2}\d{2}[A-Z0-9]{11,30}", text, re.ASCII):
        return False
    return int("".join(str(int(c, 36)) for c in text[4:] + text[:4])) % 97 == 1


def _card_length(text: str) -> int:
    digits = "".join(c for c in text if c.isdigit())
    return len(text) if is_card_number(digits) else 0


def iban_length(text: str) -> int:
    """The length of the longest beginning that is an IBAN, 0 where there is none: a word in capitals may follow it."""
    for end in range(len(text), 14, -1):
        if text[end - 1] != " " and is_iban(text[:end].replace(" ", "")):
            return end
    return 0
