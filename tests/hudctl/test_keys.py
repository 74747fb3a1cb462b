"""`hudctl key`: the secret is shown once, lists and files are private, and what is wrong is a sentence."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from hudctl.cli import main
from hudd.wire.remote_keys import KeyFolder, read_client_file


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "state"
    monkeypatch.setenv("HUDD_STATE_DIR", str(folder))
    return folder


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_key_is_added_listed_and_revoked(state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "laptop.key"
    assert main(["key", "add", "laptop", "--role", "control", "-o", str(file)]) == 0
    held = read_client_file(file)
    folder = KeyFolder(state)
    pair = folder.daemon_key()
    assert pair is not None
    assert (held.name, held.role, held.daemon) == ("laptop", "control", pair.public)
    assert [client.public for client in folder.clients()] == [held.public]
    assert [mode(p) for p in (file, folder.daemon_file, folder.clients_file)] == [0o600] * 3
    assert mode(folder.path) == 0o700
    capsys.readouterr()
    assert main(["key", "list", "--json"]) == 0
    told = capsys.readouterr().out
    assert [key["name"] for key in json.loads(told)["keys"]] == ["laptop"]
    assert main(["key", "--json", "list"]) == 0
    assert capsys.readouterr().out == told
    assert main(["key", "list"]) == 0
    assert "laptop  control" in capsys.readouterr().out
    assert main(["key", "revoke", "laptop"]) == 0
    assert folder.clients() == ()
    assert folder.daemon_key() == pair
    assert main(["key", "list"]) == 0
    assert "No other machine" in capsys.readouterr().out


def test_the_secret_is_printed_once_and_kept_nowhere(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["key", "add", "bar", "--role", "notes"]) == 0
    printed = capsys.readouterr()
    secret = json.loads(printed.out)["secret"]
    assert "this once" in printed.err
    for file in (state / "keys").iterdir():
        assert secret not in file.read_text(encoding="utf-8")
    assert main(["key", "list", "--json"]) == 0
    assert secret not in capsys.readouterr().out


def test_the_daemons_pair_is_made_once(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("one", "two"):
        assert main(["key", "add", name, "--role", "notes"]) == 0
    # Each print is one object over several lines.
    first, second = (json.loads(part) for part in capsys.readouterr().out.replace("}\n{", "}\0{").split("\0"))
    assert first["daemon"] == second["daemon"]
    assert first["secret"] != second["secret"]


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["add", "bar", "--role", "notes"], 2, "There is a key bar"),
        (["add", "x y", "--role", "notes"], 1, "is no name for a key"),
        (["add", "other"], 2, "--role"),
        (["add", "other", "--role", "root"], 2, "invalid choice"),
        (["revoke", "nobody"], 2, "there are: bar"),
        ([], 2, "required"),
    ],
)
def test_what_is_wrong_is_a_sentence(
    words: list[str], code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["key", "add", "bar", "--role", "notes"]) == 0
    assert main(["key", *words]) == code
    assert says in capsys.readouterr().err


def test_no_file_is_overwritten_and_no_key_added_that_cannot_be_kept(
    state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "k"
    file.write_text("precious")
    assert main(["key", "add", "bar", "--role", "notes", "-o", str(file)]) == 2
    assert main(["key", "add", "bar", "--role", "notes", "-o", str(tmp_path / "nowhere" / "k")]) == 9
    assert file.read_text() == "precious"
    assert KeyFolder(state).clients() == ()


@pytest.mark.parametrize("spoilt", ["open", "link", "no json", "folder open"])
def test_a_spoilt_list_is_not_touched(state: Path, spoilt: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["key", "add", "bar", "--role", "notes"]) == 0
    folder = KeyFolder(state)
    if spoilt == "open":
        folder.clients_file.chmod(0o644)
    elif spoilt == "link":
        folder.clients_file.rename(state / "elsewhere")
        folder.clients_file.symlink_to(state / "elsewhere")
    elif spoilt == "no json":
        folder.clients_file.write_text("{")
    else:
        folder.path.chmod(0o755)
    before = folder.clients_file.read_bytes()
    assert main(["key", "add", "more", "--role", "notes"]) == 1
    assert folder.clients_file.read_bytes() == before
    assert "hudctl: The" in capsys.readouterr().err


def test_two_at_once_lose_no_key(state: Path) -> None:
    command = [sys.executable, "-m", "hudctl", "key", "add"]
    running = [
        subprocess.Popen([*command, f"k{number}", "--role", "notes"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        for number in range(8)
    ]
    for process in running:
        assert process.communicate(timeout=60)[1] is not None
        assert process.returncode == 0
    assert {client.name for client in KeyFolder(state).clients()} == {f"k{number}" for number in range(8)}
