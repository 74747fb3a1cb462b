"""The public records of the contract: a note, as it is stored, published and replayed. Standard library only."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal, cast

from hudd.wire.table import NOTE_VERSION

NoteKind = Literal["note", "unchanged", "failed"]

_NOT_IN_TOPIC = re.compile(r"[^A-Za-z0-9._-]+")


def topic_source(name: str) -> str:
    """Make a source's name fit for a topic: only ``[A-Za-z0-9._-]``, never empty."""
    return _NOT_IN_TOPIC.sub("-", name).strip("-") or "screen"


def note_topic(source_name: str) -> str:
    """The topic of final notes of a source, ``note/<source>/``."""
    return f"note/{topic_source(source_name)}/"


def delta_topic(source_name: str) -> str:
    """The topic of streamed text of a source, ``delta/<source>/``."""
    return f"delta/{topic_source(source_name)}/"


def iso_time(wall_s: float) -> str:
    """Seconds since 1970 as ``2026-11-21T10:31:06.412Z``."""
    return datetime.fromtimestamp(wall_s, UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def parse_time(value: object) -> float:
    """A ``time`` parameter as seconds since 1970.

    Args:
        value: A number of seconds, or an ISO 8601 string with a zone.

    Raises:
        ValueError: It is neither, or the string has no zone.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not -1e11 < value < 1e11:  # as it is: a whole number of hundreds of digits fits no float
            raise ValueError("the time is out of range")
        return float(value)
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(f"{value[:40]!r} is no ISO 8601 time") from None
        if moment.tzinfo is None:
            raise ValueError(f"{value[:40]!r} has no time zone")
        return moment.timestamp()
    raise ValueError("a time is a number of seconds or an ISO 8601 string")


@dataclass(frozen=True, slots=True)
class PictureInfo:
    """What a note says about one picture it was made from.

    Attributes:
        kind: ``monitor``, ``window`` or ``region``.
        name: The source's name.
        rect: ``(left, top, width, height)`` in desktop pixels.
        scale: Picture pixels per screen pixel.
        hash: Fingerprint of the frame.
        masked: Windows that were painted over because they must not be seen.
        redacted: Texts that were painted over because they have the shape of a secret.
    """

    kind: str
    name: str
    rect: tuple[int, int, int, int]
    scale: float
    hash: str
    masked: int = 0
    redacted: int = 0

    def to_json(self) -> dict[str, Any]:
        """The object of PROTOCOL.md; what was painted over is named only where something was."""
        painted = {"masked": self.masked, "redacted": self.redacted}
        return {
            "kind": self.kind,
            "name": self.name,
            "rect": list(self.rect),
            "scale": self.scale,
            "hash": self.hash,
            **{name: count for name, count in painted.items() if count},
        }


@dataclass(frozen=True, slots=True)
class Note:
    """One note: the row of the journal, the frame on the socket, the line of ``hudctl notes``.

    Attributes:
        stream: Random name of the journal that numbered it.
        seq: Its number in that journal; 0 before it was committed.
        prev: The number of the note before it on the same topic; 0 when there is none.
        kind: ``note``; ``unchanged`` (the answer said nothing new); ``failed`` (no usable answer came).
        text: What the model wrote; for ``failed`` what went wrong, in a sentence.
        complete: False when the text was cut.
        time: Wall clock of the capture, seconds since 1970.
        published: Wall clock of the commit, seconds since 1970.
        snap_id: Id of the question.
        trigger: ``change``, ``manual`` or ``interval``.
        pictures: The pictures it was made from, the first names the topic.
        model: Model name as configured.
        engine: ``service`` or ``local``.
        usage: Tokens as the service told them (see ``hudd.model.Usage``), or None.
        cost_microusd: What it cost, in millionths of a dollar; None when the price is unknown. Without ``usage`` it is
            assumed: what was reserved for the answer.
        timing_ms: ``capture, encode, queue, first_delta, total`` in milliseconds.
    """

    stream: str
    seq: int
    prev: int
    kind: NoteKind
    text: str
    complete: bool
    time: float
    published: float
    snap_id: str
    trigger: str
    pictures: tuple[PictureInfo, ...]
    model: str
    engine: str
    usage: Mapping[str, int] | None = None
    cost_microusd: int | None = 0
    timing_ms: Mapping[str, float | None] = field(default_factory=dict[str, "float | None"])

    @property
    def source(self) -> str:
        """Name of the first picture's source."""
        return self.pictures[0].name if self.pictures else "screen"

    @property
    def cost_assumed(self) -> bool:
        """Whether the cost is what was reserved, because the service told no usage."""
        return self.usage is None and bool(self.cost_microusd)

    @property
    def topic(self) -> str:
        """The topic it is published on."""
        return note_topic(self.source)

    def without_text(self) -> Note:
        """The note as it is once it was forgotten: its number stays, its words and fingerprints are gone."""
        return replace(self, text="", complete=False, pictures=tuple(replace(p, hash="") for p in self.pictures))

    def to_json(self) -> dict[str, Any]:
        """The object of PROTOCOL.md, ready for ``json.dumps``."""
        return {
            "v": NOTE_VERSION,
            "stream": self.stream,
            "seq": self.seq,
            "prev": self.prev,
            "kind": self.kind,
            "text": self.text,
            "complete": self.complete,
            "time": iso_time(self.time),
            "published": iso_time(self.published),
            "snap": {
                "id": self.snap_id,
                "trigger": self.trigger,
                "pictures": [p.to_json() for p in self.pictures],
            },
            "model": self.model,
            "engine": self.engine,
            "usage": None if self.usage is None else dict(self.usage),
            "cost_microusd": self.cost_microusd,
            "cost_assumed": self.cost_assumed,
            "timing_ms": dict(self.timing_ms),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Note:
        """Read the object of PROTOCOL.md; unknown fields are ignored.

        Raises:
            ValueError: A field is missing or has another type.
        """
        try:
            snap = cast("Mapping[str, Any]", data["snap"])
            usage = data.get("usage")
            cost = data.get("cost_microusd")
            return cls(
                stream=str(data["stream"]),
                seq=int(data["seq"]),
                prev=int(data["prev"]),
                kind=data["kind"],
                text=str(data["text"]),
                complete=bool(data["complete"]),
                time=parse_time(data["time"]),
                published=parse_time(data["published"]),
                snap_id=str(snap["id"]),
                trigger=str(snap["trigger"]),
                pictures=tuple(
                    PictureInfo(
                        kind=str(p["kind"]),
                        name=str(p["name"]),
                        rect=(int(p["rect"][0]), int(p["rect"][1]), int(p["rect"][2]), int(p["rect"][3])),
                        scale=float(p["scale"]),
                        hash=str(p["hash"]),
                        masked=int(p.get("masked", 0)),
                        redacted=int(p.get("redacted", 0)),
                    )
                    for p in snap["pictures"]
                ),
                model=str(data["model"]),
                engine=str(data["engine"]),
                usage=None if usage is None else {str(k): int(v) for k, v in usage.items()},
                cost_microusd=None if cost is None else int(cost),
                timing_ms=dict(data.get("timing_ms") or {}),
            )
        except (KeyError, TypeError, IndexError, AttributeError) as error:
            raise ValueError(f"this is no note: {type(error).__name__} {error}") from error
