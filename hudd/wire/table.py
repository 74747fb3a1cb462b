"""The one table of the contract: methods, their parameters, errors, topics. Imports nothing of hudd.

The command server validates by it, ``hudctl`` builds its verbs from it, README and PROTOCOL.md are checked against it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

PROTOCOL_NEWEST: Final = 1
PROTOCOL_OLDEST: Final = 1
NOTE_VERSION: Final = 1

MAX_FRAME_BYTES: Final = 64 * 1024
MAX_FRAME_MARKS: Final = 2048
"""Of ``{``, ``[`` and ``,`` in a request, in its strings too: what makes one dear to read is not its length alone."""
MAX_ENVELOPE_FRAMES: Final = 4
REPLY_GRACE_MS: Final = 200
DEFAULT_DEADLINE_MS: Final = 15_000
MAX_DEADLINE_MS: Final = 24 * 3600 * 1000
REPLAY_PAGE: Final = 500

LARGEST_NUMBER: Final = 2**63 - 1
"""Of a note: the largest that the journal can hold."""
LARGEST_PID: Final = 2**31 - 1
LARGEST_WINDOW: Final = 2**32 - 1
ULID: Final = "[0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{26}"
"""Crockford's base 32: no I, L, O, U."""

ParamKind = Literal["string", "integer", "number", "boolean", "array", "object", "time"]
"""``time`` is a number of seconds since 1970 or an ISO 8601 string with a zone."""


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter of a method.

    Attributes:
        name: Key in ``params``.
        kind: JSON type.
        doc: One sentence.
        required: Whether a request without it is refused (``E_ARGS``).
        choices: Allowed strings; empty for any.
        low: Smallest allowed number, or shortest length of a string; None for no bound.
        high: Largest allowed number, or longest length of a string; None for no bound.
        pattern: Regular expression that the whole of a string must match; '' for any.
        form: The pattern in words: "must be …".
    """

    name: str
    kind: ParamKind
    doc: str
    required: bool = False
    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    pattern: str = ""
    form: str = ""


@dataclass(frozen=True, slots=True)
class Method:
    """One method of the command socket.

    Attributes:
        name: As in ``method``.
        doc: One sentence.
        params: Its own parameters; ``COMMON_PARAMS`` are allowed everywhere.
        verb: The verb of hudctl that uses it; '' when no person calls it.
        effect: Whether it changes something, so that a repeat with the same ``idem`` key must not run again. A snap has
            its ``snap_id`` for that.
        local_only: Whether it is refused to callers on other machines, because it names a file of this one.
        waits: Whether it does nothing but wait, for its caller alone: it ends when the connection does.
    """

    name: str
    doc: str
    params: tuple[Param, ...] = ()
    verb: str = ""
    effect: bool = False
    local_only: bool = False
    waits: bool = False


COMMON_PARAMS: Final = (
    Param("sent_at", "number", "When the request was sent by hudd's clock, milliseconds since 1970.", low=0, high=1e15),
    Param("deadline_ms", "number", "How long after sent_at, or after it came, it counts.", low=1, high=MAX_DEADLINE_MS),
    Param("idem", "string", "Key of a request with an effect: a repeat is answered and not run.", low=1, high=64),
)

_RANGE = (
    Param("since", "time", "Only what happened at or after this time."),
    Param("until", "time", "Only what happened before this time."),
)

METHODS: Final[tuple[Method, ...]] = (
    Method(
        "hello",
        "Tells protocol range, version, capabilities and the stream; a client tells who it is.",
        (
            Param("client", "string", "Name and version of the client.", high=200),
            Param("protocol", "array", "The client's [oldest, newest] protocol."),
            Param("pid", "integer", "Process id of the client.", low=0, high=LARGEST_PID),
            Param("window", "integer", "X11 window the client prints into ($WINDOWID).", low=0, high=LARGEST_WINDOW),
            Param("streaming", "boolean", "True while the client prints notes: changes in its window are ignored."),
        ),
        verb="version",
    ),
    Method(
        "status",
        "Tells facts: connection, sending with all reasons, ages, counters, cost.",
        (Param("first_use_told", "boolean", "True when a person has read the first_use of hello."),),
        verb="status",
    ),
    Method(
        "snap",
        "Takes a picture now and answers with the committed note.",
        (
            Param(
                "snap_id",
                "string",
                "A ULID chosen by the caller; also the idempotence key.",
                required=True,
                pattern=ULID,
                form="a ULID: 26 characters of Crockford's base 32",
            ),
            Param("monitor", "string", "Name of the monitor; absent means the first.", high=200),
            Param("region", "array", "Instead of a monitor: [left, top, width, height] in pixels of the desktop."),
            Param("window", "string", "Instead: '' is the focused window; or an id, or a part of a title.", high=200),
        ),
        verb="snap",
    ),
    Method(
        "pause",
        "Stops pictures from leaving until resumed; committed before it is answered.",
        (
            Param("for_s", "number", "Seconds until it ends by itself; absent means until resumed.", low=1),
            Param("why", "string", "A word for the status.", high=200),
        ),
        verb="pause",
        effect=True,
    ),
    Method(
        "resume",
        "Ends a pause, lifts a stopped connection, and lets a ScreenCast begin again that was ended from the desktop.",
        verb="resume",
        effect=True,
    ),
    Method(
        "wait",
        "Answers when the daemon has reached a state.",
        (
            Param(
                "for",
                "string",
                "What to wait for.",
                choices=("ready", "connected", "note"),
            ),
        ),
        verb="wait",
        waits=True,
    ),
    Method(
        "notes.since",
        "Replays notes after a number, oldest first, in pages.",
        (
            Param("stream", "string", "The stream the number belongs to; '' for the present one.", high=64),
            Param("seq", "integer", "Notes after this number.", required=True, low=0, high=LARGEST_NUMBER),
            Param("topic_prefix", "string", "Only topics that start so, for instance note/eDP-1/.", high=300),
            Param("limit", "integer", "At most so many.", low=1, high=REPLAY_PAGE),
        ),
        verb="follow",
    ),
    Method(
        "notes.search",
        "Finds notes by time and words.",
        (
            *_RANGE,
            Param("search", "string", "Words, all of which must occur (full text).", low=1, high=1000),
            Param("grep", "string", "A substring, or /a regular expression/.", low=1, high=1000),
            Param("before", "integer", "Notes below this number, for the next page.", low=0, high=LARGEST_NUMBER),
            Param("limit", "integer", "At most so many.", low=1, high=REPLAY_PAGE),
            Param("reverse", "boolean", "Oldest first within what was found."),
        ),
        verb="notes",
    ),
    Method(
        "notes.export",
        "Gives notes of a range of time in the order of their numbers, in pages.",
        (
            *_RANGE,
            Param("after", "integer", "Notes above this number, for the next page.", low=0, high=LARGEST_NUMBER),
            Param("limit", "integer", "At most so many.", low=1, high=REPLAY_PAGE),
        ),
        verb="export",
    ),
    Method(
        "notes.mark",
        "Keeps a note for ever, whatever the settings remove, or no longer.",
        (
            Param("seq", "integer", "Its number.", required=True, low=1, high=LARGEST_NUMBER),
            Param("keep", "boolean", "False lifts the mark."),
        ),
        verb="mark",
        effect=True,
    ),
    Method(
        "notes.forget",
        "Takes the text of notes from everywhere, for good; empty numbered rows stay.",
        (*_RANGE, Param("seq", "integer", "Only the note with this number.", low=1, high=LARGEST_NUMBER)),
        verb="forget",
        effect=True,
    ),
    Method(
        "journal.prune",
        "Removes notes that are too old or too much by the settings, or older than an age.",
        (
            Param("older_than_s", "number", "Seconds; absent means as the settings say.", low=1, high=1e10),
            Param("dry_run", "boolean", "Only tell what would go."),
        ),
        verb="prune",
        effect=True,
    ),
    Method(
        "journal.backup",
        "Copies the journal into a file while it is in use.",
        (Param("path", "string", "An absolute path; the file has mode 0600.", required=True, low=1, high=4000),),
        verb="backup",
        effect=True,
        local_only=True,
    ),
    Method(
        "errors",
        "Lists what went wrong, newest first.",
        (*_RANGE, Param("limit", "integer", "At most so many.", low=1, high=REPLAY_PAGE)),
        verb="errors",
    ),
    Method(
        "cost",
        "Tells what was spent and what it would have cost at the service.",
        (
            *_RANGE,
            Param("by", "array", "What the rows are split by, out of day, hour, model, trigger."),
            Param("estimate", "boolean", "Tell what the present settings would cost instead."),
        ),
        verb="cost",
    ),
    Method("config", "Tells every setting, its value and where it came from.", verb="config"),
    Method(
        "reload",
        "Reads the settings file again and applies what changed: all of it, or nothing.",
        verb="reload",
        effect=True,
    ),
)

METHOD_BY_NAME: Final = {m.name: m for m in METHODS}


@dataclass(frozen=True, slots=True)
class WireError:
    """One error code of the contract.

    Attributes:
        code: ``data.code`` of the JSON-RPC error.
        rpc: ``error.code`` of JSON-RPC 2.0.
        exit_code: What hudctl exits with.
        doc: One sentence.
    """

    code: str
    rpc: int
    exit_code: int
    doc: str


ERRORS: Final[tuple[WireError, ...]] = (
    WireError("E_PROTO", -32700, 1, "The frame is no request that can be read."),
    WireError("E_REQUEST", -32600, 2, "The JSON is no JSON-RPC 2.0 request, or a batch."),
    WireError("E_UNKNOWN_METHOD", -32601, 6, "There is no such method; the hint lists those that there are."),
    WireError("E_ARGS", -32602, 2, "A parameter is missing, unknown in value or of the wrong type."),
    WireError("E_INTERNAL", -32603, 1, "A mistake in hudd; the log has it."),
    WireError("E_VERSION", -32001, 6, "The protocol versions of client and daemon do not meet."),
    WireError("E_AUTH", -32002, 4, "The caller is not allowed to."),
    WireError("E_BUSY", -32003, 4, "Too many requests at once; retry_after_ms says when to try again."),
    WireError("E_DEADLINE", -32004, 5, "The deadline passed first."),
    WireError("E_STATE", -32005, 7, "Not possible in the present state: paused, locked, cap reached …"),
    WireError("E_CAPTURE", -32006, 7, "No picture could be taken."),
    WireError("E_UPSTREAM", -32007, 8, "The Realtime service failed; data.upstream has its own words."),
    WireError("E_STORAGE", -32008, 9, "The journal could not be read or written."),
)

ERROR_BY_CODE: Final = {e.code: e for e in ERRORS}

EXIT_OK: Final = 0
EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_NOT_RUNNING: Final = 3
EXIT_REFUSED: Final = 4
EXIT_DEADLINE: Final = 5
EXIT_VERSION: Final = 6
EXIT_STATE: Final = 7
EXIT_UPSTREAM: Final = 8
EXIT_STORAGE: Final = 9
EXIT_INTERRUPTED: Final = 130


@dataclass(frozen=True, slots=True)
class Topic:
    """One family of topics on the note socket."""

    pattern: str
    doc: str
    numbered: bool = False


TOPICS: Final[tuple[Topic, ...]] = (
    Topic("note/<source>/", "A final note; the only topic with seq and prev.", numbered=True),
    Topic("delta/<source>/", "A piece of text of an answer that is being written: {snap_id, n, text}."),
    Topic("state/", "The status after a change of state."),
    Topic("error/", "One error, with the service's own words."),
    Topic("cost/", "A change of what was spent, or of what may be."),
    Topic("hb/", "Heartbeat with the newest seq per topic (heads)."),
    Topic("welcome/<token>/", "Answer to a subscription: everything subscribed to before it is active."),
)
