"""The next session is opened and configured while the present one still serves; then it takes over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from hudd.clock import Clock
from hudd.errors import LinkError
from hudd.flow.attempts import Attempts
from hudd.flow.fallback import Fallback
from hudd.flow.lives import Life, Lives
from hudd.flow.voice import Voice
from hudd.flow.waiting import wait_and_clear
from hudd.realtime.retry import Backoff, Verdict
from hudd.realtime.sentences import explain_refusal

ROLLOVER_RETRY_S: Final = 5.0
"""Least seconds between tries to open the next session while the present one still serves."""


class Rollover:
    """Replaces a session by the next.

    Args:
        clock: Time.
        jitter: Numbers in [0, 1) for the back-off.
        lives: Opens sessions.
        voice: Tells how far it is.
        attempts: Judges failures, and knows who wants another try.
        fallback: Goes on to the next model when the one that was asked is gone.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        jitter: Callable[[], float],
        lives: Lives,
        voice: Voice,
        attempts: Attempts,
        fallback: Fallback,
    ) -> None:
        self._clock = clock
        self._jitter = jitter
        self._lives = lives
        self._voice = voice
        self._attempts = attempts
        self._fallback = fallback

    async def run(self, old: Life, group: asyncio.TaskGroup) -> Life:
        """Open the next session while the old one serves, and let it take over once it is ready.

        Returns:
            The one to live in from now on: the new one, or the old one when that ended before there was another.
        """
        old.due = False
        backoff = Backoff(self._jitter)
        while old.closed is None:
            self._voice.roll("opening")
            verdict, new = await self._open(old, backoff, group)
            if new is not None:
                if old.closed is None:
                    self._lives.retire(old)
                else:  # it did not live to see it; the new one is on its way, which is as good as a reconnect
                    self._voice.outage(old.failure())
                    self._voice.become("ready" if new.ready else "configuring")
                self._voice.roll("draining" if self._lives.retiring() else None)
                return new
            if verdict.action == "stop":
                await self._wait_for_a_person(old)
            elif old.closed is None:
                await wait_and_clear(self._clock, max(verdict.after_s, ROLLOVER_RETRY_S), old.changed)
        self._voice.roll(None)
        old.changed.set()
        return old

    async def _open(self, old: Life, backoff: Backoff, group: asyncio.TaskGroup) -> tuple[Verdict, Life | None]:
        """One try to open the next session; it is given when it is ready, or when the old one ended meanwhile."""
        ended: Life | LinkError
        model = self._lives.next_model
        try:
            new = await self._lives.open(group)
        except LinkError as error:
            failure, ended = explain_refusal(error), error
        else:
            while new.closed is None:
                if new.ready or old.closed is not None:
                    return GO_ON, new
                await wait_and_clear(self._clock, None, new.changed, old.changed)
            failure, ended = new.failure(), new
        verdict = self._attempts.verdict(failure, ended, backoff)
        if verdict.action == "stop":
            if self._fallback.step(failure, model):
                return GO_ON, None
            old.next_refused = failure
        self._voice.outage(failure)
        # The connection's word stays "ready", which it is; that this will not last must be said all the same.
        self._voice.sentence = f"The next session could not be opened yet: {failure.sentence}"
        return verdict, None

    async def _wait_for_a_person(self, old: Life) -> None:
        """The next session was refused for good: only a person may have it tried again, or the old one ends."""
        self._attempts.stop()
        self._voice.roll("stopped")
        while old.closed is None:
            wait_s = self._attempts.wished_in_s()
            if wait_s == 0:
                old.next_refused = None
                self._attempts.begin()
                return
            await wait_and_clear(self._clock, wait_s, old.changed, self._attempts.wished)


GO_ON: Final = Verdict("retry", 0.0, "backing_off")
"""Try again without waiting."""
STOP: Final = Verdict("stop", 0.0, "needs_attention")
"""Try again when a person wants it."""
