"""Whether a picture may leave: facts in, reasons out. Pure.

Every change of a fact raises ``epoch``. A shot carries the epoch that was read before its grab; a shot whose epoch is
no longer the present one was taken while something changed, and is withheld although nothing forbids sending now.
The same function decides before encoding, to save work, and as the last statement before the bytes go out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

Reason = Literal[
    "paused",
    "pausing",
    "cap_reached",
    "price_unknown",
    "stopping",
]
"""What can forbid sending. Locked, inactive, idle and excluded windows join here when their sources exist."""

FACTS_CHANGED: Final = "facts_changed"

SENTENCES: Final[dict[str, str]] = {
    "paused": "hudd is paused; `hudctl resume` ends the pause.",
    "pausing": "hudd is being paused.",
    "cap_reached": "The money cap of the day is reached; raise [cost] cap_day_usd or wait for tomorrow.",
    "price_unknown": (
        "The price of this model is unknown; name one in [cost] prices_file or set [cost] token_cap_day."
    ),
    "stopping": "hudd is stopping.",
    FACTS_CHANGED: "Something changed between the grab and the send; ask again.",
}


def sentence_for(reasons: tuple[str, ...]) -> str:
    """The reasons as sentences for a person."""
    return " ".join(SENTENCES.get(reason, reason) for reason in reasons)


def withhold(held: tuple[str, ...], *, epoch_now: int, epoch_of_shot: int | None) -> tuple[str, ...]:
    """All reasons why a picture must not leave; empty when it may.

    Args:
        held: The reasons that hold now.
        epoch_now: The present epoch.
        epoch_of_shot: The epoch the picture carries; None when there is no picture yet.
    """
    if epoch_of_shot is not None and epoch_of_shot != epoch_now:
        return (*held, FACTS_CHANGED)
    return held


class Facts:
    """The facts that hold now. Changed by their sources on the event loop, read by everybody.

    Attributes:
        epoch: Raised by every change.
    """

    def __init__(self) -> None:
        self.epoch = 1
        self._held: set[Reason] = set()
        self._listeners: list[Callable[[], None]] = []

    @property
    def reasons(self) -> tuple[str, ...]:
        """The reasons that hold now, in a stable order."""
        return tuple(sorted(self._held))

    def set(self, reason: Reason, held: bool) -> None:  # noqa: FBT001 - reads as "set paused to True"
        """Note that a reason holds or does not; a change raises the epoch and tells the listeners."""
        if held == (reason in self._held):
            return
        if held:
            self._held.add(reason)
        else:
            self._held.discard(reason)
        self.epoch += 1
        for listener in self._listeners:
            listener()

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` after every change."""
        self._listeners.append(listener)

    def withheld(self, epoch_of_shot: int | None = None) -> tuple[str, ...]:
        """All reasons why a picture of that epoch must not leave now; empty when it may."""
        return withhold(self.reasons, epoch_now=self.epoch, epoch_of_shot=epoch_of_shot)
