"""Whether a picture may leave: facts in, reasons out. Pure.

Every change of a fact raises ``epoch``. A shot carries the epoch that was read before its grab; a shot whose epoch is
no longer the present one was taken while something changed, and is withheld although nothing forbids sending now.
The same function decides before encoding, to save work, and as the last statement before the bytes go out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Literal

from hudd.errors import cause_and_remedy

Reason = Literal[
    "paused",
    "locked",
    "inactive",
    "away",
    "screensaver",
    "suspended",
    "excluded",
    "private_window",
    "sharing",
    "facts_unknown",
    "not_strict_enough",
    "cap_reached",
    "cap_near",
    "price_unknown",
    "storage",
    "forgetting",
    "stopping",
]
"""What can forbid sending."""

AUTOMATIC_ONLY: Final[frozenset[str]] = frozenset({"cap_near"})
"""Reasons that hold back what hudd asks by itself, and let pass what a person asks for."""

FACTS_CHANGED: Final = "facts_changed"

SENTENCES: Final[dict[str, str]] = {
    "paused": "hudd is paused; `hudctl resume` ends the pause.",
    "locked": (
        "The screen is locked; unlock it (`loginctl unlock-session` when hudd was told of a lock and never of its end)."
    ),
    "inactive": "Another session is in front at this seat; hudd goes on when yours is back.",
    "away": "Nobody has used keyboard or mouse for [privacy] idle_s; hudd goes on when you are back.",
    "screensaver": "The screensaver runs; hudd goes on when it ends.",
    "suspended": "The machine is going to sleep; hudd goes on when it wakes.",
    "excluded": (
        "A window that [privacy] excludes is open on this desktop; close or minimize it, or set "
        '[privacy] on_excluded = "mask".'
    ),
    "private_window": (
        "A private browsing window is open on this desktop; close or minimize it, or set "
        "[privacy] private_windows = false."
    ),
    "sharing": ("A meeting shares the screen; end the sharing, or set [privacy] pause_when_sharing = false."),
    "facts_unknown": "Whether the screen is private cannot be told now; `hudctl status` says what fails.",
    "not_strict_enough": (
        "[privacy] strict is set, and this desktop does not tell all that it asks for; `hudctl status` says what is "
        "missing, or set strict = false."
    ),
    "cap_reached": (
        "A money cap is reached; `hudctl status` tells which one: raise it in [cost], or wait until its time is over."
    ),
    "cap_near": "What is left of a money cap is kept for snaps; `hudctl status` tells which one.",
    "price_unknown": (
        "The price of this model is unknown; name one in [cost] prices_file or set [cost] token_cap_day."
    ),
    "storage": "The journal cannot be written; `hudctl status` tells why, and hudd goes on by itself when it can.",
    "forgetting": "Notes are being forgotten; ask again in a moment.",
    "stopping": "hudd is stopping.",
    FACTS_CHANGED: "Something changed between the grab and the send; ask again.",
}


def causes_and_remedies(reasons: Sequence[str]) -> tuple[str, str]:
    """The reasons as sentences for a person: why nothing is sent, and what to do about it."""
    pairs = [cause_and_remedy(SENTENCES.get(reason, reason)) for reason in reasons]
    return " ".join(cause for cause, _ in pairs), " ".join(remedy for _, remedy in pairs if remedy)


def code_for(reasons: tuple[str, ...]) -> str:
    """The code of the contract for these reasons."""
    return "E_STORAGE" if "storage" in reasons else "E_STATE"


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
        epoch: Raised by every change that concerns all pictures. Reasons for automatic ones alone are about money, not
            about what may be seen, so they do not discard a snap that is under way.
    """

    def __init__(self) -> None:
        self.epoch = 1
        self._held: set[Reason] = set()
        self._details: dict[str, str] = {}
        self._listeners: list[Callable[[], None]] = []

    @property
    def reasons(self) -> tuple[str, ...]:
        """The reasons that hold now for every picture, in a stable order."""
        return tuple(sorted(self._held - AUTOMATIC_ONLY))

    @property
    def automatic_reasons(self) -> tuple[str, ...]:
        """The reasons that hold now for pictures that nobody asked for: those for every picture, and their own."""
        return tuple(sorted(self._held))

    def set(self, reason: Reason, held: bool, sentence: str = "") -> None:  # noqa: FBT001 - reads as "set paused to True"
        """Note that a reason holds or does not; a change raises the epoch and tells the listeners.

        Args:
            reason: The word.
            held: Whether it holds now.
            sentence: What a person is told instead of the word's own sentence, while it holds; '' for that one.
        """
        if held and sentence:
            self._details[reason] = sentence
        else:
            self._details.pop(reason, None)
        if held == (reason in self._held):
            return
        if held:
            self._held.add(reason)
        else:
            self._held.discard(reason)
        self.epoch += reason not in AUTOMATIC_ONLY
        for listener in self._listeners:
            listener()

    def touch(self) -> None:
        """Something about what may be seen changed that is no reason by itself: older pictures may not leave."""
        self.epoch += 1
        for listener in self._listeners:
            listener()

    def explain(self, reasons: Sequence[str]) -> tuple[str, str]:
        """Reasons as sentences for a person, as exact as they are known now: why, and what to do about it."""
        return causes_and_remedies([self._details.get(reason, reason) for reason in reasons])

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` after every change."""
        self._listeners.append(listener)

    def withheld(self, epoch_of_shot: int | None = None, *, automatic: bool = False) -> tuple[str, ...]:
        """All reasons why a picture must not leave now; empty when it may.

        Args:
            epoch_of_shot: The epoch it carries; None when there is no picture yet.
            automatic: Whether nobody asked for it.
        """
        held = self.automatic_reasons if automatic else self.reasons
        return withhold(held, epoch_now=self.epoch, epoch_of_shot=epoch_of_shot)
