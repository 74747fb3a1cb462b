"""The key in ``hudctl setup``: where it is kept, and how it comes there without being shown.

The desktop's keyring is asked by a process of hudd's, which reads the key on its standard input: hudctl itself never
loads the library, and a keyring that waits for a person can be given up.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from getpass import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hudctl.doctor import child_environment, own_checks
from hudctl.errors import HudctlError, UsageError
from hudctl.setup_files import KEY_NAME, Value, check_key_file, checked_key, write_whole
from hudctl.setup_handed import hand_over, handed_in, refuse_keyring
from hudctl.words import line, mapping

if TYPE_CHECKING:
    from hudctl.setup import Setup  # it hands itself over; at run time this module does not know it

ASK_S: Final = 60.0
"""Seconds; a person may be asked for the password of the keyring."""
ALONE_S: Final = 15.0
"""Without a person nobody unlocks it."""
_LONGEST_STDIN: Final = 8192
_VARIABLES: Final = ("HUDD_REALTIME_KEY", "OPENAI_API_KEY")


@dataclass(frozen=True, slots=True)
class Keyring:
    """What the keyring answered.

    Attributes:
        works: Whether it did what was asked.
        told: Its name, or why not: a sentence.
    """

    works: bool
    told: str


def ask_keyring(word: str, *, seconds: float, key: str = "") -> Keyring:
    """Ask the person's keyring: ``probe``, ``has`` or ``set``."""
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "hudd.config.keyring_program", word],
            env=child_environment(),
            input=key,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Keyring(works=False, told=f"The keyring did not answer within {seconds:g} s.")
    words = (done.stderr.strip().splitlines() or ["The keyring gave no reason."])[-1]
    return Keyring(done.returncode == 0, line(words))


def choose_key(run: Setup) -> dict[str, Value]:
    """Where the key is kept from now on, as settings; none when it stays where it is found already.

    Raises:
        UsageError: There is none, and nobody to ask.
        HudctlError: The keyring was wanted and does not work, or the service would not read the key there.
    """
    arguments = run.arguments
    if arguments.keyring:
        refuse_keyring(run)
    if arguments.key_file:
        path = Path(os.path.abspath(Path(arguments.key_file).expanduser()))  # noqa: PTH100 - a link stays one
        check_key_file(path)
        hand_over(run, path)
        return {"key_file": _short(path)}
    if arguments.key_stdin:
        return _keep(run, checked_key(sys.stdin.read(_LONGEST_STDIN)), keyring=arguments.keyring)
    if arguments.keyring and ask_keyring("has", seconds=ALONE_S).works:
        run.say("The keyring holds a key of hudd already.")
        if not run.asks or run.ask("Keep that key?", "Yn") == "y":
            return _by_keyring(run)
    found = next((row for row in own_checks("--service") if row["name"] == "key"), None)
    if found is not None and found["state"] != "failure" and not arguments.keyring:
        run.say(line(found["cause"]))
        if not run.asks or run.ask("Keep that key?", "Yn") == "y":
            return {}
    if not run.asks:
        raise UsageError("There is no key yet; give one by --key-file FILE or --key-stdin.")
    file = handed_in(run)
    keyring = arguments.keyring or (file is None and _offer_keyring(run))
    where = "the keyring" if keyring else f"{file or run.config.parent / KEY_NAME}, which only you may read (mode 0600)"
    run.say(f"The key is kept in {where}. It is not shown while you type.")
    while True:
        try:
            key = checked_key(getpass("Key: "))
        except UsageError as error:
            run.say(error.message)
        else:
            return _keep(run, key, keyring=keyring)


def keep_for_service(run: Setup) -> dict[str, Value] | None:
    """Put a key that only this shell's environment holds where a service finds it, too.

    Returns:
        Settings that name it; none when it stands elsewhere already. None when the person does not want that.
    """
    row = next((row for row in reversed(run.checks) if row["name"] == "key"), None)
    name = str(mapping(row.get("details")).get("where")) if row is not None else ""
    if name not in _VARIABLES or any(run.value(f"realtime.{key}") for key in ("key_file", "key_command", "keyring")):
        return {}
    run.say(f"\nThe key stands in {name} of this shell, which a service does not see.")
    if run.asks and run.ask("Keep it for the service, too?", "Yn") != "y":
        run.say("Then the service is not installed: it would have no key.")
        return None
    return _keep(
        run, checked_key(os.environ[name]), keyring=run.arguments.keyring or (run.asks and _offer_keyring(run))
    )


def _offer_keyring(run: Setup) -> bool:
    """Whether it is to be the keyring; a person is asked only where one works."""
    run.say("Looking for a keyring; your desktop may ask for its password.")
    found = ask_keyring("probe", seconds=ASK_S)
    if not found.works:
        run.say(f"{found.told} So the key is kept in a file.")
        return False
    return run.ask(f"Keep the key in the keyring ({found.told}) or in a private file?", "Kf") == "k"


def _keep(run: Setup, key: str, *, keyring: bool) -> dict[str, Value]:
    if not key.startswith("sk-") and str(run.value("realtime.url")).startswith("wss://api.openai.com/"):
        run.say(
            "This key does not look like one of OpenAI's, which begin with sk-; hudctl doctor tells whether it works."
        )
    if keyring:
        kept = ask_keyring("set", seconds=ASK_S if run.asks else ALONE_S, key=key)
        if kept.works:
            run.done.append(f"The key is in the keyring ({kept.told}).")
            return _by_keyring(run)
        if not run.asks or run.arguments.keyring:
            hint = "Mend that and try again, or leave --keyring out: then the key is kept in a file."
            raise HudctlError(f"The key was not kept. {kept.told}", hint=hint)
        run.say(f"{kept.told} So the key is kept in a file.")
    path = handed_in(run) or run.config.parent / KEY_NAME
    write_whole(path, f"{key}\n", private=True)
    run.done.append(f"The key is in {path} (mode 0600).")
    return {"key_file": _short(path)}


def _by_keyring(run: Setup) -> dict[str, Value]:
    """What goes before the keyring is taken out of the settings; a file that is left is named."""
    values: dict[str, Value] = {"keyring": True}
    file = str(run.value("realtime.key_file"))
    if file:
        values["key_file"] = ""
        run.done.append(f"The key in {file} is not used any more; remove that file.")
    if run.value("realtime.key_command"):
        values["key_command"] = []
    return values


def _short(path: Path) -> str:
    home = os.environ.get("HOME", "").rstrip("/")
    return f"~{str(path)[len(home) :]}" if home and str(path).startswith(f"{home}/") else str(path)
