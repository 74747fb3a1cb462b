"""Answers of a daemon, and the text that ``hudctl`` makes of each."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from hudctl import render

BERLIN = ZoneInfo("Europe/Berlin")
STATUS: dict[str, Any] = {
    "schema": 1,
    "version": "0.1.0",
    "protocol": [1, 1],
    "pid": 4242,
    "instance": "ab",
    "stream": "9f3c",
    "started": "2026-11-21T07:00:00.000Z",
    "uptime_s": 8040,
    "connection": "backing_off",
    "connection_since": "2026-11-21T09:31:06.412Z",
    "sentence": "The service did not answer within 10 s; hudd tries again by itself.",
    "next_try_s": 12.4,
    "rollover": None,
    "responding": 1,
    "sending": {"allowed": False, "reasons": ["paused", "cap_reached"]},
    "engine": "service",
    "model": "gpt-realtime-1.5",
    "session": {"id": "sess_1", "seconds_left": 3060},
    "ages_s": {"frame": 0.4, "note": 31, "event": None},
    "capture": {
        "state": "watching",
        "backend": "mss (shared memory)",
        "degraded": "",
        "damage": True,
        "sentence": "",
        "sources": [
            {
                "name": "eDP-1",
                "kind": "monitor",
                "rect": [0, 0, 1920, 1080],
                "last_reason": "same",
                "looked_s_ago": 0.4,
                "whole_only": "pace",
            }
        ],
    },
    "counters": {
        "frames": 2100,
        "same": 2080,
        "sent": 15,
        "replaced": 2,
        "notes": 12,
        "unchanged": 3,
        "failed": 0,
        "errors": 2,
        "unknown_events": 0,
        "malformed_events": 0,
        "withheld": 1,
        "echo": 0,
        "requests": 9,
        "ignored_requests": 1,
        "bad_frames": 0,
    },
    "cost_today": {
        "day": "2026-11-21",
        "microusd": 41200,
        "reserved_microusd": 3100,
        "cap_microusd": 1000000,
        "answers": 15,
    },
    "subscribers": {"total": 1, "by_topic": {"note/": 1}},
    "pause": {"since": "2026-11-21T09:31:06.412Z", "until": None, "why": "lunch"},
    "reading": {"advice": "Install hudd[local] so that the screen's text is read."},
    "sockets": {"control": "/run/user/1000/hudd/ctl.sock", "notes": "/run/user/1000/hudd/notes.sock"},
    "journal": {"path": "/home/me/.local/state/hudd/journal.db", "set_aside": None},
    "last_errors": [
        {
            "time": "2026-11-21T09:31:06.412Z",
            "sentence": "The service is overloaded; hudd tries again.",
            "code": "server_error",
        }
    ],
}
NOTE: dict[str, Any] = {
    "seq": 1042,
    "kind": "note",
    "text": "A terminal shows \x1b[31mfour failing tests in billing.py, the first about rounding. The editor beside it is open at line 88.",
    "complete": True,
    "time": "2026-11-21T09:31:06.412Z",
    "snap": {"pictures": [{"name": "eDP-1"}]},
    "model": "gpt-realtime-1.5",
    "engine": "service",
    "cost_microusd": 4100,
    "timing_ms": {"total": 1240},
}
COST: dict[str, Any] = {
    "schema": 1,
    "since": "2026-11-20T23:00:00Z",
    "until": None,
    "rows": [
        {
            "engine": "service",
            "model": "gpt-realtime-1.5",
            "trigger": "change",
            "answers": 14,
            "input_tokens": 15000,
            "output_tokens": 900,
            "text_tokens": 3000,
            "image_tokens": 12000,
            "cached_tokens": 1100,
            "microusd": 41200,
            "assumed_microusd": 3100,
        },
        {
            "engine": "local",
            "model": "hudd-local",
            "trigger": "manual",
            "answers": 1,
            "input_tokens": 1500,
            "output_tokens": 90,
            "text_tokens": 300,
            "image_tokens": 1200,
            "cached_tokens": 0,
            "microusd": 0,
            "assumed_microusd": 0,
        },
    ],
    "total": {
        "answers": 15,
        "input_tokens": 16500,
        "output_tokens": 990,
        "text_tokens": 3300,
        "image_tokens": 13200,
        "cached_tokens": 1100,
        "microusd": 41200,
        "assumed_microusd": 3100,
    },
    "cap_microusd": 1000000,
    "if_service": [{"model": "gpt-realtime-1.5", "microusd": 5200}],
    "prices_date": "2026-11-01",
}
ERRORS: dict[str, Any] = {
    "errors": [
        {
            "time": "2026-11-21T09:31:06Z",
            "sentence": "The key is not valid; set another one and run hudctl resume.",
            "type": "invalid_request_error",
            "code": "invalid_api_key",
            "message": "Incorrect API key provided.",
            "param": None,
            "event_id": "",
            "close_code": 3000,
            "close_reason": "invalid_request_error.invalid_api_key",
            "http_status": None,
            "session_id": "sess_1",
            "fatal": True,
        }
    ]
}
CONFIG: dict[str, Any] = {
    "schema": 1,
    "file": "/home/me/.config/hudd/config.toml",
    "settings": [
        {
            "name": "realtime.use",
            "value": "service",
            "default": "local",
            "origin": "file",
            "doc": "Who answers: local or service.",
        },
        {"name": "screen.monitors", "value": [], "default": [], "origin": "default", "doc": "Names."},
    ],
}
STATUS_TEXT = """\
hudd 0.1.0, pid 4242, up 2 h 14 min
  connection   waiting to try again since 2026-11-21 10:31:06 CET, next try in 12 s
               The service did not answer within 10 s; hudd tries again by itself.
  answers by   the service, gpt-realtime-1.5, session sess_1 for 51 min more, answering 1
               question
  sending      no: paused, cap reached, not connected
  pause        since 2026-11-21 10:31:06 CET, until hudctl resume (lunch)
  screen       watching by mss (shared memory), told of changes
               monitor eDP-1, 1920x1080 at 0,0, looked 0.4 s ago: same
               no picture of a part beside the whole: the pace of [cost] spares no money
               for it now
  last         frame 0.4 s ago, note 31 s ago, no event yet
  notes        12 notes, 3 unchanged since the start; 2,100 frames, 2,080 the same, 15
               sent, 2 replaced, 1 withheld
  trouble      2 errors, 1 ignored request
  reading      Install hudd[local] so that the screen's text is read.
  cost today   $0.0412 of $1.00, $0.0031 more reserved, 15 answers
  subscribers  1 (note/ 1)
  sockets      /run/user/1000/hudd/ctl.sock, /run/user/1000/hudd/notes.sock
  journal      /home/me/.local/state/hudd/journal.db

