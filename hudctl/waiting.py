"""What a person is told who waits for longer than a moment, and what stands in the way of a picture."""

from __future__ import annotations

import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from hudctl.client import Client
from hudctl.console import tell
from hudctl.errors import HudctlError
from hudctl.health import CONNECTIONS
from hudctl.words import line, lines_of, mapping, span

PATIENCE_S: Final = 1.0
"""So long nobody wonders."""

_ASK_S: Final = 1.0


def connection_hindrance(status: Mapping[str, Any]) -> str:
    """Why no question can be answered now, with the next try; ``""`` when the connection is ready."""
    word = line(status.get("connection"))
    if word == "ready":
        return ""
    text = line(status.get("sentence")) or f"The connection is {CONNECTIONS.get(word, (word or 'unknown',))[0]}."
    if status.get("next_try_s") is not None:
        text += f" Next try in {span(status['next_try_s'])}."
    return text


def sending_hindrance(status: Mapping[str, Any]) -> str:
    """Why no picture leaves now, the connection apart; ``""`` when nothing withholds it."""
    sending = mapping(status.get("sending"))
    reasons = [reason for reason in lines_of(sending.get("reasons")) if reason != "not_connected"]
    if sending.get("allowed") or not reasons:
        return ""
    return f"Nothing is sent: {', '.join(reason.replace('_', ' ') for reason in reasons)}."


@contextmanager
def awaited(*, of_sending: bool = False) -> Generator[None]:
    """While the body waits for the daemon: after a moment say once, on stderr, what it waits for.

    Args:
        of_sending: Also what withholds pictures, not only the connection.
    """
    over = threading.Event()

    def say() -> None:
        try:
            # A client of its own: the other one is busy, and in another thread.
            with Client(timeout_s=_ASK_S) as client:
                status = client.status()
        except HudctlError:
            return  # the call that waits meets the same and tells it
        sentence = connection_hindrance(status) or (sending_hindrance(status) if of_sending else "")
        if sentence and not over.is_set():
            tell(f"hudctl: Waiting. {sentence}")

    timer = threading.Timer(PATIENCE_S, say)
    timer.start()
    try:
        yield
    finally:
        over.set()
        timer.cancel()
        timer.join()
