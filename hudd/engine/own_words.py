"""Which lines on a picture are hudd's own notes, shown by ``hudctl`` in a window that is itself on the screen. Pure.

Without this a note would quote the printed note before it, and the next one would quote that. A line is own words when
it stands in a block of lines that bears a mark of ours (how our sentences begin, what ``hudctl try`` says), and either
most of it was in a recent answer, or it has the form in which ``hudctl`` prints notes. What stands in no such block is
never taken for our own, even when a note quoted it word for word.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from hudd.engine.evidence import KINDS
from hudd.engine.findings import Area, Reading, TextLine, around
from hudd.engine.layout import blocks_of, rows_of
from hudd.engine.phrases import (
    ANOTHER_SCREEN,
    BEGINNINGS,
    LEADS,
    LOOKS_LIKE,
    NOTHING_CHANGED,
    ONLY_OWN_NEW,
    RARE_SENTENCES,
    skeleton,
)

ENOUGH: Final = 0.6  # share of a line's letter triples; 7 of 10 words, with room for misread letters
SOME: Final = 0.35  # enough for a line between two own ones
SIDE_GAP: Final = 2.5  # in heights: hudctl puts two spaces between time, source and text
FOOTER_GAP: Final = 8.0  # the dots between the parts of a snap's footer are often not read
MOST_FOOTER_PARTS: Final = 5  # number, source, time, and one of them in two
OPENING: Final = 24  # letters by which the beginning of a sentence is known
SHORT: Final = 4  # fewer letters say nothing by themselves
MOST_ABOVE_FOOTER: Final = 14  # rows of a snap's text

# What `hudctl try` says before and after its notes; a test holds it to the program.
TRIAL_SENTENCES: Final = (
    "Trying hudd: local engine, temporary folders, no key; nothing leaves this machine.",
    "So here are pictures that ship with hudd instead.",
    "seconds (ctrl-C ends it).",
    "Cost: nothing, the local engine is free.",
    "At the real service the same questions would have cost",
    "Nothing is left running; the temporary folders are removed.",
)
_TRIAL_REST: Final = (
    "Watching screen by mss xshmgetimage on for 40 seconds (ctrl-C ends it).",
    "Watching pictures for 40 seconds (ctrl-C ends it).",
    "Done: looked 41 times, asked 8 times, wrote 8 notes. Cost: nothing, the local engine is free.",
    "would have cost $0.0268 with gpt-realtime-1.5, $0.0042 with gpt-realtime-2.1-mini.",
)

_DIGIT: Final = r"[\dOQolIi|SsBZ@?]"  # what recognition makes of digits
_TIME: Final = rf"{_DIGIT}{{2}}\S?\s?{_DIGIT}{{2}}\S?\s?{_DIGIT}{{2}}\s+[A-Z+-][A-Za-z\d:]{{1,5}}\b"
_NUMBER: Final = rf"(?:[#H]\s?\S{{1,7}}|\S{{0,2}}{_DIGIT}{{1,6}})"  # #1042, of which letters may be misread
_PREFIX: Final = re.compile(
    rf"^\W{{0,3}}[JlI]?{_TIME}(?:\s+{_NUMBER}(?=\s|$))?(?:\s+\S+(?:\s\S{{1,2}})??(?:\s+|$))?(?:(?:unchanged|failed):\s*)?"
)
# Time, number and source: nobody else begins a line so, whatever follows.
_NUMBERED: Final = re.compile(rf"^\W{{0,3}}[JlI]?{_TIME}\s+[#H]\s?{_DIGIT}+(?:\s|$)")
_FOOTER: Final = re.compile(rf"(?:#|H)\s?{_DIGIT}+\b.*{_TIME}.*\b[l1I|]oca[l1I|]\b")
_FOOTER_WRITER: Final = skeleton("local, hudd-local")
_FOOTER_BEGIN: Final = re.compile(rf"^\W*[#H]?\s?{_DIGIT}+\b")
_FOOTER_END: Final = re.compile(r"^\W*(?:[\d.,\u00ae@O]+|(?:[\d.,\u00ae@O]+ )?m?s\b.*|free|cut)\W*$")
_LEAD: Final = re.compile(r"\b(?:New|New error|It reads|Still shown|It shows an error)\s?[:;.?t]\s?['\"\u2018-\u201f]")

_Row = tuple[TextLine, ...]


def _triples(text: str) -> frozenset[str]:
    return frozenset(text[index : index + 3] for index in range(len(text) - 2))


def _phrase(text: str, most: int | None = None) -> tuple[str, frozenset[str]]:
    letters = skeleton(text)[:most]
    return letters, _triples(letters)


_OPENINGS: Final = tuple(
    _phrase(text, OPENING) for text in (*(f"{LOOKS_LIKE} {kind}" for kind in KINDS), *BEGINNINGS, *RARE_SENTENCES)
)
_MARKS: Final = (*_OPENINGS, *(_phrase(text) for text in TRIAL_SENTENCES))
_FIXED: Final = frozenset[str]().union(
    *(triples for _, triples in _MARKS),
    *(
        _phrase(text)[1]
        for text in (*_TRIAL_REST, *RARE_SENTENCES, *LEADS, NOTHING_CHANGED, ANOTHER_SCREEN, ONLY_OWN_NEW)
    ),
)


def set_aside(reading: Reading, answers: Sequence[str]) -> Reading:
    """Move the lines that show our own notes out of ``lines`` into ``own_lines``.

    Args:
        reading: What was read.
        answers: The recent answers, of all streams; empty after a restart, when only the printed form is known.
    """
    rows = rows_of(reading.lines, SIDE_GAP)
    known = [_triples(skeleton(answer)) for answer in reversed(answers)]
    footers = _footers(reading.lines)
    own: set[TextLine] = set()
    areas: list[Area] = []
    for block in blocks_of(rows):
        signed = any(line in footers for row in block for line in row)
        if not signed and not any(_bears_mark(_with_next(block, index)) for index in range(len(block))):
            continue
        here = _own_of_block(block, known, footers)
        if here:
            own |= here
            areas.append(around(line.area for line in here))
    if not own:
        return reading
    return replace(
        reading,
        lines=tuple(line for line in reading.lines if line not in own),
        own_lines=tuple(line for line in reading.lines if line in own),
        own_areas=tuple(areas),
    )


def _footers(lines: Sequence[TextLine]) -> set[TextLine]:
    """The pieces of what ``hudctl snap`` and ``try`` print below a note: ``#18 · eDP-1 · 10:31:06 CET · local …``."""
    found: set[TextLine] = set()
    for row in rows_of(lines, FOOTER_GAP):
        text = _text(row)
        if not _FOOTER.search(text) and _FOOTER_WRITER not in skeleton(text):
            continue
        writer = next((index for index, line in enumerate(row) if "local" in skeleton(line.text)), len(row) - 1)
        lowest = max(0, writer - MOST_FOOTER_PARTS)
        begins = [index for index in range(lowest, writer + 1) if _FOOTER_BEGIN.match(row[index].text)]
        found.update(row[begins[0] if begins else writer : writer + 1])
        found.update(line for line in row[writer + 1 : writer + 4] if _FOOTER_END.match(line.text))
    return found


