"""Settings from their four places: default < file < environment ``HUDD_<SECTION>_<KEY>`` < flags.

Every mistake is found in one go. This is the only module that reads settings from the environment.
"""

from __future__ import annotations

import os
import stat
import textwrap
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

from hudd.config import crosschecks
from hudd.config.changes import FILE, MASK, shown
from hudd.config.paths import config_file, open_at_once, state_dir
from hudd.config.settings import SECTIONS, Settings
from hudd.config.toml_values import Key, ValueProblem, all_keys, bounds, did_you_mean, fit, from_text, show, to_toml
from hudd.errors import SettingsError
from hudd.wire.endpoints import EndpointError, UnsafeFolderError, notes_socket

KEY_VARIABLE: Final = "HUDD_REALTIME_KEY"
OTHER_VARIABLES: Final = (
    "HUDD_RUNTIME_DIR",
    "HUDD_STATE_DIR",
    "HUDD_CONFIG",
    KEY_VARIABLE,
    "HUDD_REMOTE",
    "HUDD_REMOTE_KEY",
)
"""Names that begin with ``HUDD_`` and are no setting."""
_PASSED_OVER: Final = frozenset({*OTHER_VARIABLES, "HUDD_DOSE"})  # the last is for the tests alone: never suggested

_LARGEST_FILE_BYTES: Final = 1 << 20
_MOST_PROBLEMS: Final = 50


@dataclass(frozen=True, slots=True)
class Loaded:
    """What came of it.

    Attributes:
        settings: The settings.
        origins: ``section.key`` → ``default``, ``file``, the environment variable's name, or ``flag``.
        file: The settings file that was read; None when there is none.
        notes: Sentences for the log: what a person may not expect.
        shadowed: ``section.key`` → value of the file that is not in force, because the environment or a flag goes
            before it.
    """

    settings: Settings
    origins: dict[str, str]
    file: Path | None
    notes: tuple[str, ...]
    shadowed: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass(slots=True)
class _Gathering:
    """Values, origins and mistakes, as they come together."""

    keys: Mapping[str, Key]
    values: dict[str, Any] = field(default_factory=dict[str, Any])
    origins: dict[str, str] = field(default_factory=dict[str, str])
    problems: list[str] = field(default_factory=list[str])
    wrong: set[str] = field(default_factory=set[str])
    shadowed: dict[str, Any] = field(default_factory=dict[str, Any])

    def take(self, key: Key, value: object, *, place: str, origin: str, plain: bool) -> None:
        """Accept one value, or say what is wrong with it; ``plain`` texts may be TOML literals or plain strings."""
        try:
            fitting = from_text(key, value) if plain and isinstance(value, str) else fit(key, value)
            if self.origins.get(key.path) == FILE:
                self.shadowed[key.path] = self.values[key.path]
            self.values[key.path] = fitting
            self.origins[key.path] = origin
        except ValueProblem as problem:
            self.wrong.add(key.path)
            end = "" if str(problem).endswith("?") else "."
            self.problems.append(f"{place} is {MASK if key.secret else show(value)}; it {problem}{end}")

    def places(self) -> dict[str, str]:
        """Where a person set a value, if not in the file: ``section.key`` → the variable or the flag."""
        named = {path: self.keys[path].flag if origin == "flag" else origin for path, origin in self.origins.items()}
        return {path: place for path, place in named.items() if place != FILE}

    def unknown(self, sentence: str, word: str, known: list[str]) -> None:
        """Report a name that nobody knows; near names are looked up for the first few only, it takes time."""
        meant = did_you_mean(word, known) if len(self.problems) < _MOST_PROBLEMS else ""
        self.problems.append(f"{sentence}{meant or '.'}")


def load(*, config: Path | None, environ: Mapping[str, str], flags: Mapping[str, object]) -> Loaded:
    """Put the settings together.

    Args:
        config: The file named by ``--config``, which must exist; None for the usual place, which may be empty.
        environ: The environment.
        flags: ``section.key`` → value; None values were not given.

    Raises:
        SettingsError: Something is wrong; ``problems`` has every mistake, one sentence each.
    """
    gathering = _Gathering(all_keys())
    notes: list[str] = []
    file = _from_file(gathering, config, environ, notes)
    _from_environment(gathering, environ)
    _from_flags(gathering, flags)
    _choose_engine(gathering, environ, notes)
    _check_paths(gathering, environ)
    settings = _build(gathering.values)
    gathering.problems += crosschecks.problems(settings, frozenset(gathering.wrong), gathering.places())
    if gathering.problems:
        raise SettingsError(_limited(gathering.problems))
    origins = {path: gathering.origins.get(path, "default") for path in gathering.keys}
    return Loaded(settings, origins, file, tuple(notes), gathering.shadowed)


