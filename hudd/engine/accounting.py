"""What a response would be billed: tokens, the prompt cache, truncation. Pure; time is handed in.

Source: realtime-protocol 3.5 (usage), 4.3 (pictures), 6.3 (cache), 6.5 (truncation).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, cast

CacheMode = Literal["ideal", "300s", "none"]
CACHE_MODES: Final[tuple[CacheMode, ...]] = ("ideal", "300s", "none")

CHARS_PER_TOKEN: Final = 4
CACHE_GRAIN_TOKENS: Final = 64
CACHE_LIFE_S: Final = 300.0
MAX_CACHED_PROMPTS: Final = 128

IMAGE_BASE_TOKENS: Final = 65
IMAGE_TILE_TOKENS: Final = 129

# Context less the longest answer; the documented example for 32k models is 28,224.
INPUT_LIMIT_TOKENS: Final = 28_224
INPUT_LIMIT_REASONING_TOKENS: Final = 96_000


@dataclass(frozen=True, slots=True)
class Segment:
    """One stretch of a prompt.

    Attributes:
        kind: Which of the three prices it has.
        identity: Text: the text itself, so that a part of it can be common. Else: anything that tells it apart.
        tokens: Its tokens.
    """

    kind: Literal["text", "image", "audio"]
    identity: str
    tokens: int


Prompt = tuple[Segment, ...]


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens by kind."""

    text: int = 0
    image: int = 0
    audio: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.text + self.image + self.audio