def _own_of_block(block: Sequence[_Row], known: Sequence[frozenset[str]], footers: set[TextLine]) -> set[TextLine]:
    shares = [[_share(skeleton(line.text), known) for line in row] for row in block]
    by_form = _rows_by_form(block, footers)
    own = {line for row in block for line in row if line in footers}
    for index, row in enumerate(block):
        if index in by_form:
            own.update(row)
            continue
        prefix = _PREFIX.match(_text(row))
        begin = prefix.end() if prefix is not None and any(share >= ENOUGH for share in shares[index]) else 0
        offset = 0
        for line, share in zip(row, shares[index], strict=True):
            if share >= ENOUGH or offset + len(line.text) < begin:
                own.add(line)
            offset += len(line.text) + 1
    whole = [all(line in own for line in row) for row in block]
    for index, row in enumerate(block):
        above = index > 0 and whole[index - 1]
        below = index + 1 < len(block) and whole[index + 1]
        for line, share in zip(row, shares[index], strict=True):
            short = len(skeleton(line.text)) < SHORT and (above or below or any(other in own for other in row))
            if short or (above and below and share >= SOME):
                own.add(line)
    return own


def _rows_by_form(block: Sequence[_Row], footers: set[TextLine]) -> set[int]:
    """The rows that are printed notes by their form alone.

    That is a head with the rows indented below it (``follow``, ``notes``), what stands between the beginning of one of
    our sentences and a footer (``snap``, ``try``), and sentences that never vary.
    """
    found: set[int] = set()
    head: TextLine | None = None
    begin: int | None = None
    for index, row in enumerate(block):
        text = _text(row)
        prefix = _PREFIX.match(text)
        if prefix is not None:
            ours = _NUMBERED.match(text) or _begins_as_ours(_with_next(block, index)[prefix.end() :].lstrip())
            head = row[0] if ours else None
        elif head is not None and row[0].left < head.left + 2.5 * _letter_width(head):
            head = None
        if head is not None:
            found.add(index)
        elif any(line in footers for line in row):
            if begin is not None and index - begin <= MOST_ABOVE_FOOTER:
                found.update(range(begin, index))
            begin = None
        elif _share(skeleton(text), ()) >= ENOUGH and len(skeleton(text)) >= 3 * SHORT:
            found.add(index)
        if begin is None and prefix is None and _begins_as_ours(_with_next(block, index)):
            begin = index
    return found


