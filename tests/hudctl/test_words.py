from __future__ import annotations

from datetime import UTC
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from hudctl.words import Look, cells, clean, columns, count, hang, line, money, pad, span, wrap, zone_name

BERLIN = Look(zone=ZoneInfo("Europe/Berlin"))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (0.04, "0 s"),
        (0.44, "0.4 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (119, "119 s"),
        (120, "2 min"),
        (3599, "59 min"),
        (8040, "2 h 14 min"),
        (86_399, "23 h 59 min"),
        (273_600, "3 d 4 h"),
        (None, "?"),
        ("x", "?"),
        (True, "?"),
        (float("nan"), "?"),
        (float("inf"), "?"),
    ],
)
def test_spans(seconds: object, words: str):
    assert span(seconds) == words


@pytest.mark.parametrize(
    ("microusd", "words"),
    [
        (0, "$0.00"),
        (7, "$0.000007"),
        (4100, "$0.0041"),
        (999_999, "$1.0000"),
        (1_000_000, "$1.00"),
        (1_234_567_890, "$1,234.57"),
        (None, "unknown"),
        ("4", "unknown"),
    ],
)
def test_money(microusd: object, words: str):
    assert money(microusd) == words


def test_counts():
    assert [count(number, "note") for number in (0, 1, 2300, None)] == ["0 notes", "1 note", "2,300 notes", "0 notes"]
    assert count(2, "entry", "entries") == "2 entries"


def test_times_are_local_and_name_the_zone():
    assert BERLIN.time("2026-11-21T10:31:06.412Z") == "11:31:06 CET"
    assert BERLIN.day_time("2026-07-21T23:31:06.412Z") == "2026-07-22 01:31:06 CEST"
    assert Look(zone=ZoneInfo("Asia/Kathmandu")).time("2026-11-21T10:31:06Z") == "16:16:06 +0545"
    assert Look(zone=UTC).time("2026-11-21T10:31:06Z") == "10:31:06 UTC"


@pytest.mark.parametrize("value", [None, 5, "", "soon", "0001-01-01T00:00:00+14:00", "\x1b[2J"])
def test_what_is_no_time_is_shown_safely(value: object):
    shown = BERLIN.day_time(value)
    assert "\x1b" not in shown


def test_a_zone_without_a_plain_name_is_its_offset():
    moment = BERLIN.moment("2026-11-21T10:31:06Z")
    assert moment
    assert zone_name(moment) == "CET"
    assert zone_name(moment.astimezone(ZoneInfo("America/Sao_Paulo"))) == "-03"


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("a\x1b[31mred\x1b[0m b", "ared b"),
        ("\x1b]0;title\x07x", "x"),
        ("\x1b]8;;http://evil\x1b\\link", "link"),
        ("a\x9b31mb", "a 31mb"),
        ("a\x07\x00b", "a  b"),
        ("two\r\nlines\nhere", "two\nlines\nhere"),
        ("over\rwritten", "over written"),
        ("tab\there", "tab here"),
        ("\u202eevil", " evil"),
        ("naïve 日本 🙂", "naïve 日本 🙂"),
    ],
)
def test_nothing_can_steer_the_terminal(text: str, safe: str):
    assert clean(text) == safe


def test_columns_of_wide_and_combining_characters():
    assert [cells(text) for text in ("abc", "日本", "e\u0301", "a\u200db", "")] == [3, 4, 1, 2, 0]
    assert pad("日", 4) == "日  "
    assert pad("5", 3, right=True) == "  5"


def test_wrapping():
    assert wrap("one two three", 0) == ["one two three"]
    assert wrap("", 40) == [""]
    assert wrap("a\n\nb", 40) == ["a", "", "b"]
    assert wrap("the quick brown fox jumps", 20) == ["the quick brown fox", "jumps"]
    assert wrap("x" * 45, 20) == ["x" * 20, "x" * 20, "x" * 5]
    assert wrap("日" * 12, 20) == ["日" * 10, "日" * 2]
    assert wrap("narrower than sense", 3) == ["narrower than sense"], "below 20 columns nothing is readable"


def test_hanging():
    assert hang("head ", "one two three four five", Look(width=25)) == "head one two three four\n     five"
    assert hang("日本 ", "a\nb", Look(width=0)) == "日本 a\n     b"
    assert hang("  x", "y", Look(width=80), indent=6) == "  x   y"


def test_tables():
    rows = [("name", "n"), ("a", "1"), ("日本", "100")]
    assert columns(rows, frozenset({1})) == ["name    n", "a       1", "日本  100"]
    assert columns([], frozenset()) == []


def test_colours_only_when_asked():
    assert Look(colour=False).paint("x", "red") == "x"
    assert Look(colour=True).paint("x", "bold", "red") == "\x1b[1;31mx\x1b[0m"
    assert Look(colour=True).paint("", "red") == ""


@examples(deadline=None)
@given(st.text(), st.integers(20, 200))
def test_wrapped_lines_fit_and_lose_no_letter(text: str, width: int):
    safe = clean(text)
    lines = wrap(safe, width)
    assert all(cells(row) <= width for row in lines)
    assert "".join("".join(lines).split()) == "".join(safe.split())


@examples(deadline=None)
@given(st.text())
def test_clean_text_is_clean(text: str):
    safe = clean(text)
    assert clean(safe) == safe
    assert safe.replace("\n", "").isprintable() or not safe.isascii()
    assert "\n" not in line(text)
