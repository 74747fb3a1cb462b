from __future__ import annotations

import csv
import io
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudctl.cost_view import bar_of, cost_csv, render_cost, render_estimate
from hudctl.health import render_status
from hudctl.words import cells

BERLIN = ZoneInfo("Europe/Berlin")
FIGURES: dict[str, Any] = {
    "answers": 5, "input_tokens": 3600, "output_tokens": 300, "text_tokens": 1985, "image_tokens": 1615,
    "cached_tokens": 1920, "microusd": 17800, "assumed_microusd": 0, "reserved_microusd": 0, "unnoted_microusd": 0,
    "unpriced": 0,
}  # fmt: skip
COST: dict[str, Any] = {
    "schema": 1,
    "since": "2026-11-20T23:00:00.000Z",
    "until": None,
    "by": ["hour", "trigger"],
    "rows": [
        {"hour": "2026-11-21T09:00+01:00", "trigger": "change", **FIGURES},
        {"hour": "2026-11-21T10:00+01:00", "trigger": "manual", **FIGURES, "microusd": 35600, "answers": 10},
    ],
    "total": {**FIGURES, "microusd": 53400, "answers": 15},
    "chart": {
        "unit": "hour",
        "bars": [
            {"at": "2026-11-21T09:00+01:00", "microusd": 17800, "answers": 5},
            {"at": "2026-11-21T10:00+01:00", "microusd": 35600, "answers": 10},
        ],
    },
    "cap_microusd": 1000000,
    "caps": {"hour_microusd": None, "day_microusd": 1000000, "month_microusd": 20000000},
    "if_service": [],
    "prices_date": "2026-11-01",
}
TEXT = """\
Cost since 2026-11-21 00:00:00 CET
hour              for     answers  input  image  cached  output     cost
2026-11-21 09:00  change        5  3,600  1,615   1,920     300  $0.0178
2026-11-21 10:00  manual       10  3,600  1,615   1,920     300  $0.0356
total                          15  3,600  1,615   1,920     300  $0.0534
53 % of the input came from the service's cache.

11-21 09:00  ████████████████████                      $0.0178   5 answers
11-21 10:00  ████████████████████████████████████████  $0.0356  10 answers

Cap: $1.00 a day, $20.00 a month."""


def test_a_table_and_a_chart() -> None:
    assert render_cost(COST, width=100, zone=BERLIN) == TEXT


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_bars_fit_the_terminal(width: int) -> None:
    chart = [row for row in render_cost(COST, width=width, zone=BERLIN).splitlines() if "█" in row]
    assert len(chart) == 2
    assert max(map(cells, chart)) <= max(width, 44)


@given(st.floats(0, 1), st.integers(1, 60))
def test_a_bar_is_as_long_as_its_share(share: float, room: int) -> None:
    bar = bar_of(share, room)
    assert len(bar) <= room
    assert bool(bar) == (share > 0)
    assert abs(bar.count("█") - share * room) <= 1


def test_hours_without_an_answer_are_seen_in_the_chart() -> None:
    bars = [{"at": f"2026-11-21T{hour:02}:00+01:00", "microusd": 10, "answers": 1} for hour in (2, 3, 9)]
    text = render_cost({**COST, "chart": {"unit": "hour", "bars": bars}}, width=100)
    assert [row[:11] for row in text.splitlines() if "█" in row or "⋮" in row] == [
        "11-21 02:00", "11-21 03:00", "⋮", "11-21 09:00",
    ]  # fmt: skip
    days = [{"at": f"2026-10-{day}", "microusd": 10, "answers": 1} for day in (24, 25, 26, 28)]
    assert render_cost({**COST, "chart": {"unit": "day", "bars": days}}, width=100).count("⋮") == 1


@pytest.mark.parametrize("by", [(), ("hour", "trigger"), ("day", "model"), ("model", "trigger")])
@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_tables_fit_the_terminal(by: tuple[str, ...], width: int) -> None:
    names = {"day": "2026-11-21", "hour": "2026-11-21T10:00+01:00", "trigger": "interval"}
    model = {"engine": "service", "model": "gpt-realtime-2.1-mini"}
    row: dict[str, Any] = {name: value for name, value in names.items() if name in by or (not by and name == "trigger")}
    row |= model if "model" in by or not by else {}
    figures = {**FIGURES, "answers": 1440, "input_tokens": 1_150_000, "image_tokens": 465_000, "assumed_microusd": 7900}
    text = render_cost({**COST, "rows": [{**row, **figures}] * 2, "total": figures}, width=width)
    table = text.splitlines()[1:5]
    assert max(map(cells, table)) <= width
    assert table[3].startswith("total  ")
    assert "$0.0178  $0.0079" in table[3]
    assert ("No room for image" in text) == (
        not all(name in table[0] for name in ("image", "input", "output", "cached"))
    )


