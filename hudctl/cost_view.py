"""What was spent, and what is to be expected, for people and for spreadsheets. Pure; missing fields are left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from typing import Any, Final

from hudctl.words import Look, columns, count, fitting, line, mapping, money, number_or_none, objects, round_money, wrap

_NAMES: Final = {"day": "day", "hour": "hour", "engine": "engine", "model": "model", "trigger": "for"}
_TOKENS: Final = {
    "input_tokens": "input",
    "image_tokens": "image",
    "cached_tokens": "cached",
    "output_tokens": "output",
}
_SPARE: Final = ("image", "output", "cached", "input")
"""Columns that a narrow terminal does without, the first one first."""
_EXTRA: Final = {"assumed": "assumed_microusd", "no price": "unpriced"}
"""Columns that stand there only when there is something to tell."""
_CSV: Final = (
    "answers",
    "input_tokens",
    "text_tokens",
    "image_tokens",
    "cached_tokens",
    "output_tokens",
    "microusd",
    "assumed_microusd",
    "unnoted_microusd",
    "reserved_microusd",
    "unpriced",
)
_BARS: Final = 24
"""A chart is small: the newest hours or days."""
_FEW: Final = 20
"""From fewer changes no rate can be told."""
_EIGHTHS: Final = " ▏▎▍▌▋▊▉"
_WIDEST_BAR: Final = 40


def render_cost(cost: Mapping[str, Any], *, colour: bool = False, width: int = 80, zone: tzinfo | None = None) -> str:
    """The answer of ``cost`` as a table and a chart, and what the same answers would have cost at the service."""
    look = Look(colour, width, zone)
    lines = [look.paint(row, "bold") for row in wrap(_title(cost, look), look.width)]
    rows, total = objects(cost.get("rows")), mapping(cost.get("total"))
    lines += _table(rows, total, look) if rows else ["No answers."]
    lines += _warnings(total, look)
    lines += _chart(mapping(cost.get("chart")), look)
    lines += _caps(cost)
    would = [
        f"{money(item.get('microusd'))} with {line(item.get('model'))}" for item in objects(cost.get("if_service"))
    ]
    if would and rows:
        dated = f" (prices of {line(cost['prices_date'])})" if cost.get("prices_date") else ""
        paid = bool(rows) and all(row.get("engine", "service") == "service" for row in rows)
        which = "The same tokens cost" if paid else "At the service the local answers would have cost"
        lines += wrap(f"{which} {', '.join(would)}{dated}.", look.width)
    return "\n".join(lines)


def _title(cost: Mapping[str, Any], look: Look) -> str:
    since, until = cost.get("since"), cost.get("until")
    if since and until:
        return f"Cost from {look.day_time(since)} to {look.day_time(until)}"
    if since:
        return f"Cost since {look.day_time(since)}"
    return f"Cost until {look.day_time(until)}" if until else "Cost of everything in the journal"


def _table(rows: Sequence[Mapping[str, Any]], total: Mapping[str, Any], look: Look) -> list[str]:
    named = [name for name in _NAMES if name in rows[0]] or ["engine", "model", "trigger"]
    extra = [name for name, key in _EXTRA.items() if any(number_or_none(row.get(key)) for row in rows)]
    heading = [*(_NAMES[name] for name in named), "answers", *_TOKENS.values(), "cost", *extra]
    whole = [
        heading,
        *([*(_named(row, name) for name in named), *_figures(row, extra)] for row in rows),
        [*("" for _ in named), *_figures(total, extra)],
    ]
    alike = ["engine"] if len({line(row.get("engine")) for row in rows}) == 1 and len(named) > 1 else []
    table = fitting(whole, look.width, [*alike, *_SPARE])
    table[-1][0] = "total"
    words = frozenset(_NAMES.values())
    first, *body, last = columns(table, frozenset(at for at, name in enumerate(table[0]) if name not in words))
    lines = [look.paint(first, "dim"), *body, look.paint(last, "bold")]
    left_out = [name for name in _SPARE if name not in table[0]]
    if left_out:
        lines += wrap(f"No room for {', '.join(left_out)} here; --csv has every column.", look.width)
    share = _cached_percent(total)
    if share is not None:
        lines += wrap(f"{share} % of the input came from the service's cache.", look.width)
    if "assumed" in extra:
        lines += wrap("Assumed is what was reserved for answers that told no usage.", look.width)
    return lines


def _cached_percent(total: Mapping[str, Any]) -> int | None:
    asked, cached = (number_or_none(total.get(name)) for name in ("input_tokens", "cached_tokens"))
    return int(cached * 100 // asked) if asked and cached else None


def _named(row: Mapping[str, Any], name: str) -> str:
    text = line(row.get(name))
    return text[:16].replace("T", " ") if name == "hour" else text


def _figures(row: Mapping[str, Any], extra: Sequence[str]) -> list[str]:
    numbers = [number_or_none(row.get(name)) for name in ("answers", *_TOKENS)]
    told = ["" if number is None else f"{number:,}" for number in numbers]
    return [*told, money(row.get("microusd")), *(_extra(row, name) for name in extra)]


def _extra(row: Mapping[str, Any], name: str) -> str:
    number = number_or_none(row.get(_EXTRA[name]))
    return "" if not number else money(number) if name == "assumed" else f"{number:,}"


def _warnings(total: Mapping[str, Any], look: Look) -> list[str]:
    lines: list[str] = []
    if number_or_none(total.get("unpriced")):
        sentence = (
            f"{count(total['unpriced'], 'answer')} without a known price: that cost is unknown, not zero, and not in "
            "the sums; name the price in [cost] prices_file."
        )
        lines += [look.paint(row, "red") for row in wrap(sentence, look.width)]
    if number_or_none(total.get("unnoted_microusd")):
        sentence = (
            f"{round_money(total['unnoted_microusd'])} of it was spent without a note; `hudctl errors` tells why."
        )
        lines += [look.paint(row, "yellow") for row in wrap(sentence, look.width)]
    return lines


def _chart(chart: Mapping[str, Any], look: Look) -> list[str]:
    bars = objects(chart.get("bars"))[-_BARS:]
    if len(bars) < 2:
        return []
    # Local answers cost nothing: then the bars are their number.
    unit = "microusd" if any(number_or_none(bar.get("microusd")) for bar in bars) else "answers"
    priced = unit == "microusd" or any(number_or_none(bar.get("unpriced")) for bar in bars)
    values = [number_or_none(bar.get(unit)) or 0 for bar in bars]
    most = max(values) or 1
    room = max(8, min(_WIDEST_BAR, (look.width or 80) - 36))
    hourly = chart.get("unit") == "hour"
    rows: list[list[str]] = []
    before = ""
    for bar, value in zip(bars, values, strict=True):
        at = line(bar.get("at"))
        if before and _apart(before, at) > timedelta(hours=1 if hourly else 24):
            rows.append(["⋮", "", "", ""])
        before = at
        cost = _bar_cost(bar) if priced else ""
        rows.append([at[5:16].replace("T", " "), bar_of(value / most, room), cost, count(bar.get("answers"), "answer")])
    return ["", *columns(rows, frozenset({2, 3})), ""]


def _bar_cost(bar: Mapping[str, Any]) -> str:
    """What is known of it; more than that when some answers have no price."""
    known = money(bar.get("microusd"))
    return f"> {known}" if number_or_none(bar.get("unpriced")) and bar.get("microusd") is not None else known


def _apart(one: str, other: str) -> timedelta:
    """The time between two bars; none where it cannot be told. Days are told without a clock, so none is lost."""
    try:
        return datetime.fromisoformat(other) - datetime.fromisoformat(one)
    except (ValueError, TypeError):  # no time, or one with and one without a zone
        return timedelta()


def bar_of(share: float, room: int) -> str:
    """A bar of so many columns at most; what is more than nothing shows at least a sliver."""
    eighths = min(room * 8, max(round(share * room * 8), 1 if share > 0 else 0))
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def _caps(cost: Mapping[str, Any]) -> list[str]:
    caps = mapping(cost.get("caps"))
    named = {
        "an hour": caps.get("hour_microusd"),
        "a day": cost.get("cap_microusd"),
        "a month": caps.get("month_microusd"),
    }
    told = [f"{round_money(cap)} {window}" for window, cap in named.items() if number_or_none(cap) is not None]
    return [f"Cap: {', '.join(told)}."] if told else []


def render_estimate(
    body: Mapping[str, Any], *, colour: bool = False, width: int = 80, zone: tzinfo | None = None
) -> str:
    """The answer of ``cost`` with ``estimate``: each model of the price table with both memories."""
    look = Look(colour, width, zone)
    told = mapping(body.get("estimate"))
    seen = number_or_none(told.get("changes", told.get("asked"))) or 0  # an older daemon counts only the questions
    how = _habits(told, seen)
    counted = (
        f"{line(told.get('image_tokens'))} image tokens and {line(told.get('answer_tokens'))} answer tokens each, "
        f"{line(told.get('reasoning_tokens'))} more for models that reason"
    )
    lines = wrap(f"{how}; {counted}:", look.width)
    table = [["", "model", "memory", "an answer", "cached", "uncached", "an hour", "a day", "within cap"]]
    for row in objects(told.get("rows")):
        figures = [money(row.get(f"{name}_microusd")) for name in ("answer", "warm", "cold")]
        rates = [money(row.get(f"{name}_microusd")) if seen else "" for name in ("hour", "day")]
        within = number_or_none(row.get("answers_within_cap"))
        mark = "*" if row.get("present") else ""
        named = [mark, line(row.get("model")), line(row.get("memory"))]
        table.append([*named, *figures, *rates, "" if within is None else f"{within:,}"])
    heading, *rest = columns(fitting(table, look.width, ["uncached", "cached"]), frozenset(range(3, 9)))
    lines += [look.paint(heading, "dim"), *(look.paint(row, "bold") if row.startswith("*") else row for row in rest)]
    dated = f" Prices of {line(body['prices_date'])}." if body.get("prices_date") else ""
    cap = round_money(body.get("cap_microusd"))
    hours = _short(told.get("active_hours"))
    now = "The embedded engine answers now, for nothing" if told.get("engine") == "local" else "* the present settings"
    note = (
        f"{now}. A day has {hours} active hours; so many answers are within the cap of {cap} a day, which is never "
        f"passed: hudd asks less often then.{dated}"
    )
    return "\n".join([*lines, *wrap(note, look.width)])


def _habits(told: Mapping[str, Any], seen: float) -> str:
    """The rate that the estimate goes by, and how far it is to be trusted."""
    if not seen:
        return "Nothing changed on the screen within the last week, so only the price of one answer is known"
    how = (
        f"If all that is worth a question were asked: {_short(told.get('per_hour'))} changes an hour, as in the "
        f"{_short(told.get('hours'))} hours at the screen seen in the last week ({count(seen, 'change')}, "
        f"{line(told.get('cold_percent'))} % of them after more than 5 minutes; "
        f"{count(told.get('asked'), 'question')} asked)"
    )
    return f"{how}, which is little to go by" if seen < _FEW else how


def _short(value: object) -> str:
    """A number without the zeros behind its point."""
    number = number_or_none(value)
    return "?" if number is None else f"{number:g}"


def cost_csv(cost: Mapping[str, Any]) -> str:
    """The rows of ``cost`` for a spreadsheet, with a line of names; money stays in millionths of a dollar."""
    import csv  # noqa: PLC0415 - only for this option
    import io  # noqa: PLC0415 - likewise

    rows = objects(cost.get("rows"))
    named = [name for name in _NAMES if any(name in row for row in rows)] or ["engine", "model", "trigger"]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*named, *_CSV])
    for row in rows:
        names = [_harmless(line(row.get(name))) for name in named]
        writer.writerow([*names, *("" if row.get(name) is None else row[name] for name in _CSV)])
    return text.getvalue()


def _harmless(text: str) -> str:
    """A name that a spreadsheet does not take for a formula: model names come from outside."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text
