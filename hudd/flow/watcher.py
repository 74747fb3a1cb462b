"""What is remembered of one source between two looks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from hudd.config.settings import GateSettings
from hudd.model import Picture, Shot, Source
from hudd.screen.change import Change
from hudd.screen.gate import Decision, Gate
from hudd.screen.source import ALL_HIDDEN, NOT_FOCUSED, ONE_COLOUR, Rect

FIRST_HOLD_S: Final = 1.0
LONGEST_HOLD_S: Final = 60.0
"""A frame that could not be sent is tried again after so long, in seconds, doubling from the first to the longest."""


MOVING_FRACTION: Final = 0.5
"""When more than this share of the tiles changed since the look before, the screen is surely not at rest."""


class Fingerprint(Protocol):
    """What is kept of a frame; made and compared by the pixels."""

    @property
    def hash(self) -> str: ...


class Pixels(Protocol):
    """What the capture stage needs of the pixel work. Every function blocks and may run in a worker thread."""

    def fingerprint(self, shot: Shot, previous: Any) -> Any: ...
    def compare(self, now: Any, before: Any, *, ignored: Sequence[Rect]) -> Change: ...
    def describe(self, change: Change, now: Any, before: Any, *, moving: bool) -> Change: ...
    @property
    def no_parts(self) -> bool: ...
    def uniform(self, shot: Shot) -> str: ...
    def encode(self, shot: Shot, *, frame_hash: str) -> Picture: ...
    def details(
        self, shot: Shot, change: Change | None, *, most: int, focus: Callable[[], Rect | None]
    ) -> tuple[Picture, ...]: ...


@dataclass(frozen=True, slots=True)
class Look:
    """One frame and how it differs from earlier ones."""

    shot: Shot
    print_: Any
    since_look: Change | None
    since_sent: Change | None
    uniform: str = ""

    @property
    def blank(self) -> str:
        """Why it shows one colour only; '' when it shows more."""
        if not self.uniform:
            return ""
        return ALL_HIDDEN if self.shot.masked else NOT_FOCUSED if self.shot.veiled else ONE_COLOUR


class Watcher:
    """One source: its gate, and the fingerprints of the last look and of the last frame that was sent.

    Attributes:
        source: What is looked at; replaced when its rectangle changes.
        reason: The gate's last word.
        looked_at: ``clock.monotonic()`` of the last look, or None.
        whole_only: Why the newest question has only a picture of the whole: ``settings``, ``engine``, ``cap``,
            ``price``, ``pace``, or ``legible`` when no text on it is too small to read; '' when it has more, or for
            no question yet.
        blank: Why the last look showed one colour only; '' when it showed more.
    """

    def __init__(self, source: Source, settings: GateSettings, pixels: Pixels) -> None:
        self.source = source
        self.reason = ""
        self.looked_at: float | None = None
        self.blank = ""
        self.whole_only = ""
        self._gate = Gate(settings)
        self._pixels = pixels
        self._last: Any = None
        self._sent: Any = None
        self._sent_hash = ""
        self._heartbeat_s = settings.heartbeat_s
        self._least_hold_s = max(settings.min_interval_s, FIRST_HOLD_S)
        self._hold_s = 0.0
        self._held_until = float("-inf")

    def change(self, settings: GateSettings, pixels: Pixels) -> None:
        """Judge and compare by other settings from the next look on; what was seen stays."""
        self._gate.change(settings)
        self._pixels = pixels
        self._heartbeat_s = settings.heartbeat_s
        self._least_hold_s = max(settings.min_interval_s, FIRST_HOLD_S)

    def examine(self, shot: Shot, ignored: Sequence[Rect]) -> Look:
        """Reduce a frame and compare it. Blocks; called in the capture thread."""
        last, sent = self._last, self._sent  # the event loop may replace them meanwhile
        print_ = self._pixels.fingerprint(shot, last)
        since_look = None if last is None else self._pixels.compare(print_, last, ignored=ignored)
        since_sent = since_look if sent is last else None
        if sent is not None:
            since_sent = since_sent or self._pixels.compare(print_, sent, ignored=ignored)
            moving = since_look is not None and since_look.fraction > MOVING_FRACTION
            since_sent = self._pixels.describe(since_sent, print_, sent, moving=moving)
        return Look(shot, print_, since_look, since_sent, self._pixels.uniform(shot))

    def judge(self, look: Look, now: float, *, polled: bool = False) -> Decision:
        """Let the gate decide, and remember the look; ``polled`` when nothing told of the change."""
        self._last = look.print_
        begun_at = self.looked_at if polled else None
        self.looked_at = now
        decision = self._gate.look(now, since_look=look.since_look, since_sent=look.since_sent, begun_at=begun_at)
        if decision.action == "send" and now < self._held_until:
            decision = Decision("wait", "interval", self._held_until - now)
        self.blank = look.blank
        if decision.action == "send" and look.uniform:
            decision = Decision("same", "uniform")  # news it may be, but it shows nothing
        self.reason = decision.reason
        if decision.reason == "colours":
            # Its words were sent already. From now on they are compared in their new colours, so that words that
            # change later do not hide among them.
            self._sent = look.print_
        if decision.action == "send" and self._heartbeat_s > 0:
            # On a still screen nothing else would be a cause to look.
            return replace(decision, look_again_in_s=self._heartbeat_s)
        return decision

    def sent(self, look: Look, now: float) -> None:
        """The frame is on its way; it is no news any more."""
        self._sent, self._sent_hash = look.print_, look.print_.hash
        self._gate.sent(now)

    def unsent(self, frame_hash: str, now: float) -> None:
        """A frame that was on its way did not leave, so it is news again; but not at once, and each time later."""
        if self._sent is None or self._sent_hash != frame_hash:
            return  # a later one is on its way
        self._sent = None
        again = now < self._held_until + self._hold_s
        self._hold_s = max(self._least_hold_s, min(2 * self._hold_s, LONGEST_HOLD_S) if again else 0.0)
        self._held_until = now + self._hold_s

    def published(self, key: str, now: float) -> None:
        """Words about some source went out."""
        self._gate.published(key, now)
