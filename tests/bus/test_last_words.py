"""Who has to leave when others wait: the mute first, then whoever is quiet the longest and wants nothing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hudd.bus.last_words import IDLE_S, SILENT_S, LastWords


def test_the_mute_go_all_and_the_others_only_as_far_as_places_are_needed() -> None:
    words = LastWords()
    for descriptor in range(6):
        words.came(descriptor, 0.0)
    for descriptor in (3, 2, 1):
        words.spoke(descriptor, float(descriptor) / 10)
    assert words.to_end(SILENT_S - 1, 9, lambda _: True) == []
    assert words.to_end(SILENT_S, 1, lambda _: True) == [0, 4, 5]
    for descriptor in (0, 4, 5):
        words.left(descriptor)
    assert words.to_end(IDLE_S + 0.1, 2, lambda _: True) == []
    assert words.to_end(IDLE_S + 1, 2, lambda _: True) == [3, 2], "in the order of their last words"
    assert words.to_end(IDLE_S + 1, 2, lambda descriptor: descriptor != 3) == [2, 1], "3 waits for an answer"
    assert words.to_end(IDLE_S + 1, 0, lambda _: True) == []


def test_a_number_that_comes_again_is_another_connection() -> None:
    words = LastWords()
    words.came(1, 0.0)
    words.spoke(1, 0.0)
    words.came(1, 20.0)
    assert words.to_end(21.0, 1, lambda _: True) == []
    assert 1 in words
    words.left(1)
    words.left(1)
    assert 1 not in words


@given(
    st.lists(st.tuples(st.sampled_from(["came", "spoke", "left"]), st.integers(0, 5)), max_size=60), st.integers(0, 6)
)
def test_nobody_goes_before_the_time_nor_more_than_needed(acts: list[tuple[str, int]], places: int) -> None:
    words, last, mute = LastWords(), dict[int, float](), set[int]()
    for now, (act, descriptor) in enumerate(acts):
        if act == "left":
            words.left(descriptor)
            last.pop(descriptor, None)
        elif act == "came" or descriptor in words:
            words.came(descriptor, now) if act == "came" else words.spoke(descriptor, now)
            last[descriptor] = now
            mute.discard(descriptor)
            mute.update({descriptor} if act == "came" else ())
    end = len(acts)
    chosen = words.to_end(end, places, lambda _: True)
    assert all(descriptor in last and last[descriptor] <= end - SILENT_S for descriptor in chosen)
    spoken = [descriptor for descriptor in chosen if descriptor not in mute]
    assert all(last[descriptor] <= end - IDLE_S for descriptor in spoken)
    assert not spoken or len(chosen) <= places
