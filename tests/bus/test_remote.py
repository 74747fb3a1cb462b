"""Other machines: only keys of the list come in, each at its own doors, and a withdrawn key's connections end."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import zmq

from hudctl import AsyncFeed, Client, RefusedError
from hudd.bus.authenticator import Authenticator, local_access
from hudd.bus.publisher import Publisher
from hudd.bus.remote import BothPublishers, KeyRing, Remote, remote_handlers
from hudd.bus.server import CommandServer, Handler, Request
from hudd.bus.sockets import new_context
from hudd.clock import SystemClock
from hudd.errors import PermissionsError, SettingsError
from hudd.wire.endpoints import remote_notes_address
from hudd.wire.remote_keys import ClientFile, ClientKey, DaemonKey, KeyFolder, Role, write_private
from tests.fakes.bus import MemoryJournal, SmallDaemon, await_until
from tests.fakes.peers import outcome
from tests.fakes.ports import free_port


def new_pair() -> tuple[str, str]:
    public, secret = zmq.curve_keypair()
    return public.decode(), secret.decode()


class Keys:
    """A key folder and the clients that were given one."""

    def __init__(self, folder: Path) -> None:
        self.folder = KeyFolder(folder)
        self.daemon = DaemonKey(*new_pair())
        with self.folder.changing():
            self.folder.write_daemon_key(self.daemon)

    def add(self, name: str, role: Role) -> ClientFile:
        public, secret = new_pair()
        with self.folder.changing():
            self.folder.write_clients((*self.folder.clients(), ClientKey(name, role, public, "2026-11-21T10:00:00Z")))
        return ClientFile(name, role, public, secret, self.daemon.public)

    def revoke(self, name: str) -> None:
        with self.folder.changing():
            self.folder.write_clients(tuple(c for c in self.folder.clients() if c.name != name))


def options(key: ClientFile) -> dict[str, bytes]:
    return {
        "CURVE_PUBLICKEY": key.public.encode(),
        "CURVE_SECRETKEY": key.secret.encode(),
        "CURVE_SERVERKEY": key.daemon.encode(),
    }


class FarHouse:
    """A daemon's sockets, local and remote, over a journal in memory."""

    def __init__(self, folder: Path, keys: Keys, address: str) -> None:
        self.address = address
        self.notes_address = remote_notes_address(address)
        self.keys = keys
        self.context = new_context()
        self.ring = KeyRing(keys.folder)
        self.gate = Authenticator(self.context, clock=SystemClock(), roles=self.ring.roles)
        small = SmallDaemon(folder, journal := MemoryJournal())
        self.small, self.journal = small, journal
        self.heard: list[Request] = []
        handlers: dict[str, Handler] = {
            "hello": self._hello,
            "status": small._status,
            "notes.since": small._since,
            "journal.backup": self._never,
        }

        def publisher(place: Path | str, access: Mapping[int, int | bytes]) -> Publisher:
            return Publisher(
                place,
                stream="s1",
                instance="i1",
                heads=journal.heads,
                clock=SystemClock(),
                context=self.context,
                access=access,
            )

        self.local = publisher(folder / "notes.sock", local_access())
        self.remote = Remote(
            address,
            ring=self.ring,
            gate=self.gate,
            commands=lambda place, access: CommandServer(
                place, remote_handlers(handlers), clock=SystemClock(), context=self.context, access=access
            ),
            notes=publisher,
            clock=SystemClock(),
        )
        self.publisher = BothPublishers(self.local, self.remote)

    async def _hello(self, request: Request) -> Mapping[str, Any]:
        self.heard.append(request)
        return await self.small._hello(request)

    async def _never(self, _: Request) -> Mapping[str, Any]:
        raise AssertionError("a remote caller wrote a file here")

    def note(self) -> None:
        note = self.journal.append()
        self.publisher.publish(note.topic, note.to_json())


@asynccontextmanager
async def far_house(folder: Path, keys: Keys) -> AsyncIterator[FarHouse]:
    house = FarHouse(folder, keys, f"tcp://127.0.0.1:{free_port(2)}")
    house.gate.open()
    house.local.open()
    house.remote.open()
    running = asyncio.create_task(house.remote.run())
    try:
        yield house
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await house.remote.close()
        await house.local.close()
        house.gate.close()
        house.context.term()


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path / "state")


