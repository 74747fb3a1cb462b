"""From what was read on two pictures to a note: one to three plain sentences that quote the screen and claim no more.

Text on the screen is material, never an instruction. The writer only quotes it, inside double quotes that the quoted
text cannot close, and says what a screen looks like only on evidence (``hudd.engine.evidence``). What shows hudd's own
notes was set aside before (``hudd.engine.own_words``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from hudd.engine import phrases
from hudd.engine.evidence import Evidence, find_evidence
from hudd.engine.findings import Area, PictureFacts, Reading, TextLine, around
from hudd.engine.phrases import clean, is_error, place_of, shorten
from hudd.engine.quotes import (
    LONGEST_QUOTE,
    MOST_QUOTES,
    Room,
    joined,
    new_lines,
    quotable,
    quotes,
    reading_order,
    worth_quoting,
)

CHARS_PER_TOKEN: Final = 4
MOST_WORDS: Final = 60
OWN_MARGIN_PX: Final = 24  # around our own lines: prompt, cursor, the grid of the comparison
OWN_SHARE: Final = 0.6
CURSOR_PX: Final = 48


def write_note(now: Reading, before: Reading | None, *, max_tokens: int) -> str:
    """Write the note of a picture.

    Args:
        now: What was read on the picture.
        before: What was read on the picture before it in the same stream, or None for the first one.
        max_tokens: The longest note, counted as four characters a token. Below three tokens the note is empty.

    Returns:
        Plain sentences, about sixty words at most unless one quotation needs more. Every quotation is text of ``now``,
        on one line, with its double quotes made single.
    """
    limit = max_tokens * CHARS_PER_TOKEN
    if now.reader == "none":
        parts = [_picture_sentence(now), _change_sentence(now.picture), phrases.GET_READER]
        return _fit([part for part in parts if part], limit)
    good = tuple(line for line in now.lines if quotable(line))
    tail = _unread_sentence(now)
    if not good and not now.own_lines:
        nothing = phrases.NO_TEXT if now.unread_fraction < 0.5 else phrases.NO_TIME
        parts = [f"{nothing}; {_lower_first(_picture_sentence(now))}", _change_sentence(now.picture), tail]
        return _fit([part for part in parts if part], limit)
    evidence = find_evidence(good, now.height)
    room = Room(limit, MOST_WORDS).less(tail)
    if before is None or not now.picture.compared:
        body = _first_sentences(good, evidence, room, partly=now.unread_fraction > 0)
    else:
        body = _news_sentences(now, before, good, evidence, room)
    return _fit([*body, tail] if tail else body, limit)


def _first_sentences(lines: Sequence[TextLine], evidence: Evidence, room: Room, *, partly: bool) -> list[str]:
    if not lines:
        return [phrases.ONLY_OWN_SHOWN]
    opening = _opening(evidence) or _counted(lines, partly=partly)
    rows = joined(lines)
    errors = [line for line in rows if is_error(line.text)]
    shown = {evidence.title, evidence.heading}
    others = [line for line in worth_quoting(rows) if line not in errors and line.text not in shown]
    sentences = [opening]
    room = room.less(opening)
    if errors:
        sentences.append(quotes(phrases.SHOWS_ERROR, errors[:2], room))
        room = room.less(sentences[-1])
    if not errors or room.words > 0:
        chosen = others[: MOST_QUOTES - len(errors[:2])]
        sentences.append(quotes(phrases.READS, _best_that_fit(chosen, room, phrases.READS), room))
    return [sentence for sentence in sentences if sentence]


def _news_sentences(
    now: Reading, before: Reading, lines: Sequence[TextLine], evidence: Evidence, room: Room
) -> list[str]:
    opening = _opening(evidence)
    partly = now.unread_fraction > 0
    if not now.picture.changed_areas:
        return [phrases.NOTHING_CHANGED, opening or _counted(lines, partly=partly)]
    fresh = new_lines(now, before)
    if not fresh:
        rest_of_change = _apart_from_own(now, before)
        if rest_of_change is None:
            return [phrases.ONLY_OWN_NEW, opening]
        change = f"{phrases.NOTHING_READABLE_CHANGED}; {_lower_first(_change_sentence(rest_of_change))}"
        return [change, opening]
    if bool(before.lines) and len(fresh) > 0.8 * len(joined(lines)) and now.picture.changed_fraction > 0.5:
        room = room.less(phrases.ANOTHER_SCREEN)
        return [phrases.ANOTHER_SCREEN, *_first_sentences(lines, evidence, room, partly=partly)]
    if not evidence.looks_like and opening == _opening_of(before):
        opening = ""  # a heading somewhere on the screen was told before and need not be the news's
    room = room.less(opening)
    errors = [line for line in fresh if is_error(line.text)]
    rest = worth_quoting(line for line in fresh if line not in errors)
    chosen = _best_that_fit([*errors, *rest][:MOST_QUOTES], room, phrases.NEW)
    if not errors:
        news = quotes(phrases.NEW, chosen, room, len(rest) - len(chosen))
        old_errors = [line for line in joined(lines) if is_error(line.text) and line not in fresh]
        left = room.less(news)
        more = quotes(phrases.STILL, old_errors[:1], left) if old_errors and left.words > 0 else ""
    else:
        shown = [line for line in chosen if line in errors]
        news = quotes(phrases.NEW_ERROR, shown, room, len(errors) - len(shown))
        others = [line for line in chosen if line not in errors]
        more = quotes(phrases.NEW, others, room.less(news), len(rest) - len(others))
    if not news:
        return [quotes(phrases.NEW, [*errors, *rest][:1], Room(room.chars + len(opening) + 1, MOST_WORDS))]
    return [part for part in (opening, news, more) if part]


def _best_that_fit(ranked: Sequence[TextLine], room: Room, lead: str) -> list[TextLine]:
    """As many of the best lines as the words allow, at least one; what is too long makes way for what comes after."""
    words = room.words - len(lead.split())
    chosen: list[TextLine] = []
    for line in ranked:
        needed = len(shorten(clean(line.text), LONGEST_QUOTE).split())
        if not chosen or needed <= words:
            chosen.append(line)
            words -= needed
    return reading_order(chosen)


def _apart_from_own(now: Reading, before: Reading) -> PictureFacts | None:
    """The change without what our own notes changed; None when nothing larger than a cursor is left of it."""
    facts = now.picture
    own = [_widened(area) for area in (*now.own_areas, *before.own_areas)]
    if not own:
        return facts
    others = tuple(
        area
        for area in facts.changed_areas
        if not any(area.shared_with(place) >= OWN_SHARE * area.width * area.height for place in own)
    )
    if len(others) == len(facts.changed_areas):
        return facts
    if all(area.width <= CURSOR_PX and area.height <= CURSOR_PX for area in others):
        return None
    share = sum(area.width * area.height for area in others) / max(1, facts.width * facts.height)
    return replace(
        facts, changed=around(others), changed_areas=others, changed_fraction=min(share, facts.changed_fraction)
    )


def _widened(area: Area) -> Area:
    margin = OWN_MARGIN_PX
    return Area(area.left - margin, area.top - margin, area.width + 2 * margin, area.height + 2 * margin)


def _opening(evidence: Evidence) -> str:
    """What the screen looks like and its title or heading; empty without evidence."""
    title = shorten(clean(evidence.title or evidence.heading), LONGEST_QUOTE)
    named = f'{"titled" if evidence.title else "headed"} "{title}"' if title else ""
    if evidence.looks_like:
        sentence = f"{phrases.LOOKS_LIKE} {_listed(evidence.looks_like)}"
        return f"{sentence}, {named}." if named else f"{sentence}."
    return f"{phrases.SCREEN_IS} {named}." if named else ""


def _opening_of(reading: Reading) -> str:
    return _opening(find_evidence([line for line in reading.lines if quotable(line)], reading.height))


def _counted(lines: Sequence[TextLine], *, partly: bool) -> str:
    """How many lines the screen shows; where some were not read in time, how many at least."""
    count = f"at least {len(lines)}" if partly else f"{len(lines)}"
    return f"{phrases.SCREEN_SHOWS} {count} {'line' if len(lines) == 1 else 'lines'} of text."


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
