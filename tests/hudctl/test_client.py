"""The blocking client against a real command server."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from hudctl import (
    Client,
    DeadlineError,
    Feed,
    HudctlError,
    NotRunningError,
    RefusedError,
    StateError,
    UpstreamError,
    UsageError,
    VersionError,
)
from hudctl.errors import from_reply
from hudd.bus.server import Request
from hudd.errors import CommandError
from hudd.wire.ids import new_ulid
from hudd.wire.installation import Installation
from hudd.wire.table import ERRORS
from tests.fakes.bus import ThreadedDaemon, wait_until


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[ThreadedDaemon]:
    with ThreadedDaemon(tmp_path, handlers={"errors": _slow, "pause": _refuse, "resume": _upstream}) as there:
        yield there


async def _slow(request: Request) -> Mapping[str, Any]:
    await asyncio.sleep(60)
    return {}


async def _refuse(request: Request) -> Mapping[str, Any]:
    raise CommandError("E_STATE", "Not now.", hint="Later.", retry_after_ms=700)


async def _upstream(request: Request) -> Mapping[str, Any]:
    raise CommandError("E_UPSTREAM", "It failed.", upstream={"type": "t", "code": "insufficient_quota"})


def test_a_call_returns_the_result(daemon: ThreadedDaemon, tmp_path: Path) -> None:
    with Client(runtime_dir=tmp_path) as client:
        assert client.status()["instance"] == "i1"
        assert client.call("status")["schema"] == 1
        assert client.hello()["protocol"] == [1, 1]


def test_hello_goes_first_and_tells_who_we_are(daemon: ThreadedDaemon, tmp_path: Path) -> None:
    with Client(runtime_dir=tmp_path, window=77, streaming=True) as client:
        client.status()
        client.status()
    greeting = daemon.daemon.greeted
    assert len(greeting) == 1
    assert greeting[0]["pid"] == os.getpid()
    assert greeting[0]["protocol"] == [1, 1]
    assert (greeting[0]["window"], greeting[0]["streaming"]) == (77, True)


def test_notes_come_back_as_notes(daemon: ThreadedDaemon, tmp_path: Path) -> None:
    notes = [daemon.do(lambda there: there.note()) for _ in range(3)]
    with Client(runtime_dir=tmp_path) as client:
        assert client.notes() == notes
        assert client.seq_before(time.time()) == 3


def test_a_snap_is_the_whole_note(daemon: ThreadedDaemon, tmp_path: Path) -> None:
    with Client(runtime_dir=tmp_path) as client:
        assert client.snap().text == "A mail about larkspur."
        assert client.snap(monitor="HDMI-1").source == "HDMI-1"


@pytest.mark.parametrize("monitor", [None, "HDMI-1"])
def test_a_snap_streams_its_pieces_in_order(daemon: ThreadedDaemon, tmp_path: Path, monitor: str | None) -> None:
    pieces: list[str] = []
    with Client(runtime_dir=tmp_path) as client:
        for _ in range(5):
            pieces.clear()
            note = client.snap(monitor=monitor, on_delta=pieces.append)
            assert pieces == ["A mail ", "about ", "larkspur."]
            assert "".join(pieces) == note.text
        wait_until(lambda: client.status()["subscribers"] == {})


def test_pieces_that_never_came_are_made_up_for_at_the_end(tmp_path: Path) -> None:
    async def snap(request: Request) -> Mapping[str, Any]:
        there = daemon.daemon
        other = {"snap_id": "01JD0000000000000000000000", "n": 0, "text": "not ours"}
        there.publisher.publish("delta/eDP-1/", other)
        there.publisher.publish("delta/eDP-1/", {"snap_id": request.params["snap_id"], "n": 0, "text": "A "})
        return there.note(text="A note.").to_json()

    with ThreadedDaemon(tmp_path, handlers={"snap": snap}) as daemon, Client(runtime_dir=tmp_path) as client:
        pieces: list[str] = []
        assert client.snap(on_delta=pieces.append).text == "A note."
        assert pieces == ["A ", "note."]


def test_errors_come_as_their_family_with_all_they_carry(daemon: ThreadedDaemon, tmp_path: Path) -> None:
    with Client(runtime_dir=tmp_path) as client:
        with pytest.raises(StateError) as state:
            client.pause(for_s=5, why="lunch")
        assert (state.value.code, state.value.hint, state.value.retry_after_ms) == ("E_STATE", "Later.", 700)
        assert str(state.value) == "Not now. Later."
        with pytest.raises(UpstreamError) as upstream:
            client.resume()
        assert upstream.value.upstream == {"type": "t", "code": "insufficient_quota"}
        assert json.loads(json.dumps(upstream.value.to_json()))["exit_code"] == 8
        with pytest.raises(UsageError, match="seq"):
            client.call("notes.since", seq="x")
        with pytest.raises(VersionError):
            client.config()  # this daemon does not know it
        assert client.status()


def test_a_method_that_only_we_know_means_an_older_daemon(daemon: ThreadedDaemon, tmp_path: Path) -> None:
    with Client(runtime_dir=tmp_path) as client:
        with pytest.raises(VersionError) as older:
            client.mark(1)
        with pytest.raises(VersionError) as unknown:
            client.call("notes.paint")
    assert "'notes.mark'" in older.value.message
    assert older.value.hint == (
        f"The daemon is older: bring hudd up to date with: {Installation.find().upgrade()}, then end hudd and start it "
        f"again with: HUDD_RUNTIME_DIR={tmp_path} hudd."
    )
    assert unknown.value.hint.startswith("This hudd knows: ")


def test_the_deadline_is_one_for_the_call_and_a_late_reply_is_dropped(tmp_path: Path) -> None:
    release = threading.Event()

    async def late(request: Request) -> Mapping[str, Any]:
        while not release.is_set():  # noqa: ASYNC110 - set by another thread
            await asyncio.sleep(0.01)
        return {"late": True}

    with ThreadedDaemon(tmp_path, handlers={"wait": late}) as daemon, Client(runtime_dir=tmp_path) as client:
        client.status()
        start = time.monotonic()
        with pytest.raises(DeadlineError):
            client.wait("note", timeout_s=0.1)
        assert 0.09 < time.monotonic() - start < 5
        release.set()
        assert client.status()["instance"] == "i1"
        assert daemon.daemon.server.counters()["expired"] == 1


def test_a_daemon_that_hangs_is_told_from_one_that_is_not_there(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(str(tmp_path / "ctl.sock"))
        mute.listen()
        with (
            Client(timeout_s=0.2, runtime_dir=tmp_path) as client,
            pytest.raises(DeadlineError, match="does not answer"),
        ):
            client.status()


def test_no_daemon_is_one_sentence_with_the_command_that_starts_it(tmp_path: Path) -> None:
    with Client(runtime_dir=tmp_path) as client:
        start = time.monotonic()
        with pytest.raises(NotRunningError, match=r"^hudd is not running\. Start it with: .*hudd"):
            client.status()
        assert time.monotonic() - start < 1
    assert NotRunningError.exit_code == 3


def test_a_socket_left_behind_is_told(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "ctl.sock"))
    with Client(runtime_dir=tmp_path) as client, pytest.raises(NotRunningError, match="left the socket"):
        client.status()


def test_another_users_daemon_is_told() -> None:
    if os.getuid() != 0:
        pytest.skip("only root can become somebody else")
    code = (
        "import os, sys; os.setgid(65534); os.setuid(65534)\n"
        "from hudctl.connection import Endpoints\n"
        "from hudctl.errors import RefusedError\n"
        "try: Endpoints(sys.argv[1]).probe()\n"
        "except RefusedError as error: print(error)\n"
    )
    # Modules are loaded before the change of user: the packages may lie where only root reads.
    code = "import hudctl.connection, hudctl.errors\n" + code
    # pytest's own folders are for its user alone, and each run of it makes them so again.
    with tempfile.TemporaryDirectory() as parent, socket.socket(socket.AF_UNIX) as listening:
        Path(parent).chmod(0o755)
        folder = Path(parent) / "run"
        folder.mkdir()
        listening.bind(str(folder / "ctl.sock"))
        listening.listen()
        folder.chmod(0o700)
        done = subprocess.run(
            [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, timeout=60, check=True
        )
    assert "belongs to user 0, not to user 65534" in done.stdout


def test_a_folder_that_is_open_to_others_is_refused_even_when_it_changes_later(
    daemon: ThreadedDaemon, tmp_path: Path
) -> None:
    with Client(runtime_dir=tmp_path) as client:
        tmp_path.chmod(0o755)
        with pytest.raises(RefusedError, match=r"open to others \(mode 0755\); close it with: chmod 700"):
            client.status()
    for opened in (lambda: Client(runtime_dir=tmp_path), lambda: Feed(runtime_dir=tmp_path, wait=True)):
        with pytest.raises(RefusedError, match="chmod 700"):
            opened()


def test_a_daemon_that_dies_while_it_answers_is_noticed_at_once(tmp_path: Path) -> None:
    with ThreadedDaemon(tmp_path, handlers={"wait": _slow}) as daemon, Client(runtime_dir=tmp_path) as client:
        client.status()
        found: list[BaseException] = []

        def ask() -> None:
            try:
                client.wait()
            except HudctlError as error:
                found.append(error)

        asking = threading.Thread(target=ask)
        asking.start()
        wait_until(lambda: daemon.daemon.server.in_flight() == 1)
        server = daemon.daemon.server
        # As a crash does: the socket goes without a word.
        daemon.do(lambda there: server._socket.close())
        asking.join(5)
        assert not asking.is_alive()
        assert isinstance(found[0], NotRunningError)


def test_a_client_goes_on_after_the_daemon_restarted(tmp_path: Path) -> None:
    with Client(runtime_dir=tmp_path) as client:
        for instance in ("i1", "i2", "i3"):
            with ThreadedDaemon(tmp_path, instance=instance):
                assert client.status()["instance"] == instance
                assert client.hello()["instance"] == instance
            with pytest.raises(NotRunningError):
                client.status()


@pytest.mark.parametrize(
    ("told", "fix"),
    [
        ([0, 0], "The daemon is older: bring hudd up to date with: "),
        ([2, 9], "hudctl is older: bring it up to date with: "),
    ],
)
def test_protocols_that_do_not_meet_name_the_fix(tmp_path: Path, told: list[int], fix: str) -> None:
    async def hello(request: Request) -> Mapping[str, Any]:
        return {"protocol": told}

    with (
        ThreadedDaemon(tmp_path, handlers={"hello": hello}),
        Client(runtime_dir=tmp_path) as client,
        pytest.raises(VersionError, match=re.escape(fix)) as caught,
    ):
        client.status()
    assert caught.value.exit_code == 6


def test_something_else_at_the_socket_is_no_hudd(tmp_path: Path) -> None:
    async def hello(request: Request) -> Mapping[str, Any]:
        return {"protocol": "1.0"}

    with (
        ThreadedDaemon(tmp_path, handlers={"hello": hello}),
        Client(runtime_dir=tmp_path) as client,
        pytest.raises(HudctlError, match="is this hudd"),
    ):
        client.status()


def test_what_cannot_be_sent_is_a_usage_error(daemon: ThreadedDaemon, tmp_path: Path) -> None:
    with Client(runtime_dir=tmp_path) as client:
        for unfit in (object(), float("nan"), "x" * 70_000):
            with pytest.raises(UsageError):
                client.call("snap", monitor=unfit)
        assert client.status()


def test_a_path_that_fits_no_socket_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        Client(runtime_dir=tmp_path / ("x" * 120))


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.code)
def test_every_code_has_the_exit_code_of_the_table(error: Any) -> None:
    raw = {"code": error.rpc, "message": "No.", "data": {"code": error.code, "hint": ""}}
    found = from_reply(raw)
    assert found.exit_code == error.exit_code
    assert found.data == raw


@pytest.mark.parametrize("raw", [None, 5, {}, {"data": None}, {"data": {"code": "E_NOVEL"}}, {"message": 5}])
def test_an_odd_error_is_still_an_error(raw: object) -> None:
    assert type(from_reply(raw)) is HudctlError


def test_ulids_are_well_formed_sorted_by_time_and_never_the_same() -> None:
    first = new_ulid(1_795_343_466.412)
    later = [new_ulid(1_795_343_466.413) for _ in range(1000)]
    assert all(re.fullmatch(r"[0-7][0-9A-HJKMNP-TV-Z]{25}", one) for one in [first, *later])
    assert len(set(later)) == 1000
    assert all(first < one for one in later)
