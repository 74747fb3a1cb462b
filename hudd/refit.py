"""Puts other settings in force in a house that runs. Composition, like ``house``.

What a change means is decided in ``config.changes``, and when it happens in ``flow.reload``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hudd.adapters import (
    FramePixels,
    effort_of,
    load_instructions,
    load_prices,
    picture_settings,
    spending_limits,
)
from hudd.config.changes import Plan
from hudd.config.loader import Loaded
from hudd.flow.keeping import Rules
from hudd.ledger.prices import PriceTable
from hudd.redaction import redactor

if TYPE_CHECKING:
    from hudd.house import House  # the house hands itself over; at run time this module does not know it


@dataclass(frozen=True, slots=True)
class _Outfit:
    """Everything that settings decide in a running house."""

    loaded: Loaded
    instructions: str
    prices: PriceTable


class Fitting:
    """Settings that are read and checked, and wait to be put in force.

    Attributes:
        notes: Sentences about files that the settings name and that are others now.
    """

    def __init__(self, house: House, plan: Plan, outfit: _Outfit) -> None:
        self._house = house
        self._plan = plan
        self._outfit = outfit
        self.notes: list[str] = []
        if outfit.instructions != house.instructions and not plan.touches("notes."):
            self.notes.append("The text that [notes] profile names is another one; the model is told.")
        if outfit.prices != house.prices and not plan.touches("cost.prices_file"):
            self.notes.append("The prices that [cost] prices_file names are others; they count from now on.")

    def put(self) -> bool:
        """Put all of it in force, or nothing if a part fails.

        Returns:
            Whether a new session is needed although no changed key says so.
        """
        house = self._house
        before = _Outfit(house.loaded, house.instructions, house.prices)
        model = house.models.current
        try:
            self._put(self._outfit)
        except BaseException:
            self._put(before)
            raise
        return not house.local and house.models.current != model

    def _put(self, outfit: _Outfit) -> None:
        house, plan, settings = self._house, self._plan, outfit.loaded.settings
        told = house.instructions
        house.loaded, house.settings = outfit.loaded, settings
        house.instructions, house.prices = outfit.instructions, outfit.prices
        house.log.set_level(settings.log.level)
        house.notices.wanted = settings.notices.desktop
        self._put_money()
        if plan.touches("screen.", "gate.", "picture.", "privacy.redact", "privacy.redact_email"):
            house.pixels = FramePixels(picture_settings(settings), settings.gate.luma_step, redactor(settings))
            house.eyes.change(settings.gate, house.pixels)
            house.capture.change(settings.screen)
        house.guards.change(settings)
        if plan.touches("journal."):
            house.keeping.change(Rules(settings.journal.keep_days, settings.journal.max_mb))
        house.endpoint.change(settings)
        house.conversation.change_settings(settings.session, effort_of(settings))
        if outfit.instructions != told:
            house.conversation.change_instructions(outfit.instructions)

    def _put_money(self) -> None:
        house, session, realtime = self._house, self._house.settings.session, self._house.settings.realtime
        if not house.local:
            before = house.models.current
            house.models.change(realtime.model, realtime.fallback_models)
            if house.models.current != before:  # else the session that serves may still be one of an earlier model
                house.about = replace(house.about, model=house.models.current)
        if self._plan.touches("session.history_tokens", "session.retention_ratio"):
            house.history.change(history_tokens=session.history_tokens, retention_ratio=session.retention_ratio)
        house.limits = spending_limits(house.settings, house.about.model, house.instructions)
        house.spending.change(house.limits, house.prices)


class Refit:
    """The parts of a house as ``flow.reload`` sees them.

    Args:
        house: All parts; they need not be built before the first call.
    """

    def __init__(self, house: House) -> None:
        self._house = house

    @property
    def loaded(self) -> Loaded:
        """What is in force."""
        return self._house.loaded

    def prepare(self, plan: Plan, read: Loaded) -> Fitting:
        """Read what the settings name. Blocks; changes nothing.

        Raises:
            SettingsError: The profile or the prices cannot be used.
        """
        environ = self._house.environ
        return Fitting(
            self._house,
            plan,
            _Outfit(
                replace(read, settings=plan.settings, origins=plan.origins),
                load_instructions(plan.settings, environ),
                load_prices(plan.settings, environ),
            ),
        )

    async def settled(self) -> None:
        """Wait until the facts are known anew, as long as may be waited for them."""
        await self._house.guards.settled()

    def key_news(self, plan: Plan) -> tuple[bool, str]:
        """Whether the service's key is another one than the session's, and why there is none, or ''. Blocks."""
        return (False, "") if self._house.local else self._house.endpoint.key_news(plan.settings)
