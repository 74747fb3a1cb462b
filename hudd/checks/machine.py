"""The interpreter, the libraries, the limits and the disk."""

from __future__ import annotations

import os
import resource
import shutil
import stat
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from hudd.checks.finding import Context, Finding, failure, ok, warning
from hudd.wire.installation import Installation

OLDEST_PYTHON: Final = (3, 11)
LIBRARIES: Final[Mapping[str, str]] = {
    "websockets": "websockets",
    "zmq": "pyzmq",
    "mss": "mss",
    "PIL": "Pillow",
    "numpy": "numpy",
    "xxhash": "xxhash",
    "platformdirs": "platformdirs",
}
"""Module → name of its package, as far as hudd cannot do without."""
EXTRAS: Final[Mapping[str, tuple[tuple[str, ...], str]]] = {
    "desktop": (("dbus_fast",), "the desktop portal, notifications and waking from sleep"),
    "keyring": (("keyring",), "the key from the desktop's keyring"),
    "systemd": (("systemd",), "fields in the journal of systemd"),
}
"""Extra → its modules, and what is missing without them. Text recognition has a check of its own."""
NEEDED_FREE_BYTES: Final = 64 << 20
LOW_FREE_BYTES: Final = 512 << 20
ENOUGH_DESCRIPTORS: Final = 1024
LEAST_DESCRIPTORS: Final = 256


def check_python(context: Context) -> Iterable[Finding]:
    """Whether the interpreter is new enough, and which it is."""
    told = ".".join(map(str, context.python))
    if context.python[:2] < OLDEST_PYTHON:
        yield failure(
            "python",
            f"Python {told} at {sys.executable} is too old for hudd, which needs 3.11.",
            "Install hudd with a newer Python, for instance in its clone: pipx install --python python3.11 .",
        )
        return
    yield ok("python", f"Python {told} at {sys.executable}.", version=told, executable=sys.executable)


def check_libraries(context: Context) -> Iterable[Finding]:
    """Whether everything hudd needs is installed, in which versions."""
    wanted = dict(LIBRARIES) | ({"xcffib": "xcffib"} if sys.platform == "linux" else {})
    missing = [package for module, package in wanted.items() if not context.has(module)]
    if missing:
        remedy = f"Install hudd again: {Installation.find().reinstall()}"
        yield failure("libraries", f"Libraries are missing: {', '.join(missing)}.", remedy, missing=missing)
        return
    versions = {package: _version(package) for package in wanted.values()}
    import zmq  # noqa: PLC0415 - its absence is to be told, not to be died of

    versions["libzmq"] = zmq.zmq_version()
    names = ("pyzmq", "libzmq", "websockets", "numpy", "Pillow")
    told = ", ".join(f"{name} {versions[name]}" for name in names)
    yield ok("libraries", f"All are installed ({told}).", versions={"hudd": _version("hudd"), **versions})


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


def check_extras(context: Context) -> Iterable[Finding]:
    """Which optional parts are missing. Only one that the settings ask for is worth a warning."""
    for extra, (modules, purpose) in EXTRAS.items():
        if extra in ("desktop", "systemd") and sys.platform != "linux":
            continue
        if all(context.has(module) for module in modules):
            yield ok("extras", f"hudd[{extra}] is installed: {purpose}.", extra=extra, installed=True)
        elif (
            extra == "desktop" and context.settings.notices.desktop and context.environ.get("DBUS_SESSION_BUS_ADDRESS")
        ):
            yield warning(
                "extras",
                f"hudd[desktop] is not installed, so there is no word from and to the desktop ({purpose}).",
                f"{Installation.find().add('desktop')}, or set [notices] desktop = false",
                extra=extra,
                installed=False,
            )
        elif extra == "keyring" and context.asks_service and context.settings.realtime.keyring:
            cause = "hudd[keyring] is not installed, and [realtime] keyring is true."
            remedy = f"{Installation.find().add('keyring')}, or run: hudctl setup"
            yield failure("extras", cause, remedy, extra=extra, installed=False)
        else:
            wanted = Installation.find().add(extra)
            cause = (
                f"hudd[{extra}] ({purpose}) is not installed; nothing needs it now. "
                f"If you want it, {wanted[:1].lower()}{wanted[1:]}."
            )
            yield ok("extras", cause, extra=extra, installed=False)


