"""Finds secrets that stand in several pieces of text: wrapped keys and tokens, private keys, fields of a form. Pure.

A page of a screen is read piece by piece, a wrapped line is two of them, and reading puts a space or a wrong letter
into a long token now and then. So what follows the beginning of a key counts as part of it by its looks: letters of
both cases and digits that change all the time, as they never do in words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from hudd.policy.page import WORD_GAP, Page, Piece, TooManyStepsError
from hudd.policy.secrets import EMAIL, Kind, ibans, is_card_number, printed_cards

_MOST_LINES: Final = 120
"""A private RSA key of 8,192 bits has about a hundred."""
_PARAGRAPH_GAP, _FIELD_GAP = 4.0, 16.0
"""Between two pieces that belong together, in heights: down in a private key, along in a form."""

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
_BEGIN: Final = re.compile(r"(?<!-)-*BEG[I1l]N [A-Z0-9 ]{0,40}PR[I1l]VATE KEY")
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
"""How card numbers of any issuer are asked for in forms."""
_ADDRESS_BEGUN: Final = re.compile(r"[\w.+\-]{3,64}@[\w.\-]*$")
_LONGEST_ADDRESS: Final = 64 + 1 + 253
_WHOLE_CARD: Final = re.compile(r"(?<!\d)[3-6]\d{14,15}(?!\d)")


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


def find_spread(pieces: Sequence[Piece], *, email: bool = False) -> tuple[Spread, ...]:
    """The secrets that go from one piece to the next, or were read with spaces in them.

    A page that takes too many steps is one secret as a whole: nobody knows what is in it.

    Args:
        pieces: Of one page, in any order.
        email: Whether e-mail addresses count.
    """
    page = Page(pieces)
    try:
        found = [*_private_keys(page), *_keys(page), *_numbers(page)]
        if email:
            found += _addresses(page)
    except TooManyStepsError:
        found = [Spread("key", tuple(Part(at, 0, len(piece.text)) for at, piece in enumerate(pieces)), block=True)]
    return tuple(found)


# Keys and tokens


def _keys(page: Page) -> Iterator[Spread]:
    walked: set[int] = set()
    for at, piece in enumerate(page.pieces):
        after = size = 0
        parts: list[Part] = []
        on: list[int] = []
        joins = found = False
        for start, needed in _beginnings(piece.text):
            if start >= after:
                match = _KEY_WORD.match(piece.text, start)
                after = match.end() if match else start
                parts, on, joins = _from_word(page, at, after, walked)
                size = sum(len(page.pieces[part.piece].text[part.start : part.end].replace(" ", "")) for part in parts)
                found = False
            long_enough = size and after - start + size >= needed
            if not found and (joins or long_enough):  # once for each word: its other beginnings lie in the same parts
                found = True
                walked.update(on)
                yield Spread("key", (Part(at, start, parts[0].end), *parts[1:]))


def _from_word(page: Page, at: int, after: int, walked: Collection[int]) -> tuple[list[Part], list[int], bool]:
    """What goes on from a word of a piece on, as ``_continued`` says it; the first part is of the word's own piece."""
    rest = page.pieces[at].text[after:]
    page.step(len(rest))
    more, whole = _material(rest)
    own = Part(at, after, after + more)
    if not whole and rest.strip("_,. "):
        return [own], [], False
    parts, on, joins = _continued(page, at, walked)
    return [own, *parts], on, joins


def _beginnings(text: str) -> Iterator[tuple[int, int]]:
    """Where keys may begin, and how long each is at least, its prefix included."""
    for match in _PREFIX.finditer(text):
        yield match.start(), len(match[0]) + int((match.lastgroup or "p0")[1:])


def _continued(page: Page, at: int, walked: Collection[int]) -> tuple[list[Part], list[int], bool]:
    """What goes on in the lines below, from which pieces it goes on, and whether it goes on as a key found before does.

    Args:
        page: It stands there.
        at: The key begins there.
        walked: From these pieces a key that was found goes on; so what follows them is found already.
    """
    parts: list[Part] = []
    on: list[int] = []
    joins = at in walked
    seen = {at}
    last = [] if joins else [at]
    while last:
        on += last
        follow = dict.fromkeys(near for one in last for near in page.after(one) if near not in seen)
        above, last = last, list[int]()
        for near in follow:
            seen.add(near)
            text = page.pieces[near].text
            page.step(len(text))
            end, whole = _material(text)
            if not end and _is_tail(page, above, near):
                end, whole = len(text.rstrip(_CLOSING + " ")), False
            if end:
                parts.append(Part(near, 0, end))
                joins = joins or (whole and near in walked)
                last += [near] if whole and near not in walked else []
    return parts, on, joins


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


def _is_tail(page: Page, above: Sequence[int], at: int) -> bool:
    """Whether a short last word is left over from a full line above it, alone in its line."""
    piece = page.pieces[at]
    text = piece.text.strip(_OPENING + _CLOSING + " ")
    if not _KEY_WORD.fullmatch(text) or len(page.row_of(at, WORD_GAP)) > 1:
        return False
    full = (page.pieces[one] for one in above if len(page.pieces[one].text) >= _FULL_LINE)
    return any(piece.right <= line.right and len(text) <= len(line.text) for line in full)


