"""Finds secrets that stand in several pieces of text: wrapped keys and tokens, private keys, fields of a form. Pure.

A page of a screen is read piece by piece, a wrapped line is two of them, and reading puts a space or a wrong letter
into a long token now and then. So what follows the beginning of a key counts as part of it by its looks: letters of
both cases and digits that change all the time, as they never do in words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from hudd.policy.secrets import EMAIL, IBAN, Kind, iban_length, is_card_number

MOST_PIECES: Final = 4000
"""Of one page; what comes after them is not put together."""
_MOST_LINES: Final = 120
"""A private RSA key of 8,192 bits has about a hundred."""
_LINE_GAP, _PARAGRAPH_GAP, _WORD_GAP, _FIELD_GAP = 2.0, 4.0, 3.0, 16.0
"""Between two pieces that belong together, in heights: down, down in a private key, along, along in a form."""

_PREFIX: Final = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"(?P<p16>sk-|glpat-|(?:AKIA|ASIA)(?=[A-Z0-9])|[rs]k_(?:live|test)_)|(?P<p10>xox[abeoprs]-|xapp-)"
    r"|(?P<p20>gh[pousr][_,.](?! )|gh[pousr][_,.]?$|github_pat_)|(?P<p30>AIza|npm_|pypi-)|(?P<p17>eyJ)"
    r")"
)
"""How keys begin, and how many characters follow at least; see ``hudd.policy.secrets``. Reading loses underscores."""
_KEY_WORD: Final = re.compile(r"[A-Za-z0-9_\-./+]+=*")
_CLOSING: Final = "\"'`,;)]}>"
_OPENING: Final = "\"'`([{<|+\u21aa\u2502>"
_BEGIN: Final = re.compile(r"-*BEG[I1l]N [A-Z0-9 ]{0,40}PR[I1l]VATE KEY")
_END: Final = re.compile(r"END [A-Z0-9 ]{0,40}PR[I1l]VATE KEY-*")
_KEY_LETTER: Final = re.compile(r"[A-Za-z0-9_\-./+]")
_FULL_LINE: Final = 24
"""A line that wraps is at least so long, in letters."""
_CLEAN, _MOST, _SHORT = 0.9, 0.6, 4
"""Share of a word that was read rightly, share of a line that looks like a key, and letters that look like nothing."""
_PEM_HEADER: Final = re.compile(r"^(?:Proc-Type|DEK-Info|Comment)\s*:")
_GROUPS: Final = (
    re.compile(r"(?<!\d)\d{4}(?: \d{4}){3}(?: \d{3})?(?!\d)"),
    re.compile(r"(?<!\d)3\d{3} \d{6} \d{4,5}(?!\d)"),
)
"""How card numbers are printed, and asked for in forms."""
_ADDRESS_BEGUN: Final = re.compile(r"[\w.+\-]{3,64}@[\w.\-]*$")
_WHOLE_CARD: Final = re.compile(r"(?<!\d)[3-6]\d{14,15}(?!\d)")


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece of a line of text, and where it stands, in any unit."""

    text: str
    left: float
    top: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """Its right edge."""
        return self.left + self.width

    @property
    def bottom(self) -> float:
        """Its lower edge."""
        return self.top + self.height


@dataclass(frozen=True, slots=True)
class Part:
    """Characters of one piece: from ``start`` to before ``end``."""

    piece: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Spread:
    """One secret and all of its parts, the first one first.

    Attributes:
        kind: What it looks like.
        parts: Often of several pieces; one where reading put spaces into it.
        block: Whether all that stands between the first and the last part belongs to it, read or not.
    """

    kind: Kind
    parts: tuple[Part, ...]
    block: bool = False


def pieces_of_lines(text: str) -> tuple[Piece, ...]:
    """The lines of a plain text as pieces, one below the other."""
    return tuple(Piece(line, 0.0, 2.0 * row, float(len(line)), 1.0) for row, line in enumerate(text.split("\n")))


def find_spread(pieces: Sequence[Piece], *, email: bool = False) -> tuple[Spread, ...]:
    """The secrets that go from one piece to the next, or were read with spaces in them.

    Args:
        pieces: Of one page, in any order.
        email: Whether e-mail addresses count.
    """
    page = _Page(pieces[:MOST_PIECES])
    found = [*_private_keys(page), *_keys(page), *_numbers(page)]
    if email:
        found += _addresses(page)
    return tuple(found)