def _letter_width(line: TextLine) -> float:
    return line.width / max(1, len(line.text))


def _text(row: _Row) -> str:
    return " ".join(line.text for line in row)


def _with_next(block: Sequence[_Row], index: int) -> str:
    """A row's text with that of the row below it: a terminal may have broken a sentence anywhere."""
    below = f" {_text(block[index + 1])}" if index + 1 < len(block) else ""
    return _text(block[index]) + below


def _share(letters: str, known: Sequence[frozenset[str]]) -> float:
    """The largest share of a text's letter triples that one known text has."""
    if len(letters) < SHORT:
        return 0.0
    triples = _triples(letters)
    return max(len(triples & text) / len(triples) for text in (*known, _FIXED))


def _bears_mark(text: str) -> bool:
    return bool(_NUMBERED.match(text) or _LEAD.search(text)) or _holds(skeleton(text), _MARKS)


def _begins_as_ours(text: str) -> bool:
    return bool(_LEAD.match(text)) or _holds(skeleton(text), _OPENINGS, within=6)


def _holds(letters: str, phrases: Sequence[tuple[str, frozenset[str]]], within: int | None = None) -> bool:
    """True when one of the phrases stands in the text, with about one letter in ten misread at most.

    Args:
        letters: The text's skeleton.
        phrases: What to look for.
        within: The phrase has to begin in so many letters; None for anywhere.
    """
    for phrase, triples in phrases:
        part = letters if within is None else letters[: within + len(phrase)]
        if phrase in part:
            return True
        allowed = len(phrase) // 9
        if not allowed or len(part) < len(phrase) - allowed:
            continue
        size = len(phrase) // (allowed + 1)  # one piece of so many stays whole
        pieces = [(at, phrase[at : at + size]) for at in range(0, len(phrase) - size + 1, size)]
        for at, piece in pieces:
            place = part.find(piece)
            while place >= 0:
                begin = max(0, place - at - allowed)
                seen = _triples(part[begin : place - at + len(phrase) + allowed])
                if len(triples & seen) >= len(triples) - 3 * allowed:
                    return True
                place = part.find(piece, place + 1)
    return False
