"""What ``hudctl status`` shows of privacy."""

from __future__ import annotations

from hudctl.privacy_view import privacy_rows


def test_only_what_a_person_should_know_is_shown() -> None:
    facts = [
        {"name": "lock", "state": "known", "sentence": ""},
        {"name": "session", "state": "failing", "sentence": "It is\x1b[2J silent."},
        {"name": "windows", "state": "not_available", "sentence": "They are hidden."},
    ]
    rows = privacy_rows({"privacy": {"facts": facts}})
    assert [(head, colour) for head, _, colour in rows] == [("privacy", "red"), ("", None)]
    assert rows[1][1] == "not known here: windows (why: hudctl status --json)"
    assert "\x1b" not in rows[0][1]


def test_a_daemon_that_tells_nothing_of_it_shows_nothing() -> None:
    assert privacy_rows({}) == []
    assert privacy_rows({"privacy": "?"}) == []
