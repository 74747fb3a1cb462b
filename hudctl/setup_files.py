"""Changes a few values of a person's settings file and nothing else, and keeps a key in a private file."""

from __future__ import annotations

import json
import os
import re
import stat
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias, cast

from hudctl.errors import HudctlError, UsageError

Value: TypeAlias = str | bool | list[str]
"""Of a key of the settings: JSON writes each of these as TOML does."""
KEY_NAME: Final = "realtime-key"
_SECTION: Final = re.compile(r"^\s*\[\s*([A-Za-z0-9_.\"'\- ]+?)\s*\]\s*(?:#.*)?$")
_LONGEST_KEY: Final = 4096


def changed_text(text: str, values: Mapping[str, Value]) -> str | None:
    """The settings with some keys of ``[realtime]`` set; comments, order and all else stay as they are.

    Args:
        text: Of the file, or ''.
        values: Key → value.

    Returns:
        None when it cannot be done without doubt, for instance because the section is written as an inline table.
    """
    try:
        before = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None
    rows = text.splitlines(keepends=True)
    if rows and not rows[-1].endswith("\n"):
        rows[-1] += "\n"
    for key, value in values.items():
        _set(rows, key, value)
    after = "".join(rows)
    wanted: dict[str, Any] = {**before, "realtime": {**_table(before), **values}}
    try:
        return after if tomllib.loads(after) == wanted else None
    except tomllib.TOMLDecodeError:
        return None


def _table(document: Mapping[str, Any]) -> dict[str, Any]:
    found = document.get("realtime")
    return dict(cast("dict[str, Any]", found)) if isinstance(found, dict) else {}


def _set(rows: list[str], key: str, value: Value) -> None:
    """Replace the key's line, or put one below the commented default, or below the section's head, or at the end."""
    made = f"{key} = {json.dumps(value, ensure_ascii=False)}\n"
    names = {number: found[1].strip() for number, row in enumerate(rows) if (found := _SECTION.match(row))}
    heads = list(names)
    start = next((number for number, name in names.items() if name == "realtime"), None)
    if start is None:
        rows += [*(["\n"] if rows else []), "[realtime]\n", made]
        return
    end = next((n for n in heads if n > start), len(rows))
    assigned = re.compile(rf"^\s*{key}\s*=")
    commented = re.compile(rf"^\s*#\s*{key}\s*=")
    for number in range(start + 1, end):
        if assigned.match(rows[number]):
            comment = re.search(r"(?:[\"'\]]|true|false)\s*(#.*)$", rows[number])
            rows[number] = f"{made.rstrip()}  {comment[1]}\n" if comment else made
            return
    below = next((n for n in range(start + 1, end) if commented.match(rows[n])), start)
    rows.insert(below + 1, made)


def what_to_add(values: Mapping[str, Value]) -> str:
    """The lines that a person must write, where we may not."""
    rows = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()]
    return "\n".join(["[realtime]", *rows])


def read_text(path: Path) -> str:
    """The text of a file; '' when there is none.

    Raises:
        HudctlError: It cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise HudctlError(f"{path} cannot be read: {error}.", hint="Correct its owner, mode or encoding.") from error


def write_whole(path: Path, text: str, *, private: bool) -> None:
    """Put a file in place at once, or not at all: whoever reads sees the old or the new one, also after ctrl-C.

    Args:
        path: A link is followed, so that it stays one.
        text: The contents.
        private: Mode 0600 whatever it was before; else the old mode stays, and a new file is 0600, too.

    Raises:
        HudctlError: It cannot be written.
    """
    target = Path(os.path.realpath(path))
    made = ""
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = 0o600
        if not private and target.exists():
            mode = stat.S_IMODE(target.stat().st_mode)
        handle, made = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), mode)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(made).replace(target)
        made = ""
    except OSError as error:
        hint = "Correct the owner and mode of its folder, or free some space."
        raise HudctlError(f"{path} cannot be written: {error.strerror}.", hint=hint) from error
    finally:
        if made:
            Path(made).unlink(missing_ok=True)


def checked_key(text: str) -> str:
    """A key that can be shown in a header.

    Raises:
        UsageError: It is none; the sentence does not repeat it.
    """
    key = text.strip()
    if not key or len(key) > _LONGEST_KEY or not all("!" <= letter <= "~" for letter in key):
        raise UsageError("This is no key: it must be one line of plain characters without spaces.")
    return key


def check_key_file(path: Path) -> None:
    """A key file that stays where it is must be its owner's alone.

    Raises:
        UsageError: It is not, or it holds no key.
    """
    try:
        found = path.stat()
        text = path.read_text(encoding="ascii", errors="replace") if stat.S_ISREG(found.st_mode) else ""
    except OSError as error:
        raise UsageError(f"The key file {path} cannot be read: {error.strerror}.") from error
    if found.st_uid != os.getuid():
        raise UsageError(f"The key file {path} belongs to user {found.st_uid}; make a copy of your own.")
    if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        mode = f"{stat.S_IMODE(found.st_mode):04o}"
        raise UsageError(f"The key file {path} is open to others (mode {mode}); close it with: chmod 600 {path}")
    checked_key(text)
