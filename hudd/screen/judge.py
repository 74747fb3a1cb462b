"""Says for a folder of pictures which of them the gate would send, and why: ``hudd gate DIR --json``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from hudd.config.settings import GateSettings
from hudd.errors import PictureError
from hudd.model import Shot, Source
from hudd.screen.content import describe
from hudd.screen.gate import Action, Decision, Gate
from hudd.screen.pictures import list_pictures, read_picture
from hudd.screen.pixels import Fingerprint, compare, fingerprint, uniform
from hudd.screen.source import Rect

_APART_S: Final = 60.0
"""Files count as so far apart: nothing in a folder is restless."""


@dataclass(frozen=True, slots=True)
class FolderVerdict:
    """What the gate says about one file.

    Attributes:
        file: Its name.
        action: ``send``, ``same``, or ``error`` when it is no picture.
        reason: One of ``hudd.screen.gate.REASONS``; for ``error`` what is wrong, in a sentence.
        tiles: Changed tiles since the last file that was sent.
        patches: Size in tiles of what changed, compared with ``[gate] min_tiles``.
        fraction: Changed tiles over all tiles.
        rect: Rectangle around the changes, or None.
        hash: Fingerprint of the picture.
    """

    file: str
    action: Action | str
    reason: str
    tiles: int = 0
    patches: int = 0
    fraction: float = 0.0
    rect: Rect | None = None
    hash: str = ""

    def to_json(self) -> dict[str, Any]:
        """One line of ``hudd gate DIR --json``."""
        return asdict(self)


def judge_folder(directory: Path, settings: GateSettings) -> Iterator[FolderVerdict]:
    """Judge the pictures of a folder in the order of their names, as consecutive looks at one screen.

    Time counts as passed: nothing waits for the screen to settle, for the least interval or for the heartbeat.

    Raises:
        NoDisplayError: The folder cannot be read.
    """
    gate = Gate(replace(settings, settle_s=0.0, max_settle_s=0.0, min_interval_s=0.0, heartbeat_s=0.0))
    look: Fingerprint | None = None
    sent: Fingerprint | None = None
    for number, file in enumerate(list_pictures(directory)):
        now = number * _APART_S
        try:
            pixels, width, height = read_picture(directory / file.name)
        except PictureError as error:
            yield FolderVerdict(file.name, "error", str(error))
            continue
        shot = Shot(Source("monitor", "pictures", (0, 0, width, height)), pixels, width, height, 0.0, 0)
        seen = fingerprint(shot, look)
        since_look = compare(seen, look, luma_step=settings.luma_step) if look is not None else None
        since_sent = None
        if sent is not None:
            since_sent = describe(compare(seen, sent, luma_step=settings.luma_step), seen, sent)
        look = seen
        decision = gate.look(now, since_look=since_look, since_sent=since_sent)
        if decision.action == "send" and uniform(shot):
            decision = Decision("same", "uniform")  # as the daemon does: news it may be, but it shows nothing
        if decision.action == "send":
            gate.sent(now)
            sent = seen
        elif decision.reason == "colours":
            sent = seen  # as there: its words were sent
        yield FolderVerdict(
            file.name,
            decision.action,
            decision.reason,
            tiles=since_sent.tiles.count if since_sent is not None else 0,
            patches=since_sent.patches if since_sent is not None else 0,
            fraction=round(since_sent.fraction, 4) if since_sent is not None else 0.0,
            rect=since_sent.rect if since_sent is not None else None,
            hash=seen.hash,
        )
