"""What differs between the settings in force and those that were read again, and what a reload does about it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, Protocol, TypeAlias, cast

from hudd.config.declaring import Apply
from hudd.config.settings import SECTIONS, Settings
from hudd.config.toml_values import Key, all_keys

Applied: TypeAlias = Literal["live", "reconnect", "restart", "fixed"]
"""What became of a changed key: as ``Apply``, or ``fixed``: the environment or a flag goes before the file."""

FILE: Final = "file"
"""The origin of a value that the settings file gave."""
MASK: Final = "(hidden)"
KEY: Final = "the key"
"""Stands for the service's key, which is no setting, where a reload tells that it is another one."""
_STRENGTH: Final[dict[Applied, int]] = {"fixed": 0, "live": 1, "reconnect": 2, "restart": 3}


class Origins(Protocol):
    """Settings and where they came from, as the loader gives them."""

    @property
    def settings(self) -> Settings: ...
    @property
    def origins(self) -> dict[str, str]: ...
    @property
    def shadowed(self) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Change:
    """One key that changed.

    Attributes:
        key: ``section.key``.
        old: What was in force (of a fixed key: what stood in the file); a list, a number, a text, true or false.
        new: What the file says now. Both are masked for a secret.
        applied: What became of it.
        by: What fixes it, when it is fixed: a variable or a flag.
    """

    key: str
    old: object
    new: object
    applied: Applied
    by: str = ""

    def wire(self) -> dict[str, object]:
        """As a row of ``changed`` in the answer of ``reload``."""
        row: dict[str, object] = {"key": self.key, "old": self.old, "new": self.new, "applied": self.applied}
        return row | {"by": self.by} if self.by else row


@dataclass(frozen=True, slots=True)
class Plan:
    """What a reload does.

    Attributes:
        settings: To be in force from now on: keys that need a restart keep their old values.
        changes: What changed, in the order of the settings.
        origins: Where the values in force come from.
    """

    settings: Settings
    changes: tuple[Change, ...]
    origins: dict[str, str]

    @property
    def reconnects(self) -> bool:
        """Whether a new session is needed."""
        return any(change.applied == "reconnect" for change in self.changes)

    @property
    def pending(self) -> dict[str, object]:
        """Keys that wait for a restart, with the value that they will have then."""
        return {change.key: change.new for change in self.changes if change.applied == "restart"}

    def touches(self, *prefixes: str) -> bool:
        """Whether a key of these sections (``gate.``), or one of these keys, is another one now."""
        in_force = (change for change in self.changes if change.applied in ("live", "reconnect"))
        return any(change.key.startswith(prefixes) for change in in_force)


def plan_of(before: Origins, after: Origins) -> Plan:
    """Compare what is in force with what was read.

    Args:
        before: In force.
        after: Read again, and valid.
    """
    keys = all_keys()
    kept: dict[str, Any] = {}
    changes: list[Change] = []
    for path, key in keys.items():
        old, new = value_of(before.settings, key), value_of(after.settings, key)
        if old == new:
            changes += _fixed(before, after, key)
            continue
        how = _how(key, before.settings)
        if how == "restart":
            kept[path] = old
        changes.append(Change(path, shown(key, old), shown(key, new), how))
    origins = {path: (before if path in kept else after).origins[path] for path in keys}
    return Plan(_with(after.settings, kept), tuple(changes), origins)


def _how(key: Key, in_force: Settings) -> Apply:
    """What a reload does with a key, which for a few of them depends on others."""
    if key.section == "realtime" and in_force.realtime.use == "local" and key.apply == "reconnect":
        # Nobody but the service is asked with it; the time for a pong holds for the local engine as well.
        return "reconnect" if key.name == "ping_timeout_s" else "live"
    if key.path in _CONTEXT and in_force.session.memory == "conversation":
        return "reconnect"  # the service keeps the conversation, and was told these figures at its beginning
    return key.apply


_CONTEXT: Final = ("session.history_tokens", "session.retention_ratio")


def _fixed(before: Origins, after: Origins, key: Key) -> list[Change]:
    """A line of the file that changed and means nothing, because something else goes before it."""
    old, new = before.shadowed.get(key.path, key.default), after.shadowed.get(key.path, key.default)
    origin = after.origins[key.path]
    if old == new or origin in (FILE, "default"):
        return []
    return [Change(key.path, shown(key, old), shown(key, new), "fixed", key.flag if origin == "flag" else origin)]


def value_of(settings: Settings, key: Key) -> Any:
    """The value of a key."""
    return getattr(getattr(settings, key.section), key.name)


def _with(settings: Settings, values: Mapping[str, Any]) -> Settings:
    """The settings with some keys replaced."""
    sections = {
        section: replace(
            getattr(settings, section),
            **{path.partition(".")[2]: value for path, value in values.items() if path.startswith(f"{section}.")},
        )
        for section in SECTIONS
    }
    return Settings(**sections)


def shown(key: Key, value: Any) -> object:
    """A value for a person or for JSON; a secret is masked."""
    if key.secret and value:
        return MASK
    return list(cast("tuple[str, ...]", value)) if isinstance(value, tuple) else value


def sentences(changes: tuple[Change, ...], show: Callable[[object], str]) -> list[str]:
    """What changed in lines for the log, the weightiest last."""
    ends: dict[Applied, str] = {
        "live": "applied",
        "reconnect": "applied by a new session",
        "restart": "in force after a restart",
        "fixed": "not in force: {by} goes before the file",
    }
    ordered = sorted(changes, key=lambda change: _STRENGTH[change.applied])
    return [f"{c.key}: {show(c.old)} -> {show(c.new)}, {ends[c.applied].format(by=c.by)}" for c in ordered]
