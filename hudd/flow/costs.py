"""The cost report and the estimate: what was spent, what it would have cost elsewhere, what is to be expected."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime, tzinfo
from typing import Any, Final

from hudd.errors import CommandError
from hudd.ledger.caps import Caps
from hudd.ledger.estimate import MEMORIES, Habits, Shape, estimate
from hudd.ledger.prices import PriceTable
from hudd.ledger.records import CostReport, CostRow, known_of
from hudd.model import Usage
from hudd.wire.messages import iso_time

QUARTER_S: Final = 900
MOST_ROWS: Final = 1_000
"""More rows than this are nothing that a person reads, and a frame that is too large."""
CHART_HOURS: Final = 48
"""A range up to so many hours is charted by the hour, a longer one by the day."""
MOST_BARS: Final = 400
KEYS: Final = ("day", "hour", "model", "trigger")
REASONING_TOKENS: Final = 150
"""What a model that reasons adds to an answer until usage told better."""
_NAMING: Final = ("model", "memory")
_SUMMED: Final = ("answers", "assumed_microusd", "reserved_microusd", "unpriced", "unnoted_microusd")


@dataclass(frozen=True, slots=True)
class Money:
    """What the settings say about money.

    Attributes:
        prices: The table in force.
        caps: What may be spent.
        compare_models: Models that the tokens are priced for.
    """

    prices: PriceTable
    caps: Caps
    compare_models: Sequence[str]


def cost_body(
    report: CostReport, money: Money, *, by: Sequence[str] = (), zone: tzinfo | None = None
) -> dict[str, Any]:
    """The object of ``cost`` (PROTOCOL.md).

    Args:
        report: From the journal, split by time.
        money: What the settings say.
        by: What the rows are split by, out of ``KEYS``; nothing means engine, model and trigger.
        zone: The zone of hours; None for the machine's.

    Raises:
        CommandError: ``E_ARGS``; that would be too many rows.
    """
    groups: dict[tuple[str, ...], CostRow] = {}
    names = _names(by)
    for row in report.rows:
        key = tuple(_value(row, name, zone) for name in names)
        groups[key] = row if key not in groups else _sum(groups[key], row)
    if len(groups) > MOST_ROWS:
        raise CommandError(
            "E_ARGS", f"That would be {len(groups)} rows; at most {MOST_ROWS} are told.", hint="Choose a shorter range."
        )
    rows = [{**dict(zip(names, key, strict=True)), **_figures(groups[key])} for key in sorted(groups)]
    total = _total(report.rows)
    usages = [row.usage for row in groups.values()]
    prices = money.prices
    return {
        "schema": 1,
        "since": None if report.since is None else iso_time(report.since),
        "until": None if report.until is None else iso_time(report.until),
        "by": list(by),
        "rows": rows,
        "total": total,
        "chart": _chart(report, zone),
        "cap_microusd": money.caps.day,
        "caps": {
            "hour_microusd": money.caps.of("hour"),
            "day_microusd": money.caps.day,
            "month_microusd": money.caps.of("month"),
        },
        "if_service": [{"model": model, "microusd": _priced(usages, model, prices)} for model in money.compare_models],
        "prices_date": prices.date,
    }


def _names(by: Sequence[str]) -> tuple[str, ...]:
    if not by:
        return ("engine", "model", "trigger")
    # A model is one of an engine: the local one costs nothing.
    return tuple(name for key in by for name in (("engine", "model") if key == "model" else (key,)))


def _value(row: CostRow, name: str, zone: tzinfo | None) -> str:
    if name == "hour":
        return _hour(row.quarter or 0, zone).isoformat(timespec="minutes")
    return str(getattr(row, name))


def _hour(quarter: int, zone: tzinfo | None) -> datetime:
    moment = datetime.fromtimestamp(quarter * QUARTER_S, UTC).astimezone(zone)
    return moment.replace(minute=0)


def _sum(one: CostRow, other: CostRow) -> CostRow:
    known = [m for m in (one.microusd, other.microusd) if m is not None]
    usage = Usage(*(getattr(one.usage, f.name) + getattr(other.usage, f.name) for f in fields(Usage)))
    sums = {name: getattr(one, name) + getattr(other, name) for name in _SUMMED}
    return replace(one, usage=usage, microusd=sum(known) if known else None, **sums)


def _figures(row: CostRow) -> dict[str, Any]:
    return {
        "answers": row.answers,
        "input_tokens": row.usage.input_tokens,
        "output_tokens": row.usage.output_tokens,
        "text_tokens": row.usage.text_tokens,
        "image_tokens": row.usage.image_tokens,
        "cached_tokens": row.usage.cached_tokens,
        "microusd": known_of(row.microusd, row.unpriced),
        "assumed_microusd": row.assumed_microusd,
        "reserved_microusd": row.reserved_microusd,
        "unnoted_microusd": row.unnoted_microusd,
        "unpriced": row.unpriced,
    }


def _total(rows: Sequence[CostRow]) -> dict[str, Any]:
    total: CostRow | None = None
    for row in rows:
        total = row if total is None else _sum(total, row)
    empty = CostRow("", "", "", 0, Usage(), 0, 0, 0, 0)
    return _figures(total or empty)


def _chart(report: CostReport, zone: tzinfo | None) -> dict[str, Any]:
    """Bars by hour or day; times without answers are left out, the client sees them by the gaps."""
    quarters = [row.quarter for row in report.rows if row.quarter is not None]
    hours = (max(quarters) - min(quarters)) / 4 if quarters else 0
    unit = "hour" if hours <= CHART_HOURS else "day"
    bars: dict[str, CostRow] = {}
    for row in report.rows:
        at = _value(row, unit, zone)
        bars[at] = row if at not in bars else _sum(bars[at], row)
    told = ("answers", "microusd", "unpriced")
    newest = [{"at": at, **{name: _figures(bars[at])[name] for name in told}} for at in sorted(bars)[-MOST_BARS:]]
    return {"unit": unit, "bars": newest}


def _priced(usages: Iterable[Usage], model: str, prices: PriceTable) -> int | None:
    total = 0
    for usage in usages:
        cost = prices.cost_microusd(usage, model)
        if cost is None:
            return None
        total += cost
    return total


def estimate_body(
    habits: Habits,
    shape: Shape,
    money: Money,
    *,
    model: str | None,
    memory: str,
    active_hours: float,
    reasons: Callable[[str], bool],
    asked: int = 0,
) -> dict[str, Any]:
    """The object of ``cost`` with ``estimate``.

    Args:
        habits: How often something was worth a question so far.
        shape: What a question consists of; the answer without reasoning.
        money: What the settings say.
        model: The present model; None when the local engine answers, which costs nothing.
        memory: The present memory.
        active_hours: Hours of a day.
        reasons: Whether a model reasons before it answers.
        asked: How many questions were asked in the time that the habits are of.
    """
    rows: list[dict[str, Any]] = []
    names = list(money.prices.models)
    for name in [*names, *([] if model is None or model in names else [model])]:
        extra = REASONING_TOKENS if reasons(name) else 0
        for kind in MEMORIES:
            mine = replace(shape, answer_tokens=shape.answer_tokens + extra)
            found = estimate(money.prices, name, kind, mine, habits, active_hours=active_hours)
            if found.answer is None and name != model:
                continue  # a retired model, or one that takes no pictures
            figures = {f"{key}_microusd": value for key, value in asdict(found).items() if key not in _NAMING}
            within = found.answer and money.caps.day // found.answer
            present = name == model and kind == memory
            rows.append({"model": name, "memory": kind, "present": present, **figures, "answers_within_cap": within})
    return {
        "schema": 1,
        "estimate": {
            "engine": "local" if model is None else "service",
            "changes": habits.changes,
            "asked": asked,
            "per_hour": round(habits.per_hour, 1),
            "hours": round(habits.hours, 2),
            "cold_percent": round(habits.cold_share * 100),
            "active_hours": active_hours,
            "image_tokens": shape.image_tokens,
            "answer_tokens": shape.answer_tokens,
            "reasoning_tokens": REASONING_TOKENS,
            "rows": rows,
        },
        "cap_microusd": money.caps.day,
        "prices_date": money.prices.date,
    }
