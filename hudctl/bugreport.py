"""``hudctl bugreport``: packs what a report of a mistake needs, without secrets, for a person to read before sending.

No note and no picture is in it: neither is asked for, and lines of the log below ``info``, which may quote notes, are
left out.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import re
import subprocess
import tarfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from shutil import which
from typing import Any, Final, cast

from hudctl.console import print_json, tell
from hudctl.doctor import examine, read_settings, report_of
from hudctl.errors import HudctlError
from hudctl.redaction import HIDDEN, Secrets
from hudctl.words import lines_of, objects
from hudd.wire import table

SCHEMA: Final = 1
ASK_S: Final = 5.0
LOG_LINES: Final = 1000
LOG_BYTES: Final = 512_000
_PERSONAL: Final = (
    "notes.instructions",
    "privacy.exclude_apps",
    "privacy.exclude_titles",
    "privacy.exclude_urls",
    "realtime.key_command",
    "realtime.organization",
    "realtime.project",
    "realtime.safety_identifier",
)
_COMMAND: Final = "command:"
_AGENT_LOGS: Final = ("Library/Logs/hudd.log", "Library/Logs/hudd.start.log")
"""Where the agent of launchd logs, also when no daemon runs that could be asked."""
_SHORTEST_WORDS: Final = 6
"""Of personal words that are taken out wherever they stand; shorter ones stand in other words, too."""
_LINE: Final = re.compile(r"^\d{4}-\d\d-\d\d[ T]\S+ (\w+) ")
ABOUT: Final = """A report of hudd, made by hudctl bugreport.

READ IT BEFORE YOU SEND IT. What is in it:
  doctor.json    what hudctl doctor found, with the versions of everything
  system.json    the kind of machine and system
  settings.json  every setting and where it came from; secrets and personal texts are hidden
  status.json    what the running hudd says of itself
  errors.json    the last errors, with the service's own words
  log.txt        the log, without the lines at debug level

