from __future__ import annotations

import configparser
import os
import plistlib
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from hudd import errors
from hudd.wire import endpoints

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "packaging/systemd/hudd.service"
AGENT = ROOT / "packaging/launchd/io.github.hudd.plist"


@pytest.fixture(scope="module")
def unit() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(UNIT)
    return parser


@pytest.fixture(scope="module")
def agent() -> dict[str, object]:
    return plistlib.loads(AGENT.read_bytes())


def script() -> str:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert "hudd" in scripts
    return "hudd"


def test_the_unit_starts_our_script_and_waits_for_it(unit: configparser.ConfigParser):
    service = unit["Service"]
    assert service["ExecStart"].split()[0].endswith(f"/bin/{script()}")
    assert service["ExecStart"].startswith(("%h/", "/"))
    assert service["Type"] == "notify"
    assert service["NotifyAccess"] == "main"


def test_the_unit_is_started_again_except_for_what_a_person_must_mend(unit: configparser.ConfigParser):
    assert unit["Service"]["Restart"] == "on-failure"
    assert unit["Unit"]["StartLimitIntervalSec"] == "0"
    codes = {int(code) for code in unit["Service"]["RestartPreventExitStatus"].split()}
    assert codes == {errors.EXIT_USAGE, errors.EXIT_PERMISSIONS, errors.EXIT_SETTINGS}


def test_the_unit_makes_the_private_folder_that_we_look_for(unit: configparser.ConfigParser):
    service = unit["Service"]
    assert endpoints.runtime_dir({"XDG_RUNTIME_DIR": "/run/user/1"}).name == service["RuntimeDirectory"]
    assert service["RuntimeDirectoryMode"] == "0700"
    assert service["UMask"] == "0077"
    assert service["LimitCORE"] == "0"


def test_the_unit_leaves_time_to_stop(unit: configparser.ConfigParser):
    assert int(unit["Service"]["TimeoutStopSec"]) > 5, "hudd takes up to 5 s"


def test_the_unit_holds_no_key_and_does_not_depend_on_a_display(unit: configparser.ConfigParser):
    assert "Environment" not in unit["Service"]
    assert "Requires" not in unit["Unit"]
    assert "BindsTo" not in unit["Unit"]


def test_the_unit_tells_how_to_install_it():
    text = UNIT.read_text()
    assert UNIT.name == "hudd.service"
    assert "systemctl --user enable --now hudd" in text
    assert "realtime-key" in text


@pytest.mark.slow
def test_systemd_has_nothing_to_say_about_the_unit(tmp_path: Path):
    program = shutil.which("systemd-analyze")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("systemd-analyze is missing; CI installs systemd")
        pytest.skip("systemd-analyze is not installed")
    # The script is not installed at that place here; everything else stays as it is.
    verified = tmp_path / "hudd.service"
    verified.write_text(UNIT.read_text().replace("%h/.local/bin/hudd", shutil.which("true") or "/bin/true"))
    environ = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}
    done = subprocess.run(
        [program, "--user", "verify", str(verified)],
        capture_output=True,
        text=True,
        env=environ,
        timeout=60,
        check=False,
    )
    # An unknown key gives exit code 0 and a line.
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    verified.write_text(verified.read_text().replace("Restart=", "Restrat="))
    done = subprocess.run(
        [program, "--user", "verify", str(verified)],
        capture_output=True,
        text=True,
        env=environ,
        timeout=60,
        check=False,
    )
    assert "Restrat" in done.stderr, "the check finds mistakes"


def test_the_agent_starts_our_script_and_keeps_it_alive_after_failures(agent: dict[str, object]):
    assert agent["Label"] == AGENT.stem
    arguments = agent["ProgramArguments"]
    assert isinstance(arguments, list)
    assert Path(arguments[0]).name == script()
    assert Path(arguments[0]).is_absolute()
    assert agent["KeepAlive"] == {"SuccessfulExit": False}
    assert agent["ThrottleInterval"] == 10
    assert agent["LimitLoadToSessionType"] == "Aqua"
    assert agent["Umask"] == 0o077
    assert agent["HardResourceLimits"] == {"Core": 0}
    assert "EnvironmentVariables" not in agent


def test_the_agent_is_the_one_that_hudctl_looks_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(endpoints.sys, "platform", "darwin")
    folder = tmp_path / "Library/LaunchAgents"
    folder.mkdir(parents=True)
    shutil.copy(AGENT, folder)
    assert endpoints.how_to_start({"HOME": str(tmp_path)}).endswith(f"/{AGENT.stem}")


def test_the_licence_is_the_one_that_pyproject_names():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["license"] == "MIT"
    text = (ROOT / "LICENSE").read_text()
    assert text.startswith("MIT License")
    assert "The hudd maintainers" in text
