from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudd.config.settings import GateSettings
from hudd.screen.change import Change, Tiles
from hudd.screen.gate import REASONS, Gate

SETTINGS = GateSettings(settle_s=0.4, max_settle_s=3.0, min_interval_s=2.0, heartbeat_s=0.0, min_tiles=2)
NOTHING = Change(Tiles(10, 10))


FILM = Tiles.block(10, 10, (3, 2, 6, 6))


def change(patches: int, row: int = 0) -> Change:
    tiles = Tiles.block(10, 10, (row, 0, row, min(9, patches - 1)))
    return Change(tiles, (0, 0, 64, 32), tiles.count / 100, patches)


def sent_gate(settings: GateSettings = SETTINGS, at: float = 0.0) -> Gate:
    gate = Gate(settings)
    assert gate.look(at, since_look=None, since_sent=None).reason == "first"
    gate.sent(at)
    return gate


def test_the_first_look_is_sent_at_once_and_again_until_it_really_was() -> None:
    gate = Gate(SETTINGS)
    assert gate.look(0.0, since_look=None, since_sent=None).action == "send"
    assert gate.look(1.0, since_look=NOTHING, since_sent=None).reason == "first"


@pytest.mark.parametrize(
    ("news", "reason"),
    [
        (NOTHING, "same"),
        (Change(Tiles(10, 10), subtle=True), "same"),
        (Change(Tiles(10, 10), ignored=True), "ignored_window"),
        (change(1), "cursor"),
    ],
)
def test_what_is_no_news_is_the_same_and_says_why(news: Change, reason: str) -> None:
    decision = sent_gate().look(100.0, since_look=news, since_sent=news)
    assert (decision.action, decision.reason, decision.look_again_in_s) == ("same", reason, None)


def test_a_change_waits_until_the_screen_is_still() -> None:
    gate = sent_gate()
    first = gate.look(10.0, since_look=change(5), since_sent=change(5))
    assert (first.action, first.reason, first.look_again_in_s) == ("wait", "settling", pytest.approx(0.4))
    moving = gate.look(10.3, since_look=change(5), since_sent=change(9))
    assert moving.reason == "settling"
    assert gate.look(10.6, since_look=NOTHING, since_sent=change(9)).look_again_in_s == pytest.approx(0.1)
    assert gate.look(10.71, since_look=NOTHING, since_sent=change(9)).reason == "changed"


def test_a_screen_that_never_rests_is_sent_after_the_longest_wait() -> None:
    gate = sent_gate()
    looks = [gate.look(10.0 + 0.25 * n, since_look=change(5), since_sent=change(5)) for n in range(13)]
    assert [look.action for look in looks] == ["wait"] * 12 + ["send"]


def test_a_blinking_cursor_does_not_keep_a_change_from_settling() -> None:
    gate = sent_gate()
    gate.look(10.0, since_look=change(5), since_sent=change(5))
    assert gate.look(10.5, since_look=change(1), since_sent=change(5)).reason == "changed"


def test_two_pictures_keep_their_distance() -> None:
    gate = sent_gate(at=10.0)
    gate.look(10.5, since_look=change(5), since_sent=change(5))
    held = gate.look(11.0, since_look=NOTHING, since_sent=change(5))
    assert (held.action, held.reason, held.look_again_in_s) == ("wait", "interval", pytest.approx(1.0))
    assert gate.look(12.0, since_look=NOTHING, since_sent=change(5)).reason == "changed"


def test_the_wait_for_stillness_tells_the_longer_of_both_times() -> None:
    decision = sent_gate(at=10.0).look(10.5, since_look=change(5), since_sent=change(5))
    assert (decision.reason, decision.look_again_in_s) == ("settling", pytest.approx(1.5))


def test_small_steps_add_up_against_the_frame_that_was_sent() -> None:
    gate = sent_gate()
    assert gate.look(10.0, since_look=change(1), since_sent=change(1)).reason == "cursor"
    gate.look(11.0, since_look=change(1, row=1), since_sent=change(2))
    assert gate.look(11.5, since_look=NOTHING, since_sent=change(2)).reason == "changed"


def test_a_change_that_is_taken_back_is_no_news() -> None:
    gate = sent_gate()
    gate.look(10.0, since_look=change(5), since_sent=change(5))
    assert gate.look(10.2, since_look=change(5), since_sent=NOTHING).reason == "same"
    again = gate.look(20.0, since_look=change(5), since_sent=change(5))
    assert again.reason == "settling"


def test_a_still_screen_is_sent_again_after_the_heartbeat() -> None:
    gate = sent_gate(GateSettings(heartbeat_s=60.0))
    early = gate.look(20.0, since_look=NOTHING, since_sent=NOTHING)
    assert (early.action, early.look_again_in_s) == ("same", pytest.approx(40.0))
    assert gate.look(60.0, since_look=NOTHING, since_sent=NOTHING).reason == "heartbeat"


def test_forgetting_makes_the_next_look_the_first() -> None:
    gate = sent_gate()
    gate.forget()
    assert gate.look(5.0, since_look=change(3), since_sent=change(3)).reason == "first"


def test_a_frame_that_was_not_sent_stays_news() -> None:
    gate = sent_gate()
    gate.look(10.0, since_look=change(5), since_sent=change(5))
    for now in (11.0, 12.0, 13.0):
        assert gate.look(now, since_look=NOTHING, since_sent=change(5)).action == "send"


