"""Knows what never rests: a spinner, a clock that shows seconds, a film. Pure.

A place that changed at most of the last looks is restless, and by itself no news. Two things keep words from being
taken for it: what is restless and large counts all the same unless it shows pictures, as a log that runs; and a place
that was still for some looks and then changes once is restless no more, as a page that follows a film.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from hudd.screen.change import Change, Tiles

LOOKS: Final = 8
LEAST_LOOKS: Final = 4
"""Of the last eight looks so many must have seen a change in a place to make it restless."""
WINDOW_S: Final = 12.0
"""Looks that are older do not count, in seconds."""
SMALL: Final = 4
"""A restless spot of so few tiles is no news, whatever it looks like."""
PICTURED: Final = 0.3
"""A larger one is no news when at least this share of it shows a picture: a film."""


class Restless:
    """The rule for one source. Looks must be told in the order of time."""

    def __init__(self) -> None:
        self._looks: deque[tuple[float, Tiles]] = deque(maxlen=LOOKS)
        self._places: Tiles | None = None

    def moved(self, tiles: Tiles, now: float) -> None:
        """Tell what changed since the look before."""
        if self._looks and not self._looks[-1][1].fits(tiles):
            self.forget()
        self._looks.append((now, tiles))
        while now - self._looks[0][0] > WINDOW_S:
            self._looks.popleft()
        twice, often = self._repeated(tiles)
        if self._places is not None:
            often = often.union(self._places.without(tiles.without(twice)))
        self._places = often

    def noise(self, news: Change) -> Tiles:
        """Which tiles of a change are restless and no news."""
        nothing = Tiles(news.tiles.columns, news.tiles.rows)
        if self._places is None or not self._places.fits(news.tiles):
            return nothing
        noise = nothing
        for spot in news.tiles.common(self._places).clusters():
            pictured = spot.common(news.pictured).count if news.pictured is not None else 0
            if spot.count <= SMALL or pictured >= PICTURED * spot.count:
                noise = noise.union(spot)
        return noise

    def forget(self) -> None:
        """Start anew, as after a change of the monitor."""
        self._looks.clear()
        self._places = None

    def _repeated(self, like: Tiles) -> tuple[Tiles, Tiles]:
        """Tiles that changed at two of the looks or more, and those at ``LEAST_LOOKS`` or more."""
        reached = [-1, *[0] * LEAST_LOOKS]
        for _, look in self._looks:
            for count in range(LEAST_LOOKS, 0, -1):
                reached[count] |= reached[count - 1] & look.bits
        return Tiles(like.columns, like.rows, reached[2]), Tiles(like.columns, like.rows, reached[LEAST_LOOKS])
