"""A connection that breaks while a command runs: the client asks once more, and the command has its effect once."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from hudctl import Client, NotRunningError
from hudd.bus.server import Request
from tests.fakes.bus import ThreadedDaemon


class Cutter:
    """Handlers that end every connection before they answer, so often."""

    def __init__(self, times: int) -> None:
        self.left = times
        self.ran = 0
        self.keys: list[str] = []
        self.there: ThreadedDaemon | None = None

    async def pause(self, request: Request) -> Mapping[str, Any]:
        self.keys.append(request.params["idem"])
        return await self._run()

    async def errors(self, request: Request) -> Mapping[str, Any]:
        del request
        return await self._run()

    async def _run(self) -> Mapping[str, Any]:
        self.ran += 1
        run = self.ran
        if self.left:
            self.left -= 1
            assert self.there is not None
            admission = self.there.daemon.server._socket._admission  # type: ignore[union-attr] # it is open
            while admission.peers != 1:  # type: ignore[union-attr] # and local
                # Who only looked whether anybody listens is leaving; were it ended after the client, its number might
                # be the one with which the client is back.
                await asyncio.sleep(0.01)
                admission._take_events()  # type: ignore[union-attr] # see above
            (connection,) = (one for batch in admission._batches.values() for one in batch.peers)  # type: ignore[union-attr] # see above
            assert admission.drop(connection)  # type: ignore[union-attr] # see above
            await asyncio.sleep(0.05)
        return {"run": run, "errors": []}


def cut(folder: Path, cutter: Cutter) -> ThreadedDaemon:
    cutter.there = ThreadedDaemon(folder, handlers={"pause": cutter.pause, "errors": cutter.errors})
    return cutter.there


def test_a_command_with_an_effect_runs_once(tmp_path: Path) -> None:
    cutter = Cutter(1)
    with cut(tmp_path, cutter), Client(runtime_dir=tmp_path) as client:
        assert client.pause()["run"] == 1
        assert cutter.ran == 1
        assert client.pause()["run"] == 2, "another call has another key"


def test_what_only_reads_is_asked_again(tmp_path: Path) -> None:
    cutter = Cutter(1)
    with cut(tmp_path, cutter), Client(runtime_dir=tmp_path) as client:
        assert client.errors() == []
        assert cutter.ran == 2


def test_it_is_asked_again_once_only(tmp_path: Path) -> None:
    cutter = Cutter(5)
    with cut(tmp_path, cutter), Client(runtime_dir=tmp_path) as client:
        with pytest.raises(NotRunningError, match="went away"):
            client.errors()
        assert cutter.ran == 2


def test_nobody_is_cut_off_by_the_end_of_a_connection_right_before(tmp_path: Path) -> None:
    """The listener through which both came is closed, but not before it is known that somebody else came, too."""
    with cut(tmp_path, Cutter(0)):
        for _ in range(300):
            with socket.socket(socket.AF_UNIX) as looking:
                looking.connect(str(tmp_path / "ctl.sock"))
            with Client(runtime_dir=tmp_path) as client:
                assert client.errors() == []
