"""How the daemon is, for people: its status, and what went wrong. Pure; missing fields are left out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import tzinfo
from typing import Any, Final

from hudctl.privacy_view import privacy_rows
from hudctl.words import (
    Colour,
    Look,
    cells,
    clean,
    count,
    days_between,
    hang,
    line,
    lines_of,
    mapping,
    money,
    number_or_none,
    objects,
    round_money,
    span,
)

_LABEL_COLUMN: Final = 13
CONNECTIONS: Final[Mapping[str, tuple[str, Colour]]] = {
    "connecting": ("connecting", "yellow"),
    "configuring": ("configuring the session", "yellow"),
    "ready": ("ready", "green"),
    "backing_off": ("waiting to try again", "yellow"),
    "flapping": ("breaks again and again", "red"),
    "needs_attention": ("needs your attention", "red"),
}
_TROUBLES: Final[Mapping[str, tuple[str, ...]]] = {
    "errors": ("error",),
    "capture_errors": ("picture that failed", "pictures that failed"),
    "unknown_events": ("unknown event",),
    "malformed_events": ("malformed event",),
    "bad_frames": ("bad frame",),
    "ignored_requests": ("ignored request",),
    "peers_refused": ("refused connection",),
    "handshakes_failed": ("failed handshake",),
    "remote_handshakes_failed": ("failed handshake from other machines", "failed handshakes from other machines"),
    "remote_peers_ended": ("connection too many from other machines", "connections too many from other machines"),
}
_ROLLOVERS: Final[Mapping[str, str]] = {"stopped": ", but the session after this one was refused"}
_WHOLE_ONLY: Final[Mapping[str, str]] = {
    "cap": "a money cap is near",
    "price": "the model's price is unknown; name one in [cost] prices_file",
    "pace": "the pace of [cost] spares no money for it now",
}
"""Why text may be too small to read; the other reasons are a person's choice, or none is too small."""
_ENGINES: Final = {"local": "the embedded engine", "service": "the service"}


def render_status(
    status: Mapping[str, Any], *, colour: bool = False, width: int = 80, zone: tzinfo | None = None
) -> str:
    """The answer of ``status`` on about a dozen lines, the most urgent first."""
    look = Look(colour, width, zone)
    head = f"hudd {line(status.get('version')) or '?'}"
    if status.get("pid"):
        head += f", pid {line(status['pid'])}"
    if status.get("uptime_s") is not None:
        head += f", up {span(status['uptime_s'])}"
    rows: list[_Row] = [
        *_connection_rows(status, look),
        _sending_row(status),
        *_pause_rows(status, look),
        *_capture_rows(status),
        *privacy_rows(status),
        ("last", _ages(status), None),
        ("notes", _counts(status), None),
        *_trouble_rows(status),
        *_money_rows(mapping(status.get("cost_today"))),
        ("subscribers", _subscribers(mapping(status.get("subscribers"))), None),
        *_waiting_rows(status),
        *_place_rows(status),
    ]
    lines = [look.paint(head, "bold"), *(_row(label, text, colour, look) for label, text, colour in rows if text)]
    errors = objects(status.get("last_errors"))
    if errors:
        lines += ["", look.paint("last errors", "bold"), *(_error(error, look, whole=False) for error in errors)]
    return "\n".join(lines)


_Row = tuple[str, str, Colour | None]


def _row(label: str, text: str, colour: Colour | None, look: Look) -> str:
    block = hang(f"  {label}", text, look, indent=_LABEL_COLUMN + 2)
    # Only the first line holds the label; colours go on after wrapping, they take no columns.
    start = f"  {label}".ljust(_LABEL_COLUMN + 2)
    body = block[len(start) :]
    return look.paint(start, "dim") + (look.paint(body, colour) if colour else body)


def _connection_rows(status: Mapping[str, Any], look: Look) -> list[_Row]:
    word = line(status.get("connection"))
    text, colour = CONNECTIONS.get(word, (word or "unknown", "yellow"))
    if status.get("connection_since"):
        text += f" since {look.day_time(status['connection_since'])}"
    if status.get("rollover"):
        text += _ROLLOVERS.get(line(status["rollover"]), ", moving to a new session")
    if status.get("next_try_s") is not None:
        text += f", next try in {span(status['next_try_s'])}"
    sentence = line(status.get("sentence"))
    answering = _ENGINES.get(line(status.get("engine")), line(status.get("engine")))
    model = line(status.get("model"))
    engine = ", ".join(part for part in (answering, model) if part)
    session = mapping(status.get("session"))
    if session.get("id"):
        engine += f", session {line(session['id'])}"
        if session.get("seconds_left") is not None:
            engine += f" for {span(session['seconds_left'])} more"
    if status.get("responding"):
        engine += f", answering {count(status['responding'], 'question')}"
    return [("connection", text, colour), ("", sentence, colour), ("answers by", engine, None)]