def _limited(problems: list[str]) -> list[str]:
    if len(problems) <= _MOST_PROBLEMS:
        return problems
    return [*problems[:_MOST_PROBLEMS], f"There are {len(problems) - _MOST_PROBLEMS} more mistakes after these."]


def _build(values: Mapping[str, Any]) -> Settings:
    sections = {
        name: type(getattr(Settings(), name))(
            **{path.partition(".")[2]: value for path, value in values.items() if path.startswith(f"{name}.")}
        )
        for name in SECTIONS
    }
    return Settings(**sections)


def _from_file(gathering: _Gathering, config: Path | None, environ: Mapping[str, str], notes: list[str]) -> Path | None:
    named = config is not None or bool(environ.get("HUDD_CONFIG"))
    try:
        path = config if config is not None else config_file(environ)
        text = _read(path)
    except SettingsError as error:
        gathering.problems += error.problems
        return None
    if text is None:
        if named:
            by = "--config" if config is not None else "HUDD_CONFIG"
            gathering.problems.append(f"The settings file {path} that {by} names does not exist; correct the path.")
        else:
            notes.append(f"There is no settings file at {path}; defaults are used.")
        return None
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else _one_line(str(error))
        gathering.problems.append(f"The settings file {path} is not valid TOML: {why}; correct it there.")
        return path
    _from_table(gathering, table, path)
    return path


def _read(path: Path) -> str | None:
    """The file's text; None when there is no such file.

    Raises:
        SettingsError: It cannot be read, or is no text.
    """
    try:
        with open_at_once(path) as file:
            mode = os.fstat(file.fileno()).st_mode
            # A character device may stand in for an empty file: /dev/null.
            if not (stat.S_ISREG(mode) or stat.S_ISCHR(mode)):
                raise SettingsError([f"The settings file {path} is a pipe or a device; name a TOML file instead."])
            data = file.read(_LARGEST_FILE_BYTES + 1)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise SettingsError(
            [f"The settings file {path} cannot be read: {why}; correct its path or its permissions."]
        ) from error
    if len(data) > _LARGEST_FILE_BYTES:
        raise SettingsError([f"The settings file {path} is larger than 1 MiB; is it the right file?"])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SettingsError(
            [f"The settings file {path} is not UTF-8 text (byte {error.start}); save it as UTF-8."]
        ) from error


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 200 else line[:199] + "…"


def _from_table(gathering: _Gathering, table: dict[str, Any], path: Path) -> None:
    known = gathering.keys
    for section, content in table.items():
        if section not in SECTIONS:
            homes = [key.section for key in known.values() if key.name == section]
            if homes:
                gathering.problems.append(
                    f"{show(section)} stands outside of a section in {path}; put it under [{homes[0]}]."
                )
            else:
                gathering.unknown(f"{path} has an unknown section [{_bare(section)}]", section, list(SECTIONS))
            continue
        if not isinstance(content, dict):
            gathering.problems.append(
                f"{section} in {path} is {show(content)}; it must be a section: write [{section}] and its keys below."
            )
            continue
        for name, value in cast("dict[str, Any]", content).items():
            key = known.get(f"{section}.{name}")
            if key is not None:
                gathering.take(key, value, place=f"[{section}] {name} in {path}", origin=FILE, plain=False)
                continue
            _unknown_key(gathering, section, name, path)


def _unknown_key(gathering: _Gathering, section: str, name: str, path: Path) -> None:
    sentence = f"{path} has an unknown key {_bare(name)} in [{section}]"
    homes = [key.section for key in gathering.keys.values() if key.name == name]
    if homes:
        gathering.problems.append(f"{sentence}; did you mean {name} in [{homes[0]}]?")
        return
    gathering.unknown(sentence, name, [key.name for key in gathering.keys.values() if key.section == section])


def _bare(name: str) -> str:
    """A name for a sentence: bare where TOML allows it bare, else quoted and escaped."""
    return name if name.replace("-", "_").isidentifier() and name.isascii() and len(name) <= 60 else show(name)


def _from_environment(gathering: _Gathering, environ: Mapping[str, str]) -> None:
    by_variable = {key.variable: key for key in gathering.keys.values()}
    for name in sorted(name for name in environ if name.startswith("HUDD_") and name not in _PASSED_OVER):
        key = by_variable.get(name)
        if key is not None:
            gathering.take(key, environ[name], place=name, origin=name, plain=True)
            continue
        meant = _near_variable(name, by_variable.values()) if len(gathering.problems) < _MOST_PROBLEMS else ""
        gathering.problems.append(f"The environment variable {_bare(name)} is unknown{meant or '; unset it.'}")