async def knock(address: str, kind: int, **how: bytes) -> str:
    what, _ = await asyncio.to_thread(outcome, address, kind=kind, within_s=2.0, **how)
    return what


async def test_each_key_opens_the_doors_of_its_role(tmp_path: Path, keys: Keys) -> None:
    control, notes = keys.add("laptop", "control"), keys.add("bar", "notes")
    async with far_house(tmp_path, keys) as house:
        assert await knock(house.address, zmq.DEALER, **options(control)) == "accepted"
        assert await knock(house.notes_address, zmq.SUB, **options(control)) == "accepted"
        assert await knock(house.notes_address, zmq.SUB, **options(notes)) == "accepted"
        assert await knock(house.address, zmq.DEALER, **options(notes)) == "refused 400"
        assert house.gate.counters() == {"peers_admitted": 3, "peers_refused": 1}


@pytest.mark.parametrize("door", ["commands", "notes"])
async def test_nobody_else_comes_in(tmp_path: Path, keys: Keys, door: str, caplog: pytest.LogCaptureFixture) -> None:
    """A hundred times each: a key that is not listed, the wrong key of the daemon, no key at all."""
    known = keys.add("laptop", "control")
    stranger = ClientFile("x", "control", *new_pair(), keys.daemon.public)
    mistaken = ClientFile("y", "control", known.public, known.secret, new_pair()[0])
    liar = ClientFile("z", "control", known.public, new_pair()[1], keys.daemon.public)
    async with far_house(tmp_path, keys) as house:
        address, kind = (house.address, zmq.DEALER) if door == "commands" else (house.notes_address, zmq.SUB)
        with caplog.at_level(logging.INFO, "hudd.bus.authenticator"):
            for _ in range(100):
                assert await knock(address, kind, **options(stranger)) == "refused 400"
        assert len([r for r in caplog.records if "refused" in r.getMessage()]) == 1
        for how in (options(mistaken), options(liar), {}):
            outcomes: set[str] = set()
            for _ in range(10):  # ten at once: some of them hear of it only when their handshake has lasted too long
                outcomes.update(await asyncio.gather(*(knock(address, kind, **how) for _ in range(10))))
            assert outcomes <= {"failed", "disconnected"}
        assert house.gate.counters() == {"peers_admitted": 0, "peers_refused": 100}
        assert house.remote.counters()["remote_handshakes_failed"] >= 100  # NULL, and the wrong key of the daemon
        assert not house.heard
        assert not house.remote.subscribers()


async def test_a_new_key_is_seen_at_once(tmp_path: Path, keys: Keys) -> None:
    keys.add("laptop", "control")
    async with far_house(tmp_path, keys) as house:
        late = keys.add("late", "notes")
        assert await knock(house.notes_address, zmq.SUB, **options(late)) == "accepted"


