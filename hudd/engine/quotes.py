"""What a note quotes: which lines may be quoted, are new, say most, and how they stand in a sentence. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from hudd.engine.findings import Reading, TextLine, around
from hudd.engine.layout import rows_of
from hudd.engine.phrases import clean, is_error, shorten, skeleton

QUOTE_CONFIDENCE: Final = 0.7  # below it a line is not quoted
LONG_CONFIDENCE: Final = 0.62  # over three words and more, doubt about one of them weighs less
SHORT_CONFIDENCE: Final = 0.8
SHORT_TEXT: Final = 12
LONGEST_QUOTE: Final = 110
MOST_QUOTES: Final = 5
ROW_GAP: Final = 2.5  # in heights: the columns of a listing stand closer, those of two windows rarely do

_NUMBER: Final = re.compile(r"[$€£]\s?\d|\d\s?(%|[KMGT]i?B\b|°|ms\b|k?W\b|V\b|fps\b|€|£)")
_FURNITURE: Final = re.compile(
    r"^\W*File\b.*\bEdit\b|\bLn \d+, ?Col|^Spaces: ?\d|\bUTF-8\b|^\W*(PROBLEMS|OUTPUT|DEBUG CONSOLE|TERMINAL|PORTS"
    r"|OUTLINE|TIMELINE|EXPLORER)\W*$"
)
_SENTENCE: Final = re.compile(r"^\W{0,2}[A-Z].*[a-z].*[.!?]['\")]?$")
_COMMAND: Final = re.compile(r"^[\w.@~/ :()-]{0,50}[$#%\u276f\u279c>] ?[a-z./~][\w./~-]*( |$)")
_EMPTY_PROMPT: Final = re.compile(
    r"^\S{0,60}[:~\w\])] ?[$#%\u276f\u279c] ?\w{0,2}$"
)  # a cursor is read as a letter or two
_NEAR_ROWS: Final = 4
_WHOLE_WORD: Final = re.compile(r"(?<![^\s(\['\"])[^\W\d_]{2,}(?![^\s).,:;!?'\"\]])")  # not parts of paths or names
_LEAST_REPEATED: Final = 8  # letters from which a line inside another line is a repetition


@dataclass(frozen=True, slots=True)
class Room:
    """What a sentence may take."""

    chars: int
    words: int

    def less(self, sentence: str) -> Room:
        """The room after a sentence and a space."""
        return Room(self.chars - len(sentence) - 1, self.words - len(sentence.split())) if sentence else self


def quotable(line: TextLine) -> bool:
    """True when a line was read well enough, and is words enough, to be quoted."""
    text = clean(line.text)
    long = len(_WHOLE_WORD.findall(text)) >= 3 and len(text) > 2 * SHORT_TEXT
    if line.confidence < (LONG_CONFIDENCE if long else QUOTE_CONFIDENCE):
        return False
    letters = sum(c.isalnum() for c in text)
    if letters < 2 or letters < 0.5 * sum(not c.isspace() for c in text):
        return False
    if len(text) < SHORT_TEXT and line.confidence < SHORT_CONFIDENCE:  # icons read as letters are short
        return False
    return bool(re.search(r"[^\W\d_]{3,}|\d{2,}|^[A-Z]{2,}$", text))


def joined(lines: Iterable[TextLine]) -> list[TextLine]:
    """The quotable lines, those that stand closely beside each other (columns of a listing) as one; reading order."""
    return reading_order(_as_one(row) for row in rows_of(filter(quotable, lines), ROW_GAP))


def _as_one(row: Sequence[TextLine]) -> TextLine:
    if len(row) == 1:
        return row[0]
    box = around(line.area for line in row)
    confidence = min(line.confidence for line in row)
    return TextLine(" ".join(line.text for line in row), box.left, box.top, box.width, box.height, confidence)


def new_lines(now: Reading, before: Reading) -> list[TextLine]:
    """The quotable lines of ``now`` whose words were not on the picture before, in reading order.

    A line outside every changed rectangle is never new: it was there and was only read later. Letters that text
    recognition confuses (``0``/``O``, ``1``/``l``) make no line new. Of a row in pieces the new ones count, with what
    stands between them; the whole row when most of it is new.
    """
    fresh = set(_new_pieces(now, before))
    found: list[TextLine] = []
    for row in rows_of(filter(quotable, now.lines), ROW_GAP):
        places = [index for index, line in enumerate(row) if line in fresh]
        if not places:
            continue
        part = row[places[0] : places[-1] + 1]
        letters = sum(len(line.text) for line in row)
        found.append(_as_one(row if 2 * sum(len(row[index].text) for index in places) >= letters else part))
    return reading_order(found)


def _new_pieces(now: Reading, before: Reading) -> Iterable[TextLine]:
    old_lines = before.lines + before.own_lines
    seen = {skeleton(line.text) for line in old_lines}
    for line in now.lines:
        words = skeleton(line.text)
        if not quotable(line) or words in seen:
            continue
        if now.picture.compared and not any(line.area.overlaps(area) for area in now.picture.changed_areas):
            continue
        here = [old for old in old_lines if old.area.overlaps(line.area)]
        if words in "".join(skeleton(old.text) for old in sorted(here, key=lambda old: old.left)):
            continue  # the same row, cut into pieces elsewhere
        yield line


def _interest(line: TextLine) -> float:
    """How much a person would want this line quoted: sentences before labels, figures before ornaments."""
    text = clean(line.text)
    words = _WHOLE_WORD.findall(text)
    score = (1.0 + min(len(words), 10) + min(len(text), 90) / 30.0) * line.confidence**2
    if _NUMBER.search(text):
        score += 1.5
    if _SENTENCE.search(text) or _COMMAND.search(text):
        score += 2
    if is_error(text):
        score += 6
    solid = sum(not c.isspace() for c in text)
    return score * (sum(c.isalnum() for c in text) / max(1, solid)) ** 2


def _by_interest(lines: Iterable[TextLine]) -> list[TextLine]:
    """Most interesting first, each text once; a third line of one block waits, so that no block fills the note."""
    ranked: list[TextLine] = []
    near: list[TextLine] = []
    for line in sorted(without_repeated(lines), key=lambda one: (-_interest(one), one.top, one.left)):
        crowd = sum(_are_near(line, other) for other in ranked[:MOST_QUOTES])
        (near if crowd >= 2 else ranked).append(line)
    return ranked[:MOST_QUOTES] + sorted(near + ranked[MOST_QUOTES:], key=lambda one: -_interest(one))


def without_repeated(lines: Iterable[TextLine]) -> list[TextLine]:
    """The lines without those whose words stand in another one: what a command printed and the command line tells."""
    kept: list[TextLine] = []
    texts: list[str] = []
    for line in sorted(lines, key=lambda one: (-len(skeleton(one.text)), one.top, one.left)):
        words = skeleton(line.text)
        if words in texts or (len(words) >= _LEAST_REPEATED and any(words in text for text in texts)):
            continue
        kept.append(line)
        texts.append(words)
    return reading_order(kept)


def worth_quoting(lines: Iterable[TextLine]) -> list[TextLine]:
    """The lines by interest; a program's furniture and single words only when there is nothing else."""
    ranked = _by_interest(lines)
    speaking = [line for line in ranked if not _FURNITURE.search(line.text)] or ranked
    return [line for line in speaking if _says_something(line.text)] or speaking


