"""The texts of the units and of the agent, made from the shipped ones. Pure, but for reading what is shipped."""

from __future__ import annotations

import plistlib
import re
from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from hudd.wire.credential import CREDENTIAL

MARK: Final = "# Written by hudctl service install; it writes it anew. Your changes belong into: systemctl --user edit"
LOOSEN: Final = ("command-source", "key-command", "portal-screenshots", "text-recognition")
"""Drop-ins that take something of the sandbox away, for what cannot work inside of it."""

NOTIFY_RELOAD_SINCE: Final = 253
SLOWER_RESTARTS_SINCE: Final = 254


def shipped(name: str) -> str:
    """The text of a file of ``packaging``, in an installation or in the source tree."""
    installed = files("hudctl").joinpath("data", "service", name)
    if installed.is_file():
        return installed.read_text(encoding="utf-8")
    folder = "launchd" if name.endswith(".plist") else "systemd"
    return (Path(__file__).parents[1] / "packaging" / folder / name).read_text(encoding="utf-8")


def quoted(word: str, *, of_command: bool = True) -> str:
    """A word of a unit's value: systemd.service(5) takes % for a specifier, $ for a variable, and splits at spaces."""
    text = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    if of_command:
        text = text.replace("$", "$$")
    return f'"{text}"' if re.search(r"[\s\"'\\;]", text) else text


def service_unit(
    command: Iterable[str],
    *,
    state: str,
    environment: Mapping[str, str],
    version: int,
    wanted_by: str,
) -> str:
    """``hudd.service`` for one installation.

    Args:
        command: What starts hudd, with absolute paths.
        state: The folder of the journal.
        environment: Variables that move hudd's folders; never a key.
        version: Of systemd.
        wanted_by: The target that starts it.
    """
    text = _without_head(shipped("hudd.service"))
    text = _set(text, "ExecStart", " ".join(quoted(word) for word in command))
    text = text.replace("# %h is your home directory; this is where pipx puts it.\n", "")
    text = text.replace("%h/.local/state/hudd", quoted(state))
    text = text.replace(f"ReadWritePaths=-{quoted(state)}", f"ReadWritePaths={quoted(f'-{state}', of_command=False)}")
    text = _set(text, "WantedBy", wanted_by)
    added = [f"Environment={quoted(f'{name}={value}', of_command=False)}" for name, value in environment.items()]
    if version >= NOTIFY_RELOAD_SINCE:
        # systemd sends SIGHUP itself, and waits until the new settings are in force.
        text = _set(text, "Type", "notify-reload")
        text = re.sub(r"^ExecReload=.*\n", "", text, flags=re.MULTILINE)
    if version >= SLOWER_RESTARTS_SINCE:
        added += ["RestartSteps=8", "RestartMaxDelaySec=60"]
    text = text.replace("[Service]\n", "".join(["[Service]\n", *(f"{line}\n" for line in added)]), 1)
    return f"{MARK} hudd\n{text}"


def drop_in(name: str, lines: Iterable[str] = ()) -> str:
    """A shipped drop-in, or one of these lines, with the mark."""
    body = "\n".join(("[Service]", *lines)) + "\n" if lines else shipped(name)
    return f"{MARK} hudd\n{body}"


def key_line(file: Path) -> str:
    """The line of a unit by which systemd hands the service the key in a file."""
    return f"LoadCredential={CREDENTIAL}:{str(file).replace('%', '%%')}"


def key_drop_in(file: Path) -> str:
    """The drop-in that holds this line."""
    return drop_in("", (key_line(file),))


def socket_unit() -> str:
    """``hudd-ctl.socket``."""
    return f"{MARK} hudd-ctl.socket\n{_without_head(shipped('hudd-ctl.socket'))}"


def agent(command: Iterable[str], *, home: str, environment: Mapping[str, str]) -> str:
    """The launchd agent for one installation: an XML property list."""
    wanted: dict[str, Any] = plistlib.loads(shipped("io.github.hudd.plist").encode())
    wanted["ProgramArguments"] = [*command, "--log-file", f"{home}/Library/Logs/hudd.log"]
    wanted["StandardErrorPath"] = f"{home}/Library/Logs/hudd.start.log"
    if environment:
        wanted["EnvironmentVariables"] = dict(environment)
    return plistlib.dumps(wanted, sort_keys=False).decode()


def _without_head(text: str) -> str:
    """Without the comment that tells how to install it by hand."""
    return text[text.index("[Unit]") :]


def _set(text: str, key: str, value: str) -> str:
    changed, count = re.subn(rf"^{key}=.*$", lambda _: f"{key}={value}", text, flags=re.MULTILINE)
    assert count == 1, f"{key} stands once in the shipped unit"
    return changed
