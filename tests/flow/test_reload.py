from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from hudd.config.settings import Settings
from hudd.errors import CommandError, SettingsError
from tests.fakes.clock import settle
from tests.fakes.reload import ReloadRoom as Room
from tests.fakes.reload import read


async def test_the_service_manager_hears_of_it_before_and_after() -> None:
    room = Room()
    room.next_ = read(20)
    answer = await room.ask()
    assert room.log == ["reloading", "put 20", "resume", "state", "settled", "ready"]
    assert answer == {
        "schema": 1,
        "file": "/config.toml",
        "changed": [{"key": "gate.luma_step", "old": 16, "new": 20, "applied": "live"}],
        "notes": [],
    }


async def test_two_reloads_follow_each_other() -> None:
    room = Room()
    room.free.clear()
    room.next_ = read(20)
    first = asyncio.create_task(room.ask())
    await asyncio.to_thread(room.reading.wait)
    second = asyncio.create_task(room.ask())
    await settle()
    assert room.log == ["reloading"]
    room.free.set()
    assert len((await first)["changed"]) == 1
    room.next_ = read(16)
    await second
    assert [line for line in room.log if line in ("reloading", "ready")] == ["reloading", "ready"] * 2


async def test_a_flood_of_requests_makes_no_queue() -> None:
    room = Room()
    room.free.clear()
    room.next_ = read(20)
    first = asyncio.create_task(room.ask())
    await asyncio.to_thread(room.reading.wait)
    flood = [asyncio.create_task(room.ask()) for _ in range(50)]
    await settle()
    for asking in flood[:49]:
        asking.cancel()
    room.free.set()
    await first
    assert await flood[49], "who stayed gets an answer"
    assert room.log.count("reloading") == 2


async def test_a_client_that_leaves_does_not_stop_it() -> None:
    room = Room()
    room.free.clear()
    room.next_ = read(20)
    asking = asyncio.create_task(room.ask())
    await asyncio.to_thread(room.reading.wait)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    room.free.set()
    await room.ask()
    assert room.loaded.settings.gate.luma_step == 20
    assert room.log.count("ready") == 2


async def test_mistakes_are_answered_all_at_once_and_nothing_changes() -> None:
    room = Room()
    room.next_ = SettingsError(["One is wrong.", "Two is wrong."])
    with pytest.raises(CommandError) as refused:
        await room.ask()
    assert (refused.value.code, refused.value.hint) == ("E_ARGS", "One is wrong.\nTwo is wrong.")
    assert room.log == ["reloading", "ready"]
    assert room.errors == []


async def test_after_a_signal_mistakes_are_told_as_an_error(caplog: pytest.LogCaptureFixture) -> None:
    room = Room()
    room.next_ = SettingsError(["One is wrong.", "Two is wrong."])
    room.reload.signalled()
    await room.done.wait()
    await settle()
    [error] = room.errors
    assert error.code == "settings"
    assert "One is wrong. Two is wrong." in error.sentence
    assert not [record for record in caplog.records if record.levelname == "ERROR"], "told once, not twice"


async def test_a_signal_reloads() -> None:
    room = Room()
    room.next_ = read(20)
    room.reload.signalled()
    await room.done.wait()
    assert room.log == ["reloading", "put 20", "resume", "state", "settled", "ready"]


async def test_a_mistake_of_ours_is_not_lost_when_nobody_waits(caplog: pytest.LogCaptureFixture) -> None:
    room = Room()
    room.broken = True
    room.reload.signalled()
    await room.done.wait()
    await settle()
    assert "broken" in caplog.text


async def test_a_file_that_has_vanished_is_no_wish_for_defaults() -> None:
    room = Room()
    room.next_ = read(20, file=None)
    with pytest.raises(CommandError) as refused:
        await room.ask()
    assert "/config.toml is gone" in refused.value.hint
    assert room.loaded.settings.gate.luma_step == 16


async def test_without_a_file_at_the_start_one_may_come() -> None:
    room = Room()
    room.loaded = read(16, file=None)
    room.next_ = read(20)
    assert (await room.ask())["file"] == "/config.toml"


async def test_a_model_that_is_another_one_without_a_changed_key_needs_a_new_session() -> None:
    room = Room()
    room.other_model = True
    await room.ask()
    assert "resume" not in room.log
    assert any("another session" in line for line in room.log)


async def test_long_values_and_texts_are_short_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    room = Room()
    caplog.set_level("INFO")
    settings = Settings()
    room.next_ = replace(
        read(16), settings=replace(settings, notes=replace(settings.notes, instructions="word " * 500))
    )
    await room.ask()
    [line] = [record.getMessage() for record in caplog.records if "notes.instructions" in record.getMessage()]
    assert len(line) < 150
