"""When the daemon asks for its key: beside the event loop, no more often than it must, and not after the stop."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hudd import adapters
from hudd.adapters import Endpoint
from hudd.config.settings import RealtimeSettings, Settings
from hudd.errors import KeyMissingError, LinkRefusedError

ENVIRON = {"PATH": os.environ["PATH"]}


class Service:
    """Takes every key, or refuses it by a status; remembers those that it was shown."""

    def __init__(self) -> None:
        self.shown: list[str] = []
        self.status = 0

    async def open_link(self, url: str, headers: dict[str, str], **_: Any) -> object:
        del url
        self.shown.append(headers["Authorization"].removeprefix("Bearer "))
        if self.status:
            raise LinkRefusedError("refused", status=self.status)
        return self


class Command:
    """A program that prints the key of a file, and counts how often it was asked."""

    def __init__(self, folder: Path, *, slow_s: float = 0.0) -> None:
        self._key, self._asked = folder / "key", folder / "asked"
        self.words = ("sh", "-c", f"echo >> {self._asked}; sleep {slow_s}; cat {self._key}")
        self.print("sk-first-1")

    def print(self, key: str) -> None:
        self._key.write_text(key)

    def until_asked(self) -> None:
        """Wait for the first time. Blocks."""
        end = time.monotonic() + 10
        while not self.asked:
            assert time.monotonic() < end, "nobody asked"
            time.sleep(0.01)

    @property
    def asked(self) -> int:
        return len(self._asked.read_text().splitlines()) if self._asked.exists() else 0


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Service:
    made = Service()
    monkeypatch.setattr(adapters, "open_link", made.open_link)
    return made


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path)


def settings(*words: str) -> Settings:
    return Settings(realtime=RealtimeSettings(use="service", key_command=words))


def endpoint(words: tuple[str, ...], hidden: list[str] | None = None) -> Endpoint:
    hide: Callable[[str], None] = (hidden if hidden is not None else []).append
    log: Any = SimpleNamespace(mask=SimpleNamespace(hide=hide))
    return Endpoint(settings(*words), ENVIRON, None, log)


async def test_the_loop_goes_on_while_the_command_runs(tmp_path: Path, service: Service) -> None:
    hidden: list[str] = []
    asks = endpoint(Command(tmp_path, slow_s=1.0).words, hidden)
    opening = asyncio.create_task(asks.open())
    longest_s = 0.0
    while not opening.done():
        before = time.monotonic()
        await asyncio.sleep(0.01)
        assert asks.seeks_key or opening.done(), "a person may be asked: nobody begins that anew"
        longest_s = max(longest_s, time.monotonic() - before)
    await opening
    assert not asks.seeks_key
    assert service.shown == hidden == ["sk-first-1"]
    assert longest_s < 0.9


async def test_it_is_asked_once_for_many_connections(service: Service, command: Command) -> None:
    asks = endpoint(command.words)
    for _ in range(3):
        await asks.open()
    assert (command.asked, len(service.shown)) == (1, 3)


@pytest.mark.parametrize(("status", "asked"), [(401, 2), (403, 2), (500, 1), (0, 1)])
async def test_a_key_that_was_refused_is_asked_for_again(
    service: Service, command: Command, status: int, asked: int
) -> None:
    asks = endpoint(command.words)
    service.status = status
    if status:
        with pytest.raises(LinkRefusedError):
            await asks.open()
    else:
        await asks.open()
    service.status = 0
    command.print("sk-second-2")
    await asks.open()
    assert command.asked == asked
    assert service.shown[-1] == ("sk-second-2" if asked == 2 else "sk-first-1")


async def test_a_person_who_says_that_it_is_mended_has_it_asked_again(service: Service, command: Command) -> None:
    asks = endpoint(command.words)
    await asks.open()
    command.print("sk-second-2")
    asks.look_again()
    await asks.open()
    assert service.shown == ["sk-first-1", "sk-second-2"]


async def test_with_the_local_engine_nobody_is_asked(service: Service, command: Command) -> None:
    engine: Any = SimpleNamespace(address=SimpleNamespace(url="ws://127.0.0.1:4242/v1/realtime", token="made-up"))
    local = replace(settings(*command.words), realtime=RealtimeSettings(key_command=command.words))
    await Endpoint(local, ENVIRON, engine, endpoint(())._log).open()
    assert (command.asked, service.shown) == (0, ["made-up"])


async def test_a_reload_asks_once_and_the_next_connection_takes_what_it_found(
    service: Service, command: Command
) -> None:
    asks = endpoint(command.words)
    await asks.open()
    same = settings(*command.words)
    assert asks.key_news(same) == (False, "")
    asks.change(same)
    await asks.open()
    assert command.asked == 2
    command.print("sk-second-2")
    assert asks.key_news(same) == (True, "")
    asks.change(same)
    await asks.open()
    assert command.asked == 3
    assert service.shown[-1] == "sk-second-2"
    # A reload that was refused after the look changes nothing, and other settings are looked at by themselves.
    asks.key_news(same)
    asks.change(replace(same, realtime=replace(same.realtime, key_command=("echo", "sk-third-3"))))
    await asks.open()
    assert service.shown[-1] == "sk-third-3"


async def test_a_reload_tells_why_there_is_no_key(command: Command) -> None:
    news = endpoint(command.words).key_news(settings("sh", "-c", "echo vault is sealed >&2; exit 1"))
    assert news[0] is False
    assert "failed with exit code 1: vault is sealed." in news[1]


async def test_a_failure_is_asked_again_at_the_next_try(service: Service, tmp_path: Path) -> None:
    asks = endpoint(("sh", "-c", f"cat {tmp_path}/late"))
    with pytest.raises(KeyMissingError, match="late: No such file"):
        await asks.open()
    (tmp_path / "late").write_text("sk-late-1")
    await asks.open()
    assert service.shown == ["sk-late-1"]


@pytest.mark.parametrize("how", ["cancel", "close"])
async def test_a_stop_does_not_wait_for_a_command_that_hangs(tmp_path: Path, service: Service, how: str) -> None:
    slow = Command(tmp_path, slow_s=60)
    asks = endpoint(slow.words)
    opening = asyncio.create_task(asks.open())
    await asyncio.to_thread(slow.until_asked)
    if how == "cancel":
        opening.cancel()
    else:
        asks.close()
    with pytest.raises((asyncio.CancelledError, KeyMissingError)):
        await opening
    async with asyncio.timeout(5):
        await asyncio.get_running_loop().shutdown_default_executor()
    assert service.shown == []
