"""The commands as a whole, and those about the daemon itself: hello, wait, status, config."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

import hudd.wire
from hudd.wire.installation import Installation
from hudd.wire.table import METHODS, PROTOCOL_NEWEST, PROTOCOL_OLDEST
from tests.fakes.clock import settle
from tests.fakes.command_house import House, refused
from tests.fakes.keeping import KeepingRoom
from tests.fakes.reload import ReloadRoom

PROTOCOL = (Path(hudd.wire.__path__[0]) / "PROTOCOL.md").read_text(encoding="utf-8")


def documented(method: str) -> set[str]:
    """The top-level keys that PROTOCOL.md promises for a method's result."""
    (row,) = re.findall(rf"^\| `{re.escape(method)}` \|.*\| ([^|]*) \|$", PROTOCOL, re.MULTILINE)
    found = re.search(r"\{(.*)\}", row)
    if found is None:
        return set()
    flat = found[1]
    while (flatter := re.sub(r"[{\[][^{}\[\]]*[}\]]", "", flat)) != flat:
        flat = flatter
    return {part.split(":")[0].strip() for part in flat.split(",")}


# ------------------------------------------------------------------------------------------------ the table


async def test_there_is_a_function_for_every_method_of_the_table_and_none_besides() -> None:
    own, more = set(House().commands.handlers()), set(KeepingRoom().keeping.handlers())
    reload = set(ReloadRoom().reload.handlers())
    assert own | more | reload == {method.name for method in METHODS}
    assert not own & more


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("hello", {}),
        ("pause", {"for_s": 60}),
        ("resume", {}),
        ("wait", {}),
        ("notes.search", {}),
        ("errors", {}),
        ("config", {}),
    ],
)
async def test_each_result_has_the_keys_of_the_document(method: str, params: dict[str, Any]) -> None:
    promised = documented(method)
    assert promised
    assert promised <= set(await House().ask(method, **params))


async def test_a_page_of_replay_has_the_keys_of_the_document() -> None:
    assert set(await House().ask("notes.since", seq=0)) == {"stream", "notes", "more", "oldest", "head", "fresh"}


# ------------------------------------------------------------------------------------------------ hello


async def test_hello_tells_who_answers_and_what_it_can() -> None:
    house = House()
    answer = await house.ask("hello", client="hudctl 0.1.0", protocol=[PROTOCOL_OLDEST, PROTOCOL_NEWEST + 3])
    assert answer["protocol"] == [PROTOCOL_OLDEST, PROTOCOL_NEWEST]
    assert (answer["pid"], answer["instance"], answer["stream"]) == (4711, "i1", "s1")
    assert answer["capabilities"] == sorted(house.commands.handlers())


@pytest.mark.parametrize("asked", [[PROTOCOL_NEWEST + 1, PROTOCOL_NEWEST + 2], [0, PROTOCOL_OLDEST - 1]])
async def test_versions_that_do_not_meet_are_refused_with_the_fix(asked: list[int]) -> None:
    error = await refused(House(), "hello", protocol=asked)
    assert error.code == "E_VERSION"
    older = asked[1] < PROTOCOL_OLDEST
    assert error.hint == (
        "The client is older; bring it up to date."
        if older
        else f"hudd is older: bring it up to date with: {Installation.find().upgrade()}, then restart it."
    )


@pytest.mark.parametrize("asked", [[1], [1, 2, 3], ["1", "2"], [2, 1], [-1, 1], [1.5, 2]])
async def test_a_protocol_that_is_no_pair_is_a_wrong_argument(asked: list[Any]) -> None:
    assert (await refused(House(), "hello", protocol=asked)).code == "E_ARGS"


async def test_only_a_streaming_client_that_tells_pid_and_window_has_its_window_ignored() -> None:
    house = House()
    await house.ask("hello", pid=7, window=99, streaming=True)
    await house.ask("hello", pid=8, window=99)
    await house.ask("hello", pid=8, streaming=True)
    await house.ask("hello", window=99, streaming=True)
    await house.ask("hello", pid=0, window=99, streaming=True)
    assert house.clients == [(7, 99)]


async def test_a_refused_client_has_no_window() -> None:
    house = House()
    await refused(house, "hello", protocol=[90, 91], pid=7, window=99, streaming=True)
    assert house.clients == []


async def test_hello_carries_what_a_person_has_to_read_until_somebody_says_that_it_was_read() -> None:
    house = House()
    assert (await house.ask("hello"))["first_use"] == "It costs money."
    await house.ask("status")
    assert (await house.ask("hello"))["first_use"] == "It costs money."
    await house.ask("status", first_use_told=True)
    assert (await house.ask("hello"))["first_use"] == ""


# ------------------------------------------------------------------------------------------------ wait


@pytest.mark.parametrize("goal", ["ready", "connected"])
async def test_wait_answers_at_once_when_the_state_is_reached(goal: str) -> None:
    answer = await House().ask("wait", **{"for": goal})
    assert answer["reached"] == goal


async def test_ready_means_connected_and_free_to_send() -> None:
    house = House()
    house.connection = "connecting"
    house.facts.set("paused", True)
    ready = asyncio.create_task(house.ask("wait"))
    connected = asyncio.create_task(house.ask("wait", **{"for": "connected"}))
    await settle()
    house.tell("configuring")
    await settle()
    assert not connected.done()
    house.tell("ready")
    assert (await connected)["connection"] == "ready"
    assert not ready.done()
    house.facts.set("paused", False)
    house.tell("ready")
    assert (await ready)["reached"] == "ready"


async def test_wait_for_a_note_waits_for_the_next_one() -> None:
    house = House()
    waiting = asyncio.create_task(house.ask("wait", **{"for": "note"}))
    await settle()
    assert not waiting.done()
    house.noted.set()
    assert await waiting == {"reached": "note"}


# ------------------------------------------------------------------------------------------------ status, config


async def test_status_and_config_are_handed_through() -> None:
    house = House()
    assert await house.ask("status") == {"schema": 1}
    assert (await house.ask("config"))["settings"] == []
