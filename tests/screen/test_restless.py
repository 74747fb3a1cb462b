from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hudd.screen.change import Change, Tiles
from hudd.screen.restless import LEAST_LOOKS, SMALL, WINDOW_S, Restless

NOTHING = Tiles(10, 10)
WHEEL = Tiles.block(10, 10, (4, 4, 5, 5))


def seen(tiles: Tiles, pictured: Tiles = NOTHING) -> Change:
    return Change(tiles, None, 0.1, tiles.count, shapes=tiles, pictured=pictured)


def test_what_changed_at_most_of_the_last_looks_is_noise() -> None:
    restless = Restless()
    for look in range(LEAST_LOOKS):
        assert not restless.noise(seen(WHEEL))
        restless.moved(WHEEL, look / 2)
    assert restless.noise(seen(WHEEL)) == WHEEL
    other = Tiles.block(10, 10, (0, 0, 0, 9))
    assert restless.noise(seen(WHEEL.union(other))) == WHEEL


def test_what_changes_now_and_then_is_none() -> None:
    restless = Restless()
    for look in range(20):
        restless.moved(WHEEL, look * WINDOW_S / 2)
    assert not restless.noise(seen(WHEEL))


def test_what_was_restless_stays_so_while_it_is_still_and_ends_with_a_single_change() -> None:
    restless = Restless()
    for look in range(6):
        restless.moved(WHEEL, look / 2)
    for look in range(20):
        restless.moved(NOTHING, 3 + look / 2)
    assert restless.noise(seen(WHEEL)) == WHEEL
    restless.moved(WHEEL, 20.0)
    assert not restless.noise(seen(WHEEL))


def test_a_large_spot_is_noise_only_when_it_shows_a_picture() -> None:
    restless, large = Restless(), Tiles.block(10, 10, (0, 0, 4, 4))
    for look in range(6):
        restless.moved(large, look / 2)
    assert not restless.noise(seen(large))
    assert not restless.noise(Change(large, None, 0.1, large.count))
    assert restless.noise(seen(large, pictured=Tiles.block(10, 10, (0, 0, 1, 4)))) == large
    part = Tiles.block(10, 10, (0, 0, 0, SMALL - 1))
    assert restless.noise(seen(part)) == part


def test_a_frame_of_another_size_begins_anew() -> None:
    restless = Restless()
    for look in range(6):
        restless.moved(WHEEL, look / 2)
    restless.moved(Tiles(5, 5), 3.0)
    assert not restless.noise(seen(WHEEL))


@given(st.lists(st.tuples(st.integers(0, (1 << 12) - 1), st.floats(0, 5)), max_size=30), st.integers(0, (1 << 12) - 1))
def test_noise_is_always_a_part_of_the_change_that_moved_often(looks: list[tuple[int, float]], news: int) -> None:
    restless, now = Restless(), 0.0
    ever = 0
    for bits, passed_s in looks:
        now += passed_s
        restless.moved(Tiles(4, 3, bits), now)
        ever |= bits
    noise = restless.noise(seen(Tiles(4, 3, news)))
    assert noise.within(Tiles(4, 3, news & ever))
    for spot in noise.clusters():
        for row, column in spot:
            bit = 1 << (row * 4 + column)
            assert sum(bool(bits & bit) for bits, _ in looks) >= LEAST_LOOKS
