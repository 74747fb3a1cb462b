from __future__ import annotations

import json
import os
import plistlib
from pathlib import Path

import pytest

import hudctl.service
from hudctl import cli, service_systemd, service_text
from hudctl.service_launchd import Launchd
from hudctl.service_systemd import hudd_command
from hudd.wire import table
from tests.fakes.service_manager import System


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / ".config/systemd/user"


def service(*words: str) -> int:
    return cli.main(["service", *words])


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


def test_install_writes_enables_and_starts(system: System, folder: Path, tmp_path: Path):
    assert service("install") == 0
    unit = lines(folder / "hudd.service")
    assert unit[0].startswith(service_text.MARK)
    assert f"ExecStart={' '.join(hudd_command())}" in unit
    assert f"ReadWritePaths=-{tmp_path}/.local/state/hudd" in unit
    assert f"ExecStartPre=+/bin/mkdir -p -m 0700 {tmp_path}/.local/state/hudd" in unit
    assert {"Type=notify", "WantedBy=graphical-session.target", "ProtectSystem=strict"} <= set(unit)
    assert [command for command in system.commands if "enable" in command or "start" in command] == [
        "systemctl --user enable hudd.service",
        "systemctl --user restart hudd.service",
    ]


def test_a_newer_systemd_gets_what_it_knows(system: System, folder: Path):
    system.version = "257.9-1"
    system.session = False
    assert service("install", "--no-start") == 0
    unit = lines(folder / "hudd.service")
    assert {"Type=notify-reload", "RestartSteps=8", "RestartMaxDelaySec=60", "WantedBy=default.target"} <= set(unit)
    assert not [line for line in unit if line.startswith("ExecReload")]
    assert "systemctl --user restart hudd.service" not in system.commands


