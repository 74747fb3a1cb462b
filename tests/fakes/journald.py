"""A real journald beside a user's systemd, with a user of its own, in namespaces."""

from __future__ import annotations

import subprocess
import time
from types import TracebackType
from typing import Final, Self

from tests.fakes.systemd import UserSystemd

USER_ID: Final = 4242
"""journald keeps a journal apart for each ordinary user; nobody and the system's users share that of the system."""

# The machine's own logs and list of users stay as they are.
BEFORE: Final = """
mount -t tmpfs -o mode=755 tmpfs /var/log
mkdir /var/log/journal
cp /etc/passwd /var/log/passwd
echo "hudd-test:x:$USER_ID:$USER_ID::$HOME:/bin/sh" >> /var/log/passwd
mount --bind /var/log/passwd /etc/passwd
"""


class SystemdWithJournal(UserSystemd):
    """As its parent, for a user whom only the namespaces know; units log to the journal."""

    before = BEFORE

    def __init__(self) -> None:
        super().__init__(USER_ID)
        # journald reads the unit of a process from the names of its control groups below that of the first process.
        self._slice = f"{self.cgroup}.slice"
        self.cgroup = f"{self._slice}/user@{USER_ID}.service"
        self._journald: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        super().__enter__()
        moved = self.as_root("sh", "-c", f"echo 1 > /sys/fs/cgroup/{self._slice}/cgroup.procs")
        assert moved.returncode == 0, moved.stderr
        # The file says that the disk is there, so that journald does not wait for it in memory.
        begin = "mkdir -p /run/systemd/journal; touch /run/systemd/journal/flushed; exec /lib/systemd/systemd-journald"
        with self.log_path.open("ab") as log:
            self._journald = subprocess.Popen(
                self.command("sh", "-c", begin, uid=0), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        end = time.monotonic() + 20
        while self.run("test", "-S", "/run/systemd/journal/stdout").returncode:
            assert self._journald.poll() is None, f"journald ended:\n{self.log()}"
            assert time.monotonic() < end, f"journald did not come up:\n{self.log()}"
            time.sleep(0.05)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cgroup = self._slice  # all of it is removed
        super().__exit__(kind, error, trace)
        if self._journald is not None:
            self._journald.wait(10)

    def daemon_log(self) -> str:
        return self.journal("--output", "verbose", "--all")

    def journal(self, *words: str) -> str:
        """What ``journalctl --user`` prints of hudd's unit; ``verbose`` prints every field."""
        done = self.run("journalctl", "--user", "--unit", "hudd", "--no-pager", *words)
        assert done.returncode == 0, done.stderr
        return done.stdout
