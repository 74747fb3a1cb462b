"""The log: one line per event on stderr, for a person or for the journal of systemd. No key ever stands in it."""

from __future__ import annotations

import logging
import os
import re
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import datetime
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TextIO

from hudd.clock import Clock
from hudd.errors import StorageError
from hudd.service.journald import journal_handler

OWN_LOGGERS: Final = ("hudd",)
REPEAT_S: Final = 60.0

FILE_BYTES: Final = 4 * 1024 * 1024
"""Of a log file; then it is put aside and a new one is begun."""

FILES_KEPT: Final = 2
"""Older log files beside it."""

START_BYTES: Final = 1024 * 1024
"""Of what is said before there is a log."""

_MOST_REMEMBERED: Final = 256
_REPEATED: Final = "hudd_repeated"
_ALWAYS: Final = "always"
_MASK: Final = "…"
# sk-… and ek_… are keys of the service, the rest is how a key travels (realtime-protocol 1.3).
_KEYS: Final = re.compile(r"\b(sk-|ek_)[A-Za-z0-9_-]{4,}")
_HEADERS: Final = re.compile(
    r"(?i)\b(bearer\s+|(?:x-)?api-key['\"]?\s*[:=]\s*['\"]?|openai-insecure-api-key\.)[^\s'\",]+"
)
_PRIORITIES: Final = ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))


class Mask:
    """Takes keys out of texts: those that were told to it, and whatever looks like one."""

    def __init__(self) -> None:
        self._secrets: set[str] = set()

    def hide(self, secret: str) -> None:
        """Never let this text through; texts below 6 characters are not secrets but words."""
        if len(secret) >= 6:
            self._secrets.add(secret)

    def __call__(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, _MASK)
        return _HEADERS.sub(rf"\1{_MASK}", _KEYS.sub(rf"\1{_MASK}", text))


class RateLimited(logging.Filter):
    """Lets a message through once in a while, counts its repetitions and tells their number with the next one.

    Messages are the same when logger, level and text are. Errors with a traceback pass like any other message; what
    is logged with ``extra={"always": True}`` always passes: a line that says what holds from now on.

    Args:
        clock: For the time between two messages.
        every_s: Seconds in which a message is not repeated.
    """

    def __init__(self, clock: Clock, every_s: float = REPEAT_S) -> None:
        super().__init__()
        self._clock = clock
        self._every_s = every_s
        self._seen: OrderedDict[tuple[str, int, str], tuple[float, int]] = OrderedDict()
        self._guard = threading.Lock()

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.INFO or getattr(record, _ALWAYS, False):
            # Whoever asks for debug wants every line.
            return True
        text = record.getMessage()
        key, now = (record.name, record.levelno, text), self._clock.monotonic()
        with self._guard:
            since, count = self._seen.get(key, (now, 0))
            known = key in self._seen
            if known and now - since < self._every_s:
                self._seen[key] = (since, count + 1)
                return False
            self._seen[key] = (now, 0)
            self._seen.move_to_end(key)
            if len(self._seen) > _MOST_REMEMBERED:
                self._seen.popitem(last=False)
        if count:
            # Beside the message, which other handlers share; the formatter appends it.
            setattr(record, _REPEATED, f" ({count} more of these in the last {now - since:.0f} s)")
        return True


class LineFormatter(logging.Formatter):
    """``2026-11-21 10:31:06+01:00 warning realtime.link: …``, in local time."""

    def __init__(self, mask: Mask) -> None:
        super().__init__()
        self._mask = mask

    def format(self, record: logging.LogRecord) -> str:
        # The zone stands beside the time: a log may be read far from where it was written.
        moment = datetime.fromtimestamp(record.created).astimezone()
        return f"{moment.isoformat(' ', 'seconds')} {self.body(record)}"

    def body(self, record: logging.LogRecord) -> str:
        """Level, logger, message and traceback, without keys."""
        text = record.getMessage() + getattr(record, _REPEATED, "")
        if record.exc_info:
            text = f"{text}\n{self.formatException(record.exc_info)}"
        if record.stack_info:
            text = f"{text}\n{self.formatStack(record.stack_info)}"
        return f"{record.levelname.lower()} {record.name.removeprefix('hudd.')}: {self._mask(text)}"


class PriorityFormatter(LineFormatter):
    """``<4>realtime.link: …``: the journal adds time and unit by itself (sd-daemon(3)), one entry per line."""

    def format(self, record: logging.LogRecord) -> str:
        priority = next((number for level, number in _PRIORITIES if record.levelno >= level), 7)
        lines = self.body(record).removeprefix(f"{record.levelname.lower()} ").splitlines() or [""]
        return "\n".join(f"<{priority}>{line}" for line in lines)


