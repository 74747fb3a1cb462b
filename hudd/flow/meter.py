"""Where the money stands: the stage, the pace, what was learnt from usage, and the alarm. Tells whoever must know.

Every figure is derived from the journal again after each answer, so that a crash or a restart changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, Protocol

from hudd.clock import Clock
from hudd.errors import StorageError
from hudd.flow.first_use import FirstUse, FirstUseStore
from hudd.flow.limits import Limits, Prediction, dollars, stage_sentence, unnoted_sentence
from hudd.flow.status import Day
from hudd.flow.waiting import wait_for_any
from hudd.ledger.calibration import Learnt, expected_image_tokens, learn, window_tokens
from hudd.ledger.caps import WINDOWS, Because, Standing, ends_at, local_day, spent, standing_of
from hudd.ledger.pacing import Pace, spares
from hudd.ledger.prices import PriceTable
from hudd.ledger.records import MoneyFacts, known_of
from hudd.model import NoticeTopic, Question
from hudd.policy.facts import Facts

log = logging.getLogger("hudd.cost")

RECHECK_S: Final = 900.0
"""While something is held back it is looked at again so often: the wall clock may be set, the machine may sleep."""
LEAST_WAIT_S: Final = 1.0
ALARM_ANSWERS: Final = 3
ALARM_PERCENT: Final = 5
DESKTOP_TOKENS: Final = 323
"""By the size of a 16:9 screen, before anything was asked."""
MOST_DETAILS: Final = 3
"""So many pictures of parts at most; settings allow fewer."""
WINDOW_ANSWERS: Final = 10
"""The history's length is looked at again after so many answers."""
_ORDER: Final = ("normal", "slower", "asked_only", "nothing")


class MoneyStore(FirstUseStore, Protocol):
    """What this stage needs of the journal."""

    async def money(self, *, day: str, at: float, model: str) -> MoneyFacts: ...


