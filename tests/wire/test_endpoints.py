from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudd.wire import endpoints
from hudd.wire.endpoints import (
    EndpointError,
    UnsafeFolderError,
    control_socket,
    folder_problem,
    notes_socket,
    runtime_dir,
)


def test_own_variable_goes_first():
    environ = {"HUDD_RUNTIME_DIR": "/run/mine", "XDG_RUNTIME_DIR": "/run/user/1000"}
    assert runtime_dir(environ) == Path("/run/mine")
    assert control_socket(environ) == Path("/run/mine/ctl.sock")
    assert notes_socket(environ) == Path("/run/mine/notes.sock")


def test_xdg_folder_is_used_and_nothing_is_made(tmp_path: Path):
    assert runtime_dir({"XDG_RUNTIME_DIR": str(tmp_path)}) == tmp_path / "hudd"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", ["relative/folder", "~/x", "a\0b", "/a\0b"])
def test_own_variable_must_be_absolute(value: str):
    with pytest.raises(EndpointError, match=r"HUDD_RUNTIME_DIR is .* no absolute path; give one"):
        runtime_dir({"HUDD_RUNTIME_DIR": value})


@pytest.mark.skipif(sys.platform != "linux", reason="macOS has a place of its own")
@pytest.mark.parametrize("shared", ["", "relative"])
def test_without_xdg_a_folder_of_the_user_under_the_temporary_one(tmp_path: Path, shared: str):
    environ = {"XDG_RUNTIME_DIR": shared, "TMPDIR": str(tmp_path)}
    assert runtime_dir(environ) == tmp_path / f"hudd-{os.getuid()}"
    assert runtime_dir({"TMPDIR": "relative"}) == Path(f"/tmp/hudd-{os.getuid()}")


@pytest.mark.skipif(sys.platform != "linux", reason="macOS has a place of its own")
def test_the_folder_under_the_temporary_one_is_checked_for_the_client_too(tmp_path: Path):
    folder = tmp_path / f"hudd-{os.getuid()}"
    folder.mkdir(mode=0o700)
    assert runtime_dir({"TMPDIR": str(tmp_path)}) == folder
    folder.chmod(0o755)
    with pytest.raises(UnsafeFolderError, match=r"open to others \(mode 0755\); close it with: chmod 700") as caught:
        control_socket({"TMPDIR": str(tmp_path)})
    assert caught.value.exit_code == 77
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(("system", "limit"), [("linux", 107), ("darwin", 103), ("freebsd14", 103)])
def test_socket_paths_are_as_long_as_the_system_allows_and_no_longer(
    monkeypatch: pytest.MonkeyPatch, system: str, limit: int
):
    monkeypatch.setattr(endpoints.sys, "platform", system)
    # Two bytes a letter: the limit counts bytes.
    room = limit - len("/") - len("/notes.sock")
    fits = "/" + "é" * (room // 2) + "e" * (room % 2)
    assert len(os.fsencode(notes_socket({"HUDD_RUNTIME_DIR": fits}))) == limit
    with pytest.raises(
        EndpointError, match=f"has {limit + 1} bytes and this system allows {limit}; set HUDD_RUNTIME_DIR"
    ):
        notes_socket({"HUDD_RUNTIME_DIR": fits + "e"})
    assert control_socket({"HUDD_RUNTIME_DIR": fits + "ee"})


@pytest.mark.skipif(sys.platform != "linux", reason="the limit of this system")
def test_a_socket_of_the_longest_path_can_really_be_bound(tmp_path: Path):
    import socket

    base = tmp_path / "x"
    base = Path(str(base) + "x" * (107 - len(str(base)) - len("/notes.sock")))
    base.mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(notes_socket({"HUDD_RUNTIME_DIR": str(base)})))


def test_a_missing_folder_is_no_problem(tmp_path: Path):
    assert folder_problem(tmp_path / "absent") == ""


@pytest.mark.parametrize("mode", [0o700, 0o500, 0o600])
def test_a_closed_folder_is_no_problem(tmp_path: Path, mode: int):
    folder = tmp_path / "f"
    folder.mkdir(mode=mode)
    assert folder_problem(folder) == ""


