"""A small real disk that can be filled and freed; needs root to mount it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


class SmallDisk:
    """A mounted tmpfs.

    Args:
        folder: Where it is mounted.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"

    @property
    def free_bytes(self) -> int:
        room = os.statvfs(self.folder)
        return room.f_bavail * room.f_frsize

    def fill(self, *, leave: int = 0) -> None:
        """Take all space but ``leave`` bytes."""
        with self._filler.open("ab", buffering=0) as filler:
            while (room := self.free_bytes - leave) > 0:
                try:
                    filler.write(b"\0" * min(room, 1 << 20))
                except OSError:
                    break

    def free(self) -> None:
        """Give it back."""
        self._filler.unlink(missing_ok=True)


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[SmallDisk]:
    """Mount a disk of this size; skips the test where that is not allowed, and fails it in CI."""
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0700", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        why = f"no small disk can be mounted: {done.stderr.strip()}"
        if os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(why)
    try:
        yield SmallDisk(folder)
    finally:
        # Lazily: a process that was just killed may still hold a file for a moment.
        subprocess.run(["umount", "-l", str(folder)], check=True)