def test_paths_with_odd_characters_are_quoted(
    system: System, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HUDD_STATE_DIR", str(tmp_path / "50% of it"))
    monkeypatch.setenv("HUDD_CONFIG", str(tmp_path / "a b.toml"))
    assert service("install") == 0
    unit = lines(folder / "hudd.service")
    assert f'ReadWritePaths="-{tmp_path}/50%% of it"' in unit
    assert f'ExecStartPre=+/bin/mkdir -p -m 0700 "{tmp_path}/50%% of it"' in unit
    assert f'Environment="HUDD_CONFIG={tmp_path}/a b.toml"' in unit


def test_dry_run_prints_and_changes_nothing(system: System, folder: Path, capsys: pytest.CaptureFixture[str]):
    assert service("install", "--on-demand", "--dry-run") == 0
    printed = capsys.readouterr().out
    assert f"would write {folder}/hudd.service" in printed
    assert "    ListenStream=%t/hudd/ctl.sock" in printed
    assert "would run systemctl --user enable hudd-ctl.socket" in printed
    assert not folder.exists()
    assert not [command for command in system.commands if "enable" in command]


def test_a_second_install_keeps_what_a_person_wrote_and_undoes_what_is_not_asked_for(system: System, folder: Path):
    own = folder / "hudd.service.d/override.conf"
    own.parent.mkdir(parents=True)
    own.write_text("[Service]\nNice=5\n")
    assert service("install", "--on-demand", "--loosen", "command-source") == 0
    assert (folder / "hudd-ctl.socket").exists()
    assert {path.name for path in own.parent.iterdir()} == {
        "override.conf", "hudd-on-demand.conf", "hudd-loosen-command-source.conf",
    }  # fmt: skip
    system.commands.clear()
    assert service("install") == 0
    assert not (folder / "hudd-ctl.socket").exists()
    assert [path.name for path in own.parent.iterdir()] == ["override.conf"]
    assert "systemctl --user disable --now hudd-ctl.socket" in system.commands


def test_uninstall_leaves_no_trace(system: System, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    key = tmp_path / "key"
    key.write_text("sk-abcdefgh")
    key.chmod(0o600)
    assert service("install", "--on-demand", "--key-file", str(key)) == 0
    assert "sk-" not in capsys.readouterr().out
    assert f"LoadCredential=realtime-key:{key}" in lines(folder / "hudd.service.d/hudd-key.conf")
    assert service("uninstall") == 0
    assert (
        f"Notes and settings stay in {tmp_path}/.local/state/hudd and {tmp_path}/.config/hudd."
        in capsys.readouterr().out
    )
    assert not folder.parent.exists()
    assert service("uninstall") == 1


@pytest.fixture
def packaged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The Debian package's unit, and its own hudd."""
    unit = tmp_path / "usr/hudd.service"
    unit.parent.mkdir()
    unit.write_text("[Service]\n")
    monkeypatch.setattr(service_systemd, "PACKAGED", unit)
    monkeypatch.setattr(service_systemd, "hudd_command", lambda: ["/usr/lib/hudd/bin/hudd"])
    return unit


def test_the_unit_of_the_package_is_enabled_and_disabled_and_no_copy_is_made(
    system: System, folder: Path, packaged: Path, capsys: pytest.CaptureFixture[str]
):
    system.session = False
    assert service("install") == 0
    assert capsys.readouterr().out == f"Enabled {packaged}. It runs.\n"
    assert not folder.exists()
    begun = system.commands.index("systemctl --user enable hudd.service")
    assert [command for command in system.commands[begun:] if " is-active " not in command] == [
        "systemctl --user enable hudd.service",
        "systemctl --user add-wants default.target hudd.service",
        "systemctl --user restart hudd.service",
    ]
    assert service("uninstall") == 0
    assert "systemctl --user disable --now hudd.service" in system.commands
    assert packaged.exists()


def test_where_the_graphical_session_is_reached_the_unit_of_the_package_is_enough(system: System, packaged: Path):
    assert service("install") == 0
    assert packaged.exists()
    assert not [command for command in system.commands if "add-wants" in command]


def test_the_unit_of_the_package_that_is_not_enabled_cannot_be_uninstalled(
    system: System, packaged: Path, capsys: pytest.CaptureFixture[str]
):
    assert packaged.exists()
    system.fails["is-enabled"] = ""
    assert service("uninstall") == 1
    assert "no service of hudctl to uninstall" in capsys.readouterr().err


def test_a_moved_state_needs_a_unit_of_its_own_beside_that_of_the_package(
    system: System, folder: Path, packaged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HUDD_STATE_DIR", str(tmp_path / "elsewhere"))
    assert packaged.exists()
    assert service("install") == 0
    assert "ExecStart=/usr/lib/hudd/bin/hudd" in lines(folder / "hudd.service")
    assert service("uninstall") == 0
    assert not folder.exists()


def test_uninstall_keeps_what_a_person_wrote_and_says_so(
    system: System, folder: Path, capsys: pytest.CaptureFixture[str]
):
    assert service("install") == 0
    own = folder / "hudd.service.d/override.conf"
    own.parent.mkdir()
    own.write_text("[Service]\nNice=5\n")
    assert service("uninstall") == 0
    assert [path for path in folder.rglob("*") if path.is_file()] == [own]
    assert str(own) in capsys.readouterr().err


def test_a_unit_of_somebody_else_is_not_overwritten(system: System, folder: Path):
    folder.mkdir(parents=True)
    (folder / "hudd.service").write_text("[Service]\nExecStart=/opt/mine\n")
    assert service("install") == table.EXIT_USAGE
    assert (folder / "hudd.service").read_text() == "[Service]\nExecStart=/opt/mine\n"


@pytest.mark.parametrize("mode", [0o644, None])
def test_a_key_file_that_others_may_read_is_refused(system: System, folder: Path, tmp_path: Path, mode: int | None):
    key = tmp_path / "key"
    if mode is not None:
        key.write_text("sk-abcdefgh")
        key.chmod(mode)
    assert service("install", "--key-file", str(key)) == table.EXIT_USAGE
    assert not folder.exists()


def test_stop_stops_the_socket_first(system: System):
    assert service("install", "--on-demand") == 0
    system.commands.clear()
    assert service("stop") == 0
    assert system.commands == ["systemctl --user stop hudd-ctl.socket", "systemctl --user stop hudd.service"]


@pytest.mark.parametrize("what", ["start", "stop", "restart"])
def test_what_is_not_installed_cannot_be_moved(system: System, what: str, capsys: pytest.CaptureFixture[str]):
    assert service(what) == table.EXIT_NOT_RUNNING
    assert "hudctl service install" in capsys.readouterr().err
    assert system.commands == []


def test_status_tells_facts(system: System, capsys: pytest.CaptureFixture[str]):
    assert service("status", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["manager"], told["active"], told["pid"], told["restarts"]) == ("systemd", True, 7, 2)
    assert told["drop_ins"] == ["/a", "/b"]
    system.shown = "ActiveState=inactive\nMainPID=0\n"
    assert service("status") == table.EXIT_NOT_RUNNING
    assert "inactive" in capsys.readouterr().out


def test_without_a_bus_the_way_to_one_is_told(system: System, capsys: pytest.CaptureFixture[str]):
    system.fails["systemctl"] = "Failed to connect to bus: No medium found"
    assert service("install") == 1
    said = capsys.readouterr().err
    assert "loginctl enable-linger" in said
    assert said.count("\n") == 1


def test_without_a_bus_nothing_is_uninstalled(system: System, folder: Path, capsys: pytest.CaptureFixture[str]):
    assert service("install", "--on-demand") == 0
    system.fails["systemctl"] = "Failed to connect to bus: No medium found"
    before = sorted(folder.rglob("*"))
    assert service("uninstall") == 1
    assert "loginctl enable-linger" in capsys.readouterr().err
    assert sorted(folder.rglob("*")) == before


def test_without_systemd_one_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(hudctl.service.sys, "platform", "linux")
    assert service("install") == 1
    assert capsys.readouterr().err == (
        "hudctl: There is no systemctl here. Without a service manager, start it with: hudd\n"
    )


def test_the_runtime_folder_is_the_services_own(system: System, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HUDD_RUNTIME_DIR", "/tmp/x")
    assert service("install") == table.EXIT_USAGE


@pytest.fixture
def mac(system: System, monkeypatch: pytest.MonkeyPatch) -> System:
    monkeypatch.setattr(hudctl.service.sys, "platform", "darwin")
    system.shown = ""
    return system


def test_on_macos_an_agent_is_written_and_loaded(mac: System, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert service("install") == 0
    agent = plistlib.loads((tmp_path / "Library/LaunchAgents/io.github.hudd.plist").read_bytes())
    assert agent["ProgramArguments"] == [*hudd_command(), "--log-file", f"{tmp_path}/Library/Logs/hudd.log"]
    assert agent["KeepAlive"] == {"SuccessfulExit": False}
    assert "YOU" not in str(agent)
    assert [command.split()[1] for command in mac.commands] == ["bootout", "bootstrap"]
    assert "Screen Recording" in capsys.readouterr().err
    for what in ("start", "restart", "stop"):
        assert service(what) == 0
    assert mac.commands[-1].startswith("launchctl kill SIGTERM gui/")
    assert service("uninstall") == 0
    assert list((tmp_path / "Library/LaunchAgents").iterdir()) == []


def test_on_macos_the_log_and_what_was_said_before_it_are_printed(mac: System, tmp_path: Path):
    asked = Launchd({"HOME": str(tmp_path)}, hudctl.service.run_command)
    folder = tmp_path / "Library/Logs"
    log, start = folder / "hudd.log", folder / "hudd.start.log"
    assert asked.logs(5, follow=False) == ["tail", "-n", "5", str(log)]
    folder.mkdir(parents=True)
    log.write_text("an event\n")
    start.write_text("")
    assert asked.logs(5, follow=True) == ["tail", "-n", "5", "-F", str(log)]
    start.write_text("hudd: [gate] settle_s is wrong\n")
    os.utime(log, (100, 100))
    assert asked.logs(5, follow=False) == ["tail", "-n", "5", str(log), str(start)]
    os.utime(start, (50, 50))
    assert asked.logs(5, follow=False) == ["tail", "-n", "5", str(start), str(log)]
    agent = plistlib.loads(service_text.agent(["hudd"], home=str(tmp_path), environment={}).encode())
    assert agent["StandardErrorPath"] == str(start)


def test_macos_refuses_what_it_has_not(mac: System):
    assert service("install", "--on-demand") == table.EXIT_USAGE
