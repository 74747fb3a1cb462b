"""A report of a mistake holds what helps, and no secret, no note, no picture. Planted ones are searched for."""

from __future__ import annotations

import getpass
import json
import os
import socket
import stat
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudctl.bugreport import _log, _secrets, _without_personal, without_debug
from hudctl.cli import main
from hudctl.redaction import HIDDEN, Secrets
from tests.fakes.daemon import DaemonProcess, draw_page

KEYS = (
    "sk-proj-AbCdEf0123456789_-AbCdEf",
    "ek_68af296e8e408191a1120ab6383263c2",
    "Bearer abcdefgh.IJKLMNOP",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
    "a" * 32,
    "Authorization: zzzzzzzzzzzz",
    '"api-key": "0f1e2d3c4b5a"',
    "http://name:word-of-pass@proxy:3128",
)
NOTHING = Secrets()


@pytest.mark.parametrize("key", KEYS)
def test_what_has_the_shape_of_a_key_is_hidden(key: str) -> None:
    text = NOTHING.redact(f"The service said: {key}, and closed.")
    assert HIDDEN in text
    for word in ("AbCdEf", "68af29", "IJKLMNOP", "dozjgN", "aaaaaaaa", "zzzz", "0f1e2d", "word-of-pass"):
        assert word not in text
    assert text.endswith("and closed.")


@pytest.mark.parametrize(
    "text",
    [
        "The screen is looked at every 0.5 s by mss xshmgetimage on :0.",
        '{"schema": 1, "name": "realtime.key_file", "version": "27.3.0"}',
        "/usr/lib/python3.11/site-packages/websockets/asyncio/client.py:1021",
        "The key file ~/.config/hudd/realtime-key is open to others (mode 0644).",
    ],
)
def test_what_helps_stays(text: str) -> None:
    assert NOTHING.redact(text) == text


def test_settings_that_are_a_persons_own_are_hidden() -> None:
    rows = [
        {"name": "realtime.key_command", "value": ["pass", "show", "larkspur"]},
        {"name": "realtime.keyring", "value": True},
        {"name": "privacy.exclude_titles", "value": ["Scheidung Dr. Marigold"]},
        {"name": "privacy.exclude_urls", "value": ["mybank.example"]},
        {"name": "privacy.exclude_apps", "value": ["keepassxc"]},
        {"name": "privacy.exclude_apps", "value": []},
        {"name": "screen.source", "value": "command:vncdo -p hunter22 capture"},
        {"name": "screen.source", "value": "portal"},
        {"name": "realtime.project", "value": ""},
    ]
    told = _without_personal({"settings": rows, "problems": []})
    assert [row["value"] for row in told["settings"]] == [
        HIDDEN, True, HIDDEN, HIDDEN, HIDDEN, [], f"command:{HIDDEN}", "portal", "",
    ]  # fmt: skip


def test_personal_words_of_the_settings_are_taken_out_wherever_they_stand() -> None:
    rows = [
        {"name": "privacy.exclude_titles", "value": ['Scheidung "Marigold"', "PIN"]},
        {"name": "screen.source", "value": "command:vncdo -p hunter22 capture"},
        {"name": "notes.instructions", "value": "My wife is Marigold."},
    ]
    told = _secrets({"settings": rows}).redact(
        json.dumps(["vncdo -p hunter22 capture", 'Scheidung "Marigold"', "My wife is Marigold.", "PIN, capture"])
    )
    assert json.loads(told) == [HIDDEN, HIDDEN, HIDDEN, "PIN, capture"]


def test_home_host_and_user_are_replaced_as_whole_words() -> None:
    secrets = Secrets((), "/home/larkspur", "saltholm.example", "larkspur")
    told = secrets.redact("/home/larkspur/x, /home/larkspurs, saltholm.example, saltholm: larkspur ran it")
    assert told == "~/x, /home/larkspurs, HOST, HOST: USER ran it"


def test_a_common_name_says_nothing_and_stays() -> None:
    assert Secrets((), "/root", "localhost", "root").redact("run as root in /root/x") == "run as root in ~/x"


@given(st.text(min_size=6, max_size=40), st.text(max_size=60), st.text(max_size=60))
def test_a_known_secret_never_stays(word: str, before: str, after: str) -> None:
    assert word not in Secrets((word,)).redact(before + word + after).replace(HIDDEN, "") or word in HIDDEN


