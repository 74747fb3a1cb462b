from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

import pytest

from hudd.adapters import shipped_text
from hudd.errors import CommandError
from hudd.flow.costs import KEYS, MOST_ROWS, Money, cost_body, estimate_body
from hudd.ledger.caps import Caps
from hudd.ledger.estimate import Habits, Shape
from hudd.ledger.prices import PriceTable
from hudd.ledger.records import CostReport, CostRow
from hudd.model import Usage
from hudd.realtime.models import takes_reasoning

MONEY = Money(PriceTable.from_toml(shipped_text("prices.toml")), Caps(1_000_000), ("gpt-realtime-1.5", "nobodys"))
KATHMANDU = ZoneInfo("Asia/Kathmandu")  # a quarter of an hour off
TEN = 1_795_255_200 // 900  # 2026-11-21 10:00 UTC
USAGE = Usage(input_tokens=823, output_tokens=60, text_tokens=500, image_tokens=323, output_text_tokens=60)


def row(quarter: int = TEN, **changes: Any) -> CostRow:
    values: dict[str, Any] = {
        "engine": "service", "model": "gpt-realtime-1.5", "trigger": "change", "answers": 2, "usage": USAGE,
        "microusd": 4_000, "assumed_microusd": 1_000, "reserved_microusd": 0, "unpriced": 0, "unnoted_microusd": 500,
        "day": "2026-11-21", "quarter": quarter,
    }  # fmt: skip
    return CostRow(**(values | changes))


def body(*rows: CostRow, by: tuple[str, ...] = (), zone: ZoneInfo = KATHMANDU) -> dict[str, Any]:
    return cost_body(CostReport(0.0, None, rows), MONEY, by=by, zone=zone)


def test_without_keys_rows_are_by_engine_model_and_trigger() -> None:
    told = body(row(), row(TEN + 1), row(trigger="manual", microusd=None, unpriced=1))
    assert [(r["engine"], r["trigger"], r["answers"], r["microusd"]) for r in told["rows"]] == [
        ("service", "change", 4, 8_000),
        ("service", "manual", 2, None),
    ]
    total = told["total"]
    assert (total["answers"], total["microusd"], total["unpriced"]) == (6, 8_000, 1)
    assert (total["assumed_microusd"], total["unnoted_microusd"], total["input_tokens"]) == (3_000, 1_500, 3 * 823)


@pytest.mark.parametrize(
    ("by", "names"),
    [
        (("day",), {"day"}),
        (("hour",), {"hour"}),
        (("model",), {"engine", "model"}),
        (("trigger", "day"), {"trigger", "day"}),
        (KEYS, {"day", "hour", "engine", "model", "trigger"}),
    ],
)
def test_rows_are_split_by_what_is_asked(by: tuple[str, ...], names: set[str]) -> None:
    told = body(row(), row(TEN + 4), by=by)
    figures = set(told["total"])
    assert set(told["rows"][0]) == names | figures
    assert len(told["rows"]) == (2 if "hour" in by else 1)
    assert sum(r["microusd"] for r in told["rows"]) == 8_000
    assert told["by"] == list(by)


def test_hours_are_local_also_where_zones_are_a_quarter_off() -> None:
    # 10:00 UTC is 15:45 in Kathmandu: that hour ends at 10:15 UTC.
    told = body(row(TEN), row(TEN + 1), row(TEN + 4), by=("hour",))
    assert [(r["hour"], r["answers"]) for r in told["rows"]] == [
        ("2026-11-21T15:00+05:45", 2),
        ("2026-11-21T16:00+05:45", 4),
    ]


def test_the_chart_is_by_hours_for_two_days_and_by_days_beyond() -> None:
    told = body(row(), row(TEN + 8))
    assert told["chart"]["unit"] == "hour"
    assert [bar["microusd"] for bar in told["chart"]["bars"]] == [4_000, 4_000]
    told = body(row(), row(TEN + 96 * 3, day="2026-11-24"))
    assert told["chart"] == {
        "unit": "day",
        "bars": [
            {"at": "2026-11-21", "answers": 2, "microusd": 4_000, "unpriced": 0},
            {"at": "2026-11-24", "answers": 2, "microusd": 4_000, "unpriced": 0},
        ],
    }


def test_an_unknown_price_is_null_and_nothing_at_all_is_zero() -> None:
    assert body()["total"]["microusd"] == 0
    free = row(engine="local", microusd=0, assumed_microusd=0)
    for rows in ([row(microusd=None, unpriced=2)], [row(microusd=None, unpriced=2), free]):
        told = body(*rows)
        assert told["total"]["microusd"] is None
        assert [(bar["microusd"], bar["unpriced"]) for bar in told["chart"]["bars"]] == [(None, 2)]
    assert body(row(microusd=None, unpriced=2), row())["total"]["microusd"] == 4_000
    assert body(row(answers=0, microusd=None, reserved_microusd=9))["total"]["microusd"] == 0
    assert [item["microusd"] for item in body(row())["if_service"]] == [4575, None]


def test_too_many_rows_are_refused() -> None:
    rows = [row(TEN + 4 * n) for n in range(MOST_ROWS + 1)]
    with pytest.raises(CommandError, match="at most 1000") as refused:
        body(*rows, by=("hour",))
    assert refused.value.code == "E_ARGS"
    assert len(body(*rows)["rows"]) == 1


def told_estimate(**changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "model": "gpt-realtime-1.5", "memory": "window", "active_hours": 10.0, "reasons": takes_reasoning,
    } | changes  # fmt: skip
    shape = Shape(380, 30, 300, 0.5, 323, 60, 60)
    return estimate_body(Habits(120, 30.0, 4.0, 0.1), shape, MONEY, **values)["estimate"]


def test_the_estimate_names_every_model_with_a_price_and_both_memories() -> None:
    rows = told_estimate()["rows"]
    assert {(r["model"], r["memory"]) for r in rows} == {
        (model, memory)
        for model in MONEY.prices.models
        if model != "gpt-4o-realtime-preview"  # it took no pictures
        for memory in ("window", "conversation")
    }
    (present,) = (r for r in rows if r["present"])
    assert (present["model"], present["memory"]) == ("gpt-realtime-1.5", "window")
    assert present["hour_microusd"] == pytest.approx(present["answer_microusd"] * 30, abs=1)
    assert present["day_microusd"] == pytest.approx(present["hour_microusd"] * 10, abs=1)
    assert present["answers_within_cap"] == 1_000_000 // present["answer_microusd"]


def test_the_local_engine_has_no_row_among_the_prices() -> None:
    told = told_estimate(model=None)
    assert (told["engine"], [row for row in told["rows"] if row["present"]]) == ("local", [])
    assert {row["model"] for row in told["rows"]} <= set(MONEY.prices.models)


def test_a_model_that_reasons_costs_its_reasoning() -> None:
    answers = {(r["model"], r["memory"]): r["answer_microusd"] for r in told_estimate()["rows"]}
    mini = answers["gpt-realtime-mini", "window"]
    assert answers["gpt-realtime-2.1-mini", "window"] == mini + 150 * 2_400_000 // 1_000_000


def test_the_present_model_is_named_although_its_price_is_unknown() -> None:
    rows = told_estimate(model="my-deployment")["rows"]
    (present,) = (r for r in rows if r["present"])
    assert (present["answer_microusd"], present["day_microusd"], present["answers_within_cap"]) == (None, None, None)
