"""When a line is read twice: figures must be right, and a reader's own confidence does not tell that. Pure.

A line with digits is read again at another size. What two readings agree on keeps its confidence when that is high;
else a third has to say the same, and small digits are never believed. Otherwise the line gets a confidence too low to
be quoted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from hudd.engine.findings import TextLine

FURTHER_SIZES: Final = (1.33, 0.8)  # of the first reading's size
SURE: Final = 0.88  # below it two readings may agree on the same mistake
SMALL_PX: Final = 11  # letters of this height lose their strokes: such lines are read twice as well
DISPUTED: Final = 0.4  # below every confidence that allows a quotation

Reading = tuple[TextLine, ...]


def agreed(read: Callable[[float], Reading]) -> Reading:
    """Read a line, again where it holds digits or is small, and settle what it says.

    Args:
        read: Reads the line at a size, given as a share of the usual one.

    Returns:
        The most confident of the readings that agree; the first one, with a low confidence, when none do.
    """
    first = read(1.0)
    if not first or not any(_is_doubtful(line) for line in first):
        return first
    readings = [first, read(FURTHER_SIZES[0])]
    best = _best(readings)
    if _says(readings[0]) == _says(readings[1]) and _confidence(best) >= SURE:
        return best
    readings.append(read(FURTHER_SIZES[1]))
    votes = [[one for one in readings if _says(one) == _says(other)] for other in readings]
    most = max(votes, key=len)
    best = _best(most)
    sure = _confidence(best) >= SURE
    if len(most) >= (2 if sure else 3) and best and (sure or not _has_small_digits(best)):
        return best
    return tuple(replace(line, confidence=min(DISPUTED, line.confidence)) for line in first)


def _confidence(reading: Reading) -> float:
    return min((line.confidence for line in reading), default=0.0)


def _best(readings: list[Reading]) -> Reading:
    return max(readings, key=_confidence)


def _is_doubtful(line: TextLine) -> bool:
    return line.height <= SMALL_PX or any(c.isdigit() for c in line.text)


def _has_small_digits(reading: Reading) -> bool:
    return any(line.height <= SMALL_PX and any(c.isdigit() for c in line.text) for line in reading)


def _says(reading: Reading) -> tuple[str, ...]:
    """What readings have to agree on: every digit in its order, and the letters of a small line."""
    return tuple(
        "".join(c for c in line.text.lower() if c.isdigit() or (c.isalpha() and line.height <= SMALL_PX))
        for line in reading
    )
