"""The commands that read the journal: notes, errors and cost."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudd.errors import CommandError
from hudd.wire.codec import WrittenJson
from tests.fakes.command_house import Asked, House, refused
from tests.fakes.journal import make_note


async def test_a_page_continues_from_the_number_in_the_present_stream() -> None:
    house = House()
    house.store.notes = [make_note(seq=n) for n in (5, 6, 7)]
    for stream in ("s1", ""):
        page = await house.ask("notes.since", stream=stream, seq=5, topic_prefix="note/eDP-1/", limit=1)
        assert [n["seq"] for n in json.loads(page["notes"].text)] == [6]
        assert (page["fresh"], page["more"], page["head"], page["oldest"]) == (False, True, 9, 1)
        assert house.store.asked[-1] == {"seq": 5, "topic_prefix": "note/eDP-1/", "limit": 1}


async def test_a_number_of_another_journal_begins_at_the_first_note() -> None:
    house = House()
    house.store.notes = [make_note(seq=n) for n in (1, 2)]
    page = await house.ask("notes.since", stream="other", seq=99)
    assert page["fresh"] is True
    assert page["stream"] == "s1"
    assert [n["seq"] for n in json.loads(page["notes"].text)] == [1, 2]


@pytest.mark.parametrize(("seq", "fresh"), [(0, False), (1, True), (40, True), (41, False), (99, False)])
async def test_a_number_with_pruned_notes_above_it_is_fresh(seq: int, fresh: bool) -> None:
    house = House()
    house.store.oldest = 42
    assert (await house.ask("notes.since", seq=seq))["fresh"] is fresh


async def test_a_number_above_the_head_of_one_topic_is_not_fresh() -> None:
    # The consumer's number is of all topics, the head of those it asks for.
    page = await House().ask("notes.since", seq=500, topic_prefix="note/HDMI-1/")
    assert page["fresh"] is False
    assert page["notes"] == WrittenJson("[]")


async def test_a_search_is_handed_on_and_times_are_read() -> None:
    house = House()
    await house.ask("notes.search", since="2026-11-21T10:00:00+01:00", until=1_800_000_000, grep="larkspur", before=7)
    assert house.store.asked == [
        {
            "since": 1_795_251_600.0,
            "until": 1_800_000_000.0,
            "search": None,
            "grep": "larkspur",
            "before": 7,
            "limit": 50,
            "reverse": False,
        }
    ]


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"search": "a", "grep": "b"}, "exclude each other"),
        ({"grep": "/(/"}, "expression is invalid"),
        ({"search": "off"}, "index is off"),
        ({"since": -1e11 + 1}, "out of range"),
    ],
)
async def test_a_search_that_makes_no_sense_is_a_wrong_argument_in_one_sentence(
    params: dict[str, Any], words: str
) -> None:
    error = await refused(House(), "notes.search", **params)
    assert error.code == "E_ARGS"
    assert words in error.message
    assert error.message.endswith(".")
    assert not error.message.endswith("..")


@given(st.one_of(st.floats(), st.text(max_size=30), st.none(), st.booleans(), st.integers()))
async def test_any_time_is_a_moment_or_a_wrong_argument(value: Any) -> None:
    house = House()
    for method in (house.commands.errors, house.commands.cost):
        try:
            answer = await method(Asked({"since": value}))
        except CommandError as error:
            assert error.code == "E_ARGS"  # noqa: PT017 - most values may do either
        else:
            assert answer


async def test_errors_and_cost_hand_on_their_range() -> None:
    house = House()
    assert await house.ask("errors", since=1, until=2, limit=3) == {"schema": 1, "errors": []}
    assert house.store.asked == [{"since": 1.0, "until": 2.0, "limit": 3}]
    await house.ask("cost", since=1)
    assert house.asked_cost == [(1.0, None)]
