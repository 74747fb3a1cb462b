"""Real programs that print a key, or do not."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

import pytest

from hudd.config.key_programs import EndedError, KeyPrograms, Printed, ProgramError

ENVIRON = {"PATH": os.environ["PATH"]}


def sh(script: str, *, limit_s: float = 5.0, **environ: str) -> Printed:
    return KeyPrograms(limit_s).run(("sh", "-c", script), ENVIRON | environ)


def test_the_first_line_is_taken_and_in_no_repr() -> None:
    printed = sh("echo ' sk-one '; echo login: me; echo noise >&2")
    assert (printed.code, printed.line, printed.words) == (0, b"sk-one", "noise")
    assert "sk-one" not in repr(printed)


def test_no_shell_splits_what_it_is_given() -> None:
    assert KeyPrograms().run(("printf", "%s", "$HOME `id` *"), ENVIRON).line == b"$HOME `id` *"


def test_it_runs_in_a_session_of_its_own_without_input() -> None:
    script = "import os, sys; print(os.getsid(0) == os.getpid(), repr(sys.stdin.read()))"
    assert KeyPrograms().run((sys.executable, "-c", script), ENVIRON).line == b"True ''"


def test_it_does_not_learn_what_systemd_told_hudd() -> None:
    printed = sh('echo "[$NOTIFY_SOCKET$LISTEN_FDS$WATCHDOG_USEC]$MINE"', NOTIFY_SOCKET="/x", LISTEN_FDS="1", MINE="m")
    assert printed.line == b"[]m"


def test_a_failure_tells_the_last_words_without_the_key() -> None:
    printed = sh("echo larkspur77; echo one >&2; echo 'bad larkspur77, sk-abcdefghij!.' >&2; exit 2")
    assert (printed.code, printed.words) == (2, "bad (hidden), (hidden)!")
    assert len(sh("head -c 9000 /dev/zero | tr '\\0' x >&2").words) <= 200


def test_one_that_kills_itself_is_told_by_its_signal() -> None:
    assert sh("kill -TERM $$").code == -15


def test_one_that_is_not_there_cannot_be_started() -> None:
    with pytest.raises(ProgramError, match=r"cannot be started \(No such file or directory\)"):
        KeyPrograms().run(("/nowhere/program",), ENVIRON)
    with pytest.raises(ProgramError, match="cannot be started"):
        KeyPrograms().run(("a\0b",), ENVIRON)


def test_one_that_prints_without_end_is_stopped() -> None:
    with pytest.raises(ProgramError, match="more than 65,536 bytes"):
        KeyPrograms().run(("yes",), ENVIRON)


@pytest.mark.parametrize("script", ["sleep 60", "exec >&- 2>&-; sleep 60", "sleep 60 & echo sk-early"])
def test_one_that_does_not_end_is_killed_with_all_it_started(tmp_path: Path, script: str) -> None:
    started = time.monotonic()
    with pytest.raises(ProgramError, match=r"within 0\.5 s"):
        sh(f"echo $$ > {tmp_path}/pid; {script}", limit_s=0.5)
    assert time.monotonic() - started < 5
    group = int((tmp_path / "pid").read_text())
    end = time.monotonic() + 5
    while any(stat_of(path) == (group, True) for path in Path("/proc").glob("[0-9]*/stat")):
        assert time.monotonic() < end, "something of it lives on"
        time.sleep(0.01)


def stat_of(path: Path) -> tuple[int, bool]:
    """Process group of a process, and whether it still does anything."""
    try:
        state, _, group = path.read_text().rpartition(")")[2].split()[:3]
    except (OSError, ValueError):  # it ended meanwhile
        return (0, False)
    return int(group), state != "Z"


@pytest.mark.parametrize("close", [False, True])
def test_it_can_be_ended_from_another_thread(tmp_path: Path, close: bool) -> None:
    programs = KeyPrograms(30)
    raised: list[BaseException] = []

    def run() -> None:
        try:
            programs.run(("sh", "-c", f"touch {tmp_path}/up; sleep 60"), ENVIRON)
        except ProgramError as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    end = time.monotonic() + 10
    while not (tmp_path / "up").exists():
        assert time.monotonic() < end
        time.sleep(0.01)
    if close:
        programs.close()
    else:
        programs.end()
    thread.join(5)
    assert not thread.is_alive()
    assert isinstance(raised[0], EndedError)
    if close:
        with pytest.raises(EndedError, match="hudd stops"):
            programs.run(("true",), ENVIRON)
    else:
        assert programs.run(("true",), ENVIRON).code == 0
