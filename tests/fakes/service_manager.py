"""A service manager that remembers what it was told, in place of systemctl and launchctl."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence


class System:
    """A systemctl or launchctl that remembers what it was told."""

    def __init__(self) -> None:
        self.commands: list[str] = []
        self.version = "252.39-1~deb12u2"
        self.session = True
        self.fails: dict[str, str] = {}
        self.shown = (
            "ActiveState=active\nSubState=running\nMainPID=7\nNRestarts=2\nFragmentPath=/u\nDropInPaths=/a /b\n"
        )

    def __call__(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        text = " ".join(command)
        self.commands.append(text)
        for words, answer in self.fails.items():
            if words in text:
                return subprocess.CompletedProcess(command, 1, "", answer)
        if "is-active" in text:
            return subprocess.CompletedProcess(command, 0 if self.session else 3, "", "")
        if "--property Version" in text:
            return subprocess.CompletedProcess(command, 0, f"{self.version}\n", "")
        if " show " in text:
            return subprocess.CompletedProcess(command, 0, self.shown, "")
        return subprocess.CompletedProcess(command, 0, "", "")
