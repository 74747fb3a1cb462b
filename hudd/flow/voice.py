"""What the conversation says about its connection: one word, one sentence, the last errors."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import Final

from hudd.clock import Clock
from hudd.flow.conversation_ports import Ports, RolloverWord
from hudd.flow.waiting import wait_for_any
from hudd.model import Answer, UpstreamError
from hudd.realtime.retry import STEADY_S, ConnectionWord
from hudd.realtime.sentences import RENEWED_CODE

_log = logging.getLogger(__name__)

LAST_ERRORS: Final = 3
MOST_CAUSES: Final = 64
"""Of one outage that are remembered as told."""


class Voice:
    """Keeps the words and tells when they change.

    The end of an outage is told at once. When the connection ends again before it was steady, the same outage goes on,
    and its end is told once the connection is steady: has answered, or was ready for a minute.

    Args:
        ports: ``on_error`` and ``on_state`` are told.
        clock: For ``since``.

    Attributes:
        word: How the connection is called now.
        since: Wall clock at which it became that.
        rollover: As in ``ConversationStatus``.
        sentence: Why it is not ready, or ''.
        errors: The last ones, newest first.
        failures: How many tries failed, and connections ended, in this outage; 0 when there is none.
        unproven: Whether it is ready in an outage whose end was told too early before.
    """

    def __init__(self, ports: Ports, clock: Clock) -> None:
        self._ports = ports
        self._clock = clock
        self._told: set[tuple[object, ...]] = set()
        self._failing_since = 0.0
        self._ready_at = 0.0
        self._came_back = False
        self.word: ConnectionWord = "connecting"
        self.since = clock.wall()
        self.rollover: RolloverWord | None = None
        self.sentence = ""
        self.errors: deque[UpstreamError] = deque(maxlen=LAST_ERRORS)
        self.failures = 0
        self.unproven = False

    def become(self, word: ConnectionWord) -> None:
        """Change the word."""
        if word == self.word:
            return
        _log.debug("= %s", word)
        self.word = word
        self.unproven = word == "ready" and self._came_back and self.failures > 0
        self.since = self._clock.wall()
        self._ports.on_state()

    def roll(self, rollover: RolloverWord | None) -> None:
        """Change how far a rollover is."""
        if rollover != self.rollover:
            _log.debug("= rollover %s", rollover)
            self.rollover = rollover
            self._ports.on_state()

    def ready(self) -> None:
        """There is a session."""
        self._ready_at = self._clock.monotonic()
        self.sentence = ""
        if self.failures and not self._came_back:
            self._came_back = True
            self._end_outage()
        self.become("ready")

    def answered(self, answer: Answer) -> None:
        """A question ended; a complete answer proves that the connection works."""
        if answer.status == "completed":
            self._be_steady()

    async def watch(self, changed: asyncio.Event) -> None:
        """Wait until the event is set; a connection that is steady meanwhile ends its outage. Cancelling is safe."""
        while not await wait_for_any(self._clock, self._steady_in_s(), changed):
            self._be_steady()

    def _steady_in_s(self) -> float | None:
        if self.word != "ready" or not self._came_back:
            return None
        return max(0.0, self._ready_at + STEADY_S - self._clock.monotonic())

    def _be_steady(self) -> None:
        self._came_back = False
        if self.unproven:
            self.unproven = False
            self._end_outage()
            self._ports.on_state()

    def _end_outage(self) -> None:
        """What was not told of the outage one by one is told as a number."""
        if self.failures > 1:
            seconds = self._clock.monotonic() - self._failing_since
            _log.info("the connection works again, after %d failures in %.0f s", self.failures, seconds)
        self._told.clear()
        self.failures = 0

    def error(self, error: UpstreamError) -> None:
        """Tell an error."""
        self.errors.appendleft(error)
        self._ports.on_error(error)

    def outage(self, failure: UpstreamError) -> None:
        """Tell the end of a connection, but a cause only once in an outage; our own wish is no error."""
        if failure.code == RENEWED_CODE:
            _log.info("= %s", failure.sentence)
            return
        if not self.failures:
            self._failing_since = self._clock.monotonic()
        self.failures += 1
        cause = (failure.code, failure.http_status, failure.close_code, failure.sentence)
        if cause not in self._told:
            if len(self._told) >= MOST_CAUSES:
                self._told.clear()  # sentences that are never the same; an outage may last for months
            self._told.add(cause)
            self.error(failure)
