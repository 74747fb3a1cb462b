"""Every setting of hudd: its type, default, unit, bounds and reason. Pure; nothing is read here.

One class per section of ``config.toml``; sections are one word, keys flat. The loader, ``hudctl config``, the README's
table and the environment names ``HUDD_<SECTION>_<KEY>`` are all made from these classes.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final, Literal

from hudd.config.declaring import setting


@dataclass(frozen=True, slots=True)
class RealtimeSettings:
    """Which engine answers, and where it is."""

    use: Literal["local", "service"] = setting(
        "local", "Who answers: local (the embedded engine, free, offline) or service (the paid Realtime API)."
    )
    model: str = setting(
        "gpt-realtime-1.5", "Model name, as the endpoint spells it (a vendor prefix is allowed).", apply="reconnect"
    )
    fallback_models: tuple[str, ...] = setting(
        (), "Models to try, in this order, when model is not offered any more.", apply="live"
    )
    url: str = setting(
        "wss://api.openai.com/v1/realtime",
        "Endpoint: a wss:// address as it is, or an https:// base to which /realtime is added; the model is added as a "
        "query.",
        apply="reconnect",
    )
    auth: Literal["bearer", "api-key"] = setting(
        "bearer",
        "How the key is shown: bearer (Authorization header) or api-key (the header of that name, Azure).",
        apply="reconnect",
    )
    organization: str = setting("", "OpenAI organisation that is billed; empty means the key's own.", apply="reconnect")
    project: str = setting("", "OpenAI project that is billed; empty means the key's own.", apply="reconnect")
    safety_identifier: str = setting(
        "", "Stable, hashed name of the user for the service's abuse checks; empty sends none.", apply="reconnect"
    )
    proxy: str = setting(
        "",
        "Proxy to use: an http:// address, none, or empty for that of the environment (HTTPS_PROXY).",
        secret=True,
        apply="reconnect",
    )
    ca_file: str = setting(
        "",
        "File with certificates (PEM) to trust beside the system's; ~ is allowed. Always verified.",
        apply="reconnect",
    )
    reasoning: Literal["default", "minimal", "low", "medium", "high", "xhigh"] = setting(
        "default", "How long models with reasoning (2.x) think; others are not told.", apply="reconnect"
    )
    key_file: str = setting("", "File (mode 0600) that holds the key for the service; ~ is allowed.", apply="reconnect")
    key_command: tuple[str, ...] = setting(
        (),
        'Program that prints the key in its first line within 10 seconds, like ["pass", "show", "openai"] or the same '
        "as one text; no shell sees it. Asked after key_file.",
        words=True,
        apply="reconnect",
    )
    keyring: bool = setting(
        False,
        "Whether the key is in the desktop's keyring (needs hudd[keyring]), where hudctl setup puts it. Asked after "
        "key_command.",
        apply="reconnect",
    )
    connect_s: float = setting(10.0, "Seconds to open the connection.", low=1, high=120, apply="live")
    ping_timeout_s: float = setting(
        60.0, "Seconds without a pong until the connection counts as dead.", low=5, high=600, apply="reconnect"
    )


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """What the model is told and how much it remembers."""

    memory: Literal["window", "conversation"] = setting(
        "window",
        "window: each question carries a short text history; conversation: pictures and answers stay at the service "
        "for a while.",
        apply="reconnect",
    )
    # Chosen by `python -m tests.bench.costs` (1,440 answers of 60 tokens, 323 image tokens; cost / picture + answer):
    # 300 tokens cut to a half hold two to four notes and cost 1.27 with an ideal cache, 1.27 when it forgets after
    # five minutes (1.37 on a day where every sixth answer comes later than that) and 1.88 without one. That is below
    # the bars of 1.35, 1.6 and 2.0 even before a useless cache shrinks the window (1.69 then). 400 pass 2.0 without a
    # cache. Cutting less (0.7) cuts more often, and each cut loses the cached beginning: 1.33. Cutting more (0.3)
    # saves 0.03 and leaves a single note. The service's truncation gets the same numbers; it matters in conversation
    # memory only.
    history_tokens: int = setting(
        300, "Text tokens of recent notes that a question carries.", low=0, high=20000, apply="live"
    )
    retention_ratio: float = setting(
        0.5, "Share of history_tokens that is kept when the history is cut.", low=0.0, high=1.0, apply="live"
    )
    max_output_tokens: int = setting(200, "Longest answer, in tokens.", low=16, high=4096, apply="live")
    created_s: float = setting(10.0, "Seconds until session.created must have come.", low=1, high=120, apply="live")
    updated_s: float = setting(10.0, "Seconds until session.updated must have come.", low=1, high=120, apply="live")
    response_created_s: float = setting(
        10.0, "Seconds until response.created must have come.", low=1, high=120, apply="reconnect"
    )
    first_delta_s: float = setting(
        20.0, "Seconds until the first text must have come.", low=1, high=300, apply="reconnect"
    )
    response_done_s: float = setting(
        60.0, "Seconds until an answer must be complete.", low=1, high=600, apply="reconnect"
    )
    rollover_s: float = setting(
        3300.0,
        "Seconds after which a session is replaced by a new one; the service ends it after 3600.",
        low=1,
        high=3540,
        apply="reconnect",
    )


@dataclass(frozen=True, slots=True)
class ScreenSettings:
    """What is looked at."""

    source: str = setting(
        "auto",
        "auto (the best that works here), wayland, grim or portal (Wayland), mss (X11, macOS), command:PROGRAM ARGS "
        "(it prints a picture), or pictures:DIR (the files of a folder in order, then new ones).",
        apply="live",
    )
    monitors: tuple[str, ...] = setting((), "Names of the monitors to watch; empty means all.", apply="live")
    interval_s: float = setting(0.5, "Seconds between looks while things change.", low=0.05, high=3600, apply="live")
    max_interval_s: float = setting(
        3.0, "Seconds between looks on a still screen without damage events.", low=0.05, high=3600, apply="live"
    )
    cursor: bool = setting(False, "Whether the mouse pointer is part of the picture.", apply="live")
    pictures_interval_s: float = setting(
        5.0, "Seconds that pictures:DIR shows one file.", low=0.05, high=3600, apply="live"
    )
    only_when_watched: bool = setting(
        False,
        "Whether the screen is looked at only while some program subscribes to notes; snaps always work.",
        apply="live",
    )


SERVICE_LONG_SIDE_PX: Final = 1280
"""What the service gets: it is believed to shrink pictures further anyway (realtime-protocol 4.3)."""
LOCAL_QUALITY: Final = 92
LOCAL_LONG_SIDE_PX: Final = 2560
"""What the local engine gets: nothing is billed, and small text is read twice as well at full size."""


@dataclass(frozen=True, slots=True)
class PictureSettings:
    """What a picture looks like when it leaves."""

    format: Literal["jpeg", "png"] = setting("jpeg", "jpeg or png; the service takes nothing else.", apply="live")
    quality: int = setting(
        75,
        "JPEG quality; left at 75 the local engine gets 92, where text is read better.",
        low=30,
        high=95,
        apply="live",
    )
    long_side_px: int = setting(
        0,
        "Longest side after scaling; 0 means 1280 for the service and 2560 for the local engine. Never enlarged.",
        low=0,
        high=8192,
        apply="live",
    )
    max_bytes: int = setting(1_500_000, "Byte budget of one encoded picture.", low=20_000, high=4_000_000, apply="live")
    crops: Literal["auto", "never"] = setting(
        "auto",
        "auto: beside the picture of the whole the service gets the changed part in full size, where its text would be "
        "too small to read and the pace allows it; never: only the whole.",
        apply="live",
    )
    max_pictures: int = setting(2, "Most pictures of a question, the whole included.", low=1, high=4, apply="live")


@dataclass(frozen=True, slots=True)
class GateSettings:
    """What counts as a change."""

    settle_s: float = setting(
        0.4, "Seconds the screen must be still before a change is sent.", low=0, high=60, apply="live"
    )
    max_settle_s: float = setting(
        3.0, "Seconds after which a change is sent although the screen still moves.", low=0, high=600, apply="live"
    )
    min_interval_s: float = setting(
        2.0, "Least seconds between two automatic pictures of a source.", low=0, high=3600, apply="live"
    )
    heartbeat_s: float = setting(
        0.0, "Seconds after which a still screen is sent anyway; 0 means never.", low=0, high=86400, apply="live"
    )
    min_tiles: int = setting(
        2, "Changed tiles that make a change; fewer is a cursor or a clock.", low=1, high=1000, apply="live"
    )
    luma_step: int = setting(16, "Difference in brightness (0-255) that counts.", low=1, high=255, apply="live")


@dataclass(frozen=True, slots=True)
class PrivacySettings:
    """What must not leave the machine. In patterns * stands for anything; /…/ is a regular expression."""

    exclude_apps: tuple[str, ...] = setting(
        (), "Programs whose windows must not be seen: by whole class or application id, like keepassxc.", apply="live"
    )
    exclude_titles: tuple[str, ...] = setting(
        (), "Windows that must not be seen: a part of their title, whatever its case.", apply="live"
    )
    exclude_urls: tuple[str, ...] = setting(
        (), "Addresses that must not be seen; found only where a browser's title shows them.", apply="live"
    )
    private_windows: bool = setting(
        True, "Whether private browsing windows, as far as their titles tell, must not be seen.", apply="live"
    )
    on_excluded: Literal["withhold", "mask"] = setting(
        "withhold",
        "withhold: nothing leaves while such a window is open; mask: it is painted over, and the rest leaves.",
        apply="live",
    )
    pause_when_sharing: bool = setting(
        True, "Whether nothing leaves while a known meeting program shows that it shares the screen.", apply="live"
    )
    idle_s: float = setting(
        0.0,
        "Seconds without keyboard and mouse after which nothing leaves; 0 means never.",
        low=0,
        high=86400,
        apply="live",
    )
    strict: bool = setting(
        False,
        "Whether nothing leaves where a desktop cannot tell lock or windows; on Wayland only the focused window does.",
        apply="live",
    )
    redact: bool = setting(
        False,
        "Whether card numbers, IBANs, keys and tokens are read locally and painted over before the service sees a "
        "picture (needs hudd[local]), and taken out of notes.",
        apply="live",
    )
    redact_email: bool = setting(False, "Whether redact also covers e-mail addresses.", apply="live")


@dataclass(frozen=True, slots=True)
class NotesSettings:
    """How notes are written."""

    profile: str = setting(
        "",
        "A layer of instructions: coding, meeting, accessibility, or the path of a text file of yours; empty for none.",
        apply="live",
    )
    instructions: str = setting("", "Your own sentences, appended to the instructions that hudd ships.", apply="live")


@dataclass(frozen=True, slots=True)
class CostSettings:
    """How much may be spent. Local answers cost nothing and touch no cap."""

    cap_day_usd: float = setting(
        1.00, "Dollars that may be spent in a local day; 0 stops all paid sending.", low=0, high=1000, apply="live"
    )
    cap_hour_usd: float = setting(
        0.0,
        "Dollars that may be spent in an hour; 0 means that only the day's cap counts.",
        low=0,
        high=1000,
        apply="live",
    )
    cap_month_usd: float = setting(
        0.0,
        "Dollars that may be spent in a calendar month; 0 means that only the day's cap counts.",
        low=0,
        high=30000,
        apply="live",
    )
    active_hours: float = setting(
        10.0,
        "Hours over which the day's cap is spread; hudd asks less often when it is ahead.",
        low=0.5,
        high=24,
        apply="live",
    )
    token_cap_day: int = setting(
        0, "Tokens a day for a model without a known price; 0 means none may be sent.", low=0, apply="live"
    )
    image_tokens: int = setting(
        839, "Tokens reserved for one picture until usage told better.", low=1, high=100000, apply="live"
    )
    prices_file: str = setting(
        "", "TOML file with prices that replace or add to the shipped table; ~ is allowed.", apply="live"
    )


@dataclass(frozen=True, slots=True)
class JournalSettings:
    """How the journal is kept."""

    search: bool = setting(True, "Whether notes are indexed for full-text search.")
    keep_days: int = setting(
        0,
        "Days that notes are kept; 0 means for ever. Marked notes (hudctl mark) stay.",
        low=0,
        high=36500,
        apply="live",
    )
    max_mb: int = setting(
        2000,
        "Megabytes that the journal may take, then the oldest notes go; 0 means any size.",
        low=0,
        high=1_000_000,
        apply="live",
    )


@dataclass(frozen=True, slots=True)
class BusSettings:
    """The two sockets."""

    note_queue: int = setting(
        1000, "Notes held for a slow subscriber before it loses some (and replays them).", low=10, high=100000
    )
    remote: str = setting(
        "",
        "Address of this machine where others that hold a key may come in, like tcp://192.0.2.7:7433 (commands there, "
        "notes on the next port); empty for nobody.",
    )


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """The embedded engine."""

    reader: Literal["auto", "tesserocr", "rapidocr", "none"] = setting("auto", "Which text recognition reads pictures.")
    budget_s: float = setting(3.0, "Seconds that reading one picture may take.", low=0.2, high=60)
    idle_s: float = setting(300.0, "Seconds after which the idle reader process ends.", low=1, high=86400)
    answers: Literal["read", "canned"] = setting("read", "read: text recognition; canned: at once, for benches.")


@dataclass(frozen=True, slots=True)
class NoticesSettings:
    """What a person is told without asking."""

    desktop: bool = setting(
        True,
        "Whether the desktop shows a notification when money runs short or is spent without a note, and when the "
        "connection needs you; never the text of a note.",
    )


@dataclass(frozen=True, slots=True)
class LogSettings:
    """The log on stderr."""

    level: Literal["debug", "info", "warning", "error"] = setting("info", "Least level that is logged.", apply="live")


@dataclass(frozen=True, slots=True)
class Settings:
    """All sections."""

    realtime: RealtimeSettings = RealtimeSettings()
    session: SessionSettings = SessionSettings()
    screen: ScreenSettings = ScreenSettings()
    picture: PictureSettings = PictureSettings()
    gate: GateSettings = GateSettings()
    privacy: PrivacySettings = PrivacySettings()
    notes: NotesSettings = NotesSettings()
    cost: CostSettings = CostSettings()
    journal: JournalSettings = JournalSettings()
    bus: BusSettings = BusSettings()
    engine: EngineSettings = EngineSettings()
    notices: NoticesSettings = NoticesSettings()
    log: LogSettings = LogSettings()


SECTIONS: Final = tuple(f.name for f in fields(Settings))
