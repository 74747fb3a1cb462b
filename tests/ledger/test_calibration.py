from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudd.engine.accounting import image_tokens
from hudd.ledger.calibration import Learnt, expected_image_tokens, learn, window_tokens
from hudd.ledger.records import Sample
from hudd.model import Usage


@pytest.mark.parametrize(
    ("width", "height", "tokens"),
    [(48, 48, 194), (1280, 800, 323), (3840, 2160, 323), (3440, 1440, 452), (5120, 1440, 581), (1080, 1920, 323)],
)
def test_the_sizes_of_the_protocol_page(width: int, height: int, tokens: int) -> None:
    assert expected_image_tokens(width, height) == tokens


@given(st.integers(1, 10_000), st.integers(1, 10_000))
def test_client_and_engine_agree_without_sharing_code(width: int, height: int) -> None:
    assert expected_image_tokens(width, height) == image_tokens(width, height)


def sample(image: int, *, pictures: int = 1, expected: int = 323, text: int = 500, cached: int = 0) -> Sample:
    usage = Usage(
        input_tokens=text + image, text_tokens=text, image_tokens=image, cached_text_tokens=cached, output_tokens=60
    )
    return Sample(pictures, expected, usage)


def test_the_first_answer_calibrates_pictures_of_its_size_and_no_others() -> None:
    learnt = learn([sample(323)])
    assert learnt.image_tokens(1, 323, each_tokens=839) == 323
    assert learnt.image_tokens(2, 646, each_tokens=839) == 2 * 839
    assert learnt.image_tokens(1, 452, each_tokens=839) == 839
    assert Learnt().image_tokens(1, 323, each_tokens=839) == 839


def test_the_dearest_of_the_newest_answers_counts() -> None:
    learnt = learn([sample(323), sample(839), sample(323)])
    figure = learnt.images[1, 323]
    assert (figure.tokens, figure.answers) == (839, 3)
    assert learnt.text_tokens == 500


def test_answers_without_pictures_or_image_tokens_teach_no_image_figure() -> None:
    assert learn([sample(0), sample(5, pictures=0)]).images == {}


def test_the_cached_share_is_told_only_when_enough_is_known() -> None:
    assert learn([sample(0, cached=400)] * 4).cached_percent is None
    learnt = learn([sample(500, cached=400)] * 5)
    assert (learnt.cached_percent, learnt.cached_text_percent) == (40, 80)


@pytest.mark.parametrize(
    ("present", "share", "wanted"),
    [
        (300, None, 300), (150, None, 300), (300, 80, 300), (80, 50, 300), (150, 49, 150), (300, 30, 300),
        (300, 29, 150), (150, 0, 80), (80, 0, 80),
    ],
)  # fmt: skip
def test_the_window_shrinks_while_the_cache_does_not_pay(present: int, share: int | None, wanted: int) -> None:
    assert window_tokens(300, present, share) == wanted


@given(limit=st.integers(0, 5_000), present=st.integers(0, 5_000), share=st.one_of(st.none(), st.integers(0, 100)))
def test_the_window_never_passes_its_limit(limit: int, present: int, share: int | None) -> None:
    assert 0 <= window_tokens(limit, present, share) <= limit
