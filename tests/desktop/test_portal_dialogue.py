from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from hudd.clock import SystemClock
from hudd.desktop import portal as portal_module
from hudd.desktop.portal import DesktopPortal, read_token, write_token
from hudd.errors import CaptureError
from hudd.screen.source import Stream
from tests.fakes.dbus import private_bus
from tests.fakes.portal import SESSION, FakePortal, fake_portal


@asynccontextmanager
async def dialogue(tmp_path: Path) -> AsyncIterator[tuple[FakePortal, DesktopPortal]]:
    picture = tmp_path / "out file.png"
    picture.write_bytes(b"a picture")
    async with private_bus(tmp_path) as bus, fake_portal(bus, picture) as fake:
        ours = DesktopPortal(bus.environ, tmp_path / "token", SystemClock())
        try:
            yield fake, ours
        finally:
            await asyncio.to_thread(ours.end_cast)


async def test_a_screenshot_is_read_and_its_file_is_gone(tmp_path: Path) -> None:
    async with dialogue(tmp_path) as (fake, ours):
        assert await asyncio.to_thread(ours.screenshot) == b"a picture"
        assert not fake.picture.exists()
        ((member, options),) = fake.asked
        assert (member, options["interactive"]) == ("Screenshot", False)


async def test_the_end_of_one_dialogue_leaves_the_cast_of_another(tmp_path: Path) -> None:
    """With other settings a screen is opened before the one before it is closed."""
    async with dialogue(tmp_path) as (fake, ours):
        refused: set[str] = set()
        later = DesktopPortal(ours._environ, tmp_path / "token", SystemClock(), refused=refused)
        for one in (ours, later):
            os.close((await asyncio.to_thread(one.cast, cursor=False))[0])
        await asyncio.to_thread(ours.end_cast)
        assert not await asyncio.to_thread(later.cast_ended)
        await fake.end_session()
        async with asyncio.timeout(20):
            while not await asyncio.to_thread(later.cast_ended):  # noqa: ASYNC110 - a bus works towards it
                await asyncio.sleep(0.01)
        await asyncio.to_thread(later.end_cast)


async def test_what_a_person_refused_is_not_asked_by_the_next_dialogue(tmp_path: Path) -> None:
    async with dialogue(tmp_path) as (fake, ours):
        fake.codes["Screenshot"] = 1
        refused: set[str] = set()
        for _ in range(2):
            one = DesktopPortal(ours._environ, tmp_path / "token", SystemClock(), refused=refused)
            with pytest.raises(CaptureError, match=r"refused|not permitted"):
                await asyncio.to_thread(one.screenshot)
            await asyncio.to_thread(one.end_cast)
        assert len(fake.asked) == 1


async def test_a_screenshot_that_belongs_to_nobody_we_know_is_not_taken(tmp_path: Path) -> None:
    async with dialogue(tmp_path) as (fake, ours):
        secret = tmp_path / "secret"
        secret.write_bytes(b"not for hudd")
        fake.picture.unlink()
        fake.picture.symlink_to(secret)
        with pytest.raises(CaptureError, match="cannot be read"):
            await asyncio.to_thread(ours.screenshot)
        assert secret.exists()
        fake.picture.unlink()
        os.mkfifo(fake.picture)
        with pytest.raises(CaptureError, match="belongs to somebody else"):
            await asyncio.to_thread(ours.screenshot)


async def test_a_screenshot_that_cannot_be_taken_away_is_the_last_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(path: Path, *, missing_ok: bool = False) -> None:
        del missing_ok
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    async with dialogue(tmp_path) as (fake, ours):
        refused: set[str] = set()
        one = DesktopPortal(ours._environ, tmp_path / "token", SystemClock(), refused=refused)
        with monkeypatch.context() as patched:
            patched.setattr(Path, "unlink", read_only)
            with pytest.raises(
                CaptureError, match=r"out file.png \(Read-only file system\) cannot be taken away"
            ) as told:
                await asyncio.to_thread(one.screenshot)
        assert "--loosen portal-screenshots" in told.value.hint
        await asyncio.to_thread(one.end_cast)
        # No dialogue after it leaves another one behind.
        one = DesktopPortal(ours._environ, tmp_path / "token", SystemClock(), refused=refused)
        with pytest.raises(CaptureError, match="cannot be taken away"):
            await asyncio.to_thread(one.screenshot)
        await asyncio.to_thread(one.end_cast)
        assert len(fake.asked) == 1


