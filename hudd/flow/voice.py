"""What the conversation says about its connection: one word, one sentence, the last errors."""

from __future__ import annotations

import logging
from collections import deque
from typing import Final

from hudd.clock import Clock
from hudd.flow.conversation_ports import Ports, RolloverWord
from hudd.model import UpstreamError
from hudd.realtime.retry import ConnectionWord
from hudd.realtime.sentences import RENEWED_CODE

_log = logging.getLogger(__name__)

LAST_ERRORS: Final = 3


class Voice:
    """Keeps the words and tells when they change.

    Args:
        ports: ``on_error`` and ``on_state`` are told.
        clock: For ``since``.

    Attributes:
        word: How the connection is called now.
        since: Wall clock at which it became that.
        rollover: As in ``ConversationStatus``.
        sentence: Why it is not ready, or ''.
        errors: The last ones, newest first.
    """

    def __init__(self, ports: Ports, clock: Clock) -> None:
        self._ports = ports
        self._clock = clock
        self._outage: tuple[object, ...] | None = None
        self.word: ConnectionWord = "connecting"
        self.since = clock.wall()
        self.rollover: RolloverWord | None = None
        self.sentence = ""
        self.errors: deque[UpstreamError] = deque(maxlen=LAST_ERRORS)

    def become(self, word: ConnectionWord) -> None:
        """Change the word."""
        if word == self.word:
            return
        _log.debug("= %s", word)
        self.word = word
        self.since = self._clock.wall()
        self._ports.on_state()

    def roll(self, rollover: RolloverWord | None) -> None:
        """Change how far a rollover is."""
        if rollover != self.rollover:
            _log.debug("= rollover %s", rollover)
            self.rollover = rollover
            self._ports.on_state()

    def ready(self) -> None:
        """The outage is over."""
        self.sentence = ""
        self._outage = None
        self.become("ready")

    def error(self, error: UpstreamError) -> None:
        """Tell an error."""
        self.errors.appendleft(error)
        self._ports.on_error(error)

    def outage(self, failure: UpstreamError) -> None:
        """Tell the end of a connection, but the same cause only once until the next ready; our own wish is no error."""
        if failure.code == RENEWED_CODE:
            _log.info("= %s", failure.sentence)
            return
        cause = (failure.code, failure.http_status, failure.close_code, failure.sentence)
        if cause != self._outage:
            self._outage = cause
            self.error(failure)
