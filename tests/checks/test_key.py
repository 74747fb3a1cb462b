"""The doctor's line about the key, where a program or the keyring is to give it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from hudd.checks import endpoint
from hudd.checks.endpoint import check_endpoint, check_key
from hudd.checks.finding import Finding
from hudd.checks.machine import check_extras
from tests.fakes.keyring_backend import environment_of_keyring
from tests.fakes.machine import Machine

KEY = "planted-Larkspur-77"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(tmp_path, monkeypatch)
    made.environ["PATH"] = os.environ["PATH"]
    return made


def keyring(machine: Machine, *, key: str = "", fault: str = "") -> None:
    machine.settings('[realtime]\nuse = "service"\nkeyring = true\n')
    machine.environ |= environment_of_keyring(machine.folder / "ring", key=key, fault=fault)


def command(machine: Machine, script: str, *lines: str) -> None:
    words = json.dumps(["sh", "-c", script])
    machine.settings("\n".join(['[realtime]\nuse = "service"', f"key_command = {words}", *lines]))


def line(machine: Machine) -> Finding:
    (found,) = check_key(machine.context())
    assert KEY not in str(found.to_json())
    return found


def test_a_key_that_a_command_prints_is_found_there(machine: Machine) -> None:
    command(machine, f"echo {KEY}", 'url = "wss://name.openai.azure.com/openai/v1/realtime"')
    found = line(machine)
    assert (found.state, found.details) == ("ok", {"where": "command sh of [realtime] key_command"})


def test_a_key_in_the_keyring_is_found_there(machine: Machine) -> None:
    keyring(machine, key=f"sk-{KEY}")
    found = line(machine)
    assert (found.state, found.details) == ("ok", {"where": "keyring (keyring backend FileKeyring)"})


@pytest.mark.parametrize(
    ("script", "cause", "remedy"),
    [
        (
            f"echo {KEY}; echo gpg: no {KEY} here >&2; exit 3",
            "failed with exit code 3: gpg: no (hidden) here",
            "terminal",
        ),
        ("absent-program", "failed with exit code 127", "terminal"),
        ("sleep 30", "gave no key within 0.3 s, as if it waited for a person", "terminal"),
    ],
)
def test_a_command_that_fails_is_named_with_its_words(machine: Machine, script: str, cause: str, remedy: str) -> None:
    machine.patch.setattr(endpoint, "KEY_S", 0.3)
    command(machine, script)
    found = line(machine)
    assert (found.state, cause in found.cause, remedy in found.remedy) == ("failure", True, True), found


@pytest.mark.parametrize(
    ("fault", "cause", "remedy"),
    [
        ("locked", "The keyring is locked", "Unlock the keyring"),
        ("breaks", "the bus is away", "hudctl resume"),
        ("", "holds no key of hudd", "hudctl setup --use service --keyring"),
    ],
)
def test_a_keyring_that_fails_is_named(machine: Machine, fault: str, cause: str, remedy: str) -> None:
    keyring(machine, fault=fault)
    found = line(machine)
    assert (found.state, cause in found.cause, remedy in found.remedy) == ("failure", True, True), found


def test_the_missing_extra_is_a_failure_only_where_it_is_needed(machine: Machine) -> None:
    machine.without("keyring")
    assert [f.state for f in check_extras(machine.context()) if f.details["extra"] == "keyring"] == ["ok"]
    keyring(machine)
    (found,) = [f for f in check_extras(machine.context()) if f.details["extra"] == "keyring"]
    assert (found.state, "[keyring]', or run: hudctl setup" in found.remedy) == ("failure", True)


def unit(machine: Machine, *drop_ins: str) -> None:
    """A service whose unit has these lines in its drop-ins."""
    machine.environ.pop("HUDD_RUNTIME_DIR", None)
    machine.settings('[realtime]\nuse = "service"\nkey_file = "~/absent"\n')
    paths = [machine.folder / f"{number}.conf" for number in range(len(drop_ins))]
    for path, text in zip(paths, drop_ins, strict=True):
        path.write_text(f"[Service]\n{text}\n")
    machine.systemctl(f"LoadState=loaded\nFragmentPath=/absent\nDropInPaths={' '.join(map(str, paths))}\n")


def test_a_key_that_systemd_hands_to_the_service_is_found_there(machine: Machine) -> None:
    path = machine.folder / "100% mine"
    path.write_text(f"sk-{KEY}\n")
    path.chmod(0o600)
    unit(machine, "LoadCredential=realtime-key:/other", "LoadCredential=realtime-key:%h/100%% mine", "Nice=5")
    found = line(machine)
    assert (found.state, found.details) == ("ok", {"where": f"systemd credential realtime-key (file {path})"})
    path.chmod(0o644)
    assert "open to others" in line(machine).cause
    path.unlink()
    found = line(machine)
    assert ("does not exist" in found.cause, "--key-file" in found.remedy) == (True, True)


def test_what_goes_before_the_credential_and_what_takes_it_back(machine: Machine) -> None:
    unit(machine, f"LoadCredential=realtime-key:{machine.folder}/key", "LoadCredential=")
    assert "of [realtime] key_file does not exist" in line(machine).cause
    unit(machine, f"LoadCredential=realtime-key:{machine.folder}/key")
    machine.environ["HUDD_REALTIME_KEY"] = f"sk-{KEY}"
    assert line(machine).details == {"where": "HUDD_REALTIME_KEY"}


def test_the_credential_is_the_services_own(machine: Machine) -> None:
    unit(machine, f"LoadCredential=realtime-key:{machine.folder}/key")
    machine.environ["HUDD_RUNTIME_DIR"] = str(machine.run_dir)
    assert "of [realtime] key_file does not exist" in line(machine).cause


def test_it_is_asked_once_for_all_checks(machine: Machine) -> None:
    command(machine, f"echo >> {machine.folder}/asked; echo {KEY}", 'url = "ws://127.0.0.1:9/v1/realtime"')
    context = machine.context()
    for _ in range(2):
        assert KEY not in str([found.to_json() for check in (check_key, check_endpoint) for found in check(context)])
    assert len((machine.folder / "asked").read_text().splitlines()) == 1


@pytest.mark.parametrize("line_of_unit", ["LoadCredentialEncrypted=realtime-key:/k", "SetCredential=realtime-key:/k"])
def test_a_credential_that_only_the_service_can_read_is_told_of_and_no_other_place(
    machine: Machine, line_of_unit: str
) -> None:
    unit(machine, "LoadCredential=realtime-key:/other", line_of_unit)
    machine.settings('[realtime]\nuse = "service"\nkey_file = "~/key"\nurl = "ws://127.0.0.1:9/v1/realtime"\n')
    (machine.folder / "key").write_text(f"sk-{KEY}\n")
    (machine.folder / "key").chmod(0o600)
    found = line(machine)
    assert (found.state, "only the service can read it" in found.cause, "1.conf" in found.cause) == ("ok", True, True)


def test_a_key_that_the_running_service_has_not_read_yet_is_told(machine: Machine) -> None:
    path = machine.folder / "key"
    path.write_text(f"sk-{KEY}\n")
    path.chmod(0o600)
    unit(machine, f"LoadCredential=realtime-key:{path}")
    machine.environ["XDG_RUNTIME_DIR"] = str(machine.folder / "run")
    copy = machine.folder / "run/credentials/hudd.service/realtime-key"
    copy.parent.mkdir(parents=True)
    copy.write_text(f"sk-{KEY}\n")
    assert line(machine).state == "ok"
    copy.write_text("sk-the-one-of-yesterday\n")
    found = line(machine)
    assert (found.state, found.remedy) == ("warning", "Run: hudctl service restart")
    assert f"another key than {path}" in found.cause
