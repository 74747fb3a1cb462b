from __future__ import annotations

import configparser
import os
import plistlib
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from hudctl import service_text
from hudd import errors
from hudd.bus.activation import KEPT
from hudd.wire import endpoints
from tests.fakes.screen import need

ROOT = Path(__file__).parents[2]
SYSTEMD = ROOT / "packaging/systemd"
UNIT = SYSTEMD / "hudd.service"
AGENT = ROOT / "packaging/launchd/io.github.hudd.plist"


@pytest.fixture(scope="module")
def unit() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=False)  # SystemCallFilter adds up
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


def test_the_unit_is_watched_and_its_engine_is_left_to_hudd(unit: configparser.ConfigParser):
    assert int(unit["Service"]["WatchdogSec"]) >= 30
    assert unit["Service"]["KillMode"] == "mixed"


@pytest.mark.parametrize("name", service_text.LOOSEN)
def test_each_drop_in_loosens_and_adds_nothing_else(name: str):
    text = (SYSTEMD / f"loosen/{name}.conf").read_text()
    assert text.startswith("# ")
    keys = {line.partition("=")[0] for line in text.splitlines() if line and not line.startswith(("#", "["))}
    assert keys <= service_keys()


def test_the_socket_is_where_clients_look():
    text = (SYSTEMD / "hudd-ctl.socket").read_text()
    assert f"ListenStream=%t/hudd/{endpoints.CONTROL_SOCKET}" in text
    assert f"Symlinks=%t/hudd/{endpoints.ON_DEMAND}" in text
    assert "DirectoryMode=0700" in text
    assert KEPT in (SYSTEMD / "on-demand.conf").read_text()


def service_keys() -> set[str]:
    return {line.partition("=")[0] for line in UNIT.read_text().splitlines() if "=" in line and line[0] != "#"}


def test_the_unit_leaves_time_to_stop(unit: configparser.ConfigParser):
    assert int(unit["Service"]["TimeoutStopSec"]) > 5, "hudd takes up to 5 s"


def test_the_unit_holds_no_key_and_does_not_depend_on_a_display(unit: configparser.ConfigParser):
    assert unit["Service"]["Environment"] == "ORC_CODE=backup"
    assert "Requires" not in unit["Unit"]
    assert "BindsTo" not in unit["Unit"]


def test_the_unit_tells_how_to_install_it():
    text = UNIT.read_text()
    assert UNIT.name == "hudd.service"
    assert "systemctl --user enable --now hudd" in text
    assert "realtime-key" in text


def analyze(*words: str, runtime: Path) -> subprocess.CompletedProcess[str]:
    program = need("systemd-analyze")
    environ = {**os.environ, "XDG_RUNTIME_DIR": str(runtime)}
    return subprocess.run(
        [program, "--user", *words], capture_output=True, text=True, env=environ, timeout=60, check=False
    )


@pytest.mark.slow
def test_the_sandbox_scores_two_at_most(tmp_path: Path):
    """With a key by LoadCredential, which the X11 and the portal source need nothing beside."""
    scored = tmp_path / "hudd.service"
    scored.write_text(UNIT.read_text().replace("[Service]\n", "[Service]\nLoadCredential=realtime-key:/etc/hostname\n"))
    done = analyze("security", "--offline=yes", "--no-pager", str(scored), runtime=tmp_path)
    found = re.search(r"Overall exposure level for hudd\.service: (\d+\.\d+)", done.stdout)
    assert found is not None, done.stdout + done.stderr
    print(found[0])
    assert float(found[1]) <= 2.0


@pytest.mark.slow
@pytest.mark.parametrize("version", [252, 257])
def test_systemd_has_nothing_to_say_about_what_install_writes(tmp_path: Path, version: int):
    """All files at once: the service with every drop-in, and the socket."""
    known = min(version, int(installed_version()))
    command = [shutil.which("true") or "/bin/true"]
    unit = service_text.service_unit(command, state=str(tmp_path / "a b"), environment={"HUDD_CONFIG": "/x y"},
                                     version=known, wanted_by="default.target")  # fmt: skip
    (tmp_path / "hudd.service.d").mkdir()
    (tmp_path / "hudd.service").write_text(unit)
    (tmp_path / "hudd-ctl.socket").write_text(service_text.socket_unit())
    for name in (*(f"loosen/{name}.conf" for name in service_text.LOOSEN), "on-demand.conf"):
        (tmp_path / "hudd.service.d" / Path(name).name).write_text(service_text.drop_in(name))
    (tmp_path / "hudd.service.d/hudd-key.conf").write_text(service_text.drop_in("", ["LoadCredential=realtime-key:/k"]))
    done = analyze("verify", str(tmp_path / "hudd.service"), str(tmp_path / "hudd-ctl.socket"), runtime=tmp_path)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def installed_version() -> str:
    done = subprocess.run([need("systemd-analyze"), "--version"], capture_output=True, text=True, check=True)
    return done.stdout.split()[1]


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
    assert arguments[1] == "--log-file", "otherwise the log grows without bound"
    log = Path(arguments[2])
    assert agent["StandardErrorPath"] == str(log.with_name(f"{log.stem}.start.log")), "the name that hudd shortens"
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
