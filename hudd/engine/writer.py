"""From what was read on two pictures to a note: one to three plain sentences that quote the screen and claim no more.

Text on the screen is material, never an instruction. The writer only quotes it, inside double quotes that the quoted
text cannot close, and says what a screen looks like only on evidence (``hudd.engine.evidence``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from hudd.engine.evidence import Evidence, find_evidence
from hudd.engine.findings import Area, PictureFacts, Reading, TextLine
from hudd.engine.phrases import clean, is_error, place_of, shorten, skeleton

QUOTE_CONFIDENCE: Final = 0.7  # below it a line is not quoted
SHORT_CONFIDENCE: Final = 0.8
SHORT_TEXT: Final = 12
CHARS_PER_TOKEN: Final = 4
LONGEST_QUOTE: Final = 110
MOST_QUOTES: Final = 5
GET_READER: Final = "Install hudd[local] to read the text."


def write_note(now: Reading, before: Reading | None, *, max_tokens: int) -> str:
    """Write the note of a picture.

    Args:
        now: What was read on the picture.
        before: What was read on the picture before it in the same stream, or None for the first one.
        max_tokens: The longest note, counted as four characters a token. Below three tokens the note is empty.

    Returns:
        Plain sentences. Every quotation is text of ``now``, on one line, with its double quotes made single.
    """
    limit = max_tokens * CHARS_PER_TOKEN
    if now.reader == "none":
        parts = [_picture_sentence(now), _change_sentence(now.picture), GET_READER]
        return _fit([part for part in parts if part], limit)
    good = tuple(line for line in now.lines if _quotable(line))
    tail = _unread_sentence(now)
    if not good:
        nothing = "No readable text was found" if now.unread_fraction < 0.5 else "Nothing could be read in time"
        parts = [f"{nothing}; {_lower_first(_picture_sentence(now))}", _change_sentence(now.picture), tail]
        return _fit([part for part in parts if part], limit)
    evidence = find_evidence(good, now.height)
    if before is None or not now.picture.compared:
        body = _first_sentences(good, evidence, limit - len(tail) - 1)
    else:
        body = _news_sentences(now, before, good, evidence, limit - len(tail) - 1)
    return _fit([*body, tail] if tail else body, limit)


def _first_sentences(lines: Sequence[TextLine], evidence: Evidence, limit: int) -> list[str]:
    opening = _opening(lines, evidence)
    errors = [line for line in lines if is_error(line.text)]
    shown = {evidence.title, evidence.heading}
    others = [line for line in _worth_quoting(lines) if line not in errors and line.text not in shown]
    sentences = [opening]
    room = limit - len(opening)
    if errors:
        sentences.append(_quotes("It shows an error:", errors[:2], room - 1))
        room -= len(sentences[-1]) + 1
    sentences.append(_quotes("It reads:", _reading_order(others[: MOST_QUOTES - len(errors[:2])]), room - 1))
    return [sentence for sentence in sentences if sentence]


def _news_sentences(
    now: Reading, before: Reading, lines: Sequence[TextLine], evidence: Evidence, limit: int
) -> list[str]:
    fresh = new_lines(now, before)
    gone = bool(before.lines) and len(fresh) > 0.8 * len(lines) and now.picture.changed_fraction > 0.5
    if not now.picture.changed_areas:
        return ["Nothing changed on the screen.", _opening(lines, evidence)]
    opening = _opening(lines, evidence)
    if not fresh:
        return [f"Nothing readable changed; {_lower_first(_change_sentence(now.picture))}", opening]
    if gone:
        return ["The screen is another one now.", *_first_sentences(lines, evidence, limit - 31)]
    errors = [line for line in fresh if is_error(line.text)]
    rest = _worth_quoting(line for line in fresh if line not in errors)
    ranked = errors + rest
    chosen = errors[:MOST_QUOTES] + _reading_order(rest[: max(0, MOST_QUOTES - len(errors))])
    more = len(ranked) - len(chosen)
    news = _quotes("New error:" if errors else "New:", chosen, limit - len(opening) - 1, more)
    if not news:
        return [_quotes("New:", ranked[:1], limit)]
    old_errors = [line for line in lines if is_error(line.text) and line not in fresh]
    room = limit - len(opening) - len(news) - 2
    still = _quotes("Still shown:", old_errors[:1], room) if old_errors and not errors else ""
    return [part for part in (opening, news, still) if part]


def new_lines(now: Reading, before: Reading) -> list[TextLine]:
    """The quotable lines of ``now`` whose words were not on the picture before, in reading order.

    A line outside every changed rectangle is never new: it was there and was only read later. Letters that text
    recognition confuses (``0``/``O``, ``1``/``l``) make no line new.
    """
    seen = {skeleton(line.text) for line in before.lines}
    fresh: list[TextLine] = []
    for line in now.lines:
        words = skeleton(line.text)
        if not _quotable(line) or words in seen:
            continue
        if now.picture.compared and not any(line.area.overlaps(area) for area in now.picture.changed_areas):
            continue
        here = [old for old in before.lines if old.area.overlaps(line.area)]
        if words in "".join(skeleton(old.text) for old in sorted(here, key=lambda old: old.left)):
            continue  # the same row, cut into pieces elsewhere
        fresh.append(line)
    return _reading_order(fresh)


_NUMBER: Final = re.compile(r"[$€£]\s?\d|\d\s?(%|[KMGT]i?B\b|°|ms\b|k?W\b|V\b|fps\b|€|£)")
_FURNITURE: Final = re.compile(
    r"^\W*File\b.*\bEdit\b|\bLn \d+, ?Col|^Spaces: ?\d|\bUTF-8\b|^\W*(PROBLEMS|OUTPUT|DEBUG CONSOLE|TERMINAL|PORTS"
    r"|OUTLINE|TIMELINE|EXPLORER)\W*$"
)
_NEAR_ROWS: Final = 4
_WHOLE_WORD: Final = re.compile(r"(?<![^\s(\['\"])[^\W\d_]{2,}(?![^\s).,:;!?'\"\]])")  # not parts of paths or names


def _interest(line: TextLine) -> float:
    """How much a person would want this line quoted: sentences before labels, figures before ornaments."""
    text = line.text
    words = _WHOLE_WORD.findall(text)
    score = (1.0 + min(len(words), 10) + min(len(text), 90) / 30.0) * line.confidence**2
    if _NUMBER.search(text):
        score += 1.5
    if is_error(text):
        score += 6
    solid = sum(not c.isspace() for c in text)
    return score * (sum(c.isalnum() for c in text) / max(1, solid)) ** 2


def _by_interest(lines: Iterable[TextLine]) -> list[TextLine]:
    """Most interesting first, each text once; a third line of one block waits, so that no block fills the note."""
    seen: set[str] = set()
    ranked: list[TextLine] = []
    near: list[TextLine] = []
    for line in sorted(lines, key=lambda one: (-_interest(one), one.top, one.left)):
        key = skeleton(line.text)
        if key in seen:
            continue
        seen.add(key)
        crowd = sum(_are_near(line, other) for other in ranked[:MOST_QUOTES])
        (near if crowd >= 2 else ranked).append(line)
    return ranked[:MOST_QUOTES] + sorted(near + ranked[MOST_QUOTES:], key=lambda one: -_interest(one))


def _worth_quoting(lines: Iterable[TextLine]) -> list[TextLine]:
    """The lines by interest, without a program's furniture unless there is nothing else."""
    ranked = _by_interest(lines)
    return [line for line in ranked if not _FURNITURE.search(line.text)] or ranked


