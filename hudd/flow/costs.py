"""The cost report: what was spent, and what the same tokens would have cost at the service."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hudd.ledger.prices import PriceTable
from hudd.ledger.records import CostReport, CostRow
from hudd.model import Usage
from hudd.wire.messages import iso_time


def cost_body(
    report: CostReport, *, prices: PriceTable, cap_microusd: int, compare_models: Sequence[str]
) -> dict[str, Any]:
    """The object of ``cost`` (PROTOCOL.md).

    Args:
        report: From the journal.
        prices: For what it would have cost.
        cap_microusd: The cap of the day.
        compare_models: Models that the tokens are priced for.
    """
    rows = [_row(row) for row in report.rows]
    known = [row.microusd for row in report.rows if row.microusd is not None]
    usages = [row.usage for row in report.rows]
    return {
        "schema": 1,
        "since": None if report.since is None else iso_time(report.since),
        "until": None if report.until is None else iso_time(report.until),
        "rows": rows,
        "total": {
            **{
                key: sum(row[key] for row in rows)
                for key in (
                    "answers",
                    "input_tokens",
                    "output_tokens",
                    "text_tokens",
                    "image_tokens",
                    "cached_tokens",
                    "assumed_microusd",
                    "unpriced",
                )
            },
            "microusd": sum(known) if known or not rows else None,
        },
        "cap_microusd": cap_microusd,
        "if_service": [{"model": model, "microusd": _priced(usages, model, prices)} for model in compare_models],
        "prices_date": prices.date,
    }


def _priced(usages: Sequence[Usage], model: str, prices: PriceTable) -> int | None:
    total = 0
    for usage in usages:
        cost = prices.cost_microusd(usage, model)
        if cost is None:
            return None
        total += cost
    return total


def _row(row: CostRow) -> dict[str, Any]:
    return {
        "engine": row.engine,
        "model": row.model,
        "trigger": row.trigger,
        "answers": row.answers,
        "input_tokens": row.usage.input_tokens,
        "output_tokens": row.usage.output_tokens,
        "text_tokens": row.usage.text_tokens,
        "image_tokens": row.usage.image_tokens,
        "cached_tokens": row.usage.cached_tokens,
        "microusd": row.microusd,
        "assumed_microusd": row.assumed_microusd,
        "unpriced": row.unpriced,
    }
