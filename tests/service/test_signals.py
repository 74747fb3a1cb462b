from __future__ import annotations

import asyncio
import os
import signal

import pytest

from hudd.service.signals import SignalHandlers


async def test_signals_become_calls_and_what_was_there_comes_back():
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    heard: asyncio.Queue[str] = asyncio.Queue()
    with SignalHandlers(stop=heard.put_nowait, reload=lambda: heard.put_nowait("reload")):
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGINT):
            os.kill(os.getpid(), number)
            async with asyncio.timeout(10):
                got = await heard.get()
            assert got == ("reload" if number == signal.SIGHUP else number.name)
    assert {number: signal.getsignal(number) for number in before} == before


async def test_handlers_come_back_after_an_error():
    mine: list[int] = []

    def handler(number: int, _: object) -> None:
        mine.append(number)

    original = signal.signal(signal.SIGHUP, handler)
    try:
        with (
            pytest.raises(ZeroDivisionError),
            SignalHandlers(stop=lambda _: None, reload=lambda: None),
        ):
            raise ZeroDivisionError
        os.kill(os.getpid(), signal.SIGHUP)
        assert mine == [signal.SIGHUP]
    finally:
        signal.signal(signal.SIGHUP, original)


def test_it_needs_a_running_loop():
    with pytest.raises(RuntimeError), SignalHandlers(stop=lambda _: None, reload=lambda: None):
        pass


async def test_another_thread_is_refused_and_nothing_is_left_behind():
    before = signal.getsignal(signal.SIGTERM)

    async def enter() -> None:
        with SignalHandlers(stop=lambda _: None, reload=lambda: None):
            pass

    with pytest.raises((RuntimeError, ValueError)):
        await asyncio.to_thread(asyncio.run, enter())
    assert signal.getsignal(signal.SIGTERM) == before
