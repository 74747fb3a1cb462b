"""Answers of a daemon as text for people: word for word, in any width, and whatever stands in them."""

from __future__ import annotations

import re
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from hudctl import render
from hudctl.words import cells
from tests.fakes.rendered import BERLIN, CONFIG, COST, ERRORS, FOUND, GOLDEN, NOTE, STATUS


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


@pytest.mark.parametrize(("function", "body", "width", "text"), GOLDEN)
def test_golden_texts(function: Any, body: Any, width: int, text: str):
    assert function(body, width=width, zone=BERLIN) + "\n" == text


@pytest.mark.parametrize(("function", "body", "width", "text"), GOLDEN)
def test_colours_change_no_letter_and_no_line(function: Any, body: Any, width: int, text: str):
    coloured = function(body, colour=True, width=width, zone=BERLIN)
    assert "\x1b[" in coloured
    assert plain(coloured) + "\n" == text
    assert "\x1b" not in text


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_text_fits_the_terminal(width: int):
    for function, body in (
        (render.render_status, STATUS),
        (render.render_notes, FOUND),
        (render.render_errors, ERRORS),
    ):
        text = function(body, width=width, zone=BERLIN)  # type: ignore[operator]
        assert max(cells(row) for row in text.splitlines()) <= width


def test_without_a_width_nothing_is_wrapped():
    assert len(render.render_note(NOTE, width=0, zone=BERLIN).splitlines()) == 1


def test_a_source_with_a_long_name_does_not_squeeze_the_text():
    note = {**NOTE, "snap": {"pictures": [{"name": "a-very-long-monitor-name-of-some-vendor"}]}}
    first, second, *_ = render.render_note(note, width=60, zone=BERLIN).splitlines()
    assert first == "10:31:06 CET  #1042  a-very-long-monitor-name-of-some-vendor"
    assert second.startswith("    A terminal shows four failing tests")


def test_the_footer_of_a_snap():
    assert render.render_snap_footer(NOTE, zone=BERLIN) == (
        "#1042 · eDP-1 · 10:31:06 CET · service, gpt-realtime-1.5 · 1.2 s · $0.0041"
    )
    local = {**NOTE, "engine": "local", "model": "local", "cost_microusd": 0, "complete": False}
    assert render.render_snap_footer(local, zone=BERLIN).endswith("local, local · 1.2 s · free · cut")
    unknown = {**NOTE, "cost_microusd": None}
    assert render.render_snap_footer(unknown, zone=BERLIN).endswith(" · unknown")


@pytest.mark.parametrize(
    ("total_ms", "words"), [(0, "1 ms"), (42.4, "42 ms"), (99.4, "99 ms"), (100, "0.1 s"), (1240, "1.2 s")]
)
def test_a_short_time_is_told_in_milliseconds(total_ms: float, words: str):
    footer = render.render_snap_footer({**NOTE, "timing_ms": {"total": total_ms}}, zone=BERLIN)
    assert f" · {words} · $" in footer


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, "yes"),
        ({"connection": "connecting"}, "allowed, but not connected"),
        ({"capture": {"state": "no_display"}}, "allowed, but no picture"),
        ({"connection": "connecting", "capture": {"state": "no_display"}}, "allowed, but not connected, no picture"),
        ({"sending": {"allowed": False, "reasons": ["not_connected"]}}, "allowed, but not connected"),
        ({"sending": {"allowed": False, "reasons": ["locked", "no_picture"]}}, "no: locked, no picture"),
        ({"sending": {"allowed": True, "automatic": False, "reasons": ["cap_near"]}}, "only what you ask for"),
        ({"sending": {"allowed": False, "reasons": []}}, "no"),
    ],
)
def test_sending_is_yes_only_when_a_picture_would_really_leave(change: dict[str, Any], words: str):
    ready: dict[str, Any] = {
        **STATUS,
        "connection": "ready",
        "sending": {"allowed": True, "automatic": True, "reasons": []},
    }
    text = render.render_status({**ready, **change}, width=120, zone=BERLIN)
    assert f"  sending      {words}\n" in text


def test_pictures_that_failed_are_a_trouble():
    for number, words in ((1, "1 picture that failed"), (3, "3 pictures that failed")):
        assert words in render.render_status({**STATUS, "counters": {"capture_errors": number}}, zone=BERLIN)


def test_versions_that_differ_say_what_to_do_after_an_upgrade():
    body = {"hudctl": "0.2.0", "protocol": [1, 1], "hudd": {"version": "0.1.0", "pid": 7}}
    told = render.render_versions(body, width=60)
    assert told.splitlines()[:2] == ["hudctl 0.2.0 (protocol 1 to 1)", "hudd 0.1.0 (pid 7)"]
    assert "restart it" in told
    assert "hudctl service restart" in told
    assert max(map(len, told.splitlines())) <= 60
    same = render.render_versions({**body, "hudd": {"version": "0.2.0", "pid": 7}})
    assert same.splitlines() == ["hudctl 0.2.0 (protocol 1 to 1)", "hudd 0.2.0 (pid 7)"]
    assert render.render_versions({**body, "hudd": None}).endswith("\nhudd is not running")


def test_empty_answers_say_so():
    assert render.render_notes([]) == "No notes."
    assert render.render_notes({"notes": []}) == "No notes."
    assert render.render_errors({"errors": []}) == "No errors."
    assert render.render_cost({"rows": []}) == "Cost of everything in the journal\nNo answers."
    assert render.render_config({"file": None, "settings": []}) == "# There is no settings file."


