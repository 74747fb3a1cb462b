"""The status: facts, not intentions. Collected when somebody asks, never kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from hudd.clock import Clock
from hudd.flow.counters import Counters
from hudd.ledger.records import Totals
from hudd.model import Source, UpstreamError
from hudd.policy.facts import Facts
from hudd.wire.messages import iso_time
from hudd.wire.table import PROTOCOL_NEWEST, PROTOCOL_OLDEST

CONNECTION_WORDS: Final[Mapping[str, str]] = {
    "connecting": "connecting",
    "configuring": "connecting",
    "ready": "connected",
    "backing_off": "not connected, trying again later",
    "flapping": "connections end at once, trying again in a minute or more",
    "needs_attention": "not connected, a person must act",
}
EYE_WORDS: Final[Mapping[str, str]] = {
    "starting": "opening the screen",
    "watching": "watching the screen",
    "unwatched": "watching once somebody subscribes",
    "no_display": "waiting for a display",
    "failed": "cannot see the screen",
}


class ConversationFacts(Protocol):
    """What the conversation tells of itself."""

    @property
    def connection(self) -> str: ...
    @property
    def since(self) -> float: ...
    @property
    def sentence(self) -> str: ...
    @property
    def next_try_s(self) -> float | None: ...
    @property
    def session_id(self) -> str: ...
    @property
    def expires_at(self) -> float | None: ...
    @property
    def responding(self) -> int: ...
    @property
    def last_event_at(self) -> float | None: ...
    @property
    def unknown_events(self) -> int: ...
    @property
    def malformed_events(self) -> int: ...
    @property
    def rollover(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """What the capture stage tells of one source."""

    source: Source
    last_reason: str
    looked_at: float | None
    whole_only: str = ""


@dataclass(frozen=True, slots=True)
class CaptureFacts:
    """What the capture stage tells of itself.

    Attributes:
        state: ``starting``, ``watching``, ``unwatched`` (nobody subscribes), ``no_display`` or ``failed``.
        backend: How pictures are taken.
        degraded: What works less well than it could, or ''.
        damage: True when the window system tells of changes, so that nothing is polled.
        sentence: Why nothing is watched, or ''.
        sources: What is looked at.
        last_frame_at: ``clock.monotonic()`` of the newest frame, or None.
    """

    state: str
    backend: str = ""
    degraded: str = ""
    damage: bool = False
    sentence: str = ""
    sources: Sequence[SourceFacts] = field(default_factory=tuple[SourceFacts, ...])
    last_frame_at: float | None = None


@dataclass(frozen=True, slots=True)
class DaemonFacts:
    """What does not change while the daemon runs."""

    version: str
    pid: int
    instance: str
    stream: str
    started_at: float
    engine: str
    model: str
    control_socket: str
    notes_socket: str
    journal_path: str
    journal_set_aside: str | None
    journal_spent: str = ""
    journal_paused: str = ""
    log_file: str | None = None


@dataclass(frozen=True, slots=True)
class Day:
    """Money of the local day.

    Attributes:
        day: ``2026-11-21``.
        microusd: What is known to be spent; None when answers were paid for and of none is it known how much.
        reserved_microusd: What open questions hold.
        cap_microusd: What may be spent.
        answers: Answers that ended.
        unpriced: Those of them whose price is unknown; they are not part of ``microusd``.
        unpriced_tokens: What they used.
        more: What the meter tells.
    """

    day: str
    microusd: int | None
    reserved_microusd: int
    cap_microusd: int
    answers: int
    unpriced: int = 0
    unpriced_tokens: int = 0
    more: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @classmethod
    def of(cls, day: str, totals: Totals, cap_microusd: int) -> Day:
        """By the ledger."""
        return cls(
            day=day,
            microusd=totals.known_microusd,
            reserved_microusd=totals.reserved_microusd,
            cap_microusd=cap_microusd,
            answers=totals.answers,
            unpriced=totals.unpriced,
            unpriced_tokens=totals.unpriced_tokens,
        )

    def to_json(self) -> dict[str, Any]:
        """As ``cost_today`` tells it (PROTOCOL.md)."""
        return {
            "day": self.day,
            "microusd": self.microusd,
            "reserved_microusd": self.reserved_microusd,
            "cap_microusd": self.cap_microusd,
            "answers": self.answers,
            "unpriced": {"answers": self.unpriced, "tokens": self.unpriced_tokens},
            **self.more,
        }


@dataclass(frozen=True, slots=True)
class PauseFacts:
    """A pause in force; wall-clock seconds."""

    since: float
    until: float | None
    why: str


def _sending(conversation: ConversationFacts, capture: CaptureFacts, facts: Facts) -> dict[str, Any]:
    """Whether a question would leave now, and every reason why not."""
    hindrances: list[str] = []
    if conversation.connection != "ready":
        hindrances.append("not_connected")
    if capture.state not in ("watching", "unwatched"):
        hindrances.append("no_picture")
    return {
        "allowed": not facts.reasons and not hindrances,
        "automatic": not facts.automatic_reasons and not hindrances and capture.state != "unwatched",
        "reasons": [*facts.automatic_reasons, *hindrances],
    }


def headline(connection: str, eyes: str, reasons: Sequence[str]) -> str:
    """The state in one line for a person."""
    why = ", ".join(reason.replace("_", " ") for reason in reasons)
    state = f"{CONNECTION_WORDS[connection]}, {EYE_WORDS[eyes]}"
    return f"{state}, sending nothing: {why}" if why else state


def pause_status(pause: PauseFacts | None) -> dict[str, Any] | None:
    """The pause as the status tells it."""
    if pause is None:
        return None
    return {
        "since": iso_time(pause.since),
        "until": None if pause.until is None else iso_time(pause.until),
        "why": pause.why,
    }


def capture_status(capture: CaptureFacts, now: float) -> dict[str, Any]:
    """The capture stage as the status tells it."""
    return {
        "state": capture.state,
        "backend": capture.backend,
        "degraded": capture.degraded,
        "damage": capture.damage,
        "sentence": capture.sentence,
        "sources": [
            {
                "name": s.source.name,
                "kind": s.source.kind,
                "rect": list(s.source.rect),
                "last_reason": s.last_reason,
                "looked_s_ago": _age(s.looked_at, now),
                "whole_only": s.whole_only,
            }
            for s in capture.sources
        ],
    }


def error_status(at: float, error: UpstreamError, session_id: str = "") -> dict[str, Any]:
    """One error as ``status``, ``error/`` and ``errors`` tell it."""
    return {
        "time": iso_time(at),
        "sentence": error.sentence,
        "session_id": session_id,
        "fatal": error.fatal,
        **error.wire(),
    }


def build_status(
    *,
    daemon: DaemonFacts,
    conversation: ConversationFacts,
    capture: CaptureFacts,
    facts: Facts,
    counters: Counters,
    more_counters: Mapping[str, int],
    day: Day,
    subscribers: Mapping[str, int],
    pause: PauseFacts | None,
    advice: str | None,
    last_note_at: float | None,
    last_errors: Sequence[dict[str, Any]],
    clock: Clock,
    journal: Mapping[str, Any] | None = None,
    more: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The object of ``status`` and of ``state/`` (PROTOCOL.md)."""
    now, wall = clock.monotonic(), clock.wall()
    return {
        "schema": 1,
        "version": daemon.version,
        "protocol": [PROTOCOL_OLDEST, PROTOCOL_NEWEST],
        "pid": daemon.pid,
        "instance": daemon.instance,
        "stream": daemon.stream,
        "started": iso_time(daemon.started_at),
        "uptime_s": round(wall - daemon.started_at, 1),
        "connection": conversation.connection,
        "connection_since": iso_time(conversation.since),
        "sentence": conversation.sentence,
        "next_try_s": conversation.next_try_s,
        "rollover": conversation.rollover,
        "responding": conversation.responding,
        "sending": _sending(conversation, capture, facts),
        "engine": daemon.engine,
        "model": daemon.model,
        "session": {
            "id": conversation.session_id,
            "seconds_left": None if conversation.expires_at is None else round(conversation.expires_at - wall),
        },
        "ages_s": {
            "frame": _age(capture.last_frame_at, now),
            "note": _age(last_note_at, now),
            "event": _age(conversation.last_event_at, now),
        },
        "capture": capture_status(capture, now),
        "counters": {
            **counters.as_dict(),
            "unknown_events": conversation.unknown_events,
            "malformed_events": conversation.malformed_events,
            **more_counters,
        },
        "cost_today": day.to_json(),
        "subscribers": {
            # A feed subscribes to the heartbeat beside its notes; that is not one more listener.
            "total": sum(count for prefix, count in subscribers.items() if prefix != "hb/"),
            "by_topic": dict(subscribers),
        },
        "pause": pause_status(pause),
        "reading": None if daemon.engine != "local" else {"advice": advice},
        "sockets": {"control": daemon.control_socket, "notes": daemon.notes_socket},
        "journal": {
            "path": daemon.journal_path,
            "set_aside": daemon.journal_set_aside,
            "spent": daemon.journal_spent,
            "paused": daemon.journal_paused,
            **(journal or {}),
        },
        "log_file": daemon.log_file,
        "last_errors": list(last_errors),
        **(more or {}),
    }


def _age(moment: float | None, now: float) -> float | None:
    return None if moment is None else round(max(0.0, now - moment), 1)