def _says_something(text: str) -> bool:
    if _EMPTY_PROMPT.search(clean(text)):
        return False
    words = sum(any(c.isalpha() for c in word) for word in clean(text).split())
    return words > 1 or is_error(text) or bool(_NUMBER.search(text))


def _are_near(one: TextLine, other: TextLine) -> bool:
    reach = _NEAR_ROWS * max(one.height, other.height)
    return abs(one.top - other.top) <= reach and abs(one.left - other.left) <= 2 * reach


def reading_order(lines: Iterable[TextLine]) -> list[TextLine]:
    """Top to bottom, then left to right."""
    return sorted(lines, key=lambda line: (line.top, line.left))


def quotes(lead: str, lines: Sequence[TextLine], room: Room, more: int = 0) -> str:
    """``lead "a"; "b" and 3 more lines.`` within the room; empty when not even one quotation fits.

    Args:
        lead: How the sentence begins.
        lines: What to quote, in this order; the last ones are left out when there is no room.
        room: The first quotation may pass its words, never its characters.
        more: Further lines to count at the end.
    """
    quoted = [f'"{shorten(clean(line.text), LONGEST_QUOTE)}"' for line in lines]
    for count in range(len(quoted), 0, -1):
        left = more + len(quoted) - count if more else 0
        rest = f" and {left} more {'line' if left == 1 else 'lines'}" if left else ""
        sentence = f"{lead} {'; '.join(quoted[:count])}{rest}."
        if len(sentence) <= room.chars and (count == 1 or len(sentence.split()) <= room.words):
            return sentence
    if lines:
        space = room.chars - len(lead) - 4
        if space >= 12:
            return f'{lead} "{shorten(clean(lines[0].text), space)}".'
    return ""
