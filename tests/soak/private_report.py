"""What a soak of private things counts, and when a picture with something private may be forgiven."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class Report:
    """What happened.

    Attributes:
        with_secret: Pictures with something private that were taken, or still here, after the daemon had read the event.
        too_early: Those that left before: nobody had told the daemon yet.
        allowed: Pictures with the colour that were received while nothing forbade it, before the run.
        close: Of each picture with something private, which event was near.
        delays_ms: By kind of event, from just before it until ``state/`` told it.
    """

    seed: int
    masked: bool
    frames: int = 0
    pictures: int = 0
    with_secret: int = 0
    too_early: int = 0
    allowed: int = 0
    snaps: int = 0
    refused: Counter[str] = field(default_factory=Counter[str])
    events: Counter[str] = field(default_factory=Counter[str])
    close: list[str] = field(default_factory=list[str])
    delays_ms: dict[str, list[float]] = field(default_factory=dict[str, list[float]])

    def rows(self) -> list[str]:
        """For a person."""
        kind = " (mask)" if self.masked else ""
        told = (
            f"private{kind}: seed {self.seed}, {self.frames} frames, {self.pictures} pictures"
            f" received, {self.with_secret} with something private after the event was read, {self.too_early} before; {sum(self.events.values())} events"
            f" {dict(self.events)}; {self.snaps} snaps answered, refused {dict(self.refused)}"
        )
        rows = [told, *self.close]
        for name, delays in sorted(self.delays_ms.items()):
            ordered = sorted(delays)
            p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
            rows.append(
                f"  {name}: event to state/ p50 {ordered[len(ordered) // 2]:.1f} ms, p99 {p99:.1f} ms"
                f" (of {len(ordered)})"
            )
        return rows


@dataclass(frozen=True)
class Span:
    """One event, wall clock.

    Attributes:
        begun: From when on something private may have been on the screen.
        told: When the daemon had read it.
        over: When nothing private was on the screen any more.
    """

    kind: str
    begun: float
    told: float
    over: float

    def forbids(self, taken: float, left: float) -> bool:
        """Whether a picture that was taken and left then was here while the event was known."""
        return taken <= self.over and left >= self.told

    def is_unread(self, taken: float, left: float) -> bool:
        """Whether a picture came and went while something private was there that nobody had told of yet."""
        return self.begun <= taken and left < self.told


def is_too_early(spans: Sequence[Span], taken: float, left: float) -> bool:
    """Whether a private picture may be forgiven: it left before the event was read, and none that was known."""
    return any(span.is_unread(taken, left) for span in spans) and not any(span.forbids(taken, left) for span in spans)


def judge(report: Report) -> None:
    """Nothing private was received, and enough happened that it could have been.

    Raises:
        AssertionError: Otherwise.
    """
    assert report.with_secret == 0, f"{report.with_secret} pictures showed something private (seed {report.seed})"
    assert report.allowed > 0, "what looks for the colour did not see it even while nothing forbade it"
    assert report.pictures >= report.frames // 20, f"only {report.pictures} pictures left in {report.frames} frames"
    assert report.snaps > 0
    assert sum(report.events.values()) >= report.frames // 100
