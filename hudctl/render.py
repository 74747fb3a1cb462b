"""What a person reads: the daemon's JSON objects as text. Pure; nothing is printed and no clock is read here.

Every function takes the object as it came, whether to colour (the caller asks the terminal and ``NO_COLOR``), the
columns of the terminal (0: nothing is wrapped) and the zone of the times (None: this machine's). Fields that are
missing are left out: the daemon may be older. Everything that came from outside is made safe first, because a note
repeats what anybody can put on a screen.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import Any

from hudctl.cost_view import cost_csv, render_cost, render_estimate
from hudctl.health import render_errors, render_status
from hudctl.words import (
    Look,
    cells,
    clean,
    days_between,
    hang,
    line,
    mapping,
    money,
    number_or_none,
    objects,
    span,
    wrap,
)

__all__ = [
    "cost_csv",
    "local_time",
    "money",
    "render_config",
    "render_cost",
    "render_errors",
    "render_estimate",
    "render_note",
    "render_notes",
    "render_snap_footer",
    "render_status",
    "render_versions",
    "span",
]


def local_time(value: object, *, zone: tzinfo | None = None) -> str:
    """An ISO 8601 time as ``2026-11-21 10:31:06 CET``."""
    return Look(zone=zone).day_time(value)


def render_note(note: Mapping[str, Any], *, colour: bool = False, width: int = 80, zone: tzinfo | None = None) -> str:
    """One note: time, number and source, and the text beside them."""
    return _note(note, Look(colour, width, zone))


def _note(note: Mapping[str, Any], look: Look) -> str:
    number = f"#{line(note['seq'])}  " if note.get("seq") is not None else ""
    head = f"{look.time(note.get('time'))}  {number}{source_name(note)}  "
    kind, text = note.get("kind"), clean(note.get("text", "")).strip()
    if kind == "failed":
        text = f"failed: {text}"
    elif kind == "unchanged":
        text = f"unchanged: {text}" if text else "unchanged"
    elif note.get("complete") is False:
        text = f"{text} … (cut)" if text else "(forgotten)"
    # A name as long as the line would leave no room beside it.
    column = cells(head) if not look.width or cells(head) <= look.width // 2 else 4
    if column == 4:
        return f"{look.paint(head.rstrip(), 'dim')}\n" + _coloured(hang("", text, look, indent=4), kind, look)
    block = hang(head, text, look)
    return look.paint(block[: len(head)], "dim") + _coloured(block[len(head) :], kind, look)


def _coloured(text: str, kind: object, look: Look) -> str:
    if kind == "failed":
        return look.paint(text, "red")
    return look.paint(text, "dim") if kind == "unchanged" else text


def source_name(note: Mapping[str, Any]) -> str:
    """The name of a note's first picture."""
    pictures = objects(mapping(note.get("snap")).get("pictures"))
    return line(pictures[0].get("name")) if pictures else "?"


def render_notes(
    notes: Mapping[str, Any] | Sequence[Mapping[str, Any]],
    *,
    colour: bool = False,
    width: int = 80,
    zone: tzinfo | None = None,
) -> str:
    """Notes, or the answer of ``notes.search`` or ``notes.since``, with a line where a new day begins."""
    look = Look(colour, width, zone)
    found = objects(notes.get("notes") if isinstance(notes, Mapping) else notes)
    if not found:
        return "No notes."
    lines: list[str] = []
    for note, day in zip(found, days_between(found, look), strict=True):
        if day:
            lines.append(look.paint(day, "bold"))
        lines.append(_note(note, look))
    return "\n".join(lines)


def render_snap_footer(
    note: Mapping[str, Any], *, colour: bool = False, width: int = 80, zone: tzinfo | None = None
) -> str:
    """The line below a streamed note: number, source, time, who wrote it, how long it took and what it cost."""
    look = Look(colour, width, zone)
    total_ms = number_or_none(mapping(note.get("timing_ms")).get("total"))
    parts = [
        f"#{line(note['seq'])}" if note.get("seq") is not None else "",
        source_name(note),
        look.time(note.get("time")),
        ", ".join(part for part in (line(note.get("engine")), line(note.get("model"))) if part),
        _took(total_ms),
        _cost(note),
        "cut" if note.get("complete") is False else "",
    ]
    return "\n".join(look.paint(row, "dim") for row in wrap(" · ".join(part for part in parts if part), look.width))


def _cost(note: Mapping[str, Any]) -> str:
    if note.get("engine") != "service":
        return "free"
    return f"{'≈' if note.get('cost_assumed') else ''}{money(note.get('cost_microusd'))}"


def _took(total_ms: float | None) -> str:
    if total_ms is None:
        return ""
    return span(total_ms / 1000) if total_ms >= 100 else f"{max(1, round(total_ms))} ms"


def render_versions(body: Mapping[str, Any], *, width: int = 80) -> str:
    """The versions of hudctl and of the running hudd, and what to do after an upgrade."""
    own, daemon = line(body.get("hudctl")), mapping(body.get("hudd"))
    oldest, newest = body["protocol"]
    rows = [f"hudctl {own} (protocol {line(oldest)} to {line(newest)})"]
    if not daemon:
        return "\n".join([*rows, "hudd is not running"])
    version = line(daemon.get("version"))
    rows.append(f"hudd {version} (pid {line(daemon.get('pid', '?'))})")
    if version != own:
        rows += wrap(
            f"The hudd that runs is another version than this hudctl; they understand each other. After an upgrade "
            f"restart it when it suits you, which makes it {own}: hudctl service restart",
            width,
        )
    return "\n".join(rows)


def render_config(
    config: Mapping[str, Any], *, colour: bool = False, width: int = 80, zone: tzinfo | None = None
) -> str:
    """The answer of ``config`` as TOML that can be pasted into the file: value, origin, and what it is for."""
    look = Look(colour, width, zone)
    file = config.get("file")
    lines = [look.paint(f"# {line(file)}" if file else "# There is no settings file.", "bold")]
    section = ""
    for setting in objects(config.get("settings")):
        here, _, name = line(setting.get("name")).partition(".")
        if here != section:
            section = here
            lines += ["", look.paint(f"[{section}]", "cyan")]
        room = look.width - 2 if look.width else 0
        apply = f" ({line(setting.get('apply'))})" if setting.get("apply") else ""
        lines += [look.paint(f"# {row}", "dim") for row in wrap(f"{line(setting.get('doc'))}{apply}", room)]
        if "pending" in setting:
            lines.append(look.paint(f"# after a restart: {_toml(setting.get('pending'))}", "yellow"))
        assignment = f"{name} = {_toml(setting.get('value'))}"
        origin = line(setting.get("origin"))
        if origin == "default":
            lines.append(assignment)
            continue
        note = f"  # {origin}; default {_toml(setting.get('default'))}"
        lines.append(look.paint(assignment, "bold") + look.paint(note, "dim"))
    return "\n".join(lines)


def _toml(value: object) -> str:
    # JSON and TOML write these alike, but for the delete character; both escape what could steer a terminal.
    return json.dumps(value).replace("\x7f", "\\u007f")
