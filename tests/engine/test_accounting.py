from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudd.engine.accounting import (
    ContextOverflowError,
    Prompt,
    PromptCache,
    Segment,
    Tokens,
    common_tokens,
    count,
    image_tokens,
    input_limit,
    items_to_drop,
    text_segment,
    text_tokens,
    usage_object,
)

MODEL = "gpt-realtime-1.5"
RULES = text_segment("instructions", "r" * 512)


def picture(name: str, tokens: int = 194) -> Segment:
    return Segment("image", name, tokens)


@pytest.mark.parametrize(
    ("width", "height", "tokens"),
    [
        (48, 48, 194),
        (1024, 1024, 194),
        (1024, 1536, 323),
        (1280, 800, 323),
        (1366, 768, 323),
        (1920, 1080, 323),
        (2560, 1440, 323),
        (3840, 2160, 323),
        (1080, 1920, 323),
        (3440, 1440, 452),
        (3840, 1080, 581),
        (5120, 1440, 581),
        (1, 1, 194),
    ],
)
def test_picture_tokens_are_those_of_the_table(width: int, height: int, tokens: int) -> None:
    assert image_tokens(width, height) == tokens
    assert image_tokens(width, height, "high") == tokens
    assert image_tokens(width, height, "low") == 65


def test_text_tokens_are_rounded_up() -> None:
    assert [text_tokens("x" * n) for n in (0, 1, 4, 5)] == [0, 1, 1, 2]


def test_the_cache_sees_the_longest_common_beginning() -> None:
    first: Prompt = (RULES, text_segment("user", "a" * 400), picture("one"))
    cache = PromptCache("ideal")
    assert cache.look_up(MODEL, first, 0) == Tokens()
    cache.store(MODEL, first, 0)
    assert cache.look_up(MODEL, first, 10**9) == Tokens(text=192, image=194)
    other = (RULES, text_segment("user", "a" * 200 + "b" * 200), picture("one"))
    assert cache.look_up(MODEL, other, 0) == Tokens(text=128)
    assert cache.look_up("gpt-realtime-mini", first, 0) == Tokens()


def test_a_sample_of_the_service_is_counted_as_it_counted_it() -> None:
    cache = PromptCache()
    cache.store(MODEL, (RULES, picture("one"), text_segment("user", "x" * 40)), 0)
    cached = cache.look_up(MODEL, (RULES, picture("one"), text_segment("user", "y" * 40)), 0)
    assert (cached.total, cached.text, cached.image) == (322, 128, 194)


def test_a_change_at_the_front_loses_everything_behind_it() -> None:
    cache = PromptCache()
    cache.store(MODEL, (RULES, picture("one")), 0)
    assert cache.look_up(MODEL, (text_segment("instructions", "s" * 512), picture("one")), 0) == Tokens()


def test_the_owner_of_a_text_matters() -> None:
    assert common_tokens([text_segment("user", "abcd" * 9)], [text_segment("assistant", "abcd" * 9)]) == Tokens()


def test_five_minutes_without_use_lose_the_cache() -> None:
    cache = PromptCache("300s")
    cache.store(MODEL, (RULES,), 0)
    assert cache.look_up(MODEL, (RULES,), 299).text == 128
    assert cache.look_up(MODEL, (RULES,), 598).text == 128, "a use renews it"
    assert cache.look_up(MODEL, (RULES,), 899) == Tokens()


def test_no_cache() -> None:
    cache = PromptCache("none")
    cache.store(MODEL, (RULES,), 0)
    assert cache.look_up(MODEL, (RULES,), 0) == Tokens()


def test_the_cache_is_bounded() -> None:
    cache = PromptCache()
    for index in range(200):
        cache.store(MODEL, (text_segment("instructions", f"{index:04d}" + "x" * 508),), index)
    assert cache.look_up(MODEL, (text_segment("instructions", "0000" + "x" * 508),), 201) == Tokens()
    assert cache.look_up(MODEL, (text_segment("instructions", "0199" + "x" * 508),), 201).text == 128


_SEGMENTS = st.lists(
    st.builds(text_segment, st.sampled_from(["user", "assistant"]), st.text("ab", max_size=600))
    | st.builds(picture, st.sampled_from("xyz")),
    max_size=6,
).map(tuple)


@given(_SEGMENTS, _SEGMENTS)
def test_what_is_cached_is_part_of_what_is_asked(earlier: Prompt, prompt: Prompt) -> None:
    cache = PromptCache()
    cache.store(MODEL, earlier, 0)
    asked, cached = count(prompt), cache.look_up(MODEL, prompt, 0)
    assert cached.text <= asked.text
    assert cached.image <= asked.image
    assert cached.text % 64 == 0
    if prompt == earlier:
        assert cached.image == asked.image
        assert asked.text - cached.text < 64


def test_usage_adds_up() -> None:
    usage = usage_object(Tokens(171, 323, 5), Tokens(128, 0, 0), 22, 11)
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"] == 499 + 33
    assert usage["output_token_details"] == {"text_tokens": 33, "audio_tokens": 0, "reasoning_tokens": 11}
    assert usage["input_token_details"]["cached_tokens"] == 128


def ratio(share: float, limit: int | None = None) -> dict[str, object]:
    wish: dict[str, object] = {"type": "retention_ratio", "retention_ratio": share}
    return wish if limit is None else {**wish, "token_limits": {"post_instructions": limit}}


@pytest.mark.parametrize(
    ("sizes", "truncation", "limit", "dropped"),
    [
        ([10, 10, 10], "auto", 30, 0),
        ([10, 10, 10], "auto", 29, 1),
        ([10, 10, 10], ratio(0.5, 30), 1000, 0),
        ([10, 10, 10, 1], ratio(0.5, 30), 1000, 2),
        ([10, 10, 10, 1], ratio(1.0, 30), 1000, 1),
        ([10, 10, 10, 1], ratio(0.0, 30), 1000, 3),
        ([10, 10], ratio(0.5), 15, 1),
        ([10, 10], ratio(0.5, 10**6), 15, 1),
        ([50], ratio(0.5, 10), 1000, 0),
        ([], "auto", 10, 0),
    ],
)
def test_truncation(sizes: list[int], truncation: object, limit: int, dropped: int) -> None:
    assert items_to_drop(sizes, truncation, limit) == dropped


def test_truncation_can_be_disabled() -> None:
    assert items_to_drop([10], "disabled", 10) == 0
    with pytest.raises(ContextOverflowError):
        items_to_drop([11], "disabled", 10)


def test_the_limit_of_the_models() -> None:
    assert input_limit(reasons=False) == 28_224
    assert input_limit(reasons=True) > 28_224