# Private keys


def _private_keys(page: Page) -> Iterator[Spread]:
    ends = frozenset(at for at, piece in enumerate(page.pieces) if _END.search(piece.text))
    begins = frozenset(at for at, piece in enumerate(page.pieces) if _BEGIN.search(piece.text))
    for at in sorted(begins | ends):
        text = page.pieces[at].text
        match = _BEGIN.search(text)
        if match and not _END.search(text, match.end()):
            parts = [Part(at, match.start(), len(text)), *_body(page, at, ends, down=True)]
        elif not match and (match := _END.search(text)):
            parts = [*reversed(_body(page, at, begins, down=False)), Part(at, 0, match.end())]
        else:
            continue
        begun = any(part.piece in begins for part in parts[:-1])
        if len(parts) > 1 and (match.re is _BEGIN or not begun):
            yield Spread("key", tuple(parts), block=True)


def _body(page: Page, at: int, other_ends: Collection[int], *, down: bool) -> list[Part]:
    """The lines from one end of a private key to its other end, or as far as they look like it.

    Where the other end is there, half of the lines may have been read so badly that they look like nothing.
    """
    lines: list[Part] = []
    certain = odd = rows = good = 0
    last, seen = [at], {at}
    while last and len(seen) < _MOST_LINES and (odd < 2 or other_ends):
        follow = dict.fromkeys(
            near for one in last for near in page.next_line(one, down=down, gap=_PARAGRAPH_GAP) if near not in seen
        )
        last = [*follow]
        seen.update(last)
        texts = [page.pieces[near].text for near in last]
        page.step(sum(10 + len(text) for text in texts))
        for near, text in zip(last, texts, strict=True):
            match = (_END if down else _BEGIN).search(text) if near in other_ends else None
            lines.append(Part(near, 0, match.end() if match else len(text)))
        if any(near in other_ends for near in last) and 2 * good >= rows:
            return lines
        rows += 1
        if any(_material(text)[0] or _PEM_HEADER.match(text) for text in texts):
            good += 1
            certain, odd = (len(lines), 0) if odd < 2 else (certain, odd)
        else:
            odd += 1
    return lines[:certain]


# Numbers and addresses


def _numbers(page: Page) -> Iterator[Spread]:
    with_digits = [any(c.isdigit() for c in piece.text) for piece in page.pieces]
    for at, piece in enumerate(page.pieces):
        if not piece.text:
            continue
        row = page.row_of(at, _FIELD_GAP)
        if row[0] == at and any(with_digits[one] for one in row[1:]):
            yield from _joined(page, row, " ", _grouped_cards)
            yield from _joined(page, row, " ", _ibans)
        for below in page.next_line(at):
            if (with_digits[at] or with_digits[below]) and page.row_of(below, WORD_GAP)[0] == below:
                yield from _joined(page, [at, below], " ", _grouped_cards)
                yield from _joined(page, [at, below], " ", _ibans)
                yield from _joined(page, [at, below], "", _ibans)
                if page.pieces[below].right <= piece.right:
                    yield from _joined(page, [at, below], "", _whole_cards)


Search = Callable[[str], Iterator[tuple[Kind, int, int]]]


def _grouped_cards(text: str) -> Iterator[tuple[Kind, int, int]]:
    matches = (match for pattern in _GROUPS for match in pattern.finditer(text))
    alone = (match.span() for match in matches if is_card_number(match[0].replace(" ", "")))
    for start, end in sorted({*alone, *printed_cards(text)}):
        yield "card", start, end


def _whole_cards(text: str) -> Iterator[tuple[Kind, int, int]]:
    for match in _WHOLE_CARD.finditer(text):
        if is_card_number(match[0]):
            yield "card", match.start(), match.end()


def _ibans(text: str) -> Iterator[tuple[Kind, int, int]]:
    for start, end in ibans(text):
        yield "iban", start, end


def _addresses(page: Page) -> Iterator[Spread]:
    def search(text: str) -> Iterator[tuple[Kind, int, int]]:
        for match in EMAIL.finditer(text):
            yield "email", match.start(), match.end()

    for at, piece in enumerate(page.pieces):
        if _ADDRESS_BEGUN.search(piece.text[-_LONGEST_ADDRESS:]) and not EMAIL.search(piece.text[-64:]):
            for below in page.next_line(at):
                yield from _joined(page, [at, below], "", search)


def _joined(page: Page, row: Sequence[int], glue: str, search: Search) -> Iterator[Spread]:
    """What a search finds in several pieces as one text, where it lies in more than one of them."""
    text, starts = "", list[int]()
    for at in row:
        text += glue if starts else ""
        starts.append(len(text))
        text += page.pieces[at].text
    page.step(len(text) // 8)
    for kind, start, end in search(text):
        parts = [
            Part(at, max(0, start - begin), min(len(page.pieces[at].text), end - begin))
            for at, begin in zip(row, starts, strict=True)
            if start < begin + len(page.pieces[at].text) and begin < end
        ]
        if len(parts) > 1:
            yield Spread(kind, tuple(parts))
