from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import hudd.wire
from hudctl.render import render_status
from hudd.flow.counters import Counters
from hudd.flow.status import CaptureFacts, DaemonFacts, Day, PauseFacts, SourceFacts, build_status
from hudd.model import Source
from hudd.policy.facts import Facts
from tests.fakes.clock import ManualClock

PROTOCOL = (Path(hudd.wire.__path__[0]) / "PROTOCOL.md").read_text(encoding="utf-8")
COUNTERS = {
    *("frames", "same", "sent", "replaced", "notes", "unchanged", "failed", "errors", "unknown_events"),
    *("malformed_events", "withheld", "echo", "requests", "ignored_requests", "bad_frames"),
}


def make_status(**changes: Any) -> dict[str, Any]:
    clock = changes.pop("clock", ManualClock())
    now, wall = clock.monotonic(), clock.wall()
    facts = changes.pop("facts", Facts())
    values: dict[str, Any] = {
        "daemon": DaemonFacts(
            version="0.1.0",
            pid=4711,
            instance="i1",
            stream="s1",
            started_at=wall - 60.04,
            engine="local",
            model="hudd-local",
            control_socket="/run/ctl.sock",
            notes_socket="/run/notes.sock",
            journal_path="/state/journal.db",
            journal_set_aside=None,
        ),
        "conversation": SimpleNamespace(
            connection="ready",
            since=wall - 30,
            sentence="",
            next_try_s=None,
            session_id="sess_1",
            expires_at=wall + 3000.4,
            responding=1,
            last_event_at=now - 2.04,
            unknown_events=3,
            malformed_events=0,
            rollover=None,
        ),
        "capture": CaptureFacts(
            state="watching",
            backend="desk",
            damage=True,
            sources=(SourceFacts(Source("monitor", "eDP-1", (0, 0, 1920, 1080)), "same", now - 1.0, "pace"),),
            last_frame_at=now - 1.0,
        ),
        "facts": facts,
        "counters": Counters(frames=7),
        "more_counters": {"requests": 1, "ignored_requests": 2, "bad_frames": 3, "replaced": 4},
        "day": Day("2026-11-21", 4100, 9000, 1_000_000, 12),
        "subscribers": {"note/": 2, "hb/": 1},
        "pause": None,
        "advice": None,
        "last_note_at": None,
        "last_errors": [],
        "clock": clock,
        "more": {"peers": {"control": 1, "notes": 2, "full": False}, "privacy": {}, "pending": {}},
    }
    return build_status(**(values | changes))


def test_the_status_has_every_key_of_the_document_and_is_json() -> None:
    section = PROTOCOL.split("### 1.5 Status")[1].split("### 1.6")[0]
    words = re.findall(r"`([a-z_]+)(?::\{[^`]*\})?`", section)
    states = {"connecting", "configuring", "ready", "backing_off", "flapping", "needs_attention", "status"}
    states |= {"full", "known", "partly", "failing", "not_available"}  # words within objects
    promised = set(words) - states
    assert len(promised) > 20
    status = json.loads(json.dumps(make_status()))
    assert promised <= set(status)
    assert {
        *("schema", "version", "protocol", "pid", "instance", "stream", "started", "uptime_s", "connection"),
        *("connection_since", "sentence", "next_try_s", "rollover", "responding", "sending", "engine", "model"),
        *("session", "ages_s", "capture", "counters", "cost_today", "subscribers", "pause", "reading", "sockets"),
        *("journal", "last_errors"),
    } <= set(status)
    assert set(status["counters"]) >= COUNTERS
    assert set(status["cost_today"]) >= {"day", "microusd", "reserved_microusd", "cap_microusd", "answers"}


def test_ages_are_of_now_and_unknown_ones_are_null() -> None:
    status = make_status()
    assert status["ages_s"] == {"frame": 1.0, "note": None, "event": 2.0}
    assert status["session"] == {"id": "sess_1", "seconds_left": 3000}
    assert status["uptime_s"] == 60.0
    assert status["capture"]["sources"] == [
        {
            "name": "eDP-1",
            "kind": "monitor",
            "rect": [0, 0, 1920, 1080],
            "last_reason": "same",
            "looked_s_ago": 1.0,
            "whole_only": "pace",
        }
    ]


def test_before_anything_happened_nothing_is_made_up() -> None:
    wall = ManualClock().wall()
    status = make_status(
        conversation=SimpleNamespace(
            connection="backing_off",
            since=wall,
            sentence="Nobody answers.",
            next_try_s=2.5,
            session_id="",
            expires_at=None,
            responding=0,
            last_event_at=None,
            unknown_events=0,
            malformed_events=0,
            rollover=None,
        ),
        capture=CaptureFacts(state="no_display", sentence="There is no display."),
    )
    assert status["session"] == {"id": "", "seconds_left": None}
    assert status["ages_s"] == {"frame": None, "note": None, "event": None}
    assert status["next_try_s"] == 2.5
    assert status["capture"]["sentence"] == "There is no display."
    assert status["capture"]["sources"] == []


def test_sending_names_all_reasons_at_once() -> None:
    facts = Facts()
    assert make_status(facts=facts)["sending"]["allowed"] is True
    facts.set("paused", True)
    facts.set("cap_reached", True)
    sending = make_status(facts=facts)["sending"]
    assert sending["allowed"] is False
    assert sending["reasons"] == ["cap_reached", "paused"]


def test_a_pause_tells_since_until_and_why() -> None:
    pause = make_status(pause=PauseFacts(since=0.0, until=60.0, why="lunch"))["pause"]
    assert pause == {"since": "1970-01-01T00:00:00.000Z", "until": "1970-01-01T00:01:00.000Z", "why": "lunch"}
    assert make_status(pause=PauseFacts(since=0.0, until=None, why=""))["pause"]["until"] is None
    assert make_status()["pause"] is None


def test_heartbeats_are_no_subscribers_of_their_own_and_reading_is_told_of_the_local_engine_only() -> None:
    status = make_status(advice="Install tesserocr for better notes.")
    assert status["subscribers"] == {"total": 2, "by_topic": {"note/": 2, "hb/": 1}}
    assert status["reading"] == {"advice": "Install tesserocr for better notes."}


def test_a_person_can_read_it() -> None:
    text = render_status(make_status(), colour=False, width=100)
    assert "ready" in text
    assert "eDP-1" in text