class Meter:
    """Knows the stage, and acts on it.

    Args:
        store: The ledger.
        limits: What the settings allow.
        prices: The price table.
        facts: Told when a stage holds questions back.
        clock: Time.
        on_cost: Called with the object of ``cost/`` at each step.
        notify_person: Told in a sentence what a person should know, and what it is about.
        on_window: Called with the length of the text history when it changes.

    Attributes:
        standing: The stage.
        first_use: What a person must have read once.
    """

    def __init__(
        self,
        *,
        store: MoneyStore,
        limits: Limits,
        prices: PriceTable,
        facts: Facts,
        clock: Clock,
        on_cost: Callable[[dict[str, object]], None],
        notify_person: Callable[[NoticeTopic, str], None],
        on_window: Callable[[int], None],
    ) -> None:
        self._store = store
        self._limits = limits
        self._prices = prices
        self._facts = facts
        self._clock = clock
        self._on_cost = on_cost
        self._notify_person = notify_person
        self._on_window = on_window
        self._changed = asyncio.Event()
        self._wake: Callable[[], None] = lambda: None
        self._money = MoneyFacts()
        self._learnt = Learnt()
        self._level = 0
        self._capacity = 0
        self._not_before: float | None = 0.0
        self._half_full_at: float | None = None
        self._counting_reserved = False
        self._could = True
        self._told: Standing | None = None
        self._answers = 0
        self._window = limits.history_tokens
        self._alarmed = False
        self._shape = (1, 0)
        self.standing = Standing()
        self.first_use = FirstUse(store, notify_person, self._tell)

    def on_may_ask(self, wake: Callable[[], None]) -> None:
        """Call ``wake`` when automatic questions may be asked again."""
        self._wake = wake

    def may_ask(self) -> bool:
        """Whether an automatic question may be asked now; it waits otherwise, and newer ones take its place."""
        if self._limits.engine == "local":
            return True
        if self.standing.stage in ("asked_only", "nothing"):
            return False
        return self._not_before is not None and self._clock.monotonic() >= self._not_before

    def affordable_details(self, automatic: bool) -> int:  # noqa: FBT001 - a port of the eyes has this form
        """How many pictures of parts may go beside that of the whole, by the pace; see ``ledger.pacing.spares``.

        The local engine gets none: its pictures are large enough to be read whole. Neither does a question near a cap,
        nor an automatic one whose price is unknown.
        """
        if self._limits.engine == "local" or self.standing.stage in ("asked_only", "nothing"):
            return 0
        if not automatic:
            return MOST_DETAILS
        if self.standing.stage != "normal":
            return 0
        for parts in range(MOST_DETAILS, 0, -1):
            microusd = self._predicted(1 + parts, (1 + parts) * DESKTOP_TOKENS).microusd
            if microusd is not None and spares(self._level, self._capacity, microusd):
                return parts
        return 0

    def why_no_details(self, automatic: bool) -> str:  # noqa: FBT001 - a port of the eyes has this form
        """Why no picture of a part may go: ``engine``, ``cap``, ``price`` or ``pace``."""
        if self._limits.engine == "local":
            return "engine"
        if self.standing.stage in ("asked_only", "nothing"):
            return "cap"
        unpriced = self._predicted(1, DESKTOP_TOKENS).microusd is None
        return "price" if automatic and unpriced else "pace"

    def predict(self, question: Question, model: str = "") -> Prediction:
        """What a question takes at most: list prices, nothing cached, the longest answer.

        Args:
            question: What is asked.
            model: Whose prices apply, or '' for that of the limits.
        """
        expected = sum(expected_image_tokens(picture.width, picture.height) for picture in question.pictures)
        self._shape = (len(question.pictures), expected)
        return self._predicted(*self._shape, model)

    def _predicted(self, pictures: int, expected: int, model: str = "") -> Prediction:
        limits = self._limits
        images = self._learnt.image_tokens(pictures, expected, each_tokens=limits.image_tokens)
        if (pictures, expected) not in self._learnt.images:  # what was billed holds the earlier pictures already
            images += limits.kept_image_tokens
        text = max(limits.text_tokens, self._learnt.text_tokens)
        microusd = self._prices.predicted_microusd(model or limits.model, 1, images, text, limits.max_output_tokens)
        tokens = images + text + limits.max_output_tokens
        return Prediction(0 if limits.engine == "local" else microusd, tokens, expected)

    def image_tokens(self) -> int:
        """What the pictures of a question take on average, as billed: some have one, some more. Else by their size."""
        billed = [sample.usage.image_tokens for sample in self._money.samples if sample.usage.image_tokens]
        return sum(billed) // len(billed) if billed else self._shape[1] or DESKTOP_TOKENS

    def answer_tokens(self) -> int | None:
        """What an answer's text takes on average; None when none was billed."""
        samples = self._money.samples
        if not samples:
            return None
        return sum(max(0, s.usage.output_tokens - s.usage.reasoning_tokens) for s in samples) // len(samples)

    def change(self, limits: Limits, prices: PriceTable) -> None:
        """Other settings hold from now on: the stage is looked at again at once."""
        if limits.history_tokens != self._limits.history_tokens:
            self._window = limits.history_tokens  # what the cache serves of the new length is not known yet
        self._limits, self._prices = limits, prices
        self._changed.set()

    def use_model(self, model: str) -> None:
        """Another model answers from now on: its prices and its figures apply."""
        self._limits = replace(self._limits, model=model)
        self._changed.set()

    # What happens to questions

    async def refused(self) -> None:
        """A reservation was refused: until something is settled, what open questions hold counts as spent."""
        self._counting_reserved = True
        await self._look()

    def settled(self, *, answered: bool = False) -> None:
        """Something was written to the ledger, so the figures are others now.

        Args:
            answered: Whether an answer of the service was settled, from which something may be learnt.
        """
        self._answers += answered
        self._counting_reserved = False
        self._changed.set()

    def above_reservation(self, reserved_microusd: int, cost_microusd: int) -> None:
        """An answer cost more than was set aside for it. It counts in full; the next look stops what no longer fits."""
        more = cost_microusd - reserved_microusd
        sentence = f"An answer cost {dollars(more)} more than the {dollars(reserved_microusd)} set aside for it."
        log.warning("%s", sentence)
        self._tell(sentence, above_reservation={"reserved_microusd": reserved_microusd, "microusd": cost_microusd})

    # The loop

    async def run(self) -> None:
        """Keep the stage true, until cancelled. Sleeps without a timer while nothing is held back."""
        if self._limits.engine == "local":
            return
        while True:
            money = await self._look()
            if money is not None and self.standing.because != "price_unknown":  # which is told as a stage
                priced = self._predicted(*self._shape).microusd is not None
                await self.first_use.say(self._limits, money, priced=priced, prices_date=self._prices.date)
            await wait_for_any(self._clock, self._wait_s(), self._changed)
            self._changed.clear()

    async def _look(self) -> MoneyFacts | None:
        """Read the ledger, and act on what it says; None when it cannot be read."""
        wall = self._clock.wall()
        try:
            money = await self._store.money(day=local_day(wall), at=wall, model=self._limits.model)
        except StorageError as error:
            # The check before each send fails as well, so nothing is spent.
            log.error("the ledger cannot be read: %s", error)
            return None
        self._money = money
        self._learnt = learn(money.samples)
        self._steer_window()
        self._stand(self._judge(money, wall))
        could, self._could = self._could, self.may_ask()
        if self._could and not could:
            self._wake()
        self._watch_unnoted(money)
        return money

    def _judge(self, money: MoneyFacts, wall: float) -> Standing:
        next_one = self._predicted(*self._shape)
        caps, predicted = self._limits.caps, next_one.microusd
        if predicted is None:
            used = money.totals.unpriced_tokens + next_one.tokens
            used += money.totals.unpriced_reserved_tokens if self._counting_reserved else 0
            if self._limits.token_cap_day <= 0:
                return Standing("nothing", "price_unknown")
            if used > self._limits.token_cap_day:
                return Standing("nothing", "tokens")
            self._not_before = 0.0
            return standing_of(money.totals, caps, 0, paced=False, reserved_too=self._counting_reserved)
        pace = Pace.of_day(caps.day, active_hours=self._limits.active_hours, question_microusd=predicted)
        level = pace.level(money.charges, wall)
        now, wait_s = self._clock.monotonic(), pace.wait_s(level, predicted)
        half_s = pace.wait_s(level, pace.capacity_microusd // 2)
        self._level, self._capacity = level, pace.capacity_microusd
        self._not_before = None if wait_s is None else now + wait_s if wait_s else 0.0
        self._half_full_at = None if half_s is None else now + half_s
        slower = pace.is_slower(level, predicted, was=self.standing.stage == "slower")
        return standing_of(money.totals, caps, predicted, paced=slower, reserved_too=self._counting_reserved)

    def _wait_s(self) -> float | None:
        because = self.standing.because
        if because in ("", "price_unknown"):
            return None
        if because == "pacing":
            now = self._clock.monotonic()
            moments = [m for m in (self._not_before, self._half_full_at) if m is not None and m > now]
            return min(RECHECK_S, max(LEAST_WAIT_S, min(moments) - now)) if moments else RECHECK_S
        return min(RECHECK_S, max(LEAST_WAIT_S, self._ends_at(because) - self._clock.wall()))

    def _ends_at(self, because: Because) -> float:
        window = "hour" if because == "hour" else "month" if because == "month" else "day"
        return ends_at(window, self._clock.wall())

    def _steer_window(self) -> None:
        if not self._limits.history_tokens or self._answers < WINDOW_ANSWERS:
            return
        self._answers = 0
        share = learn(self._money.samples[:WINDOW_ANSWERS]).cached_text_percent
        wanted = window_tokens(self._limits.history_tokens, self._window, share)
        if wanted != self._window:
            log.info("%s %% of the text came from the cache: the history is now %d tokens", share, wanted)
            self._window = wanted
            self._on_window(wanted)

    # Telling

    def _stand(self, standing: Standing) -> None:
        before, self.standing = self.standing, standing
        sentence, unknown = self.sentence(), standing.because == "price_unknown"
        self._facts.set("price_unknown", unknown, sentence)
        self._facts.set("cap_reached", standing.stage == "nothing" and not unknown, sentence)
        self._facts.set("cap_near", standing.stage == "asked_only", sentence)
        if standing != before:
            worse = _ORDER.index(standing.stage) > _ORDER.index(before.stage)
            log.log(logging.WARNING if worse else logging.INFO, "money: %s: %s", standing.stage, sentence)
            self._tell(sentence)
        # A stage that lasts only until open questions are settled is nothing to disturb a person for.
        if standing != self._told and not self._counting_reserved:
            lasting, self._told = self._told or Standing(), standing
            if standing.stage != "normal" or lasting.stage in ("asked_only", "nothing"):
                self._notify_person("money", sentence)

    def _watch_unnoted(self, money: MoneyFacts) -> None:
        alarm = money.unnoted >= ALARM_ANSWERS or (
            money.unnoted > 0 and money.unnoted_microusd * 100 >= self._limits.cap_day_microusd * ALARM_PERCENT
        )
        if alarm and not self._alarmed:
            sentence = unnoted_sentence(money.unnoted, money.unnoted_microusd, money.unnoted_unpriced)
            log.error("%s", sentence)
            self._notify_person("alarm", sentence)
            self._alarmed = True
            self._tell(sentence, alarm=True)
        elif not money.unnoted:
            self._alarmed = False

    def _tell(self, sentence: str, **more: object) -> None:
        blocked = next((r for r in ("price_unknown", "cap_reached") if r in self._facts.reasons), None)
        day = Day.of(local_day(self._clock.wall()), self._money.totals, self._limits.cap_day_microusd)
        self._on_cost({**day.to_json(), "blocked": blocked, **self.status(), "sentence": sentence, **more})

    def sentence(self) -> str:
        """The stage in a sentence for a person."""
        return stage_sentence(self.standing, self._limits, self._clock.wall())

    def status(self) -> dict[str, Any]:
        """What ``status`` tells of money, beside the day's figures."""
        money, caps = self._money, self._limits.caps
        now, learnt = self._clock.monotonic(), self._learnt
        wait = None if self._not_before is None else round(max(0.0, self._not_before - now), 1)
        periods = {window: (caps.of(window), spent(money.totals, window)) for window in WINDOWS}
        return {
            "stage": self.standing.stage,
            "because": self.standing.because,
            "sentence": "" if self.standing.stage == "normal" else self.sentence(),
            "caps": {
                window: {
                    "cap_microusd": cap,
                    "microusd": period.settled_microusd,
                    "reserved_microusd": period.reserved_microusd,
                }
                for window, (cap, period) in periods.items()
            },
            "pacing": {"level_microusd": self._level, "capacity_microusd": self._capacity, "next_automatic_s": wait},
            "unnoted": {
                "answers": money.unnoted,
                "microusd": known_of(money.unnoted_microusd, money.unnoted_unpriced),
                "unpriced": money.unnoted_unpriced,
                "alarm": self._alarmed,
            },
            "learnt": {
                "answers": learnt.answers,
                "cached_percent": learnt.cached_percent,
                "window_tokens": self._window,
                "images": [
                    {
                        "pictures": figure.pictures,
                        "expected_tokens": figure.expected_tokens,
                        "tokens": figure.tokens,
                        "answers": figure.answers,
                    }
                    for figure in learnt.images.values()
                ],
            },
            "prices_date": self._prices.date,
        }