async def test_a_cast_asks_for_all_monitors_and_keeps_its_permission(tmp_path: Path) -> None:
    async with dialogue(tmp_path) as (fake, ours):
        descriptor, streams = await asyncio.to_thread(ours.cast, cursor=True)
        os.close(descriptor)
        assert streams == [Stream(47, "DP 1", (0, 0, 1920, 1080)), Stream(48, "", (1920, 0, 0, 0))]
        assert [member for member, _ in fake.asked] == ["CreateSession", "SelectSources", "Start"]
        chosen = fake.asked[1][1]
        assert (chosen["types"], chosen["multiple"], chosen["persist_mode"], chosen["cursor_mode"]) == (1, True, 2, 2)
        assert "restore_token" not in chosen
        token = tmp_path / "token"
        assert token.stat().st_mode & 0o777 == 0o600
        first = token.read_text()
        await asyncio.to_thread(ours.end_cast)
        assert fake.closed == [SESSION]
        descriptor, _ = await asyncio.to_thread(ours.cast, cursor=False)
        os.close(descriptor)
        assert fake.asked[4][1]["restore_token"] == first
        assert token.read_text() != first


async def test_a_person_who_ends_the_cast_is_heard(tmp_path: Path) -> None:
    async with dialogue(tmp_path) as (fake, ours):
        descriptor, _ = await asyncio.to_thread(ours.cast, cursor=False)
        os.close(descriptor)
        assert not await asyncio.to_thread(ours.cast_ended)
        await fake.end_session()
        assert await asyncio.to_thread(ours.cast_ended, 20.0)


@pytest.mark.parametrize("member", ["SelectSources", "Start"])
async def test_a_person_who_refuses_is_not_asked_again(tmp_path: Path, member: str) -> None:
    async with dialogue(tmp_path) as (fake, ours):
        fake.codes[member] = 1
        with pytest.raises(CaptureError, match=rf"gave no ScreenCast \({member}: a person refused it\)"):
            await asyncio.to_thread(ours.cast, cursor=False)
        asked = [name for name, _ in fake.asked].count(member)
        with pytest.raises(CaptureError, match="was not permitted to see the screen"):
            await asyncio.to_thread(ours.cast, cursor=False)
        assert [name for name, _ in fake.asked].count(member) == asked


async def test_a_portal_that_never_answers_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portal_module, "_SHOT_S", 0.2)
    async with dialogue(tmp_path) as (fake, ours):
        fake.codes["Screenshot"] = None
        with pytest.raises(CaptureError, match=r"did not answer Screenshot within 0\.2 s"):
            await asyncio.to_thread(ours.screenshot)
        assert len(fake.closed) == 1


async def test_without_a_portal_the_remedy_is_named(tmp_path: Path) -> None:
    async with private_bus(tmp_path) as bus:
        ours = DesktopPortal(bus.environ, tmp_path / "token", SystemClock())
        with pytest.raises(CaptureError, match="no desktop portal for Screenshot") as caught:
            await asyncio.to_thread(ours.screenshot)
        assert "Install xdg-desktop-portal" in caught.value.hint
        await asyncio.to_thread(ours.end_cast)
    alone = DesktopPortal({}, tmp_path / "token", SystemClock())
    with pytest.raises(CaptureError, match="There is no session bus here"):
        await asyncio.to_thread(alone.screenshot)
    await asyncio.to_thread(alone.end_cast)


def test_a_token_that_others_may_have_written_counts_for_nothing(tmp_path: Path) -> None:
    path = tmp_path / "token"
    assert read_token(path) == ""
    write_token(path, "one")
    write_token(path, "two")
    assert (read_token(path), path.stat().st_mode & 0o777) == ("two", 0o600)
    path.chmod(0o620)
    assert read_token(path) == ""
    path.unlink()
    (tmp_path / "other").write_text("evil")
    path.symlink_to(tmp_path / "other")
    assert read_token(path) == ""
    with pytest.raises(CaptureError, match="cannot be kept in"):
        write_token(tmp_path / "none" / "token", "x")
