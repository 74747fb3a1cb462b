from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from hudd.flow.limits import Limits, stage_sentence, until
from hudd.ledger.caps import Standing

BERLIN = ZoneInfo("Europe/Berlin")
AT = datetime(2026, 11, 21, 14, 20, tzinfo=BERLIN).timestamp()
LIMITS = Limits("service", "gpt-realtime-1.5", 1_000_000, 5000, 839, 700, 200, 200_000, 20_000_000)


@pytest.mark.parametrize(
    ("standing", "says"),
    [
        (Standing("nothing", "hour"), "The hour's cap of $0.20 is reached until 15:00; raise [cost] cap_hour_usd"),
        (Standing("nothing", "day"), "The day's cap of $1.00 is reached until midnight; raise [cost] cap_day_usd"),
        (Standing("nothing", "month"), "The month's cap of $20.00 is reached until 1 December; raise"),
        (Standing("asked_only", "hour"), "until 15:00: what is left of the hour's cap of $0.20 is kept for snaps"),
        (Standing("nothing", "tokens"), "are used up until midnight; raise [cost] token_cap_day"),
        (Standing("nothing", "price_unknown"), "name it in [cost] prices_file"),
        (Standing("slower", "pacing"), "asks less often"),
        (Standing(), "as the screen changes"),
    ],
)
def test_a_stage_names_its_cap_how_much_it_is_and_when_it_ends(standing: Standing, says: str) -> None:
    assert says in stage_sentence(standing, LIMITS, AT, BERLIN)


def test_an_hour_ends_where_utc_says_so() -> None:
    assert until("hour", AT, ZoneInfo("Asia/Kolkata")) == "19:30"


def test_the_end_of_a_day_whose_midnight_is_skipped_is_a_time() -> None:
    """In Chile the clocks go from 23:59:59 to 01:00."""
    evening = datetime(2026, 9, 5, 20, 0, tzinfo=ZoneInfo("America/Santiago")).timestamp()
    assert until("day", evening, ZoneInfo("America/Santiago")) == "01:00"
    assert until("month", datetime(2026, 12, 31, tzinfo=UTC).timestamp(), UTC) == "1 January"