class Log:
    """The log of the process, from `start_logging` to `close`.

    Attributes:
        mask: What takes keys out; tell it the key in use.
        file: The file that is logged to, or None.
    """

    def __init__(self, handler: logging.Handler, mask: Mask, file: Path | None = None) -> None:
        self.mask = mask
        self.file = file
        self._handler = handler
        self._root_level = logging.getLogger().level
        self._levels = {name: logging.getLogger(name).level for name in OWN_LOGGERS}

    def set_level(self, level: str) -> None:
        """Choose the least level of our own messages: ``debug``, ``info``, ``warning`` or ``error``."""
        number = logging.getLevelNamesMapping()[level.upper()]
        for name in OWN_LOGGERS:
            logging.getLogger(name).setLevel(number)
        # Libraries stay at warnings: at debug level some print headers, and a key is in them.
        logging.getLogger().setLevel(max(number, logging.WARNING))

    def close(self) -> None:
        """Take the handler away again; the stream stays open."""
        root = logging.getLogger()
        root.removeHandler(self._handler)
        root.setLevel(self._root_level)
        for name, level in self._levels.items():
            logging.getLogger(name).setLevel(level)
        self._handler.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class JournalFormatter(LineFormatter):
    """``realtime.link: …``: level, time and place are fields of their own."""

    def format(self, record: logging.LogRecord) -> str:
        return self.body(record).removeprefix(f"{record.levelname.lower()} ")


def start_logging(
    level: str,
    environ: Mapping[str, str],
    clock: Clock,
    stream: TextIO | None = None,
    *,
    file: Path | None = None,
    to_journal: Callable[[], logging.Handler | None] = journal_handler,
) -> Log:
    """Log to a file that is given, or to a stream: with fields or priorities when it leads to the journal.

    Args:
        level: ``debug``, ``info``, ``warning`` or ``error``.
        environ: For ``JOURNAL_STREAM``.
        clock: For the limit of repetitions.
        stream: Standard error when None.
        file: Instead: a file of this user alone, which never grows beyond `FILE_BYTES`; a few older ones are kept.
        to_journal: Makes the handler for the journal's own protocol; None when its library is missing.

    Raises:
        StorageError: The file cannot be written.
    """
    mask = Mask()
    handler = _handler(mask, environ, stream if stream is not None else sys.stderr, file, to_journal)
    handler.addFilter(RateLimited(clock))
    log = Log(handler, mask, None if file is None else file.absolute())
    logging.getLogger().addHandler(handler)
    log.set_level(level)
    return log


def _handler(
    mask: Mask,
    environ: Mapping[str, str],
    stream: TextIO,
    file: Path | None,
    to_journal: Callable[[], logging.Handler | None],
) -> logging.Handler:
    made: logging.Handler
    if file is not None:
        made = PrivateFileHandler(file)
        made.setFormatter(LineFormatter(mask))
        return made
    if not leads_to_journal(environ, stream):
        made = logging.StreamHandler(stream)
        made.setFormatter(LineFormatter(mask))
        return made
    own = to_journal()
    made = own if own is not None else logging.StreamHandler(stream)
    made.setFormatter(PriorityFormatter(mask) if own is None else JournalFormatter(mask))
    return made


class PrivateFileHandler(RotatingFileHandler):
    """A log file of mode 0600 and of a bounded size.

    Raises:
        StorageError: It cannot be written.
    """

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            super().__init__(path, maxBytes=FILE_BYTES, backupCount=FILES_KEPT, encoding="utf-8")
        except OSError as error:
            raise StorageError(
                f"The log file {path} cannot be written: {error.strerror}.", hint="Name another one with --log-file."
            ) from error

    def _open(self) -> TextIOWrapper:
        handle = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        return os.fdopen(handle, "a", encoding="utf-8")


def shorten_start_log(log_file: Path, stderr: int = 2) -> None:
    """Empty what was said before earlier starts could log, when it has grown; call it before anything is said now.

    launchd appends standard error to the file ``hudd.start.log`` beside ``hudd.log`` for ever. Whatever else standard
    error leads to is somebody else's and stays as it is.

    Args:
        log_file: The log.
        stderr: Descriptor of standard error.
    """
    try:
        found = os.fstat(stderr)
        ours = os.path.samestat(found, log_file.with_name(f"{log_file.stem}.start.log").stat(follow_symlinks=False))
        if ours and found.st_size > START_BYTES:
            os.ftruncate(stderr, 0)
    except OSError:
        return  # there is none, or it may not be written: then it does not grow either


def leads_to_journal(environ: Mapping[str, str], stream: TextIO) -> bool:
    """Whether ``JOURNAL_STREAM`` (device:inode) names the very file behind the stream."""
    named = environ.get("JOURNAL_STREAM", "")
    if not named:
        return False
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        # A stream without a file, as in tests and notebooks.
        return False
    return named == f"{found.st_dev}:{found.st_ino}"