def test_status_of_a_daemon_at_ease():
    status: dict[str, Any] = {
        **STATUS,
        "connection": "ready",
        "sentence": "",
        "next_try_s": None,
        "responding": 0,
        "pause": None,
        "reading": None,
        "sending": {"allowed": True, "reasons": []},
        "last_errors": [],
        "counters": {"frames": 1, "same": 0, "sent": 1, "notes": 1},
    }
    text = render.render_status(status, zone=BERLIN)
    assert "connection   ready since 2026-11-21 10:31:06 CET\n" in text
    assert "sending      yes\n" in text
    assert "notes        1 note since the start; 1 frame, 0 the same, 1 sent\n" in text
    for absent in ("pause", "trouble", "reading", "last errors", "next try"):
        assert absent not in text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"connection": "needs_attention"}, "needs your attention"),
        ({"connection": "flapping"}, "breaks again and again"),
        ({"connection": "some_new_state"}, "some_new_state"),
        ({"rollover": "opening"}, "moving to a new session"),
        ({"rollover": "stopped"}, "but the session after this one was refused"),
        (
            {"pause": {"since": "2026-11-21T09:00:00Z", "until": "2026-11-21T10:00:00Z", "why": ""}},
            "until 2026-11-21 11:00:00 CET",
        ),
        (
            {"capture": {"state": "no_display", "sentence": "There is no display; hudd waits for one."}},
            "no display\n               There is no display",
        ),
        ({"capture": {"state": "watching", "degraded": "No shared memory: slower."}}, "No shared memory: slower."),
        ({"journal": {"path": "/j", "set_aside": "/j.broken"}}, "set aside as /j.broken"),
        ({"journal": {"set_aside": "/j.broken", "spent": "It counts."}}, "set aside as /j.broken. It counts."),
        (
            {"journal": {"set_aside": "/j.broken", "spent": "It counts.", "paused": "It holds."}},
            "set aside as /j.broken. It counts. It holds.",
        ),
        ({"engine": "local", "model": "local", "session": {"id": ""}}, "the embedded engine, local, answering"),
        ({"subscribers": {"total": 0, "by_topic": {}}}, "subscribers  0\n"),
        (
            {"peers": {"control": 300, "notes": 1200, "full": True}},
            "clients      1,500 are connected; others wait until some of them leave\n",
        ),
        (
            {"pending": {"bus.note_queue": 512, "journal.search": False}},
            "settings     bus.note_queue, journal.search: the new value is in force after a restart of hudd\n",
        ),
    ],
)
def test_what_is_unusual_is_told(change: dict[str, Any], words: str):
    assert words in render.render_status({**STATUS, **change}, width=120, zone=BERLIN)


def test_an_unknown_price_is_not_nothing():
    row = {"engine": "service", "model": "new", "trigger": "manual", "answers": 1, "microusd": None}
    text = render.render_cost({"rows": [row], "total": {"answers": 1, "microusd": None}})
    assert text.count("unknown") == 2
    assert "assumed" not in text


def test_config_can_be_pasted_into_a_file():
    import tomllib

    text = render.render_config(CONFIG)
    assert tomllib.loads(text) == {"realtime": {"use": "service"}, "screen": {"monitors": []}}


def test_other_times_and_money():
    assert render.local_time("2026-11-21T09:31:06Z", zone=BERLIN) == "2026-11-21 10:31:06 CET"
    assert render.money(4100) == "$0.0041"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def spoilt(body: Any) -> st.SearchStrategy[Any]:
    """The same shape with anything in some places."""
    if isinstance(body, dict):
        fields = cast("dict[str, Any]", body)
        return st.fixed_dictionaries({}, optional={key: spoilt(value) for key, value in fields.items()}) | JSON
    if isinstance(body, list):
        items = cast("list[Any]", body)
        return (st.lists(spoilt(items[0]), max_size=3) if items else st.just(items)) | JSON
    return st.just(body) | JSON


EVIL = "\x1b]0;x\x07\x1b[2J\u202e"


@pytest.mark.parametrize(
    ("function", "body"),
    [
        (render.render_status, STATUS),
        (render.render_notes, {"notes": [NOTE]}),
        (render.render_note, NOTE),
        (render.render_snap_footer, NOTE),
        (render.render_cost, COST),
        (render.render_errors, ERRORS),
        (render.render_config, CONFIG),
    ],
)
def test_anything_can_be_shown_and_nothing_steers_the_terminal(function: Any, body: dict[str, Any]):
    @examples(deadline=None, max_examples=60)
    @given(spoilt(body), st.sampled_from([0, 30, 80]))
    def show(some: Any, width: int) -> None:
        text = function(some if isinstance(some, dict) else {}, width=width, zone=BERLIN)
        assert "\x1b" not in text
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)

    show()


def poisoned(body: Any) -> Any:
    """The same with signs that steer a terminal before each text."""
    if isinstance(body, dict):
        return {key: poisoned(value) for key, value in cast("dict[str, Any]", body).items()}
    if isinstance(body, list):
        return [poisoned(value) for value in cast("list[Any]", body)]
    return f"{EVIL}{body}" if isinstance(body, str) else body


@pytest.mark.parametrize(("function", "body", "width", "text"), GOLDEN)
def test_no_field_can_steer_the_terminal(function: Any, body: Any, width: int, text: str):
    shown = function(poisoned(body), width=width, zone=BERLIN)
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "\x07" not in shown
