"""Screens for tests: frames painted in memory, and a real X server to start and kill."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hudd.model import Shot, Source
from hudd.screen.source import Rect


def need(program: str) -> str:
    """The path of a system program; skips the test where it is missing, and fails it in CI."""
    path = shutil.which(program)
    if path is None:
        message = f"{program} is not installed"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return path


def need_root(why: str) -> None:
    """Skip the test for whoever is not root, and fail it in CI, which is."""
    if os.getuid() != 0:
        if os.environ.get("CI"):
            pytest.fail(f"{why} needs root; CI has it")
        pytest.skip(f"{why} needs root")


class Canvas:
    """A frame in memory. Rectangles and text-like hatching are painted on it; ``shot`` takes a copy."""

    def __init__(self, width: int = 640, height: int = 320, colour: int = 0xFFFFFF, name: str = "fake") -> None:
        self.width, self.height = width, height
        self.source = Source("monitor", name, (0, 0, width, height))
        self._rows = [bytearray(colour.to_bytes(4, "little") * width) for _ in range(height)]

    def fill(self, rect: Rect, colour: int) -> Canvas:
        """Paint a rectangle in one colour (0xRRGGBB)."""
        left, top, width, height = rect
        line = colour.to_bytes(4, "little") * width
        for row in self._rows[top : top + height]:
            row[left * 4 : (left + width) * 4] = line
        return self

    def write(self, left: int, top: int, letters: int, colour: int = 0) -> Canvas:
        """Paint something like a line of text: letters of 7x12 pixels, made of strokes 2 pixels wide."""
        for letter in range(letters):
            x = left + 8 * letter
            self.fill((x, top, 2, 12), colour)
            self.fill((x, top + 5 * (letter % 3), 6, 2), colour)
        return self

    def shot(self, epoch: int = 0) -> Shot:
        return Shot(self.source, b"".join(self._rows), self.width, self.height, 0.0, epoch)


class XServer:
    """A real Xvfb. It chooses its own display number, so that tests do not meet.

    Args:
        size: Width and height in pixels.
        number: A display number to take instead, as when a display comes back.
        extra: More arguments of Xvfb.
    """

    def __init__(
        self, size: tuple[int, int] = (640, 480), number: int | None = None, extra: tuple[str, ...] = ()
    ) -> None:
        program = need("Xvfb")
        reader, writer = os.pipe()
        chosen = [] if number is None else [f":{number}"]
        screen = f"{size[0]}x{size[1]}x24"
        self.process = subprocess.Popen(
            [
                program,
                *chosen,
                "-displayfd",
                str(writer),
                "-screen",
                "0",
                screen,
                "-nolisten",
                "tcp",
                "-noreset",
                *extra,
            ],
            pass_fds=(writer,),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(writer)
        with os.fdopen(reader, encoding="ascii") as pipe:
            told = pipe.readline().strip()
        if not told:
            self.process.wait()
            raise RuntimeError("Xvfb did not start")
        self.number = int(told)
        self.environ = {"DISPLAY": f":{self.number}"}
        self._clients: list[subprocess.Popen[bytes]] = []

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        """Start an X program on this server; it ends with it."""
        client = subprocess.Popen(
            [need(command[0]), *command[1:]],
            env={**os.environ, **self.environ},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._clients.append(client)
        return client

    def run(self, *command: str) -> None:
        """Run an X program and wait for its end."""
        subprocess.run(
            [need(command[0]), *command[1:]], env={**os.environ, **self.environ}, check=True, capture_output=True
        )

    def resize(self, width: int, height: int) -> None:
        """Give the only monitor another size, at most that of the start."""
        mode = f"{width}x{height}t"
        timings = [width, width + 10, width + 20, width + 30, height, height + 10, height + 20, height + 30]
        self.run("xrandr", "--newmode", mode, "1", *map(str, timings))
        self.run("xrandr", "--addmode", "screen", mode)
        self.run("xrandr", "--output", "screen", "--mode", mode)

    def kill(self) -> None:
        """End the server the hard way."""
        self.process.kill()
        self.process.wait()
        for client in self._clients:
            client.kill()
            client.wait()


@contextmanager
def x_server(size: tuple[int, int] = (640, 480), extra: tuple[str, ...] = ()) -> Iterator[XServer]:
    """An Xvfb for the length of a block."""
    server = XServer(size, extra=extra)
    try:
        yield server
    finally:
        server.kill()


def at_rest(grab: Callable[[], Shot], still_s: float = 0.2, timeout_s: float = 10.0) -> Shot:
    """A frame of a screen on which nothing changed for a while."""
    end, since, last = time.monotonic() + timeout_s, time.monotonic(), grab()
    while time.monotonic() - since < still_s:
        assert time.monotonic() < end, "the screen does not come to rest"
        time.sleep(0.02)
        now = grab()
        if bytes(now.pixels) != bytes(last.pixels):
            since, last = time.monotonic(), now
    return last


def wait_for(path: Path, timeout_s: float = 10.0) -> str:
    """The text of a file, as soon as somebody wrote a whole line into it."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if path.exists() and (text := path.read_text()).endswith("\n"):
            return text.strip()
        time.sleep(0.02)
    raise TimeoutError(f"{path} was not written")