class _Page:
    """Which piece follows which."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self.pieces = pieces
        self._by_top = sorted(range(len(pieces)), key=lambda at: (pieces[at].top, pieces[at].left))
        self._rank = {at: rank for rank, at in enumerate(self._by_top)}

    def row_of(self, at: int, gap: float) -> list[int]:
        """The pieces beside one that belong to it, itself too, from left to right; ``gap`` in heights."""
        own = self.pieces[at]
        beside = [at]
        for near in self._around(at, own.height):
            other = self.pieces[near]
            shared = min(own.bottom, other.bottom) - max(own.top, other.top)
            if near != at and shared > 0.5 * min(own.height, other.height):
                beside.append(near)
        beside.sort(key=lambda one: self.pieces[one].left)
        first = last = beside.index(at)
        while first and self._apart(beside[first - 1], beside[first]) <= gap * own.height:
            first -= 1
        while last + 1 < len(beside) and self._apart(beside[last], beside[last + 1]) <= gap * own.height:
            last += 1
        return beside[first : last + 1]

    def after(self, at: int) -> list[int]:
        """Where a text may go on: beside, or in the next line."""
        row = self.row_of(at, _WORD_GAP)
        return [*row[row.index(at) + 1 :][:1], *self.next_line(at)]

    def next_line(self, at: int, *, down: bool = True, gap: float = _LINE_GAP) -> list[int]:
        """The pieces of the nearest line below (or above) that stand under what belongs to this one."""
        own = self.pieces[at]
        left = self.pieces[self.row_of(at, _WORD_GAP)[0]].left - own.height
        found: list[tuple[float, int]] = []
        for near in self._around(at, (gap + 2.0) * own.height):
            other = self.pieces[near]
            away = other.top - own.bottom if down else own.top - other.bottom
            if -0.3 * own.height <= away <= gap * own.height and other.left <= own.right and other.right >= left:
                found.append((away, near))
        nearest = min((away for away, _ in found), default=0.0)
        return sorted(near for away, near in found if away <= nearest + 0.5 * own.height)

    def _around(self, at: int, reach: float) -> Iterator[int]:
        """Pieces whose tops are near, by walking both ways in the order of the tops."""
        top = self.pieces[at].top
        for step in (-1, 1):
            rank = self._rank[at] + step
            while 0 <= rank < len(self._by_top) and abs(self.pieces[self._by_top[rank]].top - top) <= reach:
                yield self._by_top[rank]
                rank += step

    def _apart(self, left: int, right: int) -> float:
        return self.pieces[right].left - self.pieces[left].right


# Keys and tokens


def _keys(page: _Page) -> Iterator[Spread]:
    for at, piece in enumerate(page.pieces):
        for start, needed in _beginnings(piece.text):
            word = _KEY_WORD.match(piece.text, start)
            after = start + len(word[0]) if word else start
            more, whole = _material(piece.text[after:])
            parts = [Part(at, start, after + more)]
            if whole or not piece.text[after:].strip("_,. "):
                parts += _continued(page, at)
            shown = "".join(page.pieces[part.piece].text[part.start : part.end] for part in parts)
            if (more or len(parts) > 1) and len(shown.replace(" ", "")) >= needed:
                yield Spread("key", tuple(parts))


def _beginnings(text: str) -> Iterator[tuple[int, int]]:
    """Where keys may begin, and how long each is at least, its prefix included."""
    for match in _PREFIX.finditer(text):
        yield match.start(), len(match[0]) + int((match.lastgroup or "p0")[1:])


def _continued(page: _Page, at: int) -> list[Part]:
    """What goes on in the lines below."""
    parts: list[Part] = []
    seen = {at}
    last = [at]
    while last and len(seen) < _MOST_LINES:
        follow = dict.fromkeys(near for one in last for near in page.after(one) if near not in seen)
        above, last = last, list[int]()
        for near in follow:
            seen.add(near)
            text = page.pieces[near].text
            end, whole = _material(text)
            if not end and _is_tail(page, above, near):
                end, whole = len(text.rstrip(_CLOSING + " ")), False
            if end:
                parts.append(Part(near, 0, end))
                last += [near] if whole else []
    return parts


def _material(text: str) -> tuple[int, bool]:
    """How many characters at the beginning look like a part of a key, and whether it goes on to the end of the text.

    Reading leaves pieces of two or three letters, which look like nothing; so most of a line decides for all of it.
    """
    words = list(re.finditer(r"\S+", text))
    looks = [_looks(word[0].strip(_OPENING + _CLOSING)) for word in words]
    sizes = [len(word[0]) for word in words]
    known = sum(size for size, look in zip(sizes, looks, strict=True) if look)
    if 2 not in looks and _looks("".join(text.split())) != 2:
        return 0, False
    mostly = known >= _MOST * sum(sizes)
    taken = len(words)
    if not mostly:
        plain = (at for at, (size, look) in enumerate(zip(sizes, looks, strict=True)) if not look and size > _SHORT)
        taken = next(plain, len(words))
        if 2 not in looks[:taken]:
            return 0, False
    while not looks[taken - 1] and sizes[taken - 1] > _SHORT:
        taken -= 1
    goes_on = (mostly or taken == len(words)) and words[-1][0][-1] not in _CLOSING
    return words[taken - 1].end(), goes_on


def _looks(word: str) -> int:
    """0 for a word as people write it, 1 for one that may be a part of a key, 2 for one that is nothing else."""
    letters = _KEY_LETTER.findall(word)
    if len(letters) <= _SHORT or len(letters) < _CLEAN * len(word):
        return 0
    classes = [0 if c.isdigit() else 1 if c.islower() else 2 for c in letters if c.isalnum()]
    changes = sum(a != b for a, b in pairwise(classes))
    if changes < max(2, len(word) // 5):
        return 0
    with_digits = len(word) >= 8 and 0 in classes and changes >= 3
    return 2 if with_digits or (len(word) >= 12 and 3 * changes >= len(word)) else 1


def _is_tail(page: _Page, above: Sequence[int], at: int) -> bool:
    """Whether a short last word is left over from a full line above it, alone in its line."""
    piece = page.pieces[at]
    text = piece.text.strip(_OPENING + _CLOSING + " ")
    if not _KEY_WORD.fullmatch(text) or len(page.row_of(at, _WORD_GAP)) > 1:
        return False
    full = (page.pieces[one] for one in above if len(page.pieces[one].text) >= _FULL_LINE)
    return any(piece.right <= line.right and len(text) <= len(line.text) for line in full)


# Private keys


def _private_keys(page: _Page) -> Iterator[Spread]:
    for at, piece in enumerate(page.pieces):
        match = _BEGIN.search(piece.text)
        if match and not _END.search(piece.text, match.end()):
            parts = [Part(at, match.start(), len(piece.text)), *_body(page, at, down=True)]
        elif not match and (match := _END.search(piece.text)):
            parts = [*reversed(_body(page, at, down=False)), Part(at, 0, match.end())]
        else:
            continue
        begun = any(_BEGIN.search(page.pieces[part.piece].text) for part in parts[:-1])
        if len(parts) > 1 and (match.re is _BEGIN or not begun):
            yield Spread("key", tuple(parts), block=True)


def _body(page: _Page, at: int, *, down: bool) -> list[Part]:
    """The lines from one end of a private key to its other end, or as far as they look like it.

    Where the other end is there, half of the lines may have been read so badly that they look like nothing.
    """
    lines: list[Part] = []
    certain = odd = rows = good = 0
    other_end = _END if down else _BEGIN
    last, seen = [at], {at}
    while last and len(seen) < _MOST_LINES:
        follow = dict.fromkeys(
            near for one in last for near in page.next_line(one, down=down, gap=_PARAGRAPH_GAP) if near not in seen
        )
        last = [*follow]
        seen.update(last)
        texts = [page.pieces[near].text for near in last]
        ends = [other_end.search(text) for text in texts]
        for near, text, end in zip(last, texts, ends, strict=True):
            lines.append(Part(near, 0, end.end() if end else len(text)))
        if any(ends) and 2 * good >= rows:
            return lines
        rows += 1
        if any(_material(text)[0] or _PEM_HEADER.match(text) for text in texts):
            good += 1
            certain, odd = (len(lines), 0) if odd < 2 else (certain, odd)
        else:
            odd += 1
    return lines[:certain]


# Numbers and addresses


def _numbers(page: _Page) -> Iterator[Spread]:
    for at in range(len(page.pieces)):
        row = page.row_of(at, _FIELD_GAP)
        if row[0] == at and len(row) > 1:
            yield from _joined(page, row, " ", _cards(_GROUPS))
            yield from _joined(page, row, " ", _ibans)
        for below in page.next_line(at):
            if page.row_of(below, _WORD_GAP)[0] == below:
                yield from _joined(page, [at, below], " ", _cards(_GROUPS))
                yield from _joined(page, [at, below], " ", _ibans)
                yield from _joined(page, [at, below], "", _ibans)
                if page.pieces[below].right <= page.pieces[at].right:
                    yield from _joined(page, [at, below], "", _cards((_WHOLE_CARD,)))


Search = Callable[[str], Iterator[tuple[Kind, int, int]]]


def _cards(patterns: Sequence[re.Pattern[str]]) -> Search:
    def search(text: str) -> Iterator[tuple[Kind, int, int]]:
        for pattern in patterns:
            for match in pattern.finditer(text):
                if is_card_number(match[0].replace(" ", "")):
                    yield "card", match.start(), match.end()

    return search


def _ibans(text: str) -> Iterator[tuple[Kind, int, int]]:
    for match in IBAN.finditer(text):
        length = iban_length(match[0])
        if length:
            yield "iban", match.start(), match.start() + length


def _addresses(page: _Page) -> Iterator[Spread]:
    def search(text: str) -> Iterator[tuple[Kind, int, int]]:
        for match in EMAIL.finditer(text):
            yield "email", match.start(), match.end()

    for at, piece in enumerate(page.pieces):
        if _ADDRESS_BEGUN.search(piece.text) and not EMAIL.search(piece.text[-64:]):
            for below in page.next_line(at):
                yield from _joined(page, [at, below], "", search)


def _joined(page: _Page, row: Sequence[int], glue: str, search: Search) -> Iterator[Spread]:
    """What a search finds in several pieces as one text, where it lies in more than one of them."""
    text, starts = "", list[int]()
    for at in row:
        text += glue if starts else ""
        starts.append(len(text))
        text += page.pieces[at].text
    for kind, start, end in search(text):
        parts = [
            Part(at, max(0, start - begin), min(len(page.pieces[at].text), end - begin))
            for at, begin in zip(row, starts, strict=True)
            if start < begin + len(page.pieces[at].text) and begin < end
        ]
        if len(parts) > 1:
            yield Spread(kind, tuple(parts))
