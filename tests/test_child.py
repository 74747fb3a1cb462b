from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from hudd import child

ENVIRON = {"PATH": "/usr/bin:/bin"}


def run(script: str, *, limit_s: float = 10.0, most_bytes: int = 1000) -> tuple[bytes, bytes]:
    with child.start(("sh", "-c", script), ENVIRON) as process:
        try:
            return child.read(process, limit_s=limit_s, most_bytes=most_bytes)
        finally:
            child.kill_group(process.pid)


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_both_streams_are_read_to_their_ends_whatever_their_order() -> None:
    # More than a pipe holds, on the one that a careless reader would read last.
    out, errors = run("head -c 200000 /dev/zero >&2; echo words; echo at last >&2; exit 3")
    assert out == b"words\n"
    assert len(errors) == 65536


def test_it_gets_this_environment_and_nothing_on_its_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_OURS", "x")
    assert run('cat; echo "$SECRET_OF_OURS$PATH"')[0] == b"/usr/bin:/bin\n"


@pytest.mark.parametrize(
    ("script", "trouble"),
    [
        ("echo why >&2; sleep 60", "late"),
        ("echo why >&2; sleep 60 & sleep 0", "late"),  # what it started holds the streams
        ("echo why >&2; head -c 1001 /dev/zero; sleep 60", "flood"),
        ("echo why >&2; exec >&- 2>&-; sleep 60", "lasts"),
    ],
)
def test_one_that_does_not_do_as_it_should_is_told_and_killed(script: str, trouble: str) -> None:
    begun = time.monotonic()
    with pytest.raises(child.ChildError) as told:
        run(script, limit_s=0.5)
    assert told.value.trouble == trouble
    assert child.last_words(told.value.errors) == "why"
    assert str(told.value) == trouble, "what it said may hold a secret"
    assert time.monotonic() - begun < 10


def test_what_it_started_is_killed_with_it(tmp_path: Path) -> None:
    with pytest.raises(child.ChildError):
        run(f"sleep 60 & echo $! > {tmp_path}/pid; wait", limit_s=0.5)
    pid = int((tmp_path / "pid").read_text())
    end = time.monotonic() + 5
    while lives(pid):
        assert time.monotonic() < end, "it lives on"
        time.sleep(0.01)
    child.kill_group(pid)  # one that is gone is no trouble


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("/nonexistent/program",), os.strerror(2)),
        (("/etc/passwd",), os.strerror(13)),
        ((sys.executable, "a\0b"), "embedded null byte"),
    ],
)
def test_one_that_cannot_be_started_says_why(words: tuple[str, ...], why: str) -> None:
    with pytest.raises(child.StartError, match=why):
        child.start(words, ENVIRON)


@pytest.mark.parametrize(
    ("errors", "words"),
    [
        (b"", ""),
        (b"\n \n", ""),
        (b"first\n  last one.\x1b[0m \n\n", "last one.[0m"),
        (b"not \xff text", "not � text"),
    ],
)
def test_the_last_words(errors: bytes, words: str) -> None:
    assert child.last_words(errors) == words
