from __future__ import annotations

from hudd.config.settings import GateSettings
from hudd.screen.change import Change, Tiles
from hudd.screen.echo import ECHO_S, Echo
from hudd.screen.gate import Gate

COLUMNS, ROWS = 20, 30


def lines(first: int, last: int, left: int = 2, right: int = 10) -> Change:
    tiles = Tiles.block(COLUMNS, ROWS, (first, left, last, right))
    return Change(tiles, (0, 0, 1, 1), tiles.count / (COLUMNS * ROWS), tiles.count)


def printed(echo: Echo, key: str, now: float, change: Change) -> None:
    """A note goes out and a terminal prints it a moment later."""
    echo.published(key, now)
    echo.moved(change, now + 0.1)


def test_the_same_lines_changing_after_each_note_are_an_echo() -> None:
    echo = Echo()
    printed(echo, "1", 0.0, lines(5, 6))
    assert not echo.holds(lines(5, 6))
    printed(echo, "2", 10.0, lines(5, 6))
    assert echo.holds(lines(5, 6))


def test_a_terminal_that_is_not_full_prints_the_next_note_below() -> None:
    echo = Echo()
    printed(echo, "1", 0.0, lines(5, 6))
    printed(echo, "2", 10.0, lines(7, 8))
    assert echo.holds(lines(7, 8))


def test_a_change_elsewhere_is_no_echo() -> None:
    echo = Echo()
    printed(echo, "1", 0.0, lines(5, 6))
    printed(echo, "2", 10.0, lines(5, 6))
    assert not echo.holds(lines(20, 21))
    assert not echo.holds(Change(lines(5, 6).tiles.union(lines(20, 20).tiles), None, 0.1, 5))


def test_a_person_who_works_in_the_same_place_is_not_taken_for_an_echo() -> None:
    echo = Echo()
    printed(echo, "1", 0.0, lines(5, 6))
    echo.moved(lines(6, 6), ECHO_S + 3.0)
    printed(echo, "2", 10.0, lines(5, 6))
    echo.moved(lines(6, 6), 10.0 + ECHO_S + 1.0)
    assert not echo.holds(lines(5, 6))


def test_nothing_is_an_echo_while_nothing_was_published() -> None:
    echo = Echo()
    for now in range(10):
        echo.moved(lines(5, 6), float(now))
    assert not echo.holds(lines(5, 6))


def test_the_pieces_of_one_note_count_as_one() -> None:
    echo = Echo()
    for piece in range(5):
        printed(echo, "1", 0.3 * piece, lines(5, 5 + piece))
    assert not echo.holds(lines(5, 9))
    printed(echo, "2", 10.0, lines(5, 6))
    assert echo.holds(lines(5, 6))


def test_a_note_that_nobody_printed_does_not_break_the_rule() -> None:
    echo = Echo()
    printed(echo, "1", 0.0, lines(5, 6))
    echo.published("2", 10.0)
    printed(echo, "3", 20.0, lines(5, 6))
    assert echo.holds(lines(5, 6))


def test_another_screen_size_forgets_where_notes_were_printed() -> None:
    echo = Echo()
    printed(echo, "1", 0.0, lines(5, 6))
    printed(echo, "2", 10.0, lines(5, 6))
    other = Change(Tiles.block(10, 10, (5, 2, 6, 8)), None, 0.1, 9)
    assert not echo.holds(other)
    echo.forget()
    assert not echo.holds(lines(5, 6))


def follow(seconds: int, note_after_s: float = 1.2) -> int:
    """A still screen with somebody printing every note into a terminal that hudd cannot find. Counts the pictures."""
    gate = Gate(GateSettings())
    sent_lines = printed_lines = looked_lines = 0
    due: list[float] = [note_after_s]
    gate.look(0.0, since_look=None, since_sent=None)
    gate.sent(0.0)
    pictures = 1

    def since(before: int) -> Change:
        if before == printed_lines:
            return Change(Tiles(COLUMNS, ROWS))
        # The terminal is full after 12 lines; from then on all of it scrolls.
        return lines(3, 14) if printed_lines > 12 else lines(3 + before, 2 + printed_lines)

    for tick in range(1, seconds * 4):
        now = tick * 0.25
        if due and now >= due[0]:
            due.pop(0)
            gate.published(f"note {pictures}", now)
            printed_lines += 2
        decision = gate.look(now, since_look=since(looked_lines), since_sent=since(sent_lines))
        looked_lines = printed_lines
        if decision.action == "send":
            pictures += 1
            sent_lines = printed_lines
            gate.sent(now)
            due.append(now + note_after_s)
    return pictures


def test_a_follower_in_an_unknown_window_makes_at_most_two_notes() -> None:
    assert follow(120) <= 2
