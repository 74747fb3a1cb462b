"""A real sway without a monitor, with as many outputs as wanted. It refuses to run as root, so root lends it a uid."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.fakes.screen import need

_NOBODY = 65534
_BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:path={folder}/bus-socket</listen><standard_session_servicedirs/>
<policy context="default"><allow user="*"/><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/>
<allow own="*"/></policy></busconfig>
"""
"""A session's bus that root may use as well, whose session it is not."""


class Sway:
    """A headless sway, drawn in software.

    Args:
        config: Lines of its configuration.
        outputs: How many there are.
    """

    def __init__(self, config: str = "", outputs: int = 1) -> None:
        program, session = need("sway"), need("dbus-run-session")
        self.folder = Path(tempfile.mkdtemp(prefix="hudd-sway-"))
        (self.folder / "sway.conf").write_text(f"default_border none\n{config}\n")
        (self.folder / "bus.conf").write_text(_BUS.format(folder=self.folder))
        (self.folder / "home").mkdir()
        self.as_user: list[str] = []
        if os.getuid() == 0:
            for path in (self.folder, *self.folder.iterdir()):
                os.chown(path, _NOBODY, _NOBODY)
            self.as_user = [need("setpriv"), f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups"]
        self.environ = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(self.folder / "home"),
            "LANG": "C.UTF-8",
            "XDG_RUNTIME_DIR": str(self.folder),
            "XDG_CURRENT_DESKTOP": "sway",
        }
        headless = {
            "WLR_BACKENDS": "headless",
            "WLR_RENDERER": "pixman",
            "WLR_LIBINPUT_NO_DEVICES": "1",
            "WLR_HEADLESS_OUTPUTS": str(outputs),
        }
        script = 'echo "$DBUS_SESSION_BUS_ADDRESS" > "$XDG_RUNTIME_DIR/bus"; exec "$0" -c "$XDG_RUNTIME_DIR/sway.conf"'
        self._programs: list[subprocess.Popen[bytes]] = []
        self.log = (self.folder / "log").open("wb")
        self.process = subprocess.Popen(
            [*self.as_user, session, f"--config-file={self.folder}/bus.conf", "--", "sh", "-c", script, program],
            env={**self.environ, **headless},
            cwd=self.folder,
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
        )
        try:
            self._wait(outputs)
        except BaseException:
            self.kill()
            raise

    def _wait(self, outputs: int) -> None:
        end = time.monotonic() + 20.0
        while time.monotonic() < end:
            displays = [p for p in self.folder.glob("wayland-*") if not p.name.endswith(".lock")]
            ipc = list(self.folder.glob("sway-ipc.*.sock"))
            if displays and ipc:
                self.environ["WAYLAND_DISPLAY"] = displays[0].name
                self.environ["SWAYSOCK"] = str(ipc[0])
                self.environ["DBUS_SESSION_BUS_ADDRESS"] = (self.folder / "bus").read_text().strip()
                if self.msg("-t", "get_outputs", "-r").count('"current_mode"') >= outputs:
                    return
            time.sleep(0.05)
        raise RuntimeError(f"sway did not start: {(self.folder / 'log').read_text()}")

    def msg(self, *words: str) -> str:
        """What swaymsg answers."""
        return self.run("swaymsg", *words)

    def run(self, *command: str) -> str:
        """Run a program in the session, and wait for its end."""
        done = subprocess.run(
            [*self.as_user, need(command[0]), *command[1:]],
            env=self.environ,
            cwd=self.folder,
            capture_output=True,
            check=False,
            timeout=20,
        )
        return done.stdout.decode()

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        """Start a program in the session; it ends with it."""
        program = subprocess.Popen(
            [*self.as_user, *command],
            env=self.environ,
            cwd=self.folder,
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
        )
        self._programs.append(program)
        return program

    def kill(self) -> None:
        """End the compositor and all that runs in it."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for program in self._programs:
            program.kill()
            program.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def sway(config: str = "", outputs: int = 1) -> Iterator[Sway]:
    """A sway for the length of a block."""
    running = Sway(config, outputs)
    try:
        yield running
    finally:
        running.kill()


def foot(command: str, title: str = "foot", app: str = "foot") -> str:
    """A line of configuration that starts a terminal with a command."""
    return f"exec foot -T '{title}' -a '{app}' sh -c '{command}'"