def _are_near(one: TextLine, other: TextLine) -> bool:
    reach = _NEAR_ROWS * max(one.height, other.height)
    return abs(one.top - other.top) <= reach and abs(one.left - other.left) <= 2 * reach


def _reading_order(lines: Iterable[TextLine]) -> list[TextLine]:
    return sorted(lines, key=lambda line: (line.top, line.left))


def _quotable(line: TextLine) -> bool:
    if line.confidence < QUOTE_CONFIDENCE:
        return False
    text = clean(line.text)
    letters = sum(c.isalnum() for c in text)
    if letters < 2 or letters < 0.5 * sum(not c.isspace() for c in text):
        return False
    if len(text) < SHORT_TEXT and line.confidence < SHORT_CONFIDENCE:  # icons read as letters are short
        return False
    return bool(re.search(r"[^\W\d_]{3,}|\d{2,}|^[A-Z]{2,}$", text))


def _quotes(lead: str, lines: Sequence[TextLine], room: int, more: int = 0) -> str:
    """``lead "a"; "b" and 3 more lines.`` within ``room`` characters; empty when not even one quotation fits."""
    quoted = [f'"{shorten(clean(line.text), LONGEST_QUOTE)}"' for line in lines]
    for count in range(len(quoted), 0, -1):
        left = more + len(quoted) - count if more else 0
        rest = f" and {left} more {'line' if left == 1 else 'lines'}" if left else ""
        sentence = f"{lead} {'; '.join(quoted[:count])}{rest}."
        if len(sentence) <= room:
            return sentence
    if lines:
        space = room - len(lead) - 4
        if space >= 12:
            return f'{lead} "{shorten(clean(lines[0].text), space)}".'
    return ""


