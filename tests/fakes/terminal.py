"""A real display in a clean machine, and real terminals on it: typed into by key strokes, read and photographed."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.fakes.clean_root import CleanMachine
from tests.fakes.screen import need

DISPLAY: Final = ":0"
SIZE: Final = (1680, 1050)
FONT: Final = ("-fa", "DejaVu Sans Mono", "-fs", "11")
NOTED: Final = "/tmp/.terminals"
"""Where terminals write their text and their prompts; in the clean root, and no place of hudd's."""
LOOK_S: Final = 0.2
APPEAR_S: Final = 15.0
PHOTOGRAPH: Final = """
import sys, mss, mss.tools
display, left, top, width, height, path = sys.argv[1:]
with mss.MSS(display=display) as screen:
    shot = screen.grab({"left": int(left), "top": int(top), "width": int(width), "height": int(height)})
mss.tools.to_png(shot.rgb, shot.size, output=path)
"""


class Display:
    """Xvfb with openbox; systemd is told of it as a desktop's session does."""

    def __init__(self, machine: CleanMachine) -> None:
        for program in ("Xvfb", "openbox", "xterm", "xdotool"):
            need(program)
        self.machine = machine
        machine.as_root("mkdir", "-p", "-m", "1777", "/tmp/.X11-unix", NOTED)
        machine.as_root("chmod", "1777", "/tmp/.X11-unix", NOTED)
        width, height = SIZE
        machine.start(f"exec Xvfb {DISPLAY} -screen 0 {width}x{height}x24 -nolisten tcp -noreset 2>/dev/null")
        until((machine.root / f"tmp/.X11-unix/X{DISPLAY[1:]}").exists, "the display")
        machine.start(f"DISPLAY={DISPLAY} exec openbox --sm-disable 2>/dev/null")
        until(lambda: self.xdotool("get_desktop") == "0", "the window manager")
        assert machine.run("systemctl", "--user", "set-environment", f"DISPLAY={DISPLAY}").returncode == 0

    def xdotool(self, *words: str) -> str:
        """What xdotool answers; '' when it fails."""
        done = self.machine.run("xdotool", *words, environ={"DISPLAY": DISPLAY})
        return done.stdout.strip() if done.returncode == 0 else ""

    def photograph(self, path: Path, rect: tuple[int, int, int, int] | None = None) -> None:
        """Write the screen, or a part of it (left, top, width, height), as a PNG."""
        left, top, width, height = rect or (0, 0, *SIZE)
        in_network = ["nsenter", "--target", str(self.machine.leader), "--net"]  # where the display's socket has a name
        rectangle = map(str, (left, top, width, height))
        words = [*in_network, sys.executable, "-c", PHOTOGRAPH, DISPLAY, *rectangle, str(path)]
        subprocess.run(words, check=True, timeout=APPEAR_S)


