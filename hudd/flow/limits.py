"""What the settings allow to be spent, what a question takes at most, and the stages in words."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from hudd.ledger.caps import Caps, Standing, Window, ends_at

_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Limits:
    """What the settings allow.

    Attributes:
        engine: ``local`` answers cost nothing and touch no cap.
        model: Whose prices apply.
        cap_day_microusd: Dollars a local day, in millionths.
        token_cap_day: Tokens a day for a model without a price.
        image_tokens: Reserved for one picture of a size that was never billed yet.
        text_tokens: Reserved for instructions and history; more when more was billed.
        max_output_tokens: Reserved for the answer.
        cap_hour_microusd: Dollars an hour, in millionths; 0 for none.
        cap_month_microusd: Dollars a month, in millionths; 0 for none.
        active_hours: Over how many hours the day's cap is spread.
        history_tokens: The longest history; 0 when there is none.
        kept_image_tokens: Pictures of earlier questions that a question carries again.
    """

    engine: str
    model: str
    cap_day_microusd: int
    token_cap_day: int
    image_tokens: int
    text_tokens: int
    max_output_tokens: int
    cap_hour_microusd: int = 0
    cap_month_microusd: int = 0
    active_hours: float = 10.0
    history_tokens: int = 0
    kept_image_tokens: int = 0

    @property
    def caps(self) -> Caps:
        """The three caps."""
        return Caps(day=self.cap_day_microusd, hour=self.cap_hour_microusd, month=self.cap_month_microusd)


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a question takes at most.

    Attributes:
        microusd: At list prices with nothing cached; None when the price is unknown.
        tokens: Input and longest answer.
        expected_image_tokens: Of its pictures by their sizes, for comparison with what is billed.
    """

    microusd: int | None
    tokens: int
    expected_image_tokens: int


def use_sentence(limits: Limits, *, priced: bool) -> str:
    """That answers cost money, and what bounds it, in a sentence for a person.

    Args:
        limits: What the settings allow; without a price some tokens, or nothing is asked at all.
        priced: Whether the model's price is known.
    """
    if priced:
        cap = dollars(limits.cap_day_microusd)
        return f"{limits.model} costs money: at most {cap} is spent in a day ([cost] cap_day_usd)."
    return (
        f"{limits.model} costs money, and nobody told hudd how much: no cap in dollars holds it, only "
        f"{limits.token_cap_day:,} tokens a day ([cost] token_cap_day); name its price in [cost] prices_file."
    )


def unnoted_sentence(answers: int, microusd: int, unpriced: int) -> str:
    """That money is spent without a note, in a sentence for a person.

    Args:
        answers: Paid answers since the last note.
        microusd: What is known of their cost.
        unpriced: How many of them have an unknown cost.
    """
    known = [dollars(microusd)] if microusd or not unpriced else []
    spent = " and ".join([*known, *(["an unknown sum"] if unpriced else [])])
    return (
        f"{spent[0].upper()}{spent[1:]} was spent on the last {answers} answers without a note; "
        "`hudctl errors` tells why, `hudctl pause` stops it."
    )


def stage_sentence(standing: Standing, limits: Limits, wall_s: float, tz: tzinfo | None = None) -> str:
    """A stage in a sentence for a person: which cap, how much it is, and when its time is over.

    Args:
        standing: The stage.
        limits: What the settings allow.
        wall_s: Now, seconds since 1970.
        tz: The time zone; None for that of the machine.
    """
    if standing.stage == "normal":
        return "Questions are asked as the screen changes."
    if standing.because == "price_unknown":
        return (
            f"The price of {limits.model} is unknown, so nothing is asked; name it in [cost] prices_file or "
            "set [cost] token_cap_day."
        )
    if standing.because == "tokens":
        return (
            f"The {limits.token_cap_day:,} tokens a day that {limits.model} may use without a known price are used up "
            f"until {until('day', wall_s, tz)}; raise [cost] token_cap_day, or name the price in [cost] prices_file."
        )
    if standing.stage == "slower":
        return (
            f"hudd asks less often by itself, so that the day's money lasts for {limits.active_hours:g} active hours."
        )
    window: Window = "hour" if standing.because == "hour" else "month" if standing.because == "month" else "day"
    cap, end = dollars(limits.caps.of(window) or 0), until(window, wall_s, tz)
    if standing.stage == "asked_only":
        return (
            f"hudd asks nothing more by itself until {end}: what is left of the {window}'s cap of {cap} is kept for "
            "snaps."
        )
    return f"The {window}'s cap of {cap} is reached until {end}; raise [cost] cap_{window}_usd, or wait until then."


def until(window: Window, wall_s: float, tz: tzinfo | None = None) -> str:
    """When the hour, day or month of a moment is over, for a person: ``15:00``, ``midnight``, ``1 December``."""
    end = datetime.fromtimestamp(math.floor(ends_at(window, wall_s, tz)), UTC).astimezone(tz)
    if window == "month":
        return f"{end.day} {_MONTHS[end.month - 1]}"
    return "midnight" if (end.hour, end.minute) == (0, 0) else f"{end:%H:%M}"


def dollars(microusd: int) -> str:
    """Micro-dollars for a person: ``$1.00``, ``$0.0041``."""
    return f"${microusd / 1_000_000:.2f}" if microusd % 10_000 == 0 else f"${microusd / 1_000_000:.4f}"
