"""A real ``systemd --user`` without a booted systemd: in mount, process and cgroup namespaces of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.fakes.screen import need

ROOT: Final = Path(__file__).parents[2]
NOBODY: Final = 65534
START_S: Final = 20.0

# What systemd looks for before it believes that it runs the machine, a cgroup that belongs to the user, a session bus,
# and the manager. A home of root is closed to the user, so what lies there is shown again below an open one.
STAGE: Final = r"""
set -eu
mount -t proc proc /proc
if [ -n "$SHOWN" ]; then
    mkdir -p /run/shown
    mount -t tmpfs -o mode=755 tmpfs /run/shown
    number=0
    for path in $SHOWN; do number=$((number + 1)); mkdir /run/shown/$number; mount --bind "$path" /run/shown/$number; done
    mount -t tmpfs -o mode=755 tmpfs /root
    number=0
    for path in $SHOWN; do number=$((number + 1)); mkdir -p "$path"; mount --move /run/shown/$number "$path"; done
    umount /run/shown
fi
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/systemd/system /run/systemd/unit-root /run/systemd/inaccessible /run/credentials /run/user/$USER_ID /run/dbus /run/lock
mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
umount /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir -p /sys/fs/cgroup/$CGROUP
echo $$ > /sys/fs/cgroup/$CGROUP/cgroup.procs
chown -R $USER_ID /sys/fs/cgroup/$CGROUP /run/user/$USER_ID
chmod 700 /run/user/$USER_ID
cd "$HOME"
export XDG_RUNTIME_DIR=/run/user/$USER_ID DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/$USER_ID/bus
export SYSTEMD_LOG_TARGET=console SYSTEMD_LOG_LEVEL=info PATH=/usr/local/bin:/usr/bin:/bin
as_user="setpriv --reuid=$USER_ID --regid=$USER_ID --clear-groups"
$as_user dbus-daemon --session --address=$DBUS_SESSION_BUS_ADDRESS --nofork --nopidfile --syslog-only &
for try in $(seq 100); do [ -S /run/user/$USER_ID/bus ] && break; sleep 0.05; done
$as_user /lib/systemd/systemd --user --log-target=console &
wait
"""


class UserSystemd:
    """One user's manager, a home, and commands that run in it.

    Attributes:
        folder: A folder outside of the namespaces, which is removed at the end.
        home: The user's home folder, as it is named inside; here the same.
        leader: The first process of the namespaces, as it is numbered outside.
        log: What the manager and the units printed.
    """

    namespaces: tuple[str, ...] = ("mount", "pid", "cgroup")
    before = ""
    """Lines of the shell that prepare the namespaces before anything else."""

    def __init__(self, uid: int = NOBODY) -> None:
        for program in ("unshare", "nsenter", "setpriv", "dbus-daemon", "systemctl"):
            need(program)
        self.uid = uid
        self.folder = Path(tempfile.mkdtemp(prefix="hudd-systemd-"))
        self.folder.chmod(0o755)
        os.chown(self.folder, uid, uid)
        self.home = self.folder
        self.log_path = Path(f"{self.folder}.log")
        self.cgroup = f"hudd-test-{os.getpid()}-{uid}-{self.folder.name[-8:]}"
        self.leader = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._started: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        environ = {
            "USER_ID": str(self.uid),
            "HOME": str(self.home),
            "CGROUP": self.cgroup,
            "SHOWN": " ".join(self.shown()) if self.uid else "",
            "PATH": os.environ["PATH"],
        }
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    "unshare",
                    *(f"--{name}" for name in self.namespaces),
                    *("--fork", "--kill-child", "--propagation", "private", "bash", "-c"),
                    f"{self.before}{STAGE}",
                ],
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            self._wait_until_up(self._process)
        except BaseException:  # also a time limit of the test's: nothing may be left running
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.leader:
            os.kill(self.leader, signal.SIGKILL)  # the first process of the namespace: all others end with it
        elif self._process is not None:
            self._process.kill()  # unshare takes what it started with it
        for process in (self._process, *self._started):
            if process is not None:
                process.wait(10)
        self._remove_cgroup()
        shutil.rmtree(self.folder, ignore_errors=True)
        self.log_path.unlink(missing_ok=True)

    def run(
        self, *command: str, environ: Mapping[str, str] | None = None, timeout_s: float = 60.0
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as the user and wait for it."""
        return subprocess.run(
            self.command(*command),
            env=self.environ() | dict(environ or {}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def as_root(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the namespaces, as root."""
        return subprocess.run(
            self.command(*command, uid=0), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )

    def command(self, *command: str, uid: int | None = None) -> list[str]:
        """The words that run a command as the user, from outside."""
        uid = self.uid if uid is None else uid
        names = [f"--{name}" for name in self.namespaces]
        inside = ["nsenter", "--target", str(self.leader), *names, f"--wdns={self.home}"]
        user = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]
        return [*inside, *user, *command]

    def environ(self) -> dict[str, str]:
        """What a login shell of the user has."""
        return {
            "HOME": str(self.home),
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
            "XDG_RUNTIME_DIR": f"/run/user/{self.uid}",
            "DBUS_SESSION_BUS_ADDRESS": f"unix:path=/run/user/{self.uid}/bus",
            "LANG": "C.UTF-8",
        }

    def shown(self) -> list[str]:
        """What lies in root's home and is to be seen by the user all the same."""
        return sorted({str(path) for path in (sys.base_prefix, sys.prefix, ROOT) if str(path).startswith("/root/")})

    def systemctl(self, *words: str) -> subprocess.CompletedProcess[str]:
        """``systemctl --user …``."""
        return self.run("systemctl", "--user", "--no-pager", *words)

    def hudctl(self, *words: str, timeout_s: float = 60.0) -> subprocess.CompletedProcess[str]:
        """``hudctl …`` of this interpreter."""
        return self.run(sys.executable, "-m", "hudctl", *words, timeout_s=timeout_s)

    def start(self, command: str) -> subprocess.Popen[bytes]:
        """Start a command of the shell as the user; it ends with the namespace at the latest."""
        made = subprocess.Popen(self.command("sh", "-c", command), env=self.environ(), stdin=subprocess.DEVNULL)
        self._started.append(made)
        return made

    def write(self, name: str, text: str, mode: int = 0o644) -> Path:
        """A file of the user's, with the folders above it."""
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)
        for made in (path, *path.parents):
            if made != self.home and made.is_relative_to(self.home):
                os.chown(made, self.uid, self.uid)
        return path

    def daemon_log(self) -> str:
        """What hudd logged, when its unit sends it to ``~/hudd.log``."""
        path = self.home / "hudd.log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def until_logged(self, words: str, timeout_s: float = 10.0) -> None:
        """Wait until hudd's log has these words."""
        end = time.monotonic() + timeout_s
        while words not in self.daemon_log():
            assert time.monotonic() < end, f"{words}: never logged\n{self.daemon_log()}"
            time.sleep(0.05)

    def show(self, *names: str, unit: str = "hudd.service") -> dict[str, str]:
        """Properties of a unit."""
        lines = self.systemctl("show", unit, "--property", ",".join(names)).stdout.splitlines()
        return dict(line.split("=", 1) for line in lines)

    def pid(self, unit: str = "hudd.service") -> int:
        """The main process, as it is numbered in the namespace; 0 for none."""
        return int(self.show("MainPID", unit=unit)["MainPID"])

    def kill(self, name: str) -> None:
        """Send a signal to the main process."""
        done = self.run("kill", f"-{name}", str(self.pid()))
        assert done.returncode == 0, done.stderr

    def until(self, what: str, wanted: Mapping[str, str], timeout_s: float = 20.0) -> dict[str, str]:
        """Wait until the service has these properties."""
        end = time.monotonic() + timeout_s
        while True:
            found = self.show(*wanted)
            if found == wanted:
                return found
            assert time.monotonic() < end, f"{what}: never; {found}\n{self.log()}{self.daemon_log()}"
            time.sleep(0.1)

    def log(self) -> str:
        """What was printed so far."""
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def _wait_until_up(self, process: subprocess.Popen[bytes]) -> None:
        end = time.monotonic() + START_S
        while not self._up():
            assert process.poll() is None, f"the stage ended:\n{self.log()}"
            assert time.monotonic() < end, f"systemd did not come up:\n{self.log()}"
            time.sleep(0.1)

    def _up(self) -> bool:
        assert self._process is not None
        if not self.leader:
            children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
            words = children.read_text(encoding="ascii").split() if children.exists() else []
            self.leader = int(words[0]) if words else 0
            return False
        return self.systemctl("is-system-running").stdout.strip() in {"running", "degraded"}

    def _remove_cgroup(self) -> None:
        """The kernel keeps the folders of the manager's cgroups when all processes have ended."""
        mount = Path(tempfile.mkdtemp(prefix="hudd-cgroup-"))
        try:
            if subprocess.run(["mount", "-t", "cgroup2", "cgroup2", str(mount)], check=False).returncode == 0:
                for folder, _, _ in os.walk(mount / self.cgroup, topdown=False):
                    _remove_when_empty(Path(folder))
                subprocess.run(["umount", str(mount)], check=False)
        finally:
            mount.rmdir()


def _remove_when_empty(folder: Path) -> None:
    end = time.monotonic() + 5
    while folder.exists():
        try:
            folder.rmdir()
        except OSError:  # a process that was killed is not quite gone
            assert time.monotonic() < end, f"{folder} stays in use"
            time.sleep(0.05)