def test_links_files_strangers_and_open_folders_are_problems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    real = tmp_path / "real"
    real.mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(real)
    (tmp_path / "file").touch()
    assert "is a symbolic link; remove it" in folder_problem(tmp_path / "link")
    assert "is no folder; move that file away" in folder_problem(tmp_path / "file")
    assert "cannot be looked at" in folder_problem(tmp_path / "file" / "below")
    for mode in (0o710, 0o701, 0o777, 0o1770):
        real.chmod(mode)
        assert f"mode {mode:04o}" in folder_problem(real)
    real.chmod(0o700)
    monkeypatch.setattr(os, "getuid", lambda: real.stat().st_uid + 1)
    assert "belongs to user" in folder_problem(real)


@given(st.text(max_size=300))
def test_any_value_gives_a_path_or_a_sentence(value: str):
    try:
        path = control_socket({"HUDD_RUNTIME_DIR": value, "XDG_RUNTIME_DIR": "/run/user/1"})
    except EndpointError as error:
        assert_sentence(error)
        return
    assert path.name == "ctl.sock"
    assert path.is_absolute()


def assert_sentence(error: EndpointError) -> None:
    assert str(error).endswith(".")


def test_how_to_start_names_the_unit_where_it_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(endpoints.sys, "platform", "linux")
    monkeypatch.setattr(endpoints, "_UNIT_FOLDERS", ())
    environ = {"XDG_RUNTIME_DIR": str(tmp_path / "run"), "HOME": str(tmp_path)}
    unit = tmp_path / ".config/systemd/user/hudd.service"
    unit.parent.mkdir(parents=True)
    assert endpoints.how_to_start(environ) == "hudd"
    unit.touch()
    assert endpoints.how_to_start(environ) == "hudd", "no systemd runs for this user"
    (tmp_path / "run/systemd").mkdir(parents=True)
    assert endpoints.how_to_start(environ) == "systemctl --user start hudd"
    assert endpoints.how_to_restart(environ) == "systemctl --user restart hudd"
    unit.unlink()
    assert endpoints.how_to_start(environ) == "hudd"
    assert endpoints.how_to_restart(environ) == "end hudd and start it again with: hudd"
    assert endpoints.how_to_start({**environ, "HUDD_RUNTIME_DIR": "/a b"}) == "HUDD_RUNTIME_DIR='/a b' hudd"


def test_how_to_start_on_macos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(endpoints.sys, "platform", "darwin")
    assert endpoints.how_to_start({"HOME": str(tmp_path)}) == "hudd"
    agent = tmp_path / "Library/LaunchAgents/io.github.hudd.plist"
    agent.parent.mkdir(parents=True)
    agent.touch()
    assert endpoints.how_to_start({"HOME": str(tmp_path)}) == f"launchctl kickstart gui/{os.getuid()}/io.github.hudd"
    again = f"launchctl kickstart -k gui/{os.getuid()}/io.github.hudd"
    assert endpoints.how_to_restart({"HOME": str(tmp_path)}) == again


def test_macos_asks_platformdirs(monkeypatch: pytest.MonkeyPatch):
    import platformdirs

    asked: list[tuple[object, ...]] = []

    def user_runtime_dir(*args: object, **named: object) -> str:
        asked.append((*args, named))
        return "/Users/me/Library/Caches/TemporaryItems/hudd"

    monkeypatch.setattr(endpoints.sys, "platform", "darwin")
    monkeypatch.setattr(platformdirs, "user_runtime_dir", user_runtime_dir)
    assert runtime_dir({}) == Path("/Users/me/Library/Caches/TemporaryItems/hudd")
    assert asked == [("hudd", {"appauthor": False})]


def test_only_the_standard_library_is_loaded():
    code = "import sys, hudd.wire.endpoints as e; e.control_socket({'HUDD_RUNTIME_DIR': '/x'}); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "hudd.wire.endpoints" in loaded
    assert not {"platformdirs", "tempfile", "zmq", "asyncio", "hudd.errors"} & set(loaded)