@pytest.mark.parametrize("width", [80, 120])
def test_the_estimate_fits_the_terminal(width: int) -> None:
    rows = [{**ESTIMATE["estimate"]["rows"][0], "model": "gpt-realtime-2.1-mini", "memory": "conversation"}]
    text = render_estimate({**ESTIMATE, "estimate": {**ESTIMATE["estimate"], "rows": rows}}, width=width)
    assert max(map(cells, text.splitlines())) <= width
    assert ("uncached" in text) == (width == 120)


def test_local_answers_are_charted_by_their_number() -> None:
    bars = [{"at": "2026-11-21", "microusd": 0, "answers": 2}, {"at": "2026-11-22", "microusd": 0, "answers": 4}]
    text = render_cost({**COST, "chart": {"unit": "day", "bars": bars}}, width=100)
    assert "11-22  ████████████████████████████████████████    4 answers" in text


def test_a_chart_never_tells_an_unknown_cost_as_nothing() -> None:
    free = {"at": "2026-11-21", "microusd": 0, "answers": 1, "unpriced": 0}
    unknown = {"at": "2026-11-22", "microusd": None, "answers": 9, "unpriced": 9}
    some = {"at": "2026-11-23", "microusd": 400, "answers": 5, "unpriced": 2}

    def chart(*bars: dict[str, Any]) -> list[str]:
        text = render_cost({**COST, "chart": {"unit": "day", "bars": list(bars)}}, width=100)
        return [row[5:].lstrip(" █▏▎▍▌▋▊▉") for row in text.splitlines() if row[:2] == "11"]

    assert chart(free, unknown) == ["$0.00   1 answer", "unknown  9 answers"]
    assert chart(free, unknown, some) == ["$0.00   1 answer", "unknown  9 answers", "> $0.0004  5 answers"]


def test_the_table_counts_answers_without_a_price() -> None:
    rows = [{"hour": "2026-11-21T09:00+01:00", **FIGURES}, {"hour": "2026-11-21T10:00+01:00", **FIGURES, "unpriced": 3}]
    text = render_cost({**COST, "rows": rows, "total": {**FIGURES, "unpriced": 3}}, width=120).splitlines()
    assert text[1].endswith("cost  no price")
    assert [row.endswith("  3") for row in text[2:5]] == [False, True, True]


def test_an_unknown_cost_is_said_loudly() -> None:
    total = {**FIGURES, "microusd": None, "unpriced": 5, "unnoted_microusd": 900}
    text = render_cost({**COST, "rows": [{"model": "own", **total}], "total": total}, width=200, colour=True)
    assert "unknown, not zero" in text
    assert "\x1b[31m5 answers without a known price" in text
    assert "$0.0009 of it was spent without a note" in text


def test_csv_has_every_row_and_no_formula() -> None:
    rows = [{"engine": "service", "model": '=1+1,"x"', **FIGURES, "microusd": None}]
    read = list(csv.DictReader(io.StringIO(cost_csv({"rows": rows}))))
    assert read[0]["model"] == '\'=1+1,"x"'
    assert read[0]["microusd"] == ""
    assert read[0]["answers"] == "5"
    names = (
        "engine,model,trigger,answers,input_tokens,text_tokens,image_tokens,cached_tokens,output_tokens,microusd,"
        "assumed_microusd,unnoted_microusd,reserved_microusd,unpriced"
    )
    assert cost_csv({"rows": []}) == f"{names}\n"


ESTIMATE: dict[str, Any] = {
    "estimate": {
        "engine": "service", "changes": 120, "asked": 80, "per_hour": 30.0, "hours": 4.0, "cold_percent": 10, "active_hours": 10.0, "image_tokens": 323,
        "answer_tokens": 60, "reasoning_tokens": 150,
        "rows": [
            {"model": "gpt-realtime-1.5", "memory": "window", "present": True, "answer_microusd": 3300,
             "warm_microusd": 3200, "cold_microusd": 4800, "hour_microusd": 99000, "day_microusd": 990000,
             "answers_within_cap": 303},
            {"model": "own", "memory": "window", "present": False, "answer_microusd": None, "warm_microusd": None,
             "cold_microusd": None, "hour_microusd": None, "day_microusd": None, "answers_within_cap": None},
        ],
    },
    "cap_microusd": 1000000,
    "prices_date": "2026-11-01",
}  # fmt: skip
ESTIMATE_TEXT = """\
If all that is worth a question were asked: 30 changes an hour, as in the 4 hours at the screen seen
in the last week (120 changes, 10 % of them after more than 5 minutes; 80 questions asked); 323
image tokens and 60 answer tokens each, 150 more for models that reason:
   model             memory  an answer   cached  uncached  an hour    a day  within cap
*  gpt-realtime-1.5  window    $0.0033  $0.0032   $0.0048  $0.0990  $0.9900         303
   own               window    unknown  unknown   unknown  unknown  unknown
* the present settings. A day has 10 active hours; so many answers are within the cap of $1.00 a
day, which is never passed: hudd asks less often then. Prices of 2026-11-01."""


