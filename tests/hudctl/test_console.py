"""What is known of the terminal."""

from __future__ import annotations

import os
import pty
import sys
from pathlib import Path

import pytest

from hudctl import console
from hudctl.cli import build_parser


def test_columns_come_from_the_environment_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "57")
    assert console.columns(80) == 57


@pytest.mark.parametrize("told", ["", "wide", "0", "-3", "99999999"])
def test_nonsense_in_the_environment_is_not_believed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, told: str
) -> None:
    monkeypatch.setenv("COLUMNS", told)
    with (tmp_path / "no terminal").open("w") as file:
        monkeypatch.setattr(sys, "__stdout__", file)
        assert console.columns(83) == 83
    assert console.columns(83) == 83  # closed
    monkeypatch.setattr(sys, "__stdout__", None)
    assert console.columns(83) == 83


def test_a_terminal_tells_its_own_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    leader, follower = pty.openpty()
    with os.fdopen(leader, "rb"), os.fdopen(follower, "w") as terminal:
        import fcntl
        import struct
        import termios

        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 66, 0, 0))
        monkeypatch.setattr(sys, "__stdout__", terminal)
        assert console.columns(80) == 66


def test_help_is_as_wide_as_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    assert max(len(line) for line in build_parser().format_help().splitlines()) <= 50
    monkeypatch.setenv("COLUMNS", "140")
    assert max(len(line) for line in build_parser().format_help().splitlines()) > 100