def text_tokens(text: str) -> int:
    """Tokens of a text: a quarter of its characters, rounded up."""
    return -(-len(text) // CHARS_PER_TOKEN)


def image_tokens(width: int, height: int, detail: str = "auto") -> int:
    """Tokens of a picture by the working formula of 4.3: 65, and 129 for each 512 px tile at a short side of 512 px.

    Args:
        width: Pixels in a row, at least 1.
        height: Rows, at least 1.
        detail: ``low`` costs the base only; ``auto`` is ``high``.
    """
    if detail == "low":
        return IMAGE_BASE_TOKENS
    short, long = min(width, height), max(width, height)
    # ceil(long * 512 / short / 512), in integers so that no rounding adds a tile
    return IMAGE_BASE_TOKENS + IMAGE_TILE_TOKENS * -(-long // short)


def text_segment(owner: str, text: str) -> Segment:
    """A text of somebody (``user``, ``assistant``, ``instructions`` …) as part of a prompt."""
    return Segment("text", f"{owner}\n{text}", text_tokens(text))


def count(prompt: Sequence[Segment]) -> Tokens:
    """Tokens of a prompt by kind."""
    return Tokens(
        text=sum(s.tokens for s in prompt if s.kind == "text"),
        image=sum(s.tokens for s in prompt if s.kind == "image"),
        audio=sum(s.tokens for s in prompt if s.kind == "audio"),
    )


def common_tokens(prompt: Sequence[Segment], earlier: Sequence[Segment]) -> Tokens:
    """Tokens of the longest common beginning of two prompts, before they are rounded."""
    same: list[Segment] = []
    for now, before in zip(prompt, earlier, strict=False):
        if now == before:
            same.append(now)
            continue
        if now.kind == before.kind == "text":
            same.append(Segment("text", "", min(now.tokens, before.tokens, _shared_text_tokens(now, before))))
        break
    return count(same)


def _shared_text_tokens(now: Segment, before: Segment) -> int:
    owner, _, text = now.identity.partition("\n")
    other_owner, _, other = before.identity.partition("\n")
    if owner != other_owner:
        return 0
    low, high = 0, min(len(text), len(other))
    while low < high:  # halving compares in C; character by character is too slow for 128 long prompts
        middle = (low + high + 1) // 2
        if text.startswith(other[:middle]):
            low = middle
        else:
            high = middle - 1
    return low // CHARS_PER_TOKEN


class PromptCache:
    """Remembers prompts, and tells how much of a new one would be served from the service's cache (6.3).

    Text is rounded down to 64 tokens; a picture counts whole when the common beginning holds it (the service's own
    sample: 322 cached = 128 text + 194 picture).

    Args:
        mode: ``ideal`` never forgets, ``300s`` forgets a prompt that was not used for five minutes, ``none`` caches
            nothing.
    """

    def __init__(self, mode: CacheMode = "ideal") -> None:
        self._mode = mode
        self._prompts: OrderedDict[tuple[str, Prompt], float] = OrderedDict()

    def look_up(self, model: str, prompt: Prompt, now: float) -> Tokens:
        """Cached tokens of a prompt, by kind.

        Args:
            model: Prompts of another model do not help.
            prompt: The whole input of the response.
            now: Monotonic seconds.
        """
        if self._mode == "none":
            return Tokens()
        best, best_key = Tokens(), None
        for key, used_at in self._prompts.items():
            if key[0] != model or (self._mode == "300s" and now - used_at > CACHE_LIFE_S):
                continue
            shared = common_tokens(prompt, key[1])
            if shared.total > best.total:
                best, best_key = shared, key
        if best_key is not None:
            self._prompts[best_key] = now
        return Tokens(best.text - best.text % CACHE_GRAIN_TOKENS, best.image, best.audio)

    def forget(self) -> None:
        """Forget all prompts, which hold what was said."""
        self._prompts.clear()

    def store(self, model: str, prompt: Prompt, now: float) -> None:
        """Remember a prompt, with the answer that followed it when it became part of the conversation."""
        if self._mode == "none":
            return
        key = (model, prompt)
        self._prompts[key] = now
        self._prompts.move_to_end(key)
        while len(self._prompts) > MAX_CACHED_PROMPTS:
            self._prompts.popitem(last=False)


def usage_object(asked: Tokens, cached: Tokens, answer_tokens: int, reasoning_tokens: int | None) -> dict[str, Any]:
    """The ``usage`` of ``response.done``.

    Args:
        asked: Input tokens.
        cached: Those of them that came from the cache.
        answer_tokens: Tokens of the visible answer.
        reasoning_tokens: Contained in the output's text tokens (3.5); None for a model that does not reason.
    """
    output = answer_tokens + (reasoning_tokens or 0)
    details: dict[str, Any] = {"text_tokens": output, "audio_tokens": 0}
    if reasoning_tokens is not None:
        details["reasoning_tokens"] = reasoning_tokens
    return {
        "total_tokens": asked.total + output,
        "input_tokens": asked.total,
        "output_tokens": output,
        "input_token_details": {
            "text_tokens": asked.text,
            "audio_tokens": asked.audio,
            "image_tokens": asked.image,
            "cached_tokens": cached.total,
            "cached_tokens_details": {
                "text_tokens": cached.text,
                "audio_tokens": cached.audio,
                "image_tokens": cached.image,
            },
        },
        "output_token_details": details,
    }


class ContextOverflowError(Exception):
    """Raised when ``truncation`` is ``disabled`` and the conversation does not fit the model."""


def input_limit(*, reasons: bool) -> int:
    """Tokens that fit into a model's input after its longest answer; ``reasons`` is true for 2.x."""
    return INPUT_LIMIT_REASONING_TOKENS if reasons else INPUT_LIMIT_TOKENS


def items_to_drop(sizes: Sequence[int], truncation: object, limit: int) -> int:
    """How many of the oldest items leave the model's view before a response (6.5).

    Args:
        sizes: Tokens of each item in view, oldest first; instructions and tools are not counted.
        truncation: The session's ``truncation``: ``auto``, ``disabled`` or a ``retention_ratio`` object.
        limit: The model's own limit, in tokens.

    Returns:
        A number below ``len(sizes)``: the newest item always stays.

    Raises:
        ContextOverflowError: Truncation is disabled and the items do not fit.
    """
    total, ratio = sum(sizes), 1.0
    if isinstance(truncation, dict):
        wish = cast("dict[str, Any]", truncation)
        limits = cast("dict[str, Any]", wish.get("token_limits") or {})
        limit = min(limit, int(limits.get("post_instructions", limit)))
        ratio = float(wish["retention_ratio"])
    if total <= limit:
        return 0
    if truncation == "disabled":
        raise ContextOverflowError
    dropped = 0
    while dropped < len(sizes) - 1 and total > ratio * limit:
        total -= sizes[dropped]
        dropped += 1
    return dropped