def _sending_row(status: Mapping[str, Any]) -> _Row:
    sending = mapping(status.get("sending"))
    if not sending:
        return ("sending", "", None)
    reasons = lines_of(sending.get("reasons"))
    hindered = {"not_connected": "not connected", "no_picture": "no picture"}
    # An older daemon says "allowed" while it is not connected.
    if line(status.get("connection")) not in ("ready", "") and "not_connected" not in reasons:
        reasons.append("not_connected")
    state = line(mapping(status.get("capture")).get("state"))
    if state not in ("watching", "unwatched", "") and "no_picture" not in reasons:
        reasons.append("no_picture")
    missing = [words for reason, words in hindered.items() if reason in reasons]
    withheld = [reason.replace("_", " ") for reason in reasons if reason not in hindered]
    if withheld and not sending.get("allowed"):
        return ("sending", f"no: {', '.join([*withheld, *missing])}", "yellow")
    if missing:
        return ("sending", f"allowed, but {', '.join(missing)}", "yellow")
    if not sending.get("allowed"):
        return ("sending", "no", "yellow")
    if sending.get("automatic") is False:
        return ("sending", "only what you ask for", "yellow")
    return ("sending", "yes", "green")


def _pause_rows(status: Mapping[str, Any], look: Look) -> list[_Row]:
    pause = mapping(status.get("pause"))
    if not pause:
        return []
    text = f"since {look.day_time(pause.get('since'))}, "
    text += f"until {look.day_time(pause['until'])}" if pause.get("until") else "until hudctl resume"
    why = line(pause.get("why"))
    return [("pause", f"{text} ({why})" if why else text, "yellow")]


def _capture_rows(status: Mapping[str, Any]) -> list[_Row]:
    capture = mapping(status.get("capture"))
    if not capture:
        return []
    state = line(capture.get("state")).replace("_", " ") or "unknown"
    text = f"{state} by {line(capture['backend'])}" if capture.get("backend") else state
    if state == "unwatched":
        text = "at rest until somebody subscribes"
    if capture.get("damage"):
        text += ", told of changes"
    rows: list[_Row] = [("screen", text, None if state in ("watching", "unwatched") else "red")]
    warnings = [line(capture.get(name)) for name in ("sentence", "degraded")]
    rows.extend(("", warning, "yellow") for warning in warnings)
    for source in objects(capture.get("sources")):
        text = " ".join(part for part in (line(source.get("kind")), line(source.get("name"))) if part)
        sides = lines_of(source.get("rect"))
        if len(sides) == 4:
            text += f", {sides[2]}x{sides[3]} at {sides[0]},{sides[1]}"
        if source.get("looked_s_ago") is not None:
            text += f", looked {span(source['looked_s_ago'])} ago"
        reason = line(source.get("last_reason"))
        rows.append(("", f"{text}: {reason}" if reason else text, None))
        if left_out := _WHOLE_ONLY.get(line(source.get("whole_only"))):
            rows.append(("", f"no picture of a part beside the whole: {left_out}", None))
    return rows


def _ages(status: Mapping[str, Any]) -> str:
    ages = mapping(status.get("ages_s"))
    return ", ".join(
        f"{name} {span(ages[name])} ago" if ages[name] is not None else f"no {name} yet"
        for name in ("frame", "note", "event")
        if name in ages
    )


def _counts(status: Mapping[str, Any]) -> str:
    counters = mapping(status.get("counters"))
    if not counters:
        return ""
    frames, same = count(counters.get("frames"), "frame"), f"{number_or_none(counters.get('same')) or 0:,}"
    parts = [count(counters.get("notes"), "note")]
    parts += [f"{counters[name]:,} {name}" for name in ("unchanged", "failed") if number_or_none(counters.get(name))]
    held = [
        f"{counters[name]:,} {name}" for name in ("replaced", "withheld", "echo") if number_or_none(counters.get(name))
    ]
    sent = f"{number_or_none(counters.get('sent')) or 0:,} sent"
    return f"{', '.join(parts)} since the start; {frames}, {same} the same, {', '.join([sent, *held])}"


def _trouble_rows(status: Mapping[str, Any]) -> list[_Row]:
    counters = mapping(status.get("counters"))
    told = [count(counters[name], *noun) for name, noun in _TROUBLES.items() if number_or_none(counters.get(name))]
    rows: list[_Row] = [("trouble", ", ".join(told), "yellow")]
    journal = mapping(status.get("journal"))
    if journal.get("degraded"):
        rows.append(("journal", line(journal.get("sentence")) or "it cannot be written", "red"))
    if journal.get("set_aside"):
        told = [line(journal[name]) for name in ("spent", "paused") if journal.get(name)]
        text = f"the old journal was damaged and set aside as {line(journal['set_aside'])}"
        rows.append(("", ". ".join(filter(None, (text, " ".join(told)))), "red"))
    advice = line(mapping(status.get("reading")).get("advice"))
    return [*rows, ("reading", advice, "yellow")]