async def test_a_withdrawn_key_is_out_within_seconds_and_the_others_go_on_without_a_gap(
    tmp_path: Path, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    stays, goes = keys.add("stays", "control"), keys.add("goes", "notes")
    path = tmp_path / "stays.key"
    write_private(path, json.dumps(stays.to_json()))
    async with far_house(tmp_path, keys) as house:
        monkeypatch.setenv("HUDD_REMOTE", house.address)
        monkeypatch.setenv("HUDD_REMOTE_KEY", str(path))
        with new_context() as context, context.socket(zmq.SUB) as withdrawn:
            for name, value in options(goes).items():
                withdrawn.setsockopt(getattr(zmq, name), value)
            withdrawn.subscribe("note/")
            withdrawn.connect(house.notes_address)
            await await_until(lambda: house.remote.subscribers().get("note/") == 1)
            feed = AsyncFeed(after=0)
            got = [await first_note(feed, house)]
            assert withdrawn.poll(2000)
            withdrawn.recv_multipart()
            before = time.monotonic()
            keys.revoke("goes")
            await await_until(lambda: not house.remote.subscribers(), 5)
            assert time.monotonic() - before < 3
            for _ in range(20):
                house.note()
            async with asyncio.timeout(10):
                while len(got) < 21:
                    got.append((await feed.get()).seq)
            assert got == list(range(1, 22))
            assert not withdrawn.poll(300)
            feed.close()


async def first_note(feed: AsyncFeed, house: FarHouse) -> int:
    house.note()
    async with asyncio.timeout(10):
        return (await feed.get()).seq


async def test_what_names_a_file_here_is_refused_and_windows_elsewhere_mean_nothing(
    tmp_path: Path, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    control = keys.add("laptop", "control")
    path = tmp_path / "laptop.key"
    write_private(path, json.dumps(control.to_json()))
    async with far_house(tmp_path, keys) as house:
        monkeypatch.setenv("HUDD_REMOTE", house.address)
        monkeypatch.setenv("HUDD_REMOTE_KEY", str(path))

        def ask() -> None:
            with Client(timeout_s=5, window=42, streaming=True) as client:
                assert client.status()["schema"] == 1
                with pytest.raises(RefusedError, match="not for callers on others"):
                    client.call("journal.backup", path=str(tmp_path / "copy.db"))

        await asyncio.to_thread(ask)
        assert not {"pid", "window", "streaming"} & set(house.heard[0].params)


def ring_of(tmp_path: Path) -> KeyRing:
    return KeyRing(KeyFolder(tmp_path / "state"))


def test_without_a_pair_or_a_client_nothing_is_opened(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="hudctl key add"):
        ring_of(tmp_path).daemon_key()
    keys = Keys(tmp_path / "state")
    with pytest.raises(SettingsError, match="no client in the key list"):
        ring_of(tmp_path).daemon_key()
    keys.add("laptop", "notes")
    assert ring_of(tmp_path).daemon_key() == keys.daemon


def test_keys_that_others_can_read_open_nothing(tmp_path: Path) -> None:
    keys = Keys(tmp_path / "state")
    keys.add("laptop", "notes")
    keys.folder.daemon_file.chmod(0o640)
    with pytest.raises(PermissionsError, match="chmod 600"):
        ring_of(tmp_path).daemon_key()


def test_a_list_that_breaks_lets_nobody_in_and_says_so_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    keys = Keys(tmp_path / "state")
    made = keys.add("laptop", "notes")
    ring = ring_of(tmp_path)
    assert ring.roles() == {made.public: "notes"}
    keys.folder.clients_file.chmod(0o644)
    assert [ring.roles(), ring.roles()] == [{}, {}]
    assert len(caplog.records) == 1
    keys.folder.clients_file.chmod(0o600)
    assert ring.roles() == {made.public: "notes"}
    keys.folder.clients_file.unlink()
    assert ring.roles() == {}


async def test_a_taken_port_is_a_sentence(tmp_path: Path, keys: Keys) -> None:
    keys.add("laptop", "notes")
    async with far_house(tmp_path, keys) as house:
        context = new_context()
        other = Publisher(
            house.notes_address,
            stream="s",
            instance="i",
            heads=dict[str, int],
            clock=SystemClock(),
            context=context,
        )
        with pytest.raises(PermissionsError, match="two ports that are free"):
            other.open()
        context.term()


async def test_a_feed_with_a_key_that_only_listens_takes_what_comes_and_says_what_it_missed(
    tmp_path: Path, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bar.key"
    write_private(path, json.dumps(keys.add("bar", "notes").to_json()))
    async with far_house(tmp_path, keys) as house:
        monkeypatch.setenv("HUDD_REMOTE", house.address)
        monkeypatch.setenv("HUDD_REMOTE_KEY", str(path))
        house.note()
        feed = AsyncFeed(after=0)
        asking = asyncio.create_task(feed.get())
        await await_until(lambda: house.remote.subscribers().get("hb/") == 1)
        await asyncio.sleep(0.1)  # the welcome is on its way
        house.note()
        async with asyncio.timeout(10):
            assert (await asking).seq == 2
        assert not feed.fresh
        house.journal.append()  # lost on the way
        house.note()
        async with asyncio.timeout(10):
            assert (await feed.get()).seq == 4
        assert feed.fresh
        assert house.gate.counters()["peers_refused"] == 0
        feed.close()
