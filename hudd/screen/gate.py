"""Decides which frames are news. Pure: values and time in, a decision out.

One ``Gate`` per source. Every look is judged twice: against the look before it (does the screen still move?) and
against the last frame that was sent (is it news?).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from hudd.config.settings import GateSettings
from hudd.screen.change import Change, Tiles
from hudd.screen.echo import Echo
from hudd.screen.restless import Restless

Action = Literal["send", "wait", "same"]
Reason = Literal[
    "first", "changed", "heartbeat", "same", "cursor", "colours", "restless", "settling", "interval",
    "ignored_window", "echo", "uniform",
]  # fmt: skip

REASONS: Final[dict[Reason, str]] = {
    "first": "nothing was sent before",
    "changed": "the screen changed and came to rest, or moved for too long to wait",
    "heartbeat": "the screen is still, and it is time to say so",
    "same": "nothing that counts differs from what was sent",
    "cursor": "only something as small as a cursor or a clock differs",
    "colours": "the same shapes have other colours: a theme, a selection, a bar that fills",
    "restless": "only what never rests and is no text differs: a spinner, a clock with seconds, a film",
    "settling": "the screen still moves",
    "interval": "the last picture was sent too short a time ago",
    "ignored_window": "only a window that prints notes differs",
    "echo": "only the place where notes are printed differs",
    "uniform": "the screen is one colour: locked, off, or capture is not permitted",
}


TRIMMING_SHARE: Final = 6
TRIMMING_TILES: Final = 4
"""When at least six times as many tiles got only other colours, spots of up to four tiles with other shapes are not
words: ten of them would take six tiles or more in one line."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do with a look.

    Attributes:
        action: ``send`` it; ``wait`` and look again, there is news; ``same``: there is none.
        reason: One stable word, see ``REASONS``.
        look_again_in_s: When to look again even if nothing is reported, in seconds; None means not for this reason.
    """

    action: Action
    reason: Reason
    look_again_in_s: float | None = None


class Gate:
    """Judges the looks at one source.

    ``look`` never remembers that a frame was sent; the caller says so by ``sent``, when it really put the frame on its
    way. A frame that was withheld meanwhile stays news.
    """

    def __init__(self, settings: GateSettings) -> None:
        self._settings = settings
        self._echo = Echo()
        self._restless = Restless()
        self._sent_at: float | None = None
        self._moved_at: float | None = None
        self._news_since: float | None = None

    def look(
        self, now: float, *, since_look: Change | None, since_sent: Change | None, begun_at: float | None = None
    ) -> Decision:
        """Judge one look.

        Args:
            now: Monotonic time, seconds; never less than before.
            since_look: What changed since the look before; None at the first look.
            since_sent: What differs from the last frame that was sent, described; None before one was.
            begun_at: The earliest moment at which the change may have begun, as with polling; None means just now.
        """
        if since_look is not None:
            self._echo.moved(since_look, now if begun_at is None else begun_at)
            self._restless.moved(since_look.tiles, now)
        noise = None if since_sent is None else self._restless.noise(since_sent)
        if since_look is not None and self._moves(since_look, noise):
            self._moved_at = now
        if since_sent is None or noise is None or self._sent_at is None:
            return Decision("send", "first")
        held = self._held(since_sent, noise)
        if held is not None:
            self._news_since = None
            return self._still(held, now)
        return self._news(now)

    def sent(self, now: float) -> None:
        """Tell that a frame of this source was sent, for whatever reason; what it shows is no news any more."""
        self._sent_at = now
        self._news_since = None

    def published(self, key: str, now: float) -> None:
        """Tell that words about any source went out to listeners; ``key`` is the same for all pieces of one note."""
        self._echo.published(key, now)

    def change(self, settings: GateSettings) -> None:
        """Judge by other settings from the next look on; what was seen and learnt stays."""
        self._settings = settings

    def forget(self) -> None:
        """Start anew: the next look is the first."""
        self._sent_at = self._moved_at = self._news_since = None
        self._echo.forget()
        self._restless.forget()

    def _moves(self, change: Change, noise: Tiles | None) -> bool:
        """Whether the screen still moves; what is restless anyway keeps nobody waiting."""
        if change.patches < self._settings.min_tiles:
            return False
        return not noise or not noise.fits(change.tiles) or self._counts(change.tiles.without(noise))

    def _counts(self, tiles: Tiles) -> bool:
        """Whether tiles are enough for news: one spot of them, or many small ones."""
        least = self._settings.min_tiles
        return tiles.count >= 2 * least or any(spot.count >= least for spot in tiles.clusters())

    def _held(self, news: Change, noise: Tiles) -> Reason | None:
        if not news.tiles:
            return "ignored_window" if news.ignored else "same"
        if news.patches < self._settings.min_tiles:
            return "cursor"
        if self._echo.holds(news):
            return "echo"
        shapes = news.tiles if news.shapes is None else news.shapes
        if not self._counts(shapes) or _trimming(shapes, news.tiles):
            return "colours"
        if noise and not self._counts(shapes.without(noise)):
            return "restless"
        return None

    def _still(self, reason: Reason, now: float) -> Decision:
        assert self._sent_at is not None
        if self._settings.heartbeat_s <= 0:
            return Decision("same", reason)
        left_s = self._sent_at + self._settings.heartbeat_s - now
        return Decision("send", "heartbeat") if left_s <= 0 else Decision("same", reason, left_s)

    def _news(self, now: float) -> Decision:
        assert self._sent_at is not None
        if self._news_since is None:
            self._news_since = now
        if self._moved_at is None:
            # News without movement: what was ignored before counts now.
            self._moved_at = now
        settle_s = min(self._moved_at + self._settings.settle_s, self._news_since + self._settings.max_settle_s) - now
        interval_s = self._sent_at + self._settings.min_interval_s - now
        if settle_s > 0:
            return Decision("wait", "settling", max(settle_s, interval_s))
        if interval_s > 0:
            return Decision("wait", "interval", interval_s)
        return Decision("send", "changed")


def _trimming(shapes: Tiles, tiles: Tiles) -> bool:
    """Whether other shapes are only what goes with new colours everywhere: an edge, a button, a cursor."""
    few = shapes.count * TRIMMING_SHARE <= tiles.count
    return few and all(spot.count <= TRIMMING_TILES for spot in shapes.clusters())
