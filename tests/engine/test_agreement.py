"""Lines read more than once: what the readings have to agree on before a line may be quoted."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hudd.engine.agreement import DISPUTED, agreed
from hudd.engine.findings import TextLine


def line(text: str, confidence: float = 0.95, height: int = 15) -> TextLine:
    return TextLine(text, 10, 10, 8 * len(text), height, confidence)


def reader(*readings: TextLine | None) -> tuple[Callable[[float], tuple[TextLine, ...]], list[float]]:
    asked: list[float] = []

    def read(size: float) -> tuple[TextLine, ...]:
        asked.append(size)
        found = readings[len(asked) - 1]
        return () if found is None else (found,)

    return read, asked


def test_a_line_without_digits_is_read_once():
    read, asked = reader(line("the ferry leaves at noon", 0.7))
    assert agreed(read) == (line("the ferry leaves at noon", 0.7),)
    assert asked == [1.0]


def test_nothing_stays_nothing():
    read, asked = reader(None)
    assert agreed(read) == ()
    assert asked == [1.0]


def test_two_sure_readings_that_agree_are_enough():
    read, asked = reader(line("31_not run", 0.9), line("31 not run", 0.94))
    assert agreed(read) == (line("31 not run", 0.94),)
    assert len(asked) == 2


def test_a_third_reading_decides():
    read, asked = reader(line("21 not run"), line("31 not run", 0.9), line("31 not run", 0.92))
    assert agreed(read) == (line("31 not run", 0.92),)
    assert len(asked) == len(set(asked)) == 3


@pytest.mark.parametrize(
    "readings",
    [
        (line("31 not run"), line("21 not run"), line("11 not run")),
        (line("31 not run"), None, None),
        (line("31 not run", 0.8), line("31 not run", 0.8), line("21 not run", 0.8)),
        (line("issue 227", 0.87, 9), line("issue 227", 0.87, 9), line("issue 227", 0.87, 9)),
    ],
    ids=["all differ", "read once", "two unsure ones", "small digits"],
)
def test_what_is_disputed_may_not_be_quoted(readings: tuple[TextLine | None, ...]):
    read, _ = reader(*readings)
    (found,) = agreed(read)
    first = readings[0]
    assert first is not None
    assert found.text == first.text
    assert found.confidence <= DISPUTED


def test_three_unsure_readings_that_agree_are_believed():
    read, _ = reader(line("31 not run", 0.8), line("31 not run", 0.82), line("31 not run", 0.8))
    assert agreed(read) == (line("31 not run", 0.82),)


def test_the_letters_of_a_small_line_have_to_agree():
    read, _ = reader(line("huild", 0.9, 9), line("build", 0.9, 9), line("kuild", 0.9, 9))
    (found,) = agreed(read)
    assert found.confidence <= DISPUTED
