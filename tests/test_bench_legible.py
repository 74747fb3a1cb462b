"""The bar for small text, on a painted screen, by text recognition; and how words are counted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.bench.legible import LEAST_GAIN, MOST_TOKENS, Counter, Legible, Word, kept, measure, screens


@pytest.mark.slow
def test_whole_and_part_give_more_words_per_token_than_the_whole_alone() -> None:
    counter = Counter()
    if not counter.works:
        pytest.skip("no text recognition is installed")
    name, shot = screens(None)[0]
    legible, _ = measure(counter, name, shot, spots=False)
    assert legible.dense
    assert legible.part_tokens
    assert legible.whole_tokens + legible.part_tokens <= MOST_TOKENS
    assert legible.gain >= LEAST_GAIN


def test_a_word_counts_once_and_only_where_the_screen_has_it() -> None:
    truth = [Word("build", 100, 50), Word("build", 500, 50), Word("merge", 100, 90)]
    assert kept(truth, [Word("build", 110, 52), Word("build", 112, 52)]) == {0}
    assert kept(truth, [Word("build", 100, 90), Word("merge", 900, 90), Word("token", 100, 50)]) == set()
    assert kept(truth, [Word("build", 500, 50), Word("merge", 100, 90)]) == {1, 2}


def test_the_gain_is_of_words_per_token() -> None:
    legible = Legible("x", 400, 50, 200, 240, (100, 200, 250), 323, 323)
    assert legible.gain == pytest.approx(2.4)
    assert legible.part_gain == pytest.approx(4.0)
    assert legible.unreduced_gain == pytest.approx(1.25)
    assert replace(legible, part_tokens=0).part_gain == 0.0
