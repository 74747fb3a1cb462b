"""Which verbs start a daemon that systemd starts on demand: connecting to its command socket is what starts it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from hudctl import connection
from hudctl.cli import main
from hudd.wire import table
from hudd.wire.endpoints import ON_DEMAND

STARTING = [["snap"], ["resume"], ["wait"], ["wait", "--for", "connected"], ["snap", "--json"]]
ASKING = [
    ["status"],
    ["notes"],
    ["follow", "--limit", "1"],
    ["cost"],
    ["cost", "--estimate"],
    ["errors"],
    ["pause"],
    ["config"],
    ["reload"],
    ["mark", "1"],
    ["prune"],
    ["forget", "--seq", "1"],
    ["export"],
]


@pytest.fixture
def listener(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """What hudd-ctl.socket makes: a listener of systemd, and the link that tells of it. No daemon ever comes."""
    folder = tmp_path / "run"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("HUDD_RUNTIME_DIR", str(folder))
    monkeypatch.setattr(connection, "STARTED_S", 0.05)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as made:
        made.bind(str(folder / "ctl.sock"))
        made.listen(64)
        made.setblocking(False)
        (folder / ON_DEMAND).symlink_to(folder / "ctl.sock")
        yield made


def came(listener: socket.socket) -> int:
    """How many connected."""
    count = 0
    while True:
        try:
            listener.accept()[0].close()
        except BlockingIOError:
            return count
        count += 1


@pytest.mark.parametrize("words", STARTING, ids=" ".join)
def test_these_start_it(listener: socket.socket, words: list[str]) -> None:
    assert main(words) == table.EXIT_NOT_RUNNING
    assert came(listener) >= 1


@pytest.mark.parametrize("words", ASKING, ids=" ".join)
def test_these_leave_it_stopped(listener: socket.socket, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == table.EXIT_NOT_RUNNING
    assert came(listener) == 0
    assert "hudd is not running." in capsys.readouterr().err


def test_the_version_and_the_doctors_question_leave_it_stopped(
    listener: socket.socket, capsys: pytest.CaptureFixture[str]
) -> None:
    from hudctl.doctor_daemon import ask_daemon

    assert main(["version"]) == table.EXIT_OK
    assert [row["state"] for row in ask_daemon()] == ["warning"]
    assert came(listener) == 0
    assert "hudd is not running" in capsys.readouterr().out


@pytest.mark.parametrize("words", [*STARTING, ["status"]], ids=" ".join)
def test_after_service_stop_nothing_starts_it(listener: socket.socket, words: list[str]) -> None:
    """The socket of systemd is gone then, and its link with it."""
    folder = Path(listener.getsockname()).parent
    for name in ("ctl.sock", ON_DEMAND):
        (folder / name).unlink()
    assert main(words) == table.EXIT_NOT_RUNNING
    assert came(listener) == 0


def test_a_subscriber_that_waits_leaves_it_stopped(listener: socket.socket) -> None:
    from hudctl.errors import NotRunningError
    from hudctl.feed import Feed

    with pytest.raises(NotRunningError), Feed() as feed:
        next(iter(feed))
    assert came(listener) == 0