def film(*, news: Tiles = NOTHING.tiles) -> Change:
    """What a film and, perhaps, something else changed."""
    tiles = FILM.union(news)
    return Change(tiles, (0, 0, 64, 32), tiles.count / 100, tiles.count, shapes=tiles, pictured=FILM)


def watch_film(gate: Gate, looks: int, start: float = 10.0) -> str:
    """Look at a film twice a second; the gate's last reason."""
    reason = ""
    for number in range(looks):
        reason = gate.look(start + number / 2, since_look=film(), since_sent=film()).reason
    return reason


def test_a_film_is_held_back_from_its_first_seconds_on_and_when_it_stops() -> None:
    gate = sent_gate()
    looks = [gate.look(10.0 + n / 2, since_look=film(), since_sent=film()) for n in range(40)]
    assert [look.action for look in looks] == ["wait"] * 3 + ["same"] * 37
    assert gate.look(30.5, since_look=NOTHING, since_sent=film()).reason == "restless"


def test_words_beside_a_film_are_sent_when_they_rest_though_it_plays_on() -> None:
    gate = sent_gate()
    watch_film(gate, 10)
    words = Tiles.block(10, 10, (9, 0, 9, 7))
    assert gate.look(15.0, since_look=film(news=words), since_sent=film(news=words)).reason == "settling"
    assert gate.look(15.5, since_look=film(), since_sent=film(news=words)).reason == "changed"


def test_a_log_that_runs_where_no_picture_is_stays_news() -> None:
    gate = sent_gate()
    log = Change(FILM, (0, 0, 64, 32), 0.2, FILM.count, shapes=FILM, pictured=NOTHING.tiles)
    looks = [gate.look(10.0 + n / 2, since_look=log, since_sent=log) for n in range(7)]
    assert [look.reason for look in looks] == ["settling"] * 6 + ["changed"]


def test_a_page_that_follows_a_film_is_news() -> None:
    gate = sent_gate()
    watch_film(gate, 10)
    page = Change(FILM, (0, 0, 64, 32), 0.2, FILM.count, shapes=FILM, pictured=NOTHING.tiles)
    assert gate.look(40.0, since_look=page, since_sent=page).reason == "settling"
    assert gate.look(40.5, since_look=NOTHING, since_sent=page).reason == "changed"


def test_a_wheel_larger_than_a_cursor_is_restless_in_the_end() -> None:
    gate = sent_gate()
    wheel = change(4)
    looks = [gate.look(10.0 + n / 2, since_look=wheel, since_sent=wheel).reason for n in range(5)]
    assert looks == ["settling"] * 3 + ["restless"] * 2


@pytest.mark.parametrize(
    ("shapes", "reason"),
    [
        (Tiles(10, 10), "colours"),
        (Tiles.block(10, 10, (0, 0, 0, 0)), "colours"),
        (Tiles.block(10, 10, (0, 0, 1, 1)), "colours"),
        (Tiles.block(10, 10, (0, 0, 0, 4)), "settling"),
        (Tiles.block(10, 10, (0, 0, 5, 9)), "settling"),
    ],
)
def test_other_colours_are_no_news_unless_words_changed_among_them(shapes: Tiles, reason: str) -> None:
    theme = Change(Tiles.full(10, 10), (0, 0, 640, 320), 1.0, 100, shapes=shapes, pictured=NOTHING.tiles)
    assert sent_gate().look(10.0, since_look=theme, since_sent=theme).reason == reason


def test_spots_of_other_shapes_count_when_there_is_little_else() -> None:
    few = Tiles.block(10, 10, (0, 0, 0, 2))
    words = Change(Tiles.block(10, 10, (0, 0, 0, 4)), (0, 0, 64, 32), 0.05, 5, shapes=few, pictured=NOTHING.tiles)
    assert sent_gate().look(10.0, since_look=words, since_sent=words).reason == "settling"


@given(
    st.lists(st.tuples(st.floats(0.01, 3.0), st.integers(0, 9), st.integers(0, 9), st.booleans()), max_size=60),
    st.floats(0, 5),
    st.floats(0, 5),
    st.floats(0, 10),
)
def test_whatever_happens_pictures_keep_their_distance_and_waits_end(
    looks: list[tuple[float, int, int, bool]], settle_s: float, max_settle_s: float, min_interval_s: float
) -> None:
    settings = GateSettings(settle_s=settle_s, max_settle_s=max_settle_s, min_interval_s=min_interval_s)
    gate = sent_gate(settings)
    now = sent_at = 0.0
    news_since: float | None = None
    for passed_s, moved, news, publish in looks:
        now += passed_s
        if publish:
            gate.published("a note", now)
        decision = gate.look(
            now,
            since_look=change(moved) if moved else NOTHING,
            since_sent=change(news) if news else NOTHING,
        )
        assert decision.reason in REASONS
        if decision.action == "wait":
            assert decision.look_again_in_s is not None
            assert 0 < decision.look_again_in_s <= max(settle_s, max_settle_s, min_interval_s) + 1e-6
            news_since = now if news_since is None else news_since
            assert now - max(news_since + max_settle_s, sent_at + min_interval_s) < 1e-6
        elif decision.action == "same":
            assert news < settings.min_tiles or decision.reason in {"echo", "restless"}
            news_since = None
        else:
            assert now - sent_at >= min_interval_s - 1e-6
            gate.sent(now)
            sent_at, news_since = now, None