class Terminal:
    """An xterm of 100x30 with a login's shell in it.

    Args:
        display: Where it is shown.
        name: Its class name; the title is the shell's.
        place: Left and top on the screen.
        root: Whether it is root's.
        dark: Light letters on a dark ground.
    """

    def __init__(
        self, display: Display, name: str, place: tuple[int, int], *, root: bool = False, dark: bool = True
    ) -> None:
        self.display = display
        machine = display.machine
        self._noted = machine.root / NOTED.lstrip("/")
        self._name = name
        self._place = place
        colours = ("-fg", "#d8d8d8", "-bg", "#1c1c1c") if dark else ("-fg", "black", "-bg", "white")
        left, top = place
        command = [
            *("xterm", "-name", name, "-geometry", f"100x30+{left}+{top}", *FONT, *colours),
            *("-xrm", f"XTerm*printerCommand: cat >{NOTED}/{name}.new; mv {NOTED}/{name}.new {NOTED}/{name}.text"),
            *("-xrm", "XTerm*printerAutoClose: true", "-xrm", "XTerm*printAttributes: 0"),
            *("-xrm", "XTerm*VT100.translations: #override <Key>F12: print()"),
        ]
        environ = machine.environ_of_root() if root else machine.environ()
        environ |= {"DISPLAY": DISPLAY, "PROMPT_COMMAND": f"echo $? >>{NOTED}/{name}.prompts", "HISTFILE": ""}
        # No trace of the shell's own: an empty HISTFILE.
        words = machine.command("env", "-i", *(f"{key}={value}" for key, value in environ.items()), *command,
                                uid=0 if root else None)  # fmt: skip
        words[words.index(f"--wdns={machine.home}")] = f"--wdns={environ['HOME']}"
        self._process = subprocess.Popen(words, stdin=subprocess.DEVNULL)
        until(lambda: self._find() != "", f"the terminal {name}")
        self.window = self._find()
        until(lambda: len(self.prompts()) == 1, f"a prompt in {name}")

    def focus(self) -> None:
        """Bring it to the front and give it the keyboard."""
        self.display.xdotool("windowactivate", "--sync", self.window)

    def type(self, text: str) -> None:
        """Type and press return."""
        self.focus()
        self.display.xdotool("type", "--delay", "8", text)
        self.display.xdotool("key", "Return")

    def clear(self) -> None:
        """An empty terminal, as ctrl-L makes it."""
        self.focus()
        self.display.xdotool("key", "ctrl+l")

    def page_up(self) -> None:
        """Look at what was printed before, as shift and page-up do; the next key stroke looks at the end again."""
        self.focus()
        self.display.xdotool("key", "shift+Prior")
        time.sleep(LOOK_S)

    def command(self, text: str, *, within_s: float = 60.0) -> int:
        """Type a command and wait for the next prompt; the exit code."""
        before = len(self.prompts())
        self.type(text)
        return self.end_of(text, before, within_s)

    def end_of(self, text: str, before: int, within_s: float) -> int:
        """Wait for the prompt after a command that was typed when there were so many; the exit code."""
        until(lambda: len(self.prompts()) > before, f"the end of {text}", within_s, self.text)
        time.sleep(LOOK_S)  # the prompt itself is drawn after it was noted
        return self.prompts()[-1]

    def prompts(self) -> list[int]:
        """The exit code that each prompt so far knew of."""
        path = self._noted / f"{self._name}.prompts"
        return [int(word) for word in path.read_text(encoding="ascii").split()] if path.exists() else []

    def text(self) -> str:
        """What is on the terminal now."""
        path = self._noted / f"{self._name}.text"
        path.unlink(missing_ok=True)
        self.focus()
        self.display.xdotool("key", "F12")
        until(path.exists, "the terminal's text")
        rows = path.read_text(encoding="utf-8", errors="replace").replace("\f", "").splitlines()
        return "\n".join(row.rstrip() for row in rows).rstrip() + "\n"

    def until_shown(self, words: str, within_s: float = 60.0) -> None:
        """Wait until the terminal shows these words; a line's end counts as a space."""
        until(lambda: words in " ".join(self.text().split()), words, within_s, self.text)

    def photograph(self, path: Path) -> None:
        """Write what it looks like, without the frame."""
        told = self.display.xdotool("getwindowgeometry", "--shell", self.window)
        found = dict(line.split("=", 1) for line in told.splitlines())
        # xdotool counts the frame twice: once where the window is in it, and once where it is on the screen.
        left, top = (place + (int(found[axis]) - place) // 2 for place, axis in zip(self._place, "XY", strict=True))
        self.display.photograph(path, (left, top, int(found["WIDTH"]), int(found["HEIGHT"])))

    def _find(self) -> str:
        found = self.display.xdotool("search", "--onlyvisible", "--classname", f"^{self._name}$")
        return found.splitlines()[-1] if found else ""


def until(
    true: Callable[[], bool], what: str, within_s: float = APPEAR_S, tell: Callable[[], str] = lambda: ""
) -> None:
    """Wait until something holds."""
    end = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < end, f"not within {within_s:g} s: {what}\n{tell()}"
        time.sleep(LOOK_S)
