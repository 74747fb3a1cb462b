"""What questions would cost: per answer, hour and day, for any model and both memories. Pure.

The shape of a request is that of ``hudd.realtime``: a beginning that stays the same (instructions, frame, history),
then what is new. While the service's cache is warm the beginning is billed at its cached price, in steps of 64 tokens,
up to the last note; a cut of the history breaks it down to the instructions (realtime-protocol 6.3, 6.5).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal

from hudd.ledger.prices import PriceTable
from hudd.model import Usage

Memory = Literal["window", "conversation"]
MEMORIES: Final[tuple[Memory, ...]] = ("window", "conversation")

CACHE_LIFE_S: Final = 300.0
"""After so long without a question the service is taken to have forgotten the beginning."""
CACHE_GRAIN_TOKENS: Final = 64
AWAY_S: Final = 900.0
"""A longer gap between two questions is no time at the screen."""
ITEM_TOKENS: Final = 4


@dataclass(frozen=True, slots=True)
class Habits:
    """How often something changed so far.

    Attributes:
        changes: What was worth a question: changes that passed the gate, and snaps.
        per_hour: How many in an hour at the screen; 0 when there were none.
        hours: Hours at the screen that were looked at; a quarter at least.
        cold_share: Part of them (0 to 1) that came after the cache had forgotten.
    """

    changes: int
    per_hour: float
    hours: float
    cold_share: float


@dataclass(frozen=True, slots=True)
class Shape:
    """What a question consists of, in tokens.

    Attributes:
        fixed_tokens: Instructions and frame.
        question_tokens: Time, source and what is asked.
        history_tokens: Longest history.
        retention_ratio: Share of it that a cut keeps.
        image_tokens: All pictures of a question.
        answer_tokens: The answer, reasoning included.
        note_tokens: What the history keeps of it.
        spent_pictures: Earlier pictures that ``conversation`` memory carries along on average.
    """

    fixed_tokens: int
    question_tokens: int
    history_tokens: int
    retention_ratio: float
    image_tokens: int
    answer_tokens: int
    note_tokens: int
    spent_pictures: float = 0.5


@dataclass(frozen=True, slots=True)
class Estimate:
    """What one model and memory would cost, in micro-dollars; None where the price is unknown.

    Attributes:
        model: Model name.
        memory: ``window`` or ``conversation``.
        answer: One answer at the habits' share of cold starts.
        warm: One answer when the cache always serves.
        cold: One answer when it never does.
        hour: An hour at the screen.
        day: A day of the active hours.
    """

    model: str
    memory: Memory
    answer: int | None
    warm: int | None
    cold: int | None
    hour: int | None
    day: int | None


def times_of(minutes: Sequence[tuple[int, int]]) -> list[float]:
    """Times in seconds since 1970 for counts by the minute: those of a minute are spread evenly over it."""
    return [(minute + (number + 0.5) / seen) * 60 for minute, seen in minutes for number in range(seen)]


def habits_of(times: Sequence[float]) -> Habits:
    """How often something was worth a question, from the times, oldest first."""
    if not times:
        return Habits(0, 0.0, 0.0, 0.0)
    gaps = [max(0.0, later - sooner) for sooner, later in pairwise(times)]
    present = [min(gap, AWAY_S) for gap in gaps]
    # The first one has no gap of its own: it counts with the mean of the others. A few minutes are no habit, so what
    # was seen counts as a quarter of an hour at least.
    seconds = max(AWAY_S, sum(present) * len(times) / max(1, len(present)))
    cold = sum(gap > CACHE_LIFE_S for gap in gaps)
    return Habits(len(times), len(times) * 3600 / seconds, seconds / 3600, cold / len(times))


def estimate(
    prices: PriceTable, model: str, memory: Memory, shape: Shape, habits: Habits, *, active_hours: float
) -> Estimate:
    """What a model would cost with a memory.

    Args:
        prices: The table in force.
        model: Which model.
        memory: Which memory.
        shape: What a question consists of.
        habits: How often one is asked.
        active_hours: Hours of a day.
    """
    warm = prices.cost_microusd(_warm(memory, shape), model)
    cut = prices.cost_microusd(_usage(memory, shape, cached_text=_grain(shape.fixed_tokens)), model)
    cold = prices.cost_microusd(_usage(memory, shape, cached_text=0), model)
    if warm is None or cut is None or cold is None:
        return Estimate(model, memory, None, None, None, None, None)
    mean_warm = round(warm + (cut - warm) * _cut_share(shape))
    answer = round(mean_warm + (cold - mean_warm) * habits.cold_share)
    hour = round(answer * habits.per_hour)
    return Estimate(model, memory, answer, mean_warm, cold, hour, round(hour * active_hours))


def _history(shape: Shape) -> float:
    """Mean length of the history: it grows by a note at a time from the cut to the limit."""
    step = shape.note_tokens + ITEM_TOKENS
    most = shape.history_tokens // step * step
    least = min(most, max(step, int(shape.history_tokens * shape.retention_ratio) // step * step))
    return (most + least) / 2


def _cut_share(shape: Shape) -> float:
    """How many of the answers come right after a cut."""
    step = shape.note_tokens + ITEM_TOKENS
    most = shape.history_tokens // step
    least = min(most, max(1, int(shape.history_tokens * shape.retention_ratio) // step))
    return 0.0 if most == 0 else 1 / (most - least + 1)


def _warm(memory: Memory, shape: Shape) -> Usage:
    beginning = shape.fixed_tokens + max(0.0, _history(shape) - shape.note_tokens - ITEM_TOKENS)
    images = round(shape.spent_pictures * shape.image_tokens) if memory == "conversation" else 0
    return _usage(memory, shape, cached_text=_grain(beginning), cached_images=images)


def _usage(memory: Memory, shape: Shape, *, cached_text: int, cached_images: int = 0) -> Usage:
    text = round(shape.fixed_tokens + _history(shape) + shape.question_tokens)
    images = shape.image_tokens
    if memory == "conversation":
        images += round(shape.spent_pictures * shape.image_tokens)
        text += round(shape.spent_pictures * shape.question_tokens)
    return Usage(
        input_tokens=text + images,
        output_tokens=shape.answer_tokens,
        text_tokens=text,
        image_tokens=images,
        cached_text_tokens=min(text, cached_text),
        cached_image_tokens=cached_images,
        output_text_tokens=shape.answer_tokens,
    )


def _grain(tokens: float) -> int:
    return int(tokens) // CACHE_GRAIN_TOKENS * CACHE_GRAIN_TOKENS
