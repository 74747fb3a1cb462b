"""The door to systemd's journal: lines with fields, by systemd-python (the extra ``hudd[systemd]``).

Without the library the journal still gets lines with priorities, from stderr; see ``hudd.service.logs``.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

SEQ: Final = "hudd_seq"
CODE: Final = "hudd_err_code"
"""What a record carries in ``extra``: the number of a note, the code of an error."""

_IDENTIFIER: Final = "hudd"
_PRIORITIES: Final = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
_FAMILY: Final = uuid.UUID("6f3c9b52-6e0e-4c1d-9a0e-2f1f6d1c7a44")
"""Of all our message ids; it never changes."""


def message_id(code: str) -> str:
    """``MESSAGE_ID`` of an error class: 32 hexadecimal digits, the same for one code in every version."""
    return uuid.uuid5(_FAMILY, code).hex


def fields_of(record: logging.LogRecord, text: str) -> list[str]:
    """A record as fields of the journal, see systemd.journal-fields(7).

    Args:
        record: The record.
        text: Its text, from which keys have been taken out.
    """
    priority = next((number for level, number in _PRIORITIES if record.levelno >= level), 7)
    fields = [
        f"MESSAGE={text}",
        f"PRIORITY={priority}",
        f"SYSLOG_IDENTIFIER={_IDENTIFIER}",
        f"LOGGER={record.name}",
        f"CODE_FILE={record.pathname}",
        f"CODE_LINE={record.lineno}",
        f"CODE_FUNC={record.funcName}",
    ]
    seq, code = getattr(record, SEQ, None), getattr(record, CODE, None)
    if isinstance(seq, int):
        fields.append(f"HUDD_SEQ={seq}")
    if isinstance(code, str) and code:
        fields += [f"HUDD_ERR_CODE={code}", f"MESSAGE_ID={message_id(code)}"]
    return fields


class JournalHandler(logging.Handler):
    """Sends each record as one entry with fields.

    Args:
        send: Takes the fields; ``systemd.journal.sendv``.
    """

    def __init__(self, send: Callable[..., Any]) -> None:
        super().__init__()
        self._send = send

    def emit(self, record: logging.LogRecord) -> None:
        """Send it; a journal that refuses is reported on stderr, as ``logging`` does it."""
        try:
            self._send(*fields_of(record, self.format(record)))
        except (OSError, ValueError):
            self.handleError(record)


def journal_handler() -> JournalHandler | None:
    """A handler for the journal; None when systemd-python is not installed."""
    try:
        journal = import_module("systemd.journal")
    except ImportError:
        return None
    return JournalHandler(journal.sendv)