def _money_rows(cost: Mapping[str, Any]) -> list[_Row]:
    rows: list[_Row] = [("cost today", _today(cost), None), ("", _unpriced(mapping(cost.get("unpriced"))), "red")]
    stage = line(cost.get("stage"))
    if stage not in ("", "normal"):
        rows.append(("", line(cost.get("sentence")), "red" if stage == "nothing" else "yellow"))
    pacing = mapping(cost.get("pacing"))
    if stage == "slower" and number_or_none(pacing.get("next_automatic_s")):
        rows.append(("", f"the next automatic question in {span(pacing['next_automatic_s'])} at the earliest", None))
    unnoted = mapping(cost.get("unnoted"))
    if unnoted.get("alarm"):
        known = round_money(unnoted["microusd"]) if unnoted.get("microusd") is not None else ""
        sums = [known, "an unknown sum" if number_or_none(unnoted.get("unpriced")) else ""]
        what = " and ".join(filter(None, sums)) or "money"
        spent = f"{what} was spent on the last {count(unnoted.get('answers'), 'answer')}"
        rows.append(("", f"{spent} without a note; hudctl errors tells why", "red"))
    learnt = mapping(cost.get("learnt"))
    figures = [
        f"{line(figure.get('tokens'))} tokens for {count(figure.get('pictures'), 'picture')} (expected "
        f"{line(figure.get('expected_tokens'))})"
        for figure in objects(learnt.get("images"))
    ]
    if learnt.get("cached_percent") is not None:
        figures.append(f"{line(learnt['cached_percent'])} % of the input cached")
    if figures:
        rows.append(("billed", ", ".join(figures), None))
    return rows


def _today(cost: Mapping[str, Any]) -> str:
    if not cost:
        return ""
    text = money(cost.get("microusd"))
    if cost.get("cap_microusd") is not None and cost.get("microusd") is not None:
        text += f" of {round_money(cost['cap_microusd'])}"
    if number_or_none(cost.get("reserved_microusd")):
        text += f", {money(cost['reserved_microusd'])} more reserved"
    return f"{text}, {count(cost.get('answers'), 'answer')}"


def _unpriced(unpriced: Mapping[str, Any]) -> str:
    if not number_or_none(unpriced.get("answers")):
        return ""
    tokens = number_or_none(unpriced.get("tokens")) or 0
    return (
        f"{count(unpriced['answers'], 'answer')} without a known price ({tokens:,} tokens): that cost is unknown, not "
        "zero, and no cap in dollars holds it; name the price in [cost] prices_file"
    )


def _subscribers(subscribers: Mapping[str, Any]) -> str:
    if not subscribers:
        return ""
    topics = ", ".join(
        f"{line(topic) or 'all'} {line(number)}"
        for topic, number in sorted(mapping(subscribers.get("by_topic")).items())
    )
    total = line(subscribers.get("total")) or "0"
    return f"{total} ({topics})" if topics else total


def _waiting_rows(status: Mapping[str, Any]) -> list[_Row]:
    """Clients that wait for others to leave, and settings that wait for a restart."""
    rows: list[_Row] = []
    peers, pending = mapping(status.get("peers")), mapping(status.get("pending"))
    if peers.get("full") is True:
        open_now = (number_or_none(peers.get("control")) or 0) + (number_or_none(peers.get("notes")) or 0)
        rows.append(("clients", f"{open_now:,} are connected; others wait until some of them leave", "red"))
    if pending:
        named = ", ".join(map(line, pending))
        rows.append(("settings", f"{named}: the new value is in force after a restart of hudd", "yellow"))
    return rows


def _place_rows(status: Mapping[str, Any]) -> list[_Row]:
    sockets, journal = mapping(status.get("sockets")), mapping(status.get("journal"))
    return [
        ("sockets", ", ".join(line(sockets[name]) for name in ("control", "notes") if sockets.get(name)), None),
        ("journal", line(journal.get("path")), None),
    ]


def render_errors(
    errors: Mapping[str, Any], *, colour: bool = False, width: int = 80, zone: tzinfo | None = None
) -> str:
    """The answer of ``errors``: a sentence for people, and below it the service's own words."""
    look = Look(colour, width, zone)
    found = objects(errors.get("errors"))
    if not found:
        return "No errors."
    lines: list[str] = []
    for error, day in zip(found, days_between(found, look), strict=True):
        if day:
            lines.append(look.paint(day, "bold"))
        lines.append(_error(error, look, whole=True))
    return "\n".join(lines)


def _error(error: Mapping[str, Any], look: Look, *, whole: bool) -> str:
    head = f"{look.time(error.get('time'))}  "
    sentence = clean(error.get("sentence") or error.get("message") or "An error without words.").strip()
    block = hang(head, sentence, look)
    body = block[len(head) :]
    text = look.paint(block[: len(head)], "dim") + (look.paint(body, "red") if error.get("fatal") else body)
    if not whole:
        return text
    names = {
        "type": "",
        "code": "",
        "param": "param ",
        "http_status": "HTTP ",
        "close_code": "close ",
        "close_reason": "",
        "event_id": "event ",
        "session_id": "session ",
    }
    raw = [f"{word}{line(error[name])}" for name, word in names.items() if error.get(name) not in (None, "")]
    message = line(error.get("message"))
    if message and message not in sentence:
        raw.append(f"“{message}”")
    if not raw:
        return text
    return f"{text}\n{look.paint(hang('', ' · '.join(raw), look, indent=cells(head)), 'dim')}"
