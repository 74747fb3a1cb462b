"""What happened, in numbers; one record, filled by the stages and read by ``status``."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(slots=True)
class Counters:
    """Counts since the start of the daemon.

    Attributes:
        frames: Frames that were looked at.
        same: Frames that the gate held back.
        echo: Of these, held back because hudd's own output changed the screen.
        uniform: Frames that were held back because they showed one colour only.
        discarded: Shots thrown away because a fact changed during the grab.
        withheld: Pictures that were not sent because a reason forbade it.
        sent: Questions handed to the socket.
        notes: Notes of kind ``note``.
        unchanged: Answers that said nothing new.
        failed: Answers that failed.
        errors: Errors seen, the service's and ours.
        capture_errors: Frames that could not be grabbed or encoded.
    """

    frames: int = 0
    same: int = 0
    echo: int = 0
    uniform: int = 0
    discarded: int = 0
    withheld: int = 0
    sent: int = 0
    notes: int = 0
    unchanged: int = 0
    failed: int = 0
    errors: int = 0
    capture_errors: int = 0

    def as_dict(self) -> dict[str, int]:
        """All of them by name."""
        return asdict(self)
