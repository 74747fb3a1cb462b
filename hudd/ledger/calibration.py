"""What the service really bills, learnt from its own usage figures. Pure; every figure is derived from the ledger.

Nobody publishes how many tokens a picture takes (realtime-protocol 4.3). So the size gives an expectation, the first
answer gives the truth for pictures of that size, and until then a picture reserves what the settings say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from hudd.ledger.records import Sample

SAMPLES: Final = 50
"""So many of the newest answers of a model are looked at."""
FEW: Final = 5
"""Below so many answers the cached share says nothing."""

_BASE_TOKENS: Final = 65
_TILE_TOKENS: Final = 129

SHRINK_BELOW: Final = 30
"""Per cent of the text that must come from the cache for a history to pay for itself; see ``window_tokens``."""
RESTORE_ABOVE: Final = 50
LEAST_WINDOW_TOKENS: Final = 80
"""One note: with less nobody could tell what changed."""


@dataclass(frozen=True, slots=True)
class ImageFigure:
    """What pictures of one size were billed.

    Attributes:
        pictures: Pictures of a question.
        expected_tokens: By their sizes.
        tokens: The most that was billed for them.
        answers: How many answers say so.
    """

    pictures: int
    expected_tokens: int
    tokens: int
    answers: int


@dataclass(frozen=True, slots=True)
class Learnt:
    """What is known of one model.

    Attributes:
        images: By (pictures, expected tokens).
        text_tokens: The most text an answer was billed for; 0 when unknown.
        answers: How many answers this was learnt from.
        input_tokens: Their input.
        cached_tokens: The part of it that came from the cache.
        text_input_tokens: The text of their input.
        cached_text_tokens: The part of that which came from the cache.
        output_tokens: Their output, reasoning included.
    """

    images: dict[tuple[int, int], ImageFigure] = field(default_factory=dict[tuple[int, int], ImageFigure])
    text_tokens: int = 0
    answers: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    text_input_tokens: int = 0
    cached_text_tokens: int = 0
    output_tokens: int = 0

    def image_tokens(self, pictures: int, expected_tokens: int, *, each_tokens: int) -> int:
        """What the pictures of a question are reserved with.

        Args:
            pictures: How many there are.
            expected_tokens: By their sizes.
            each_tokens: For one picture of a size that was never billed yet (``[cost] image_tokens``).
        """
        figure = self.images.get((pictures, expected_tokens))
        return pictures * each_tokens if figure is None else figure.tokens

    @property
    def cached_percent(self) -> int | None:
        """The part of the input that came from the cache; None when too few answers are known."""
        return _percent(self.cached_tokens, self.input_tokens) if self.answers >= FEW else None

    @property
    def cached_text_percent(self) -> int | None:
        """The part of the text that came from the cache; None when too few answers are known."""
        return _percent(self.cached_text_tokens, self.text_input_tokens) if self.answers >= FEW else None


def expected_image_tokens(width: int, height: int) -> int:
    """Tokens of a picture by realtime-protocol 4.3: 65, and 129 for each 512 px tile once its short side is 512 px."""
    short, long = max(1, min(width, height)), max(width, height, 1)
    return _BASE_TOKENS + _TILE_TOKENS * -(-long // short)


def learn(samples: Sequence[Sample]) -> Learnt:
    """What the newest answers of a model teach."""
    images: dict[tuple[int, int], ImageFigure] = {}
    for sample in samples:
        if not sample.pictures or not sample.usage.image_tokens:
            continue
        key = (sample.pictures, sample.expected_image_tokens)
        known = images.get(key, ImageFigure(*key, tokens=0, answers=0))
        images[key] = ImageFigure(*key, tokens=max(known.tokens, sample.usage.image_tokens), answers=known.answers + 1)
    usages = [sample.usage for sample in samples]
    return Learnt(
        images=images,
        text_tokens=max((usage.text_tokens for usage in usages), default=0),
        answers=len(usages),
        input_tokens=sum(usage.input_tokens for usage in usages),
        cached_tokens=sum(usage.cached_tokens for usage in usages),
        text_input_tokens=sum(usage.text_tokens for usage in usages),
        cached_text_tokens=sum(usage.cached_text_tokens for usage in usages),
        output_tokens=sum(usage.output_tokens for usage in usages),
    )


def window_tokens(limit_tokens: int, present_tokens: int, cached_text_percent: int | None) -> int:
    """How long the text history may be, so that it does not cost more than it is worth.

    While the cache serves the beginning of each request a history is billed at a tenth. Where it does not (answers are
    far apart, or the endpoint caches nothing) the window is halved, step by step, down to about one note; it is
    restored at once when caching pays again. Between the two bounds nothing changes.

    Args:
        limit_tokens: ``[session] history_tokens``.
        present_tokens: The present window.
        cached_text_percent: What was measured; None when too little is known.
    """
    if cached_text_percent is None or cached_text_percent >= RESTORE_ABOVE:
        return limit_tokens
    if cached_text_percent >= SHRINK_BELOW:
        return min(present_tokens, limit_tokens)
    return min(limit_tokens, max(LEAST_WINDOW_TOKENS, present_tokens // 2))


def _percent(part: int, whole: int) -> int:
    return 0 if whole <= 0 else min(100, part * 100 // whole)
