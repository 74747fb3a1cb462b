"""Bad input of every kind: one sentence with cause and remedy, the right exit code, nothing lost."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fakes.daemon import DaemonProcess

pytestmark = pytest.mark.slow


def run_hudd(daemon: DaemonProcess, *flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hudd", *flags],
        env=daemon.environ,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_all_mistakes_in_the_settings_at_once(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(
        '[screen]\nsuorce = "auto"\ninterval_s = "often"\n[gatte]\nx = 1\n[picture]\nquality = 400\n', encoding="utf-8"
    )
    daemon = DaemonProcess(tmp_path, gate_setle_s=1)
    done = run_hudd(daemon)
    assert done.returncode == 78
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 5
    for word in ("source", "interval_s", "gate", "400", "HUDD_GATE_SETTLE_S"):
        assert any(word in line for line in lines), (word, lines)
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_an_unreadable_file(tmp_path: Path) -> None:
    daemon = DaemonProcess(tmp_path)
    daemon.config.chmod(0)
    done = run_hudd(daemon)
    assert done.returncode == 78
    assert str(daemon.config) in done.stderr


def test_a_file_that_is_named_and_not_there(tmp_path: Path) -> None:
    done = run_hudd(DaemonProcess(tmp_path), "--config", str(tmp_path / "nowhere.toml"))
    assert done.returncode == 78
    assert "nowhere.toml" in done.stderr


def test_an_open_runtime_folder_says_its_mode_and_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run").chmod(0o755)
    done = run_hudd(DaemonProcess(tmp_path))
    assert done.returncode == 77
    assert "0755" in done.stderr
    assert "chmod 700" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a folder of another user")
def test_a_runtime_folder_of_another_user(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir(mode=0o700)
    os.chown(tmp_path / "run", 65534, 65534)
    done = run_hudd(DaemonProcess(tmp_path))
    assert done.returncode == 77
    assert "65534" in done.stderr


def test_a_plain_file_where_the_socket_belongs_is_not_destroyed(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir(mode=0o700)
    (tmp_path / "run" / "ctl.sock").write_text("precious")
    done = run_hudd(DaemonProcess(tmp_path))
    assert done.returncode == 77
    assert "ctl.sock" in done.stderr
    assert (tmp_path / "run" / "ctl.sock").read_text() == "precious"


def test_no_daemon_is_one_sentence_with_the_command_that_starts_it(tmp_path: Path) -> None:
    daemon = DaemonProcess(tmp_path)
    for words in (["status"], ["snap"], ["notes"], ["cost"], ["errors"], ["pause"], ["resume"], ["wait"], ["follow"]):
        done = daemon.hudctl(*words)
        assert done.returncode == 3, words
        assert len(done.stderr.strip().splitlines()) == 1
        assert "Start it with: " in done.stderr
        assert done.stdout == ""


@pytest.mark.parametrize(
    "words",
    [["notes", "--since", "tomorrowish"], ["pause", "soon"], ["pause", "5m", "--until", "14:00"], ["nonsense"], []],
)
def test_wrong_words_are_usage_errors(tmp_path: Path, words: list[str]) -> None:
    done = DaemonProcess(tmp_path).hudctl(*words)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_no_display_is_waited_for_and_said(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path, engine_answers="canned") as daemon:
        daemon.start().ready("connected")
        status = daemon.until("it says so", lambda s: s["capture"]["state"] == "no_display")
        assert "DISPLAY" in status["capture"]["sentence"]
        done = daemon.hudctl("snap")
        assert done.returncode == 7
        assert "DISPLAY" in done.stderr
        assert daemon.asked("errors")["errors"][0]["code"] == "E_CAPTURE"


def test_a_server_that_is_not_there_is_said_and_tried_again(tmp_path: Path) -> None:
    with DaemonProcess(
        tmp_path,
        screen_source=f"pictures:{tmp_path}",
        realtime_use="service",
        realtime_url="ws://127.0.0.1:9/v1/realtime",
        realtime_key="sk-test-0123456789abcdefghijklmnop",
    ) as daemon:
        daemon.start()
        daemon.until_up()
        status = daemon.until("it backs off", lambda s: s["connection"] == "backing_off")
        assert "127.0.0.1:9" in status["sentence"]
        assert status["next_try_s"] is not None
        assert "0123456789abcdefghijklmnop" not in daemon.log()


def test_the_service_without_a_key_needs_attention(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path, screen_source=f"pictures:{tmp_path}", realtime_use="service") as daemon:
        daemon.start()
        daemon.until_up()
        status = daemon.until("it stops", lambda s: s["connection"] == "needs_attention")
        assert "HUDD_REALTIME_KEY" in status["sentence"]
        assert status["engine"] == "service"
        done = daemon.hudctl("snap")
        assert done.returncode in (7, 8)


def test_a_wrong_key_stops_the_attempts_and_shows_the_services_own_words(tmp_path: Path) -> None:
    engine = subprocess.Popen(
        [sys.executable, "-m", "hudd", "engine", "--answers", "canned", "--token-stdin"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert engine.stdin is not None
    assert engine.stdout is not None
    try:
        engine.stdin.write("sk-the-right-one\n")
        engine.stdin.flush()
        url = engine.stdout.readline().strip().split()[-1]
        with DaemonProcess(
            tmp_path,
            screen_source=f"pictures:{tmp_path}",
            realtime_use="service",
            realtime_url=url,
            realtime_key="sk-a-wrong-key-0123456789abcdefghij",
        ) as daemon:
            daemon.start()
            daemon.until_up()
            status = daemon.until("it stops", lambda s: s["connection"] == "needs_attention")
            assert "key" in status["sentence"]
            errors = daemon.asked("errors")["errors"]
            assert any(e["code"] == "invalid_api_key" for e in errors)
            assert daemon.hudctl("snap").returncode in (7, 8)
    finally:
        engine.stdin.close()
        engine.stdout.close()
        engine.wait(10)
