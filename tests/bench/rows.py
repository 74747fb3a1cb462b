"""One line of the bench, the table it stands in, and the JSON of all of them."""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

NO_BAR = math.inf
QUIET_LOAD_PER_CORE = 0.5
"""Above this, wall times say more about the machine's other work than about hudd."""


@dataclass(frozen=True, slots=True)
class Row:
    """One figure.

    Attributes:
        name: What was measured.
        measured: The figure.
        bar: The most it may be; infinite for a figure that only stands beside the others.
        unit: Of both.
        how: How it was measured, in a few words.
    """

    name: str
    measured: float
    bar: float
    unit: str
    how: str = ""

    @property
    def word(self) -> str:
        """``ok``, ``over``, or ``-`` without a bar."""
        if math.isinf(self.bar):
            return "-"
        return "ok" if self.measured <= self.bar else "over"

    def to_json(self) -> dict[str, Any]:
        """An object; a missing bar is null."""
        return {**asdict(self), "bar": None if math.isinf(self.bar) else self.bar, "verdict": self.word}


def row_of(given: Row | tuple[str, float, float, str], how: str) -> Row:
    """A row, also from ``(name, measured, bar, unit)``. What a unit tells in words beside itself goes to ``how``."""
    if isinstance(given, Row):
        return given if given.how else Row(given.name, given.measured, given.bar, given.unit, how)
    name, measured, bar, unit = given
    short, _, rest = unit.partition(" ")
    return Row(name, measured, bar, short, f"{rest}; {how}" if rest else how)


def figure(value: float) -> str:
    """A number with three figures or so."""
    if math.isinf(value):
        return ""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 10 else f"{value:.1f}"


def table(rows: Iterable[Row]) -> str:
    """All rows as text."""
    lines = [("what", "measured", "bar", "", "unit", "how")]
    lines += [(r.name, figure(r.measured), figure(r.bar), r.word, r.unit, r.how) for r in rows]
    widths = [max(len(line[column]) for line in lines) for column in range(5)]
    return "\n".join(
        f"{name:<{widths[0]}}  {measured:>{widths[1]}}  {bar:>{widths[2]}}  {word:<{widths[3]}}  {unit:<{widths[4]}}  {how}"
        for name, measured, bar, word, unit, how in lines
    )


def load_sentence() -> str:
    """How busy the machine is, and whether wall times can be judged."""
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    sentence = f"load {load:.2f} on {cores} cores, Python {platform.python_version()}"
    if load > QUIET_LOAD_PER_CORE * cores:
        return f"{sentence}: too busy to judge wall times; ratios and CPU times still hold"
    return sentence


def document(rows: Sequence[Row], *, load_before: str, load_after: str, quick: bool, took_s: float) -> str:
    """The JSON of a run."""
    body = {
        "schema": 1,
        "load_before": load_before,
        "load_after": load_after,
        "quick": quick,
        "took_s": round(took_s, 1),
        "over": [row.name for row in rows if row.word == "over"],
        "rows": [row.to_json() for row in rows],
    }
    return json.dumps(body, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
