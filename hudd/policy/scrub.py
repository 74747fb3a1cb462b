"""Takes secrets out of a text. Pure."""

from __future__ import annotations

from typing import Final

from hudd.policy.page import pieces_of_lines
from hudd.policy.secrets import Kind, find_secrets
from hudd.policy.spread import find_spread

REPLACEMENT: Final[dict[Kind, str]] = {
    "card": "[card number]",
    "iban": "[IBAN]",
    "key": "[key]",
    "email": "[e-mail]",
}


def scrub(text: str, *, email: bool = False) -> str:
    """The text with a word in place of everything that has the shape of a secret, wrapped or not."""
    parts: list[str] = []
    place = 0
    for start, end, word in _spans(text, email=email):
        parts += [text[place:start], word]
        place = end
    return "".join([*parts, text[place:]])


def _spans(text: str, *, email: bool) -> list[tuple[int, int, str]]:
    """From where to where, and what comes there; without overlaps, in order."""
    spans = [(secret.start, secret.end, REPLACEMENT[secret.kind]) for secret in find_secrets(text, email=email)]
    pieces = pieces_of_lines(text)
    begins = [0]
    for piece in pieces:
        begins.append(begins[-1] + len(piece.text) + 1)
    for spread in find_spread(pieces, email=email):
        word = REPLACEMENT[spread.kind]
        for part in spread.parts:
            spans.append((begins[part.piece] + part.start, begins[part.piece] + part.end, word))
            word = ""
    whole: list[tuple[int, int, str]] = []
    for start, end, word in sorted(spans):
        if whole and start < whole[-1][1]:
            whole[-1] = (whole[-1][0], max(end, whole[-1][1]), whole[-1][2] or word)
        else:
            whole.append((start, end, word))
    return whole
