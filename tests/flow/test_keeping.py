from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hudd.errors import CommandError, StorageError
from hudd.flow.keeping import DAY_S, Rules
from hudd.notes.keeping import Span
from hudd.wire.params import check_params
from hudd.wire.table import METHOD_BY_NAME
from tests.fakes.clock import settle
from tests.fakes.journal import make_note
from tests.fakes.keeping import KeepingRoom


async def ask(room: KeepingRoom, method: str, **params: Any) -> dict[str, Any]:
    """Ask as the command server does: parameters checked by the table first."""
    checked = check_params(METHOD_BY_NAME[method], params)
    async with asyncio.timeout(10):
        return await room.keeping.handlers()[method](SimpleNamespace(params=checked))


@asynccontextmanager
async def running(room: KeepingRoom) -> AsyncIterator[None]:
    task = asyncio.create_task(room.keeping.run())
    await settle()
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_mark_and_its_end_and_no_such_note() -> None:
    room = KeepingRoom()
    assert await ask(room, "notes.mark", seq=7) == {"schema": 1, "seq": 7, "keep": True}
    assert (await ask(room, "notes.mark", seq=7, keep=False))["keep"] is False
    assert room.upkeep.calls == [("mark", 7, True), ("mark", 7, False)]
    with pytest.raises(CommandError, match="There is no note 8"):
        await ask(room, "notes.mark", seq=8)


async def test_prune_goes_by_the_settings_or_by_an_age_and_may_only_tell() -> None:
    room = KeepingRoom(Rules(keep_days=30, max_mb=5))
    now = room.clock.wall()
    answer = await ask(room, "journal.prune", dry_run=True)
    assert answer == {
        "schema": 1,
        "dry_run": True,
        "limits": True,
        "notes": 3,
        "kept": 1,
        "first": 1,
        "last": 4,
        "oldest": "1970-01-01T00:01:40.000Z",
        "newest": "1970-01-01T00:03:20.000Z",
        "bytes": 3000,
    }
    assert room.told == 0
    await ask(room, "journal.prune")
    await ask(room, "journal.prune", older_than_s=60)
    assert room.upkeep.calls == [
        ("plan", now - 30 * DAY_S, 5_000_000),
        ("prune", now - 30 * DAY_S, 5_000_000),
        ("prune", now - 60, None),
    ]
    assert room.told == 2
    assert (await ask(KeepingRoom(), "journal.prune", dry_run=True))["limits"] is False


async def test_a_backup_needs_an_absolute_path() -> None:
    room = KeepingRoom()
    assert await ask(room, "journal.backup", path="/mnt/copy.db") == {
        "schema": 1,
        "path": "/mnt/copy.db",
        "bytes": 4096,
    }
    assert room.upkeep.calls == [("back_up", Path("/mnt/copy.db"))]
    for path in ("copy.db", "/mnt/\0"):
        with pytest.raises(CommandError, match="absolute") as told:
            await ask(room, "journal.backup", path=path)
        assert told.value.code == "E_ARGS"


async def test_no_backup_goes_where_the_sockets_are() -> None:
    room = KeepingRoom()
    for name in ("ctl.sock", "lock", "copy.db"):
        with pytest.raises(CommandError, match="runtime folder") as told:
            await ask(room, "journal.backup", path=f"/run/user/1000/hudd/{name}")
        assert (told.value.code, told.value.hint) == ("E_ARGS", "Name a file in another folder.")
    assert room.upkeep.calls == []


async def test_export_hands_on_range_and_page() -> None:
    room = KeepingRoom()
    room.upkeep.notes = [make_note(seq=4)]
    answer = await ask(room, "notes.export", since=1.0, until=2.0, after=3, limit=10)
    assert (answer["stream"], answer["more"], answer["notes"][0]["seq"]) == ("s1", False, 4)
    await ask(room, "notes.export")
    assert room.upkeep.calls == [("export", 1.0, 2.0, 3, 10), ("export", None, None, 0, 500)]


async def test_forgetting_empties_drops_renews_cleans_and_tells() -> None:
    room = KeepingRoom()
    now = room.clock.wall()
    withheld: list[tuple[str, ...]] = []
    epoch = room.facts.epoch
    room.upkeep.on_empty = lambda: withheld.append(room.facts.withheld())
    answer = await ask(room, "notes.forget", since=now - 600)
    span = Span(since=now - 600)  # every note that is there, also of a clock that was set back since
    assert room.upkeep.calls == [span, "finish"]
    assert room.dropped == [span, span]  # before, and for what was under way meanwhile
    assert room.renewed == 1
    assert withheld == [("forgetting",)]
    assert room.facts.reasons == ()
    assert room.facts.epoch > epoch  # pictures that were taken before do not leave
    assert room.told >= 1
    assert (answer["notes"], answer["first"], answer["last"], answer["cleaned"]) == (2, 5, 9, True)
    assert answer["copies"] == ["/state/journal.db.corrupt-1"]
    assert room.keeping.status()["forgotten"] == {k: answer[k] for k in ("time", "notes", "first", "last")}


