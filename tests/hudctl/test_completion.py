"""What TAB offers: the shipped files are those of the parsers, and each shell really completes by them."""

from __future__ import annotations

import json
import os
import pty
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hudctl.cli import main
from tests import shipped

DEADLINE_S = 20.0


@pytest.mark.parametrize("path", sorted(shipped.texts()), ids=lambda path: path.name)
def test_shipped_file_is_what_the_parsers_say(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == shipped.texts()[path], "run python -m tests.shipped"


@pytest.mark.parametrize("program", ["hudctl", "hudd"])
@pytest.mark.parametrize("shell", shipped.SHELLS)
def test_verb_prints_the_shipped_file(program: str, shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell, program]) == 0
    text = capsys.readouterr().out
    assert text == (shipped.COMPLETION / f"{program}.{shell}").read_text(encoding="utf-8")
    assert main(["completion", shell, program, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"schema": 1, "program": program, "shell": shell, "text": text}


def test_every_verb_and_long_option_is_offered() -> None:
    for program, parser in shipped.parsers().items():
        for shell in shipped.SHELLS:
            text = (shipped.COMPLETION / f"{program}.{shell}").read_text(encoding="utf-8")
            for verb, its in shipped.subparsers(parser):
                assert verb in text
                for action in its._actions:
                    assert all(name.lstrip("-") in text for name in action.option_strings)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("typed", "offered"),
    [("hudctl sna", "snap"), ("hudctl completion z", "zsh"), ("hudctl notes --sear", "--search")],
)
def test_bash_completes(typed: str, offered: str) -> None:
    words = typed.split()
    script = f"""
        source {shipped.COMPLETION / "hudctl.bash"}
        COMP_WORDS=({typed}); COMP_CWORD={len(words) - 1}; COMP_LINE={typed!r}; COMP_POINT={len(typed)}
        $(complete -p hudctl | sed 's/.*-F \\([^ ]*\\).*/\\1/') hudctl {words[-1]} {words[-2]}
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "--norc", "-c", script], capture_output=True, text=True, timeout=30, check=True)
    assert offered in [line.strip() for line in done.stdout.splitlines()], done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("typed", "offered"),
    [("hudctl sna", "snap"), ("hudctl completion z", "zsh"), ("hudctl notes --sear", "--search")],
)
def test_fish_completes(typed: str, offered: str, tmp_path: Path) -> None:
    fish = shutil.which("fish")
    assert fish is not None, "apt-get install fish"
    script = f"source {shipped.COMPLETION / 'hudctl.fish'}; complete -C {typed!r}"
    environ = {**os.environ, "HOME": str(tmp_path)}
    done = subprocess.run(
        [fish, "--no-config", "-c", script], capture_output=True, text=True, timeout=30, check=True, env=environ
    )
    assert offered in [line.split("\t")[0] for line in done.stdout.splitlines()], done.stderr


@pytest.mark.slow
def test_zsh_completes_at_a_real_terminal(tmp_path: Path) -> None:
    """Its completion works only while a person types: so somebody types."""
    zsh = shutil.which("zsh")
    assert zsh is not None, "apt-get install zsh"
    (tmp_path / "functions").mkdir()
    (tmp_path / "functions" / "_hudctl").write_text((shipped.COMPLETION / "hudctl.zsh").read_text(encoding="utf-8"))
    (tmp_path / ".zshrc").write_text(
        "fpath=($ZDOTDIR/functions $fpath); autoload -Uz compinit; compinit -u -d $ZDOTDIR/dump; PROMPT='ready> '\n"
    )
    child, terminal = pty.fork()
    if child == 0:  # pragma: no cover - another process
        os.execve(zsh, [zsh, "-i"], {**os.environ, "ZDOTDIR": str(tmp_path), "HOME": str(tmp_path), "TERM": "dumb"})
    try:
        _read_until(terminal, lambda text: "ready>" in text)
        os.write(terminal, b"hudctl sna\t")
        _read_until(terminal, lambda text: "snap" in text)
        os.write(terminal, b"--moni\t")
        _read_until(terminal, lambda text: "--monitor" in text)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(terminal)


def _read_until(terminal: int, seen: Callable[[str], bool]) -> None:
    text, end = "", time.monotonic() + DEADLINE_S
    while not seen(text):
        readable, _, _ = select.select([terminal], [], [], max(0.0, end - time.monotonic()))
        assert readable, f"not offered: {text!r}"
        text += os.read(terminal, 4096).decode(errors="replace")
