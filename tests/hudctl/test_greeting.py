from __future__ import annotations

from hudctl.greeting import GIVE_UP_S, Greeting


def test_each_daemon_is_greeted_once() -> None:
    greeting = Greeting()
    assert not greeting.due(0.0)
    greeting.met("a", 0.0)
    assert greeting.due(1.0), "until it was said"
    greeting.said()
    assert not greeting.due(1.0)
    greeting.met("a", 2.0)
    assert not greeting.due(2.0), "a welcome after a reconnect"
    greeting.met("b", 3.0)
    assert greeting.due(3.0), "another daemon"


def test_a_daemon_that_takes_no_hello_is_given_up_until_its_next_welcome() -> None:
    greeting = Greeting()
    greeting.met("a", 0.0)
    assert not greeting.due(GIVE_UP_S)
    greeting.met("a", 9.0)
    assert greeting.due(9.0)