def test_lines_at_debug_level_go_with_what_follows_them() -> None:
    log = (
        "cut off at the beginning\n"
        "2026-11-21 10:31:06+01:00 info link: connected\n"
        "2026-11-21 10:31:07+01:00 debug link: < the text of a note\nwith a second line\n"
        "2026-11-21 10:31:08+01:00 warning link: lost\nTraceback: here\n"
    )
    assert without_debug(log, whole=True).splitlines()[0] == "cut off at the beginning"
    assert without_debug(log, whole=False).splitlines() == [
        "2026-11-21 10:31:06+01:00 info link: connected",
        "2026-11-21 10:31:08+01:00 warning link: lost",
        "Traceback: here",
    ]


def test_the_files_of_the_agent_and_the_one_that_the_daemon_tells_are_packed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "/nowhere")
    names = ("Library/Logs/hudd.log.1", "Library/Logs/hudd.log", "Library/Logs/hudd.start.log", "elsewhere/own.log")
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"2026-11-21 10:31:06+01:00 info link: of {name}\n")
    (tmp_path / names[2]).write_text("Traceback: it does not start\n")
    told = _log(str(tmp_path / names[3]))
    assert [name for name in (*names[:2], names[3]) if f"link: of {name}\n" not in told] == []
    assert "it does not start" in told
    assert "own.log" not in _log("")
    assert _log(str(tmp_path / names[1])).count(f"link: of {names[1]}\n") == 1


def test_an_existing_file_is_not_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hudctl.bugreport.collect", lambda: {"README.txt": "x"})
    path = tmp_path / "report.tar.gz"
    assert main(["bugreport", "-o", str(path)]) == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_bytes()
    assert main(["bugreport", "-o", str(path)]) == 1
    assert "File exists" in capsys.readouterr().err
    assert path.read_bytes() == before


@pytest.mark.slow
def test_planted_secrets_are_not_found_in_a_real_report(tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    draw_page(pictures / "001.png", ["Harbour office, berth 12"])
    home = tmp_path / "home-of-larkspur"
    home.mkdir()
    key_file = home / "key"
    key_file.write_text("plainwordkey77\n")
    key_file.chmod(0o600)
    log_file = home / "logs/own.log"
    log_file.parent.mkdir()
    log_file.write_text(
        "2026-11-21 10:31:06+01:00 info link: shown sk-planted-0123456789abcdef\n"
        "2026-11-21 10:31:07+01:00 debug link: < Ferry to Saltholm leaves at 15:40\n"
        f"2026-11-21 10:31:08+01:00 info house: in {home} on {socket.gethostname()} plainwordkey77\n"
    )
    with DaemonProcess(
        tmp_path, screen_source=f"pictures:{pictures}", engine_answers="canned", realtime_use="local",
        notes_instructions="My wife is called Marigold.", realtime_proxy="http://name:proxyword@proxy.example:1",
        realtime_key_file=str(key_file), privacy_exclude_titles='["Dentist Saltholm"]',
    ) as daemon:  # fmt: skip
        daemon.environ |= {"HOME": str(home), "OPENAI_API_KEY": "shared-key-word-88"}
        daemon.start("--log-file", str(log_file)).ready()
        assert daemon.status()["log_file"] == str(log_file)
        text_of_note = daemon.asked("snap")["note"]["text"]
        daemon.hudctl("pause", "--why", "dentist with Marigold")
        out = tmp_path / "report.tar.gz"
        done = daemon.hudctl("bugreport", "--output", str(out))
    assert done.returncode == 0, done.stderr
    assert str(out) in done.stdout
    assert "Read it before you send it" in done.stdout
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    texts: dict[str, str] = {}
    with tarfile.open(out) as archive:
        for entry in archive:
            assert entry.isfile()
            held = archive.extractfile(entry)
            assert held is not None
            texts[Path(entry.name).name] = held.read().decode()
    assert set(texts) == {
        "README.txt",
        "doctor.json",
        "system.json",
        "settings.json",
        "status.json",
        "errors.json",
        "log.txt",
    }
    whole = "\n".join(texts.values())
    secrets = [
        "sk-planted",
        "plainwordkey77",
        "shared-key-word-88",
        "proxyword",
        "Marigold",
        "Saltholm",
        "home-of-larkspur",
        text_of_note,
    ]
    if len(socket.gethostname()) > 1 and socket.gethostname() != "localhost":
        secrets.append(socket.gethostname())
    if getpass.getuser() != "root":
        secrets.append(getpass.getuser())
    assert [word for word in secrets if word in whole] == []
    assert json.loads(texts["doctor.json"])["checks"]
    assert json.loads(texts["status.json"])["connection"]
    assert any(row["name"] == "gate.settle_s" for row in json.loads(texts["settings.json"])["settings"])
    assert "in ~ on" in texts["log.txt"]
    assert "house: note 1" in texts["log.txt"] or "notes: note 1" in texts["log.txt"]
    assert os.environ.get("HOME") != str(home)