def _near_variable(name: str, keys: Iterable[Key]) -> str:
    """As ``did_you_mean``. Of a name that begins with a section only the rest is compared: all keys there are alike."""
    for section in SECTIONS:
        head = f"HUDD_{section.upper()}_"
        if name.startswith(head):
            known = [*(key.variable for key in keys), *OTHER_VARIABLES]
            rest = [word.removeprefix(head).lower() for word in known if word.startswith(head)]
            near = did_you_mean(name.removeprefix(head), rest)
            return near and f"; did you mean {head}{_last_word(near)}"
    near = did_you_mean(name, [word.lower() for word in (*(key.variable for key in keys), *OTHER_VARIABLES)])
    return near and f"; did you mean {_last_word(near)}"


def _last_word(sentence: str) -> str:
    """Names are lower case for the comparison, and upper case for the person."""
    return sentence.rpartition(" ")[2].upper()


def _from_flags(gathering: _Gathering, flags: Mapping[str, object]) -> None:
    for path, value in flags.items():
        key = gathering.keys.get(path)
        if key is None:
            gathering.unknown(f"There is no setting {show(path)}", path, list(gathering.keys))
        elif value is not None:
            gathering.take(key, value, place=key.flag, origin="flag", plain=True)


def _check_paths(gathering: _Gathering, environ: Mapping[str, str]) -> None:
    """Paths that only the environment can set; whether the folders are safe is seen when they are opened."""
    try:
        state_dir(environ)
    except SettingsError as error:
        gathering.problems += error.problems
    try:
        # The longer of the two names.
        notes_socket(environ)
    except UnsafeFolderError:
        return
    except EndpointError as error:
        gathering.problems.append(str(error))


def _choose_engine(gathering: _Gathering, environ: Mapping[str, str], notes: list[str]) -> None:
    """Our own key variable chooses the service, unless a setting says otherwise (OPENAI_API_KEY never does)."""
    path = "realtime.use"
    if not environ.get(KEY_VARIABLE):
        return
    if path not in gathering.values:
        gathering.values[path] = "service"
        gathering.origins[path] = KEY_VARIABLE
        notes.append(f'{KEY_VARIABLE} is set, so the service answers; [realtime] use = "local" would override that.')
    elif gathering.values[path] == "local":
        notes.append(f'{KEY_VARIABLE} is set, but [realtime] use is "local": the key is not used.')


def describe(loaded: Loaded) -> list[dict[str, object]]:
    """Every setting for ``hudctl config``: ``name, value, default, origin, apply, doc``; secrets are masked."""
    rows: list[dict[str, object]] = []
    for path, key in all_keys().items():
        value = getattr(getattr(loaded.settings, key.section), key.name)
        rows.append(
            {
                "name": path,
                "value": shown(key, value),
                "default": shown(key, key.default),
                "origin": loaded.origins[path],
                "apply": key.apply,
                "doc": key.doc,
            }
        )
    return rows


def default_toml() -> str:
    """A whole settings file with every key at its default, commented out, and its reason above it."""
    lines = [
        "# Settings of hudd. Every key stands here with its default; remove the # in front of a key to change it.",
        "# The environment (HUDD_<SECTION>_<KEY>) and flags go before this file.",
        "# In brackets: what `hudctl reload` does with a changed value: apply it (live), apply it by a new session",
        "# (reconnect), or keep the old one until hudd is started again (restart).",
    ]
    section = ""
    for key in all_keys().values():
        if key.section != section:
            section = key.section
            purpose = (type(getattr(Settings(), section)).__doc__ or "").strip().splitlines()[0]
            lines += ["", "", f"[{section}]", f"# {purpose}"]
        lines += ["", *_comment(f"{key.doc}{limits_in_words(key)} ({key.apply})")]
        lines.append(f"# {key.name} = {to_toml(key.default)}")
    return "\n".join(lines) + "\n"


def _comment(text: str) -> list[str]:
    return textwrap.wrap(
        text, 118, initial_indent="# ", subsequent_indent="# ", break_long_words=False, break_on_hyphens=False
    )


def limits_in_words(key: Key) -> str:
    """The choices or the bounds of a key as a sentence with a space before it; '' when there are none."""
    if key.kind == "choice":
        return f" One of: {', '.join(key.choices)}."
    span = bounds(key.low, key.high).strip()
    return f" {span[0].upper()}{span[1:]}." if span else ""
