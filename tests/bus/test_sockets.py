"""Nothing is stolen, destroyed or left open to others."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest
import zmq

from hudd.bus.admission import listen
from hudd.bus.sockets import LoopSocket, new_context
from hudd.errors import AlreadyRunningError, PermissionsError, SettingsError
from hudd.wire.endpoints import socket_path_limit
from tests.fakes.bus import SmallDaemon, await_until


def test_the_socket_is_for_this_user_only_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with listen(tmp_path / "s"):
            assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o600
        assert os.umask(0) == 0
    finally:
        os.umask(before)


@pytest.mark.parametrize("kind", ["file", "folder", "link", "dangling link"])
def test_what_is_no_socket_is_left_alone(tmp_path: Path, kind: str) -> None:
    path, target = tmp_path / "s", tmp_path / "target"
    if kind == "file":
        path.write_text("precious")
    elif kind == "folder":
        path.mkdir()
    else:
        if kind == "link":
            target.write_text("precious")
        path.symlink_to(target)
    before = path.lstat()
    with pytest.raises(PermissionsError, match="in the way"):
        listen(path)
    assert path.lstat().st_ino == before.st_ino
    if kind in ("file", "link"):
        assert path.read_text() == "precious"


def test_a_socket_that_somebody_listens_on_is_not_taken(tmp_path: Path) -> None:
    with listen(tmp_path / "s"):
        inode = (tmp_path / "s").lstat().st_ino
        with pytest.raises(AlreadyRunningError):
            listen(tmp_path / "s")
        assert (tmp_path / "s").lstat().st_ino == inode


def test_a_socket_left_behind_is_replaced(tmp_path: Path) -> None:
    listen(tmp_path / "s").close()
    assert (tmp_path / "s").exists()
    with listen(tmp_path / "s"), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / "s"))


def test_the_longest_path_works_and_one_byte_more_is_a_sentence(tmp_path: Path) -> None:
    room = socket_path_limit() - len(os.fsencode(tmp_path)) - 1
    if room < 1:
        pytest.skip("the temporary folder's own path is too long")
    listen(tmp_path / ("s" * room)).close()
    with pytest.raises(SettingsError, match="HUDD_RUNTIME_DIR"):
        listen(tmp_path / ("s" * (room + 1)))


def test_a_folder_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(PermissionsError, match="cannot be made"):
        listen(tmp_path / "nowhere" / "s")


async def test_both_sockets_of_a_daemon_are_private_and_gone_after_it(tmp_path: Path) -> None:
    async with SmallDaemon(tmp_path):
        paths = [tmp_path / "ctl.sock", tmp_path / "notes.sock"]
        assert [stat.S_IMODE(path.stat().st_mode) for path in paths] == [0o600, 0o600]
    assert not any(path.exists() for path in paths)


async def test_closing_leaves_another_daemons_socket_alone(tmp_path: Path) -> None:
    daemon = SmallDaemon(tmp_path)
    async with daemon:
        (tmp_path / "ctl.sock").unlink()
        (tmp_path / "other").write_text("keeps the inode number from being used again")
        other = listen(tmp_path / "ctl.sock")
    with other:
        assert (tmp_path / "ctl.sock").exists()


async def test_a_failure_in_the_reader_reaches_the_owner(tmp_path: Path) -> None:
    context, failures = new_context(), []

    def fail(_frames: list[bytes], _descriptor: int) -> None:
        raise LookupError("a mistake")

    there = LoopSocket(context, zmq.ROUTER, tmp_path / "s", on_message=fail, on_failure=failures.append, options={})
    try:
        with context.socket(zmq.DEALER) as peer:
            peer.connect(f"ipc://{tmp_path}/s")
            peer.send(b"x")
            await await_until(lambda: bool(failures))
        assert isinstance(failures[0], LookupError)
    finally:
        there.close()
        context.term()