def test_the_estimate() -> None:
    assert render_estimate(ESTIMATE, width=100) == ESTIMATE_TEXT


def test_without_habits_only_an_answer_has_a_price() -> None:
    empty = {**ESTIMATE, "estimate": {**ESTIMATE["estimate"], "changes": 0}}
    text = render_estimate(empty, width=100)
    assert text.startswith("Nothing changed on the screen within the last week")
    assert "$0.0990" not in text
    assert "$0.0033" in text


def test_few_changes_are_little_to_go_by() -> None:
    few = {**ESTIMATE, "estimate": {**ESTIMATE["estimate"], "changes": 19}}
    assert "which is little to go by" in " ".join(render_estimate(few, width=100).split())


def test_the_local_engine_is_no_row_of_the_table() -> None:
    text = render_estimate({**ESTIMATE, "estimate": {**ESTIMATE["estimate"], "engine": "local"}}, width=100)
    assert "The embedded engine answers now, for nothing." in text
    assert "* the present" not in text


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda x: (
            st.lists(x)
            | st.dictionaries(
                st.sampled_from(
                    ["rows", "total", "chart", "bars", "at", "microusd", "caps", "estimate", "answers", "model"]
                ),
                x,
            )
        ),
    )
)
def test_nothing_that_comes_makes_it_fail(value: Any) -> None:  # fmt: skip
    body = value if isinstance(value, dict) else {"rows": value, "total": value, "chart": value, "estimate": value}
    for text in (render_cost(body), render_estimate(body), cost_csv(body)):
        assert "\x1b" not in text


def money_status(**today: Any) -> str:
    sending = {"allowed": True, "automatic": today.get("stage") != "asked_only", "reasons": []}
    return render_status({"sending": sending, "cost_today": {"microusd": 1, "answers": 1, **today}}, width=200)


def test_the_status_tells_the_stage_the_pace_the_alarm_and_what_was_learnt() -> None:
    assert "Questions" not in money_status(stage="normal", sentence="Questions are asked.")
    slower = money_status(stage="slower", sentence="hudd asks less.", pacing={"next_automatic_s": 168.0})
    assert "hudd asks less." in slower
    assert "the next automatic question in 2 min" in slower
    asked = money_status(stage="asked_only", sentence="Only snaps.")
    assert "only what you ask for" in asked
    assert "Only snaps." in asked
    alarm = money_status(unnoted={"answers": 3, "microusd": 30_000, "alarm": True})
    assert "$0.03 was spent on the last 3 answers without a note" in alarm
    unpriced = {"answers": 3, "unpriced": 3, "alarm": True}
    assert "an unknown sum was spent on the last 3 answers" in money_status(unnoted={"microusd": None, **unpriced})
    assert "$0.01 and an unknown sum was spent" in money_status(unnoted={"microusd": 10_000, **unpriced})
    figure = {"pictures": 1, "expected_tokens": 323, "tokens": 839, "answers": 9}
    learnt = money_status(learnt={"cached_percent": 48, "images": [figure]})
    assert "839 tokens for 1 picture (expected 323), 48 % of the input cached" in learnt


def test_the_status_never_tells_an_unknown_cost_as_nothing() -> None:
    today = {"cap_microusd": 1_000_000, "answers": 12, "unpriced": {"answers": 12, "tokens": 9_876}}
    text = money_status(**{"microusd": None, **today})
    assert "unknown, 12 answers" in text
    assert "12 answers without a known price (9,876 tokens): that cost is unknown, not zero" in text
    assert "$0.00 " not in text
    some = money_status(**{"microusd": 4_000, **today, "unpriced": {"answers": 2, "tokens": 900}})
    assert "$0.0040 of $1.00, 12 answers" in some
    assert "2 answers without a known price" in some
    assert "known price" not in money_status(unpriced={"answers": 0, "tokens": 0})
