"""An answer becomes a note. Pure.

A note is marked ``unchanged`` only when nothing that a reader would miss differs from the note before it: a changed
number, name or verb makes it a note of its own, however long the rest is.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import asdict
from difflib import SequenceMatcher
from typing import Final

from hudd.model import Answer, Picture
from hudd.wire.messages import Note, NoteKind, PictureInfo

MAX_TEXT: Final = 16_000
"""Characters of a note: a frame holds 64 KiB, and one character can take four bytes."""

NEAR: Final = 0.97
"""Ratio of equal characters from which two notes may count as the same."""

_FILLERS: Final = frozenset(
    {"a", "an", "the", "and", "of", "in", "on", "at", "to", "with", "that", "this", "is", "are", "was", "were"}
    | {"it", "its", "now", "still", "currently", "also", "here", "there"}
    | {"show", "shows", "showing", "display", "displays", "displaying", "visible", "appears", "seen"}
)
"""Words that tell nothing of the screen; "shows" and "displays" are how a model says that something is there."""
_INFLECTION: Final = 0.85
_WORD = re.compile(r"\w+(?:[.,:/-]\w+)*")
_SENTENCE_END = re.compile(r"[.;!?](?=\s|$)|\n")
_MANY_LINES = re.compile(r"\n{3,}")


def to_note(answer: Answer, *, model: str, engine: str, cost_microusd: int | None, previous_text: str | None) -> Note:
    """Make the note of an answer; the journal numbers it.

    Args:
        answer: What became of the question.
        model: Model name as configured.
        engine: ``service`` or ``local``.
        cost_microusd: What it cost; None when the price is unknown.
        previous_text: Text of the last note of the same source, or None.

    Returns:
        ``note``; ``unchanged`` when an automatic answer says what the last one said; ``failed`` with the sentence as
        its text when there is no usable answer. ``complete`` is True for a whole answer only.
    """
    text, cut = clean(answer.text)
    kind: NoteKind = "note"
    complete = answer.status == "completed" and not cut
    if answer.status not in {"completed", "incomplete"} or not text:
        kind, complete = "failed", False
        text, _ = clean(_sentence(answer))
    elif complete and answer.question.trigger != "manual" and previous_text and same(text, previous_text):
        kind = "unchanged"
    pictures = answer.question.pictures
    return Note(
        stream="",
        seq=0,
        prev=0,
        kind=kind,
        text=text,
        complete=complete,
        time=pictures[0].captured_at,
        published=0.0,
        snap_id=answer.question.id,
        trigger=answer.question.trigger,
        pictures=tuple(_mirrored(picture) for picture in pictures),
        model=model,
        engine=engine,
        usage=None if answer.usage is None else asdict(answer.usage),
        cost_microusd=cost_microusd,
        timing_ms=_timing(answer),
    )


def clean(text: str) -> tuple[str, bool]:
    """The text without what could harm a terminal or a reader, and whether it had to be cut.

    Control characters, marks that turn the direction of writing and lone surrogates go; lines and words stay.
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", " ").split("\n")
    kept = ("".join(c for c in line if _harmless(c)).strip() for line in lines)
    joined = _MANY_LINES.sub("\n\n", "\n".join(kept)).strip()
    return joined[:MAX_TEXT].rstrip(), len(joined) > MAX_TEXT


def _harmless(char: str) -> bool:
    category = unicodedata.category(char)
    # Cf holds the direction marks, but also the joiners that emoji and some scripts need.
    return category not in {"Cc", "Cs"} and (category != "Cf" or char in "\u200c\u200d")


def same(text: str, before: str) -> bool:
    """Whether two notes say the same: equal but for white space, case and punctuation, or nearly so.

    Nearly so means either the same sentences in any order, fillers ("the", "now", "shows") apart; or that at least
    97 % of the characters agree and that the words that differ are fillers or other endings of the same word. A
    difference in anything with a digit is always a difference.
    """
    now, then = _words(text), _words(before)
    if now == then:
        return bool(now) or text.strip() == before.strip()
    sentences = _sentences(text)
    if sentences and sentences == _sentences(before):
        return True
    matcher = SequenceMatcher(None, then, now, autojunk=False)
    changes = [
        (then[old_from:old_to], now[new_from:new_to])
        for tag, old_from, old_to, new_from, new_to in matcher.get_opcodes()
        if tag != "equal"
    ]
    if not all(_same_meaning(old, new) for old, new in changes):
        return False
    return SequenceMatcher(None, " ".join(then), " ".join(now), autojunk=False).ratio() >= NEAR


def _words(text: str) -> list[str]:
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def _sentences(text: str) -> list[list[str]]:
    """The words of each sentence without fillers, in an order that does not depend on that of the sentences."""
    sentences = ([word for word in _words(part) if word not in _FILLERS] for part in _SENTENCE_END.split(text))
    return sorted(words for words in sentences if words)


def _same_meaning(old: Sequence[str], new: Sequence[str]) -> bool:
    left = [word for word in old if word not in _FILLERS]
    right = [word for word in new if word not in _FILLERS]
    return len(left) == len(right) and all(_same_word(a, b) for a, b in zip(left, right, strict=True))


def _same_word(one: str, other: str) -> bool:
    if one == other:
        return True
    if any(c.isdigit() for c in one + other) or one[0] != other[0]:
        return False
    return SequenceMatcher(None, one, other, autojunk=False).ratio() >= _INFLECTION


def _sentence(answer: Answer) -> str:
    if answer.error is not None and answer.error.sentence:
        return answer.error.sentence
    why = f" ({answer.reason})" if answer.reason else ""
    match answer.status:
        case "completed":
            return "The answer held no text; the next picture is asked anew."
        case "incomplete":
            return (
                f"The answer was cut before it held any text{why}; raise [session] max_output_tokens if that repeats."
            )
        case "cancelled":
            return f"The service cancelled the answer{why}; ask again."
        case "vanished":
            return "The connection ended before the answer was complete."
        case "failed":
            return f"The answer failed{why}; `hudctl errors` has more."


def _mirrored(picture: Picture) -> PictureInfo:
    source = picture.source
    return PictureInfo(
        kind=source.kind,
        name=source.name,
        rect=source.rect,
        scale=round(picture.scale, 4),
        hash=picture.hash,
        masked=picture.masked,
        redacted=picture.redacted,
    )


def _timing(answer: Answer) -> dict[str, float | None]:
    pictures = answer.question.pictures
    return {
        "capture": round(sum(p.grab_ms for p in pictures), 1),
        "encode": round(sum(p.encode_ms for p in pictures), 1),
        "queue": round(answer.queue_ms, 1),
        "first_delta": None if answer.first_delta_ms is None else round(answer.first_delta_ms, 1),
        "total": round(answer.total_ms, 1),
    }
