"""Only this user and root come in, whatever the modes of folder and socket; refusals are quick, counted and rarely logged."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st
from zmq.utils import z85

from hudd.bus.authenticator import (
    LOCAL,
    LOG_EVERY_S,
    REMOTE_COMMANDS,
    REMOTE_NOTES,
    Authenticator,
    Verdict,
    judge,
    local_access,
)
from hudd.bus.sockets import Context, LoopSocket, new_context
from hudd.clock import SystemClock
from hudd.wire.remote_keys import Role
from tests.fakes.bus import await_until
from tests.fakes.clock import ManualClock
from tests.fakes.peers import outcome

NOBODY = 65534
AS_NOBODY = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
LOGGER = "hudd.bus.authenticator"


def verdict(
    domain: bytes = LOCAL,
    address: str = "localhost:1000:1000:42",
    mechanism: bytes = b"NULL",
    credentials: tuple[bytes, ...] = (),
    *,
    tells_users: bool = True,
    roles: dict[str, Role] | None = None,
) -> Verdict:
    return judge(domain, address, mechanism, credentials, own_uid=1000, tells_users=tells_users, roles=roles or {})


@pytest.mark.parametrize("uid", [1000, 0])
@pytest.mark.parametrize("pid", ["42", ""])
def test_this_user_and_root_come_in(uid: int, pid: str) -> None:
    assert verdict(address=f"localhost:{uid}:5:{pid}") == Verdict(True, user=f"uid:{uid}")


@pytest.mark.parametrize(
    "address",
    ["localhost:1001:1000:42", "localhost:10000:0:1", "localhost:-1:0:1", "localhost::0:1", "localhost", "", "1000"],
)
def test_nobody_else_does(address: str) -> None:
    assert not verdict(address=address).admitted


def test_another_mechanism_has_no_place_on_a_local_socket() -> None:
    assert not verdict(mechanism=b"PLAIN", credentials=(b"user", b"word")).admitted


def test_where_the_system_tells_no_user_the_folder_keeps_others_out() -> None:
    assert verdict(address="localhost", tells_users=False).admitted
    assert not verdict(address="localhost:1001:1000:", tells_users=False).admitted


KEY = bytes(range(32))
NAME = z85.encode(KEY).decode()


@pytest.mark.parametrize(
    ("domain", "role", "admitted"),
    [
        (REMOTE_COMMANDS, "control", True),
        (REMOTE_COMMANDS, "notes", False),
        (REMOTE_NOTES, "control", True),
        (REMOTE_NOTES, "notes", True),
    ],
)
def test_a_role_opens_its_own_doors(domain: bytes, role: Role, admitted: bool) -> None:
    found = verdict(domain, "192.0.2.9", b"CURVE", (KEY,), roles={NAME: role})
    assert found.admitted is admitted
    assert found.key == (NAME if admitted else "")


@pytest.mark.parametrize("domain", [REMOTE_COMMANDS, REMOTE_NOTES])
def test_without_a_key_of_the_list_nobody_comes_in_from_elsewhere(domain: bytes) -> None:
    assert not verdict(domain, "192.0.2.9", b"CURVE", (KEY,)).admitted
    assert not verdict(domain, "192.0.2.9", b"NULL", roles={NAME: "control"}).admitted
    assert not verdict(domain, "127.0.0.1:1000:1:1", b"NULL", roles={NAME: "control"}).admitted
    assert not verdict(domain, "192.0.2.9", b"CURVE", (KEY, KEY), roles={NAME: "control"}).admitted


@given(
    st.binary(max_size=12) | st.sampled_from([LOCAL, REMOTE_COMMANDS, REMOTE_NOTES]),
    st.text(max_size=20) | st.from_regex(r"localhost(:\d{1,5}){0,4}", fullmatch=True),
    st.sampled_from([b"NULL", b"PLAIN", b"CURVE", b"GSSAPI", b""]),
    st.lists(st.binary(max_size=40), max_size=3),
)
def test_whatever_is_asked_only_the_own_user_and_listed_keys_are_admitted(
    domain: bytes, address: str, mechanism: bytes, credentials: list[bytes]
) -> None:
    found = verdict(domain, address, mechanism, tuple(credentials), roles={NAME: "control"})
    if not found.admitted:
        assert found.reason
    elif domain == LOCAL:
        assert mechanism == b"NULL"
        assert int(address.split(":")[1]) in (0, 1000)
    else:
        assert (mechanism, credentials) == (b"CURVE", [KEY])


class House:
    """An authenticator, and a socket of each kind behind it."""

    def __init__(self, folder: Path, context: Context, gate: Authenticator) -> None:
        self.gate = gate
        self.context = context
        self.got: list[list[bytes]] = []
        self.failures: list[BaseException] = []
        self.sockets = [
            LoopSocket(
                context,
                kind,
                folder / name,
                on_message=lambda frames, _: self.got.append(frames),
                on_failure=self.failures.append,
                options={},
                access=local_access(),
            )
            for kind, name in ((zmq.ROUTER, "ctl.sock"), (zmq.XPUB, "notes.sock"))
        ]


@asynccontextmanager
async def house(folder: Path, clock: SystemClock | ManualClock | None = None) -> AsyncIterator[House]:
    context = new_context()
    gate = Authenticator(context, clock=clock or SystemClock())
    gate.open()
    made = House(folder, context, gate)
    try:
        yield made
    finally:
        for found in made.sockets:
            found.close()
        gate.close()
        context.term()


@pytest.mark.parametrize(("name", "kind"), [("ctl.sock", zmq.DEALER), ("notes.sock", zmq.SUB)])
async def test_the_own_user_is_let_in(tmp_path: Path, name: str, kind: int) -> None:
    async with house(tmp_path) as made:
        what, _ = await asyncio.to_thread(outcome, f"ipc://{tmp_path}/{name}", kind=kind)
        assert what == "accepted"
        assert made.gate.counters() == {"peers_admitted": 1, "peers_refused": 0}


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize(("name", "kind"), [("ctl.sock", "DEALER"), ("notes.sock", "SUB")])
async def test_another_user_is_refused_a_hundred_times(
    tmp_path_factory: pytest.TempPathFactory,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    kind: str,
) -> None:
    """Folder and socket are thrown open, so that nothing but the authenticator stands between."""
    monkeypatch.setattr("hudd.bus.admission.SOCKET_MODE", 0o777)
    folder = tmp_path_factory.mktemp("open")
    for above in [folder, *folder.parents]:
        if above.stat().st_mode & 0o005 != 0o005:
            above.chmod(above.stat().st_mode | 0o055)
    program = folder / "peers.py"
    shutil.copy(Path(__file__).parent.parent / "fakes" / "peers.py", program)
    program.chmod(0o644)
    monkeypatch.setattr("hudd.bus.admission.SOCKET_MODE", 0o777)  # each listener that takes the place has it anew
    async with house(folder) as made:
        with caplog.at_level(logging.INFO, LOGGER):
            done = await asyncio.to_thread(
                subprocess.run,
                [*AS_NOBODY, sys.executable, "-P", str(program), f"ipc://{folder}/{name}", kind, "100"],
                capture_output=True,
                text=True,
                timeout=60,
                check=True,
                cwd=folder,
            )
        rows = [line.split("\t") for line in done.stdout.splitlines()]
        assert Counter(row[0] for row in rows) == {"refused 400": 100}
        times = sorted(float(row[1]) for row in rows)
        assert times[-1] <= 50 or times[98] <= 50, times[-5:]
        assert made.gate.counters() == {"peers_admitted": 0, "peers_refused": 100}
        assert not made.got
    assert len(caplog.records) == 1
    assert "user 65534 is neither user 0 nor root" in caplog.text


async def test_a_curve_client_finds_no_way_into_a_local_socket(tmp_path: Path) -> None:
    server, (public, secret) = zmq.curve_keypair()[0], zmq.curve_keypair()
    async with house(tmp_path) as made:
        keys = {"CURVE_SERVERKEY": server, "CURVE_PUBLICKEY": public, "CURVE_SECRETKEY": secret}
        what, _ = await asyncio.to_thread(outcome, f"ipc://{tmp_path}/ctl.sock", **keys)
        assert what in ("failed", "disconnected")
        assert made.gate.counters()["peers_admitted"] == 0


async def test_refusals_are_told_once_a_minute_with_their_number(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = ManualClock()
    async with house(tmp_path, clock) as made:
        made.gate._own_uid = 4242
        monkeypatch.setattr("hudd.bus.authenticator.ROOT", 4243)
        address = f"ipc://{tmp_path}/ctl.sock"
        with caplog.at_level(logging.INFO, LOGGER):
            for _ in range(5):
                assert (await asyncio.to_thread(outcome, address))[0] == "refused 400"
            await await_until(lambda: len(caplog.records) == 1)
            await clock.advance(LOG_EVERY_S)
            assert await made.gate.answers(5)  # whatever wakes the thread
            await await_until(lambda: len(caplog.records) == 2)
            await clock.advance(LOG_EVERY_S)
            assert await made.gate.answers(5)
        assert "4 refused in the last minute" in caplog.records[1].getMessage()
        assert len(caplog.records) == 2


async def test_it_answers_while_it_lives_and_not_after(tmp_path: Path) -> None:
    async with house(tmp_path) as made:
        assert await made.gate.answers(5)
        made.gate.close()
        assert not await made.gate.answers(5)
        made.gate.close()


async def test_a_blocked_thread_does_not_answer(tmp_path: Path) -> None:
    async with house(tmp_path) as made:
        release = threading.Event()
        made.gate._do(lambda: assert_(release.wait(10)))
        try:
            assert not await made.gate.answers(0.05)
        finally:
            release.set()
        assert await made.gate.answers(5)


def assert_(true: bool) -> None:
    assert true


async def test_when_the_thread_dies_nobody_comes_in_and_it_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with house(tmp_path) as made:

        def fail() -> None:
            raise LookupError("a mistake")

        with caplog.at_level(logging.INFO, LOGGER):
            made.gate._do(fail)
            with pytest.raises(LookupError):
                await asyncio.wait_for(made.gate.run(), 5)
        assert "nobody can connect any more" in caplog.text
        assert not await made.gate.answers(5)
        for name, kind in (("ctl.sock", zmq.DEALER), ("notes.sock", zmq.SUB)):
            what, _ = await asyncio.to_thread(outcome, f"ipc://{tmp_path}/{name}", kind=kind, within_s=0.5)
            assert what in ("failed", "disconnected", "nothing"), what


async def test_no_socket_opens_without_an_authenticator(tmp_path: Path) -> None:
    context = new_context()
    got: list[list[bytes]] = []
    made = LoopSocket(
        context,
        zmq.ROUTER,
        tmp_path / "s",
        on_message=lambda frames, _: got.append(frames),
        on_failure=lambda _: None,
        options={},
        access=local_access(),
    )
    try:
        what, _ = await asyncio.to_thread(outcome, f"ipc://{tmp_path}/s", within_s=0.5)
        assert what in ("failed", "disconnected", "nothing"), what
        assert not got
    finally:
        made.close()
        context.term()


async def test_a_context_has_one_authenticator() -> None:
    context = new_context()
    first, second = (Authenticator(context, clock=SystemClock()) for _ in range(2))
    first.open()
    with pytest.raises(zmq.ZMQError):
        second.open()
    second.close()
    first.close()
    context.term()