last errors
10:31:06 CET  The service is overloaded; hudd tries again.
"""
NOTES_TEXT = """\
Saturday 2026-11-21
10:31:06 CET  #1042  eDP-1  A terminal shows four failing tests in billing.py,
                            the first about rounding. The editor beside it is
                            open at line 88.
Sunday 2026-11-22
10:00:00 CET  #1042  eDP-1  unchanged
10:00:05 CET  #1042  eDP-1  failed: The answer was refused by the content
                            filter.
10:00:09 CET  #1042  eDP-1  A long list … (cut)
"""
COST_TEXT = """\
Cost since 2026-11-21 00:00:00 CET
engine   model             for     answers   input   image  cached  output     cost  assumed
service  gpt-realtime-1.5  change       14  15,000  12,000   1,100     900  $0.0412  $0.0031
local    hudd-local        manual        1   1,500   1,200       0      90    $0.00
total                                   15  16,500  13,200   1,100     990  $0.0412  $0.0031
6 % of the input came from the service's cache.
Assumed is what was reserved for answers that told no usage.
Cap: $1.00 a day.
At the service the local answers would have cost $0.0052 with gpt-realtime-1.5 (prices of
2026-11-01).
"""
ERRORS_TEXT = """\
Saturday 2026-11-21
10:31:06 CET  The key is not valid; set another one and run hudctl resume.
              invalid_request_error · invalid_api_key · close 3000 ·
              invalid_request_error.invalid_api_key · session sess_1 ·
              “Incorrect API key provided.”
"""
CONFIG_TEXT = """\
# /home/me/.config/hudd/config.toml

[realtime]
# Who answers: local or service.
use = "service"  # file; default "local"

[screen]
# Names.
monitors = []
"""
UNCHANGED = {**NOTE, "time": "2026-11-22T09:00:00Z", "kind": "unchanged", "text": ""}
FAILED = {
    **NOTE,
    "time": "2026-11-22T09:00:05Z",
    "kind": "failed",
    "text": "The answer was refused by the content filter.",
}
CUT = {**NOTE, "time": "2026-11-22T09:00:09Z", "text": "A long list", "complete": False}
FOUND = [NOTE, UNCHANGED, FAILED, CUT]
GOLDEN = [
    (render.render_status, STATUS, 90, STATUS_TEXT),
    (render.render_notes, FOUND, 80, NOTES_TEXT),
    (render.render_notes, {"schema": 1, "notes": FOUND}, 80, NOTES_TEXT),
    (render.render_cost, COST, 100, COST_TEXT),
    (render.render_errors, ERRORS, 80, ERRORS_TEXT),
    (render.render_config, CONFIG, 60, CONFIG_TEXT),
]