def _opening(lines: Sequence[TextLine], evidence: Evidence) -> str:
    title = shorten(clean(evidence.title or evidence.heading), LONGEST_QUOTE)
    word = "titled" if evidence.title else "headed"
    if evidence.looks_like:
        sentence = f"It looks like {_listed(evidence.looks_like)}"
        return f'{sentence}, {word} "{title}".' if title else f"{sentence}."
    count = f"{len(lines)} {'line' if len(lines) == 1 else 'lines'} of text"
    return f'The screen shows {count}, {word} "{title}".' if title else f"The screen shows {count}."


def _listed(things: Sequence[str]) -> str:
    return things[0] if len(things) == 1 else ", ".join(things[:-1]) + " and " + things[-1]


def _picture_sentence(now: Reading) -> str:
    facts = now.picture
    tone = "a dark" if facts.brightness < 0.4 else "a light" if facts.brightness > 0.6 else "a medium-bright"
    size = f"{now.width}x{now.height} pixels"
    if facts.uniform:
        colour = f" ({facts.colours[0]})" if facts.colours else ""
        return f"The picture is of one colour{colour}, {size}."
    return f"The picture is {tone} screen of {size}."


def _change_sentence(facts: PictureFacts) -> str:
    if not facts.compared:
        return ""
    if facts.changed is None:
        return "Nothing changed since the picture before."
    share = facts.changed_fraction * 100
    amount = "less than 1 %" if share < 1 else f"about {share:.0f} %"
    if share >= 60:
        return f"Most of the screen changed ({amount})."
    largest = facts.changed_areas[0] if facts.changed_areas else facts.changed
    where = _place(largest, facts.width, facts.height)
    mostly = "mostly " if len(facts.changed_areas) > 1 else ""
    return f"The picture changed {mostly}in {where} ({amount} of it)."


def _place(area: Area, width: int, height: int) -> str:
    return place_of(area.left, area.top, area.width, area.height, width, height)


def _unread_sentence(now: Reading) -> str:
    if now.unread_fraction < 0.02:
        return ""
    if not now.unread or now.unread_fraction > 0.6:
        return "Most of the text was not read in time."
    total = sum(area.width * area.height for area in now.unread)
    weights: dict[str, int] = {}
    for area in now.unread:
        place = _place(area, now.width, now.height)
        weights[place] = weights.get(place, 0) + area.width * area.height
    place, weight = max(weights.items(), key=lambda item: item[1])
    if weight < 0.5 * total:
        return f"About {now.unread_fraction * 100:.0f} % of the text was not read in time."
    return f"{'Some of the' if now.unread_fraction < 0.3 else 'The'} text in {place} was not read in time."


def _lower_first(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]


def _fit(sentences: Sequence[str], limit: int) -> str:
    """Join what fits, whole sentences first; a first sentence that is too long is cut at a word."""
    note = ""
    for sentence in sentences:
        longer = f"{note} {sentence}".strip()
        if len(longer) <= limit:
            note = longer
    if note or not sentences or limit < 12:
        return note
    cut = shorten(sentences[0], limit)
    if cut.count('"') % 2:
        cut = shorten(cut.rstrip("…"), limit - 1).rstrip("…") + '…"' if len(cut) < limit else cut[: limit - 2] + '…"'
    return cut
