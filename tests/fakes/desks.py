"""Two real desktops with windows in colours: Xvfb with openbox, and sway."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.fakes.screen import XServer, x_server
from tests.fakes.sway import Sway

SECRET = 0xFF00FF
PRIVATE = "Bank \u2014 Mozilla Firefox Private Browsing"
PUBLIC = "News \u2014 Mozilla Firefox"
PATIENCE_S = 20.0
NO_SAVER = ("-s", "0")
"""Arguments of Xvfb: without input its screensaver begins after ten minutes, and with it nothing may be looked at."""


class XDesk:
    """Windows of our own on an X server; safe to use from several threads."""

    def __init__(self, server: XServer) -> None:
        import xcffib
        import xcffib.xproto

        self.environ = dict(server.environ)
        self._x: Any = xcffib
        self._lock = threading.Lock()
        self._connection = xcffib.connect(server.environ["DISPLAY"])
        self._screen = self._connection.get_setup().roots[0]
        self._secret = self._window((40, 40, 160, 120), SECRET, "hudd-secret", "Vault")
        self._behind = self._window((240, 40, 160, 120), SECRET, "behind", "Behind")
        self._browser = self._window((40, 200, 160, 120), 0x2040C0, "firefox", PUBLIC)
        self._ticker = self._window((240, 200, 300, 200), 0xFFFFFF, "ticker", "Ticker")
        self._pen = self._connection.generate_id()
        self._connection.core.CreateGC(self._pen, self._ticker, 0, [])
        self._map(self._browser)
        self._map(self._ticker)

    def secret(self, *, shown: bool) -> None:
        self._map(self._secret, shown=shown)

    def behind(self, *, shown: bool) -> None:
        self._map(self._behind, shown=shown)

    def retitle(self, *, private: bool) -> None:
        self._title(self._browser, PRIVATE if private else PUBLIC)

    def tick(self, number: int) -> None:
        with self._lock:
            core = self._connection.core
            core.ChangeGC(self._pen, 4, [(number * 0x5000) & 0xFF00])
            place = self._x.xproto.RECTANGLE.synthetic((number * 37) % 200, (number * 53) % 120, 90, 70)
            core.PolyFillRectangle(self._ticker, self._pen, 1, [place])
            self._connection.flush()

    def describe(self) -> str:
        """What the desk itself knows, for a failure."""
        return "an X server"

    def close(self) -> None:
        self._connection.disconnect()

    def _window(self, rect: tuple[int, int, int, int], colour: int, app: str, title: str) -> int:
        xproto = self._x.xproto
        window = self._connection.generate_id()
        left, top, width, height = rect
        self._connection.core.CreateWindow(
            self._screen.root_depth,
            window,
            self._screen.root,
            left,
            top,
            width,
            height,
            0,
            xproto.WindowClass.InputOutput,
            self._screen.root_visual,
            xproto.CW.BackPixel,
            [colour],
        )
        name = f"{app}\0{app}\0".encode()
        self._connection.core.ChangeProperty(
            xproto.PropMode.Replace, window, xproto.Atom.WM_CLASS, xproto.Atom.STRING, 8, len(name), name
        )
        self._title(window, title)
        return window

    def _title(self, window: int, title: str) -> None:
        xproto = self._x.xproto
        with self._lock:
            core, data = self._connection.core, title.encode()
            name = core.InternAtom(False, 12, "_NET_WM_NAME").reply().atom
            kind = core.InternAtom(False, 11, "UTF8_STRING").reply().atom
            core.ChangeProperty(xproto.PropMode.Replace, window, name, kind, 8, len(data), data)
            self._connection.flush()

    def _map(self, window: int, *, shown: bool = True) -> None:
        """Until it is so: what is unmapped before the window manager mapped it would be mapped after that."""
        viewable = self._x.xproto.MapState.Viewable
        with self._lock:
            (self._connection.core.MapWindow if shown else self._connection.core.UnmapWindow)(window)
        end = time.monotonic() + PATIENCE_S
        while True:
            with self._lock:
                told = self._connection.core.GetWindowAttributes(window).reply()
            if (told.map_state == viewable) == shown:
                return
            assert time.monotonic() < end, "the window manager does not show a window"
            time.sleep(0.001)


def manage(server: XServer) -> None:
    """Start openbox, and wait until it takes care of a new window: what is mapped while it starts may be left out."""
    import xcffib
    import xcffib.xproto

    server.start("openbox", "--sm-disable")
    connection = xcffib.connect(server.environ["DISPLAY"])
    try:
        core, screen = connection.core, connection.get_setup().roots[0]
        listed = core.InternAtom(False, 16, "_NET_CLIENT_LIST").reply().atom
        end = time.monotonic() + PATIENCE_S
        while True:
            probe = connection.generate_id()
            kind = xcffib.xproto.WindowClass.InputOutput
            core.CreateWindow(screen.root_depth, probe, screen.root, 0, 0, 9, 9, 0, kind, screen.root_visual, 0, [])
            core.MapWindow(probe)
            for _ in range(10):
                time.sleep(0.03)
                told = core.GetProperty(False, screen.root, listed, 0, 0, 100).reply()
                if told.format == 32 and probe in list(told.value.to_atoms()):
                    break
            else:
                assert time.monotonic() < end, "openbox does not start"
                core.DestroyWindow(probe)
                continue
            core.DestroyWindow(probe)
            while probe in list(core.GetProperty(False, screen.root, listed, 0, 0, 100).reply().value.to_atoms()):
                assert time.monotonic() < end, "openbox keeps a window that is gone"
                time.sleep(0.02)
            return
    finally:
        connection.disconnect()


@contextmanager
def x_desk() -> Iterator[XDesk]:
    """Xvfb with openbox."""
    with x_server((640, 480), NO_SAVER) as server:
        manage(server)
        desk = XDesk(server)
        try:
            yield desk
        finally:
            desk.close()


class SwayDesk:
    """Terminals in colours on sway; what is not shown is on a workspace that is not visible."""

    def __init__(self, sway: Sway) -> None:
        self.environ = {
            k: v for k, v in sway.environ.items() if k in ("XDG_RUNTIME_DIR", "WAYLAND_DISPLAY", "SWAYSOCK")
        }
        self._sway = sway
        self._lock = threading.Lock()
        for app, colour, title in (
            ("hudd-secret", "ff00ff", "Vault"),
            ("behind", "ff00ff", "Behind"),
            ("firefox", "2040c0", PUBLIC),
            ("ticker", "ffffff", "Ticker"),
        ):
            sway.msg(f'for_window [app_id="{app}"] floating enable, resize set 300 200, border none')
            if colour == "ff00ff":
                sway.msg(f'for_window [app_id="{app}"] move to workspace hidden')
            script = "while read line; do printf '\\033]2;%s\\007' \"$line\"; done"
            if app == "ticker":
                script = (
                    "i=0; while sleep 0.05; do i=$((i+1)); "
                    "printf '\\033[%d;1H%d the quick brown fox %d\\n' $((i%8+1)) $i $((i*7)); done"
                )
            if app == "firefox":
                self._titles = sway.folder / "titles"
                # Each second another one: foot shows a title late or never that came while it was busy with the last.
                script = (
                    "i=0; while sleep 0.02; do i=$((i+1)); "
                    f"printf '\\033]2;%d %s\\007' $((i/50)) \"$(cat {self._titles})\"; done"
                )
                self.retitle(private=False)
            sway.start("foot", "-a", app, "-T", title, "-o", f"colors.background={colour}", "sh", "-c", script)
        end = time.monotonic() + 20.0
        while sway.msg("-t", "get_tree", "-r").count('"app_id": "') < 4:
            assert time.monotonic() < end, "the terminals did not come"
            time.sleep(0.1)
        sway.msg('[app_id="firefox"] move position 0 300')
        sway.msg('[app_id="ticker"] move position 400 300')

    def secret(self, *, shown: bool) -> None:
        self._show("hudd-secret", shown=shown)

    def behind(self, *, shown: bool) -> None:
        self._show("behind", shown=shown)

    def retitle(self, *, private: bool) -> None:
        made = self._titles.with_suffix(".new")
        made.write_text(PRIVATE if private else PUBLIC)
        made.chmod(0o644)  # whatever the umask: the session is another user's when root runs the tests
        made.replace(self._titles)

    def tick(self, number: int) -> None:
        del number  # the terminal does by itself

    def describe(self) -> str:
        """What sway itself says of its windows, what the browser should be called, and what the terminals wrote."""
        names = re.findall(r'"(?:name|app_id)": "[^"]*"', self._sway.msg("-t", "get_tree", "-r"))
        wrote = (self._sway.folder / "log").read_text(errors="replace")[-2000:]
        return f"{names}; wanted {self._titles.read_text()!r}; {wrote}"

    def _show(self, app: str, *, shown: bool) -> None:
        with self._lock:
            self._sway.msg(f'[app_id="{app}"] move to workspace {"1" if shown else "hidden"}')
