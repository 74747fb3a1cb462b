from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hudctl.errors import UsageError
from hudctl.times import parse_duration, parse_moment, parse_range, parse_until


@pytest.fixture
def berlin() -> Iterator[None]:
    """The machine stands in Berlin: summer time began on 2026-03-29 at 2:00 and ended on 2026-10-25 at 3:00."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "Europe/Berlin"
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


def at(text: str) -> datetime:
    """A moment of UTC, with the zone of the machine."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).astimezone()


def utc(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("15m", 900),
        ("2h", 7200),
        ("1h30m", 5400),
        ("1d", 86_400),
        ("2w", 1_209_600),
        ("0.5h", 1800),
        ("1m1m", 120),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "5", "h", "5x", "-5m", "5 m", "5m ", "0s", "0h0m", "1e3s", "999999999w", "9" * 400 + "s", "1.s", "m5"]
)
def test_what_is_no_duration_says_what_one_looks_like(text: str) -> None:
    with pytest.raises(UsageError, match="is no duration"):
        parse_duration(text)


@pytest.mark.usefixtures("berlin")
@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("now", "2026-11-21T13:30:00"),
        ("2h", "2026-11-21T11:30:00"),
        ("1d", "2026-11-20T13:30:00"),
        ("14:00", "2026-11-21T13:00:00"),
        ("9:05", "2026-11-21T08:05:00"),
        ("14:00:30", "2026-11-21T13:00:30"),
        ("23:59", "2026-11-21T22:59:00"),
        ("today", "2026-11-20T23:00:00"),
        ("yesterday", "2026-11-19T23:00:00"),
        ("2026-11-21", "2026-11-20T23:00:00"),
        ("2026-11-21T10:00", "2026-11-21T09:00:00"),
        ("2026-11-21 10:00", "2026-11-21T09:00:00"),
        ("2026-11-21T10:00Z", "2026-11-21T10:00:00"),
        ("2026-11-21T10:00:00.500+02:00", "2026-11-21T08:00:00.500"),
        ("2026-07-01", "2026-06-30T22:00:00"),
        ("2026-07-01T12:00", "2026-07-01T10:00:00"),
    ],
)
def test_moments(text: str, moment: str) -> None:
    assert parse_moment(text, now=at("2026-11-21T13:30:00")) == utc(moment)


@pytest.mark.usefixtures("berlin")
@pytest.mark.parametrize(
    ("now", "text", "moment"),
    [
        # The day on which summer time began had 23 hours, the one on which it ended 25.
        ("2026-03-29T10:00:00", "today", "2026-03-28T23:00:00"),
        ("2026-03-29T10:00:00", "1:30", "2026-03-29T00:30:00"),
        ("2026-03-29T10:00:00", "12:00", "2026-03-29T10:00:00"),
        ("2026-03-30T10:00:00", "yesterday", "2026-03-28T23:00:00"),
        ("2026-10-25T12:00:00", "today", "2026-10-24T22:00:00"),
        ("2026-10-25T12:00:00", "12:00", "2026-10-25T11:00:00"),
        ("2026-10-26T12:00:00", "yesterday", "2026-10-24T22:00:00"),
        ("2026-10-26T12:00:00", "24h", "2026-10-25T12:00:00"),
    ],
)
def test_moments_on_the_days_when_clocks_are_changed(now: str, text: str, moment: str) -> None:
    assert parse_moment(text, now=at(now)) == utc(moment)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "25:00",
        "24:00",
        "12:60",
        "12:00:60",
        "1:2",
        "2026-13-01",
        "2026-02-30",
        "tomorrow",
        "12.00",
        "2h ago",
    ],
)
def test_what_is_no_time_says_what_one_looks_like(text: str) -> None:
    with pytest.raises(UsageError, match=r"is no (time|duration)"):
        parse_moment(text, now=at("2026-11-21T13:30:00"))


@pytest.mark.usefixtures("berlin")
def test_until_a_time_of_day_is_the_next_one() -> None:
    now = at("2026-11-21T13:30:00")
    assert parse_until("15:00", now=now) == utc("2026-11-21T14:00:00")
    assert parse_until("14:30", now=now) == utc("2026-11-22T13:30:00")
    assert parse_until("14:00", now=now) == utc("2026-11-22T13:00:00")
    assert parse_until("2026-12-24", now=now) == utc("2026-12-23T23:00:00")


@pytest.mark.usefixtures("berlin")
def test_until_tomorrow_is_right_when_clocks_are_changed_in_the_night() -> None:
    assert parse_until("8:00", now=at("2026-03-28T10:00:00")) == utc("2026-03-29T06:00:00")
    assert parse_until("8:00", now=at("2026-10-24T10:00:00")) == utc("2026-10-25T07:00:00")


@pytest.mark.parametrize("text", ["now", "today", "yesterday", "2h", "2020-01-01"])
def test_until_what_is_past_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is past"):
        parse_until(text, now=at("2026-11-21T13:30:00"))


WORDS = st.one_of(
    st.text(max_size=30),
    st.from_regex(r"[0-9.]{1,12}[smhdw]([0-9]{1,4}[smhdw])?", fullmatch=True),
    st.from_regex(r"[0-9]{1,2}:[0-9]{2}(:[0-9]{2})?", fullmatch=True),
    st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}([+-][0-9]{2}:[0-9]{2})?)?", fullmatch=True),
)


@given(WORDS)
@example("0001-01-01")
@example("9999-12-31T23:59")
@example("0001-01-01T00:00+14:00")
@example("9999-12-31T23:59-14:00")
@example("٣h")
def test_any_words_are_a_moment_or_a_sentence(text: str) -> None:
    now = at("2026-11-21T13:30:00")
    for parse in (parse_moment, parse_until):
        try:
            assert isinstance(parse(text, now=now), float)
        except UsageError as error:
            assert "\n" not in str(error)  # noqa: PT017 - most words may do either
    try:
        assert parse_duration(text) > 0
    except UsageError as error:
        assert str(error)  # noqa: PT017 - as above


@pytest.mark.parametrize(("since", "until"), [("1h", "2h"), ("14:00", "13:00"), ("today", "yesterday"), ("1h", "1h")])
def test_a_range_in_which_nothing_can_lie_is_refused(since: str, until: str) -> None:
    with pytest.raises(UsageError, match=f"--since {since} is not before --until {until}"):
        parse_range(since, until, now=at("2026-11-21T13:30:00"))


def test_a_range_may_be_open_at_either_end() -> None:
    now = at("2026-11-21T13:30:00")
    hour, two = now.timestamp() - 3600, now.timestamp() - 7200
    assert parse_range("2h", "1h", now=now) == (two, hour)
    assert parse_range("2h", None, now=now) == (two, None)
    assert parse_range(None, "1h", now=now) == (None, hour)
    assert parse_range(None, None, now=now) == (None, None)