def check_reading(context: Context) -> Iterable[Finding]:
    """Which text recognition the local engine has."""
    if not context.has("PIL") or not context.has("numpy"):
        return  # said by the check of the libraries
    from hudd.engine.ocr import LANGUAGE_FILE, find_tessdata  # noqa: PLC0415 - loads numpy

    wanted = context.settings.engine.reader
    local = context.settings.realtime.use == "local"
    tesser, rapid = context.has("tesserocr"), context.has("rapidocr") and context.has("onnxruntime")
    if not local:
        yield ok("reading", "The service reads the pictures; local text recognition is not used.")
    elif wanted == "none":
        cause, remedy = "Text is not read, because [engine] reader is none.", 'Set [engine] reader = "auto"'
        yield warning("reading", cause, remedy)
    elif wanted in ("auto", "tesserocr") and tesser:
        folder = find_tessdata()
        if folder is not None:
            yield ok("reading", f"Text is read by Tesseract with {folder / LANGUAGE_FILE}.", reader="tesserocr")
            return
        otherwise = "it is read by RapidOCR, more slowly" if rapid and wanted == "auto" else "no text is read"
        state = warning if rapid and wanted == "auto" else failure
        yield state(
            "reading",
            f"Tesseract has no English data ({LANGUAGE_FILE} is nowhere), so {otherwise}.",
            "Install it, on Debian: apt install tesseract-ocr-eng, or set TESSDATA_PREFIX to its folder",
        )
    elif wanted in ("auto", "rapidocr") and rapid:
        yield ok("reading", "Text is read by RapidOCR; with tesserocr it would be faster.", reader="rapidocr")
    else:
        yield failure(
            "reading",
            "The local engine answers, and no text recognition is installed; it can only say that something changed.",
            f"{Installation.find().add('local')}, and on Debian: apt install tesseract-ocr-eng",
        )


def check_limits(context: Context) -> Iterable[Finding]:
    """How many files hudd may hold open: libzmq ends the process when there are none left."""
    del context
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = soft if hard == resource.RLIM_INFINITY else hard
    details = {"soft": soft, "hard": hard}
    if hard != resource.RLIM_INFINITY and hard < LEAST_DESCRIPTORS:
        cause = f"A process may open only {hard} files here, too few for hudd and its subscribers."
        yield failure("limits", cause, "Raise it: ulimit -Hn 65536 (as root), or LimitNOFILE= in the unit", **details)
    elif hard != resource.RLIM_INFINITY and hard < ENOUGH_DESCRIPTORS:
        cause = f"A process may open only {hard} files here, which bounds the number of subscribers."
        yield warning("limits", cause, "Raise it: ulimit -Hn 65536 (as root), or LimitNOFILE= in the unit", **details)
    else:
        told = "any number of" if most == resource.RLIM_INFINITY else f"{most:,}"
        yield ok("limits", f"A process may open {told} files.", **details)


def check_disk(context: Context) -> Iterable[Finding]:
    """Whether there is space where the journal is, and whether it can be written."""
    from hudd.config.paths import journal_file, state_dir  # noqa: PLC0415 - needs platformdirs
    from hudd.errors import SettingsError  # noqa: PLC0415 - beside it

    try:
        folder, journal = state_dir(context.environ), journal_file(context.environ)
    except SettingsError:
        return  # said by the check of the settings
    there = next((path for path in (folder, *folder.parents) if os.path.exists(path)), Path("/"))  # noqa: PTH110 - Path's own raises where it may not look
    problem = _unwritable(there)
    if problem:
        yield failure(
            "disk", f"The journal cannot be written in {there}: {problem}.",
            "Correct the folder's owner and mode or the mount, or set HUDD_STATE_DIR to a folder of your own",
        )  # fmt: skip
        return
    free = shutil.disk_usage(there).free
    size = sum(_size(journal.with_name(journal.name + suffix)) for suffix in ("", "-wal", "-shm"))
    told = f"{_megabytes(free)} are free in {there}; the journal takes {_megabytes(size)}."
    details = {"free_bytes": free, "journal_bytes": size, "folder": str(there)}
    remedy = f"Free some space in {there}, or set HUDD_STATE_DIR to another folder"
    if free < NEEDED_FREE_BYTES:
        yield failure("disk", f"The disk is full or nearly so: {told}", remedy, **details)
    elif free < LOW_FREE_BYTES:
        yield warning("disk", f"Space runs short: {told}", remedy, **details)
    else:
        yield ok("disk", told, **details)


def _unwritable(folder: Path) -> str:
    if os.statvfs(folder).f_flag & os.ST_RDONLY:
        return "it is mounted read-only"
    found = folder.stat()
    if not stat.S_ISDIR(found.st_mode):
        return "it is no folder"
    return "" if os.access(folder, os.W_OK | os.X_OK) else "this user may not write there"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # there is none, or it may not be looked at, which another check says
        return 0


def _megabytes(count: int) -> str:
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.1f} MB"
