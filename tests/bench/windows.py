"""Real windows whose words are known: xterms and drawn panels on an X server of their own, under a window manager.

An xterm runs in slave mode: what it shows is written by us, so the truth about its words needs no text recognition.
Programs that write for themselves run in tmux, which tells what is on its screen.
"""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import subprocess
import time
import tty
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import xcffib
import xcffib.xproto
from PIL import Image

from hudd.clock import SystemClock
from hudd.config.settings import ScreenSettings
from hudd.model import Shot
from hudd.screen.mss_source import MssScreen
from tests.fakes.desks import manage
from tests.fakes.screen import XServer, need, x_server

SIZE: Final = (1280, 800)
STRIP_BYTES: Final = 200_000  # a request of X11 holds 262,140 bytes without an extension
_PATIENCE_S: Final = 20.0
_STILL_S: Final = 0.004
_REPORT = re.compile(rb"\x1b\[\d+;\d+R")


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours of a terminal, as X11 names them."""

    text: str
    ground: str
    cursor: str


THEMES: Final = (
    Theme("#202020", "#fdf6e3", "#cc0000"),
    Theme("#111111", "#ffffff", "#000000"),
    Theme("#d8d8d8", "#1e1e2e", "#ffcc00"),
    Theme("#eeeeee", "#000000", "#00ff00"),
    Theme("#93a1a1", "#002b36", "#ff00ff"),
    Theme("#4c4f69", "#eff1f5", "#dc8a78"),
)


class Terminal:
    """An xterm that shows what it is told, line by line; made on a ``Desk``.

    Attributes:
        lines: What it shows, top to bottom; always as many as it has rows.
        columns: Characters of a line.
    """

    def __init__(
        self,
        server: XServer,
        title: str,
        *,
        place: tuple[int, int],
        rows: int,
        columns: int,
        font: Sequence[str],
        theme: Theme,
    ) -> None:
        self.title, self.columns = title, columns
        self.lines = [""] * rows
        master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        self._process = subprocess.Popen(
            [
                need("xterm"),
                *("-T", title, "-geometry", f"{columns}x{rows}+{place[0]}+{place[1]}"),
                *("-fg", theme.text, "-bg", theme.ground, "-cr", theme.cursor, "+sb", "-b", "4", *font),
                f"-S{os.ttyname(self._slave)}/{master}",
            ],
            pass_fds=(master,),
            env={**os.environ, **server.environ},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(master)
        self.window = int(self._read_until(re.compile(rb"\n")).strip() or b"0", 16)
        self.write("\x1b[?7l\x1b[2J")

    def write(self, text: str) -> None:
        """Send text and control sequences as they are, and wait until the xterm has taken all of it."""
        data = text.encode() + b"\x1b[6n"
        while data:
            data = data[os.write(self._slave, data) :]
        self._read_until(_REPORT)

    def put(self, row: int, text: str) -> None:
        """Replace a line; its words then are those of ``text``, as far as it fits."""
        self.lines[row] = text[: self.columns]
        self.write(f"\x1b[{row + 1};1H\x1b[2K{self.lines[row]}")

    def fill(self, lines: Sequence[str]) -> None:
        """Replace all lines, in one go."""
        rows = len(self.lines)
        self.lines = [line[: self.columns] for line in [*lines, *[""] * rows][:rows]]
        self.write("".join(f"\x1b[{row + 1};1H\x1b[2K{line}" for row, line in enumerate(self.lines)))

    def append(self, text: str) -> None:
        """Scroll by one line and write below, as a program that prints does."""
        self.lines = [*self.lines[1:], text[: self.columns]]
        self.write(f"\x1b[{len(self.lines)};1H\n\x1b[2K{self.lines[-1]}")

    def mark(self, first: int, last: int, *, inverse: bool) -> None:
        """Show lines as selected, or no more."""
        style = "\x1b[7m" if inverse else "\x1b[0m"
        self.write("".join(f"\x1b[{row + 1};1H{style}{self.lines[row]}\x1b[0m" for row in range(first, last)))

    def cursor(self, row: int, column: int, *, shown: bool) -> None:
        """Move the cursor, and show or hide it."""
        self.write(f"\x1b[{row + 1};{column + 1}H\x1b[?25{'h' if shown else 'l'}")

    def dress(self, theme: Theme) -> None:
        """Other colours, the same words."""
        self.write(f"\x1b]10;{theme.text}\x07\x1b]11;{theme.ground}\x07\x1b]12;{theme.cursor}\x07")

    def close(self) -> None:
        """End the xterm."""
        self._process.kill()
        self._process.wait()
        os.close(self._slave)

    def _read_until(self, wanted: re.Pattern[bytes]) -> bytes:
        end, told = time.monotonic() + _PATIENCE_S, b""
        while wanted.search(told) is None:
            if not select.select([self._slave], [], [], max(0.0, end - time.monotonic()))[0]:
                raise TimeoutError(f"the xterm {self.title!r} does not answer")
            told += os.read(self._slave, 4096)
        return told


class Panel:
    """A window that shows pictures, and no words that count."""

    def __init__(
        self, connection: xcffib.Connection, title: str, place: tuple[int, int], size: tuple[int, int]
    ) -> None:
        self._connection, self.size = connection, size
        core, screen = connection.core, connection.get_setup().roots[0]
        self._depth, self.window, self._context = screen.root_depth, connection.generate_id(), connection.generate_id()
        core.CreateWindow(
            *(self._depth, self.window, screen.root, *place, *size, 0),
            *(xcffib.xproto.WindowClass.InputOutput, screen.root_visual),
            *(xcffib.xproto.CW.BackPixel | xcffib.xproto.CW.OverrideRedirect, [0x808080, 1]),
        )
        name = title.encode()
        core.ChangeProperty(
            *(xcffib.xproto.PropMode.Replace, self.window, xcffib.xproto.Atom.WM_NAME),
            *(xcffib.xproto.Atom.STRING, 8, len(name), name),
        )
        core.CreateGC(self._context, self.window, 0, [])
        core.MapWindow(self.window)
        self._done()

    def paint(self, picture: Image.Image) -> None:
        """Show a picture of the panel's size."""
        data, row = picture.convert("RGB").tobytes("raw", "BGRX"), self.size[0] * 4
        step = max(1, STRIP_BYTES // row)
        for top in range(0, self.size[1], step):
            part = data[top * row : (top + step) * row]
            self._connection.core.PutImage(
                *(xcffib.xproto.ImageFormat.ZPixmap, self.window, self._context),
                *(self.size[0], len(part) // row, 0, top, 0, self._depth, len(part), part),
            )
        self._done()

    def _done(self) -> None:
        self._connection.core.GetInputFocus().reply()  # the server has done it all


class Desk:
    """A display with a window manager; opens windows, raises them, takes frames. Made by ``desk``."""

    def __init__(self, server: XServer) -> None:
        self.server = server
        self.terminals: list[Terminal] = []
        self.hidden: set[str] = set()
        manage(server)
        self._connection = xcffib.connect(server.environ["DISPLAY"])
        self._screen = MssScreen(ScreenSettings(), server.environ, SystemClock())
        self._source = self._screen.sources()[0]

    def terminal(self, title: str, **options: object) -> Terminal:
        """Open an xterm; see ``Terminal``."""
        self.terminals.append(Terminal(self.server, title, **options))  # pyright: ignore[reportArgumentType] - passed on
        return self.terminals[-1]

    def panel(self, title: str, place: tuple[int, int], size: tuple[int, int]) -> Panel:
        """Open a window for pictures."""
        return Panel(self._connection, title, place, size)

    def focus(self, terminal: Terminal) -> None:
        """Raise and focus a window; the window manager colours the title bars anew."""
        core, root = self._connection.core, self._connection.get_setup().roots[0].root
        active = self._atom("_NET_ACTIVE_WINDOW")
        data = xcffib.xproto.ClientMessageData.synthetic([2, 0, 0, 0, 0], "IIIII")
        event = xcffib.xproto.ClientMessageEvent.synthetic(32, terminal.window, active, data)
        mask = xcffib.xproto.EventMask.SubstructureRedirect | xcffib.xproto.EventMask.SubstructureNotify
        core.SendEvent(False, root, mask, event.pack())

        def focused() -> bool:
            told = core.GetProperty(False, root, active, xcffib.xproto.Atom.WINDOW, 0, 1).reply().value.to_atoms()
            return list(told) == [terminal.window]

        _until(focused, f"the window manager does not focus {terminal.title!r}")

    def cover(self, below: Terminal, above: Terminal) -> None:
        """Raise a window over another one of the same place: only the words of one of them can be read."""
        self.focus(above)
        self.hidden.discard(above.title)
        self.hidden.add(below.title)

    def show(self, terminal: Terminal, *, shown: bool) -> None:
        """Map or unmap a window."""
        core, viewable = self._connection.core, xcffib.xproto.MapState.Viewable
        before = self.frame().pixels
        (core.MapWindow if shown else core.UnmapWindow)(terminal.window)

        def done() -> bool:
            return (core.GetWindowAttributes(terminal.window).reply().map_state == viewable) == shown

        _until(done, f"the window {terminal.title!r} cannot be shown or hidden")
        _until(lambda: self._grab().pixels != before, "the window manager draws nothing")
        if shown:
            terminal.write("")
            self.hidden.discard(terminal.title)
        else:
            self.hidden.add(terminal.title)

    def _atom(self, name: str) -> int:
        return int(self._connection.core.InternAtom(False, len(name), name).reply().atom)

    def words(self) -> Counter[str]:
        """The words that can be read now."""
        shown = (terminal for terminal in self.terminals if terminal.title not in self.hidden)
        return Counter(word for terminal in shown for line in terminal.lines for word in line.split())

    def frame(self) -> Shot:
        """A frame, as soon as the server has drawn all that it was told."""
        before = self._grab()
        while True:
            time.sleep(_STILL_S)
            now = self._grab()
            if now.pixels == before.pixels:
                return now
            before = now

    def close(self) -> None:
        """End all windows."""
        for terminal in self.terminals:
            terminal.close()
        self._screen.close()
        self._connection.disconnect()

    def _grab(self) -> Shot:
        return self._screen.grab(self._source, epoch=0, captured_at=0.0)


@contextmanager
def desk(size: tuple[int, int] = SIZE) -> Iterator[Desk]:
    """A desk for the length of a block."""
    with x_server(size) as server:
        made = Desk(server)
        try:
            yield made
        finally:
            with contextlib.suppress(ProcessLookupError):  # a window that ended by itself
                made.close()


def _until(done: Callable[[], bool], sentence: str) -> None:
    end = time.monotonic() + _PATIENCE_S
    while not done():
        if time.monotonic() > end:
            raise TimeoutError(sentence)
        time.sleep(0.002)


def changed_words(before: Counter[str], now: Counter[str]) -> int:
    """How many words came or went, whichever is more."""
    return max((now - before).total(), (before - now).total())