async def test_an_answer_to_a_picture_of_a_forgotten_time_is_known_when_it_comes() -> None:
    room = KeepingRoom()
    now = room.clock.wall()
    await ask(room, "notes.forget", since=now - 600, until=now + 9999)
    assert room.keeping.is_forgotten(now - 1)
    assert not room.keeping.is_forgotten(now - 601)
    assert not room.keeping.is_forgotten(now + 1)  # the future was not meant, whatever was asked
    await room.clock.advance(901)
    assert not room.keeping.is_forgotten(now - 1)  # no answer takes so long
    await ask(room, "notes.forget", seq=5)
    assert not room.keeping.is_forgotten(now)


@pytest.mark.parametrize("params", [{}, {"seq": 5, "since": 1.0}, {"seq": 5, "until": 1.0}])
async def test_what_to_forget_must_be_said_in_one_way(params: dict[str, Any]) -> None:
    room = KeepingRoom()
    with pytest.raises(CommandError) as told:
        await ask(room, "notes.forget", **params)
    assert told.value.code == "E_ARGS"
    assert room.upkeep.calls == []


async def test_cleaning_that_is_not_possible_yet_is_said_and_is_no_failure() -> None:
    room = KeepingRoom()
    room.upkeep.held_by_reader = True
    answer = await ask(room, "notes.forget", seq=5)
    assert answer["cleaned"] is False
    assert "reader" in answer["sentence"]
    room.upkeep.cleaning_fails = StorageError("The disk is full.")
    answer = await ask(room, "notes.forget", seq=5)
    assert "The disk is full." in answer["sentence"]


async def test_a_client_that_leaves_does_not_stop_the_forgetting() -> None:
    room = KeepingRoom()
    asking = asyncio.create_task(ask(room, "notes.forget", seq=5))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    asking.cancel()
    await settle()
    assert asking.cancelled()
    assert room.upkeep.calls == [Span(seq=5), "finish"]


async def test_rules_are_applied_at_the_start_and_once_a_day() -> None:
    room = KeepingRoom(Rules(keep_days=30))
    room.upkeep.space = True
    now = room.clock.wall()
    async with running(room):
        assert room.upkeep.calls == ["prepare", "finish", ("prune", now - 30 * DAY_S, None)]
        await room.clock.advance(DAY_S - 1)
        assert len(room.upkeep.calls) == 3
        await room.clock.advance(2)
        assert room.upkeep.calls[3:] == ["prepare", "finish", ("prune", now - 29 * DAY_S, None)]


async def test_without_rules_nothing_is_pruned() -> None:
    room = KeepingRoom()
    async with running(room):
        await room.clock.advance(DAY_S + 1)
    assert room.upkeep.calls == ["prepare", "finish", "prepare", "finish"]


async def test_a_damaged_journal_that_is_found_later_is_told_and_asks_for_a_new_start() -> None:
    room = KeepingRoom(Rules(keep_days=30))
    room.upkeep.sound = False
    async with running(room):
        assert [(e.code, "its next start sets the file aside" in e.sentence) for e in room.errors] == [
            ("storage", True)
        ]
        assert room.keeping.damaged.is_set()
        assert room.upkeep.calls == ["prepare"], "nothing more is done with the file"


async def test_a_sound_journal_asks_for_nothing() -> None:
    room = KeepingRoom()
    async with running(room):
        assert not room.keeping.damaged.is_set()


async def test_a_full_disk_is_said_holds_everything_back_and_is_tried_until_there_is_space() -> None:
    room = KeepingRoom()
    async with running(room):
        room.upkeep.calls.clear()
        room.upkeep.fail()
        await settle()
        assert room.facts.reasons == ("storage",)
        assert room.keeping.status()["degraded"] == "storage"
        assert "disk is full" in room.keeping.status()["sentence"]
        assert [e.code for e in room.errors] == ["storage"]
        room.upkeep.fail()  # others fail meanwhile: nothing new
        await room.clock.advance(60)
        probes = len(room.upkeep.calls)
        assert 14 <= probes <= 18  # 0.5, 1, 2, 4, 4, 4 …
        room.upkeep.space = True
        await room.clock.advance(4.0)  # at the latest
        assert room.facts.reasons == ()
        assert room.keeping.status()["degraded"] is None
        await room.clock.advance(60)
        assert len(room.upkeep.calls) == probes + 1
        assert len(room.errors) == 1
        room.upkeep.fail()  # and again
        await settle()
        assert room.facts.reasons == ("storage",)
        assert len(room.errors) == 2


async def test_trouble_of_the_start_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    room = KeepingRoom()
    room.upkeep.trouble = StorageError("The disk is full.")
    watch = room.upkeep.watch

    def as_the_guard_does(listener: Any) -> None:
        watch(listener)
        if room.upkeep.trouble is not None:
            listener()

    monkeypatch.setattr(room.upkeep, "watch", as_the_guard_does)
    async with running(room):
        await settle()
        assert room.facts.reasons == ("storage",)
        assert room.upkeep.calls == ["prepare"]  # nothing is pruned or cleaned meanwhile
