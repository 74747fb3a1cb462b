"""Decides whether a change is hudd's own words coming back: somebody prints the notes on the screen that is watched.

Where the printing window is known, its rectangle is ignored. Here is the rule for the rest (tmux, Wayland): a change
that follows a publication and touches only what changed after the publication before it, is an echo (design 5). Two
things keep a person's own work from being taken for it: the change must come soon after the publication, and it must
not touch what also changed at other times. Pure; time is handed in.
"""

from __future__ import annotations

from hudd.screen.change import Change, Tiles

ECHO_S = 1.5
"""A change counts as following a publication for so long after its last words, in seconds."""


class Echo:
    """The rule for one source. Publications and looks must be told in the order of time."""

    def __init__(self) -> None:
        self._key = ""
        self._spoke_at: float | None = None
        self._before: Tiles | None = None
        self._after: Tiles | None = None
        self._elsewhen: Tiles | None = None

    def published(self, key: str, now: float) -> None:
        """Tell that words went out; ``key`` is the same for all pieces of one note."""
        if key != self._key:
            self._key = key
            # A note that nobody printed says nothing about where notes are printed.
            if self._after:
                self._before = self._after
                self._elsewhen = None
            self._after = None
        self._spoke_at = now

    def moved(self, change: Change, now: float) -> None:
        """Tell what changed since the last look; ``now`` is the earliest moment at which it may have begun."""
        if not change.tiles:
            return
        if self._follows(now):
            self._after = _add(self._after, change.tiles)
        else:
            self._elsewhen = _add(self._elsewhen, change.tiles)

    def holds(self, news: Change) -> bool:
        """Whether ``news``, all that differs from the last frame that was sent, is only an echo."""
        if self._before is None or self._after is None or not self._before.fits(news.tiles):
            return False
        if self._elsewhen is not None and self._elsewhen.fits(news.tiles) and self._elsewhen.meets(news.tiles):
            return False
        return news.tiles.within(_room(self._before))

    def forget(self) -> None:
        """Start anew, as after a change of the monitor."""
        self._before = self._after = self._elsewhen = None

    def _follows(self, now: float) -> bool:
        return self._spoke_at is not None and now - self._spoke_at <= ECHO_S


def _add(known: Tiles | None, more: Tiles) -> Tiles:
    return more if known is None or not known.fits(more) else known.union(more)


def _room(printed: Tiles) -> Tiles:
    """Where the next words may appear: the rectangle of the last ones, and as much again above and below.

    A terminal that is not full yet prints below its last line; only when it is full, the same lines change.
    """
    top, left, bottom, right = printed.bounds()
    height = bottom - top + 1
    return Tiles.block(printed.columns, printed.rows, (top - height, left - 1, bottom + height + 1, right + 1))
