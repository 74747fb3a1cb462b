"""Which verbs start a daemon that systemd starts on demand: connecting to its command socket is what starts it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from hudctl import Client, NotRunningError, connection
from hudctl.cli import main
from hudd.checks.finding import gather
from hudd.checks.places import check_sockets
from hudd.wire import table
from hudd.wire.endpoints import ON_DEMAND
from tests.fakes.bus import ThreadedDaemon

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
    assert [(row["state"], row["remedy"]) for row in ask_daemon()] == [("ok", "")]
    assert came(listener) == 0
    assert "hudd is not running" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize(
    "words", [["doctor", "--json"], ["bugreport"], ["setup", "--use", "local", "--yes"]], ids=" ".join
)
def test_looking_at_everything_leaves_it_stopped(
    listener: socket.socket, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(listener.getsockname()).chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HUDD_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("HUDD_SCREEN_SOURCE", f"pictures:{Path(table.__file__).parents[1]}/data/pictures")
    monkeypatch.setenv("HUDD_ENGINE_ANSWERS", "canned")
    monkeypatch.chdir(tmp_path)
    assert main(words) == table.EXIT_OK
    assert came(listener) == 0


def test_the_doctor_says_who_listens(listener: socket.socket) -> None:
    path = Path(listener.getsockname())
    path.chmod(0o600)
    (found,) = check_sockets(gather())
    assert (found.state, "systemd listens there" in found.cause) == ("ok", True)
    assert came(listener) == 0


@pytest.mark.parametrize("words", [*STARTING, ["status"]], ids=" ".join)
def test_after_service_stop_nothing_starts_it(listener: socket.socket, words: list[str]) -> None:
    """The socket of systemd is gone then, and its link with it."""
    folder = Path(listener.getsockname()).parent
    for name in ("ctl.sock", ON_DEMAND):
        (folder / name).unlink()
    assert main(words) == table.EXIT_NOT_RUNNING
    assert came(listener) == 0


def test_a_subscriber_that_waits_leaves_it_stopped(listener: socket.socket) -> None:
    from hudctl.feed import Feed

    with pytest.raises(NotRunningError), Feed() as feed:
        next(iter(feed))
    assert came(listener) == 0


def test_a_client_that_is_kept_leaves_it_stopped_and_finds_the_next_one(tmp_path: Path) -> None:
    """The daemon is stopped under it, and systemd listens again at the command socket."""
    with Client(runtime_dir=tmp_path) as client:
        tmp_path.chmod(0o700)
        control = tmp_path / "ctl.sock"
        (tmp_path / ON_DEMAND).symlink_to(control)
        with ThreadedDaemon(tmp_path):
            assert client.status()["instance"] == "i1"
        control.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as systemd:
            systemd.bind(str(control))
            systemd.listen(8)
            systemd.settimeout(0.5)  # ZeroMQ comes back after a tenth of that
            with pytest.raises(TimeoutError):
                systemd.accept()
            with pytest.raises(NotRunningError):
                client.status()
            with pytest.raises(TimeoutError):
                systemd.accept()
        control.unlink()
        with ThreadedDaemon(tmp_path):
            assert client.status()["instance"] == "i1"
