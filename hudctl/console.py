"""The terminal: whether it has colours, how wide it is, how JSON is printed."""

from __future__ import annotations

import json
import os
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from hudctl.errors import HudctlError

SCHEMA: Final = 1


def colours() -> bool:
    """Whether to colour: only on a terminal, and not when NO_COLOR is set."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def width() -> int:
    """Columns of the terminal; 100 when there is none."""
    return columns(100) if sys.stdout.isatty() else 100


def columns(otherwise: int) -> int:
    """``COLUMNS``, else the terminal's own, else ``otherwise``. As ``shutil`` does it, which loads compressors."""
    told = os.environ.get("COLUMNS", "")
    if told.isdecimal() and 0 < int(told) < 10_000:
        return int(told)
    try:
        return os.get_terminal_size(sys.__stdout__.fileno()).columns if sys.__stdout__ else otherwise
    except (OSError, ValueError):  # no terminal, or closed
        return otherwise


def window() -> int | None:
    """The X11 window that is printed into, when it is known; xterm and others tell it in WINDOWID."""
    told = os.environ.get("WINDOWID", "")
    return int(told) if sys.stdout.isatty() and told.isdecimal() and len(told) < 12 else None


def now_local() -> datetime:
    """The present with the local zone."""
    return datetime.now().astimezone()


def print_json(body: dict[str, Any]) -> None:
    """One object on one line."""
    print(json.dumps(body, ensure_ascii=False), flush=True)


def print_error(error: HudctlError, *, as_json: bool) -> None:
    """The sentence on stderr; with --json the object on stdout as well."""
    if as_json:
        print_json({"schema": SCHEMA, "error": error.to_json()})
    tell(f"hudctl: {error}")


def tell(sentence: str) -> None:
    """A sentence on stderr, where nothing but people reads."""
    print(sentence, file=sys.stderr, flush=True)


def open_missing_streams() -> None:
    """Put the null device where a stream was closed (``hudctl pause >&-``): the verb runs and prints nowhere.

    Its descriptor has to be taken, too: the first socket would get it, and be printed into.
    """
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_RDWR)
            if null != descriptor:
                os.dup2(null, descriptor)
                os.close(null)
            setattr(sys, name, os.fdopen(descriptor, "r" if descriptor == 0 else "w", encoding="utf-8"))


def give_up_stdout() -> None:
    """Print nowhere from now on: what is left in the buffer must not fail again at the interpreter's exit."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)