What is not: keys, notes, pictures. Your home folder is written ~, this machine HOST, your name USER.
"""


def bugreport(arguments: argparse.Namespace) -> int:
    """Write the archive (mode 0600) and print where it is."""
    path = Path(arguments.output or f"hudd-report-{time.strftime('%Y%m%d-%H%M%S')}.tar.gz")
    if not arguments.json:
        tell("hudctl: Looking at everything; this takes a few seconds.")
    files = collect()
    _write(path, files)
    if arguments.json:
        print_json({"schema": SCHEMA, "file": str(path), "contents": sorted(files)})
    else:
        print(f"{path}\nRead it before you send it: tar -xzOf {path} | less")
    return table.EXIT_OK


def collect() -> dict[str, str]:
    """Every file of the report, redacted."""
    started = time.monotonic()
    found = list(examine())
    seconds = time.monotonic() - started
    settings = read_settings()
    secrets = _secrets(settings)
    status = _asked("status", _without_reason)
    texts = {
        "README.txt": ABOUT,
        "doctor.json": _dump(report_of(found, seconds)),
        "system.json": _dump(_system()),
        "settings.json": _dump(_without_personal(settings)),
        "status.json": _dump(status),
        "errors.json": _dump(_asked("errors", lambda body: body)),
        "log.txt": _log(str(status.get("log_file") or "")),
    }
    return {name: secrets.redact(text) if name != "README.txt" else text for name, text in texts.items()}


def _dump(value: object) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def _system() -> dict[str, str]:
    return {
        "system": platform.system(),
        "release": platform.release(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "libc": " ".join(platform.libc_ver()),
        "distribution": _distribution(),
        "session": os.environ.get("XDG_SESSION_TYPE", ""),
        "desktop": os.environ.get("XDG_CURRENT_DESKTOP", ""),
    }


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:  # another system
        return platform.platform()


def _without_personal(settings: dict[str, Any]) -> dict[str, Any]:
    rows = [{**row, "value": _shown(row)} for row in objects(settings.get("settings"))]
    return {**settings, "settings": rows}


def _shown(row: Mapping[str, Any]) -> object:
    """What may be told of a setting: of a command as the source only that it is one."""
    value = row.get("value")
    if row.get("name") == "screen.source" and str(value).startswith(_COMMAND):
        return f"{_COMMAND}{HIDDEN}"
    return HIDDEN if row.get("name") in _PERSONAL and value else value


def _secrets(settings: dict[str, Any]) -> Secrets:
    """With the key, and the personal words of the settings, which a log or a sentence may repeat."""
    secrets = Secrets.of_this_machine(os.environ)
    for row in objects(settings.get("settings")):
        name, value = str(row.get("name")), row.get("value")
        if name == "realtime.key_file" and value:
            secrets = secrets.with_file(Path(str(value)).expanduser())
        elif name == "screen.source" and str(value).startswith(_COMMAND) and " " in str(value):
            secrets = secrets.with_words(str(value).removeprefix(_COMMAND))  # its arguments are a person's own
        elif name == "notes.instructions" or name.startswith("privacy.exclude_"):
            texts = [value] if isinstance(value, str) else lines_of(value)
            secrets = secrets.with_words(*(text for text in texts if len(text) >= _SHORTEST_WORDS))
    return secrets


def _asked(method: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
    """What the running daemon answers, or why it does not."""
    try:
        from hudctl.client import Client  # noqa: PLC0415 - zmq may be missing, which belongs into a report

        with Client(timeout_s=ASK_S) as client:
            return change(client.call(method))
    except (HudctlError, ImportError) as error:
        return {"sentence": str(error)}


def _without_reason(status: dict[str, Any]) -> dict[str, Any]:
    """A person's own words for a pause are nobody's business."""
    pause = status.get("pause")
    return {**status, "pause": {**cast("dict[str, Any]", pause), "why": HIDDEN}} if isinstance(pause, dict) else status


def _log(file: str) -> str:
    """The end of the log, above debug.

    Args:
        file: Where the running daemon logs to; '' for none.
    """
    try:
        done = subprocess.run(
            [_journalctl(), "--user", "--unit", "hudd", "--priority", "info", "--lines", str(LOG_LINES), "--no-pager",
             "--no-hostname", "--output", "short-iso"],
            capture_output=True, text=True, errors="replace", timeout=ASK_S, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        text = done.stdout if done.returncode == 0 and "No entries" not in done.stdout else ""
    except (OSError, subprocess.TimeoutExpired):
        text = ""
    text += "".join(_log_of(path) for path in _log_files(file))
    return text or "There is no log in systemd's journal or in a file; hudd logs to the terminal that it runs in.\n"


def _journalctl() -> str:
    return which("journalctl") or "/usr/bin/journalctl"


def _log_files(file: str) -> list[Path]:
    home = Path(os.environ.get("HOME") or "/nonexistent")
    paths = [*([Path(file)] if file else []), *(home / name for name in _AGENT_LOGS)]
    # Beside each the one that was put aside when it was full.
    found = [path for named in paths for path in (named.with_name(f"{named.name}.1"), named)]
    return [path for path in dict.fromkeys(found) if path.is_file()]


def _log_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            skipped = max(0, path.stat().st_size - LOG_BYTES)
            file.seek(skipped)
            text = file.read(LOG_BYTES).decode("utf-8", "replace")
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}.\n"
    return f"== {path}\n{without_debug(text, whole=not skipped)}"


def without_debug(text: str, *, whole: bool) -> str:
    """A log in lines without those at debug level, and without what follows such a line unstamped.

    Args:
        text: Of the log.
        whole: Whether it begins where the log begins; of a line that was cut nothing is known, so it goes.
    """
    kept: list[str] = []
    debug = not whole
    for row in text.splitlines():
        found = _LINE.match(row)
        if found is not None:
            debug = found[1] == "debug"
        if not debug:
            kept.append(row)
    return "\n".join([*kept[-LOG_LINES:], ""]) if kept else ""


def _write(path: Path, files: dict[str, str]) -> None:
    """A new archive that only its owner may read."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise HudctlError(
            f"{path} cannot be made: {error.strerror}.", hint="Name another file with --output."
        ) from error
    with os.fdopen(handle, "wb") as raw, tarfile.open(fileobj=raw, mode="w:gz") as archive:
        for name, text in files.items():
            data = text.encode()
            entry = tarfile.TarInfo(f"hudd-report/{name}")
            entry.size, entry.mode, entry.mtime = len(data), 0o600, int(time.time())
            archive.addfile(entry, io.BytesIO(data))
