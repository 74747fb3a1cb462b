"""The whole life as a new user: installed, set up, used, upgraded, uninstalled and purged, with pictures of it.

``python -m tests.packaging.whole_life FOLDER [--deb FILE] [--light]`` as root. A machine that holds nothing but what
Debian installed (``tests/fakes/clean_root.py``), a real systemd of a new user, and a real display, on which the user and
root type into terminals of 100x30. After each step FOLDER gets a picture of the terminal and its text; at the end the
files of the machine are compared with those before. Ends with 1 at the first thing that is not as it should be.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.fakes.clean_root import USER, CleanMachine
from tests.fakes.terminal import DISPLAY, NOTED, Display, Terminal

ROOT: Final = Path(__file__).resolve().parents[2]
NEWER: Final = "99.0"
COMPARED: Final = ("/home", "/root", "/usr", "/etc", "/opt", "/srv", "/run/user", "/var/lib", "/var/tmp", "/tmp")
ADMINISTRATION: Final = (
    "/var/lib/dpkg/",
    "/var/lib/apt/",
    "/etc/ld.so.cache",
    "/tmp/.",
)
"""What the package manager writes about every package, and this script's own notes."""
OWN_DATA: Final = (".config/hudd/", ".local/state/hudd/")
"""What the README says stays after a purge, below the home."""
FOLDERS: Final = (".config/", ".local/", ".local/state/")
"""Those of the desktop's specification, which every program makes where they are missing and none may remove."""
HARBOUR: Final = "Ferry to Saltholm leaves at 15:40, berth 12"
LATER: Final = "Ferry to Ven leaves at 16:05, berth 3"


class Life:
    """The machine, its terminals, and the folder that gets the pictures."""

    def __init__(self, machine: CleanMachine, folder: Path, *, dark: bool) -> None:
        self.machine = machine
        self.folder = folder
        self.number = 0
        display = Display(machine)
        # Something to read beside the terminal.
        machine.run("sh", "-c", f"echo '{HARBOUR}' >{NOTED}/harbour")
        board = ("xterm", "-T", "harbour", "-fa", "DejaVu Sans Mono", "-fs", "14", "-geometry", "60x10+20+20")
        machine.start(f"DISPLAY={DISPLAY} exec {' '.join(repr(word) for word in board)} -e tail -f {NOTED}/harbour")
        self.root = Terminal(display, "root", (760, 10), root=True, dark=dark)
        self.user = Terminal(display, USER, (20, 440), dark=dark)

    def show(self, terminal: Terminal, name: str) -> str:
        """Keep a picture and the text; the text."""
        self.number += 1
        text = terminal.text()
        name = f"{self.number:02d}-{name}"
        self.keep(name, text)
        terminal.photograph(self.folder / f"{name}.png")
        print(name, flush=True)
        return text

    def keep(self, name: str, text: str) -> None:
        """Keep a text alone."""
        (self.folder / f"{name}.txt").write_text(text.rstrip("\n") + "\n", encoding="utf-8")

    def step(self, terminal: Terminal, name: str, command: str, *, code: int = 0, within_s: float = 60.0) -> str:
        """Type a command into an empty terminal, wait for its end and keep what is seen."""
        terminal.clear()
        found = terminal.command(command, within_s=within_s)
        text = self.show(terminal, name)
        expect(found == code, f"{command}: exit code {found} instead of {code}\n{text}")
        return text


def expect(holds: object, what: str) -> None:
    """End here when it does not hold."""
    if not holds:
        raise AssertionError(what)


def has(text: str, *words: str) -> None:
    """These words must be in the text, wherever its lines end."""
    flat = " ".join(text.split())
    for word in words:
        expect(word in flat, f"not shown: {word}\n{text}")


def live(life: Life, packages: Mapping[str, str]) -> None:
    """All steps from the installation to the purge."""
    machine, user, root = life.machine, life.user, life.root
    life.step(root, "install", f"apt-get install -y {packages['first']}", within_s=120)
    set_up(life)
    has(life.step(user, "status", "hudctl status"), "hudd 0.", "ready")
    has(life.step(user, "snap", "hudctl snap"), "Ferry to Saltholm")
    machine.run("sh", "-c", f"echo '{LATER}' >>{NOTED}/harbour")
    expect(machine.run("hudctl", "wait", "--for", "note", "--timeout", "30").returncode == 0, "no note by itself")
    has(life.step(user, "notes", "hudctl notes --limit 4"), "Saltholm")
    has(life.step(user, "doctor", "hudctl doctor", within_s=40), "There is no system bus here", "hudd can do its work")
    user.page_up()
    life.show(user, "doctor-begin")

    before, pid = numbers(machine), machine.pid()
    settings = machine.run("cat", ".config/hudd/config.toml").stdout
    life.step(root, "upgrade", f"apt-get install -y {packages['second']}", within_s=120)
    expect(machine.pid() == pid, "the service was restarted by the upgrade")
    has(life.step(user, "version-after-upgrade", "hudctl version"), "hudctl service restart")
    has(life.step(user, "snap-after-upgrade", "hudctl snap"), "Ferry")
    has(life.step(user, "restart-after-upgrade", "hudctl service restart"), "hudd runs again")
    has(life.step(user, "status-after-upgrade", "hudctl status"), f"hudd {NEWER}")
    expect(set(before) < set(numbers(machine)), "notes were lost by the upgrade")
    expect(machine.run("cat", ".config/hudd/config.toml").stdout == settings, "the upgrade changed the settings")

    has(life.step(user, "uninstall-service", "hudctl service uninstall"), "uninstalled", "/home/mia/.local/state/hudd")
    expect(not hudds(machine), "hudd still runs")
    life.step(user, "status-after-uninstall", "hudctl status", code=3)
    life.step(root, "purge", "apt-get purge -y hudd", within_s=120)


def set_up(life: Life) -> None:
    """The dialogue: every question with what a newcomer answers."""
    user = life.user
    user.clear()
    before = len(user.prompts())
    user.type("hudctl setup")
    user.until_shown("local or service?")
    life.show(user, "setup-who-answers")
    user.type("local")
    user.until_shown("start hudd with your session?")
    life.show(user, "setup-service")
    user.type("")
    code = user.end_of("hudctl setup", before, 60)
    text = life.show(user, "setup-done")
    expect(code == 0, f"hudctl setup: exit code {code}\n{text}")
    machine = life.machine
    expect(machine.show("ActiveState")["ActiveState"] == "active", "the service does not run")
    expect(machine.systemctl("is-enabled", "hudd").stdout.strip() == "enabled", "the service is not enabled")
    wanted = machine.systemctl("show", "default.target", "--property", "Wants", "--value").stdout.split()
    expect("hudd.service" in wanted, "nothing starts it at the next login: openbox has no graphical-session.target")


def numbers(machine: CleanMachine) -> list[str]:
    """The notes there are."""
    told = machine.run("hudctl", "export", "--format", "jsonl").stdout
    return told.splitlines()


def hudds(machine: CleanMachine) -> list[str]:
    """Processes of hudd."""
    return machine.as_root("pgrep", "-a", "-f", "/usr/(bin|lib)/hudd").stdout.splitlines()


def tree(machine: CleanMachine) -> dict[str, str]:
    """Every file and folder: its kind, mode, size and target."""
    files = machine.as_root("find", *COMPARED, "-xdev", "-not", "-type", "d", "-printf", r"%p\t%y %m %s %l\n")
    folders = machine.as_root("find", *COMPARED, "-xdev", "-type", "d", "-printf", r"%p/\t%m\n")
    expect(files.returncode == 0 and folders.returncode == 0, f"{files.stderr}{folders.stderr}")
    rows = (row.split("\t", 1) for row in (files.stdout + folders.stdout).splitlines())
    return {path: what for path, what in rows if not path.startswith(ADMINISTRATION)}


def difference(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """What came (+), went (-) or changed (~)."""
    came = [f"+ {path}" for path in after if path not in before]
    went = [f"- {path}" for path in before if path not in after]
    changed = [f"~ {path}: {was} -> {after[path]}" for path, was in before.items() if after.get(path, was) != was]
    return [*sorted(came), *sorted(went), *sorted(changed)]


def newer(deb: Path, folder: Path) -> Path:
    """The same package with a higher version."""
    unpacked, made = folder / "tree", folder / f"hudd_{NEWER}_amd64.deb"
    subprocess.run(["dpkg-deb", "-R", deb, unpacked], check=True, timeout=120)
    metadata = unpacked.glob("usr/lib/hudd/lib/python3*/site-packages/hudd-*.dist-info/METADATA")
    for path in (unpacked / "DEBIAN/control", *metadata):
        text = path.read_text(encoding="utf-8")
        path.write_text(re.sub(r"(?m)^Version: .*$", f"Version: {NEWER}", text, count=1), encoding="utf-8")
    command = ["dpkg-deb", "--root-owner-group", "-Znone", "-b", unpacked, made]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return made


def main(words: list[str]) -> int:
    """Run it; 0 when all is as it should be."""
    parser = argparse.ArgumentParser(prog="python -m tests.packaging.whole_life", description=__doc__)
    parser.add_argument("folder", type=Path, help="where the pictures go")
    parser.add_argument("--deb", type=Path, help="the package; it is built otherwise")
    parser.add_argument("--light", action="store_true", help="dark letters on a light ground")
    arguments = parser.parse_args(words)
    folder: Path = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="hudd-whole-life-") as temporary:
        deb: Path | None = arguments.deb
        if deb is None:
            subprocess.run(["bash", ROOT / "packaging/debian/build", temporary], check=True, timeout=300)
            (deb,) = Path(temporary).glob("hudd_*.deb")
        second = newer(deb, Path(temporary))
        begun = time.monotonic()
        with CleanMachine() as machine:
            packages = {"first": f"/mnt/{deb.name}", "second": f"/mnt/{second.name}"}
            machine.bring(deb, packages["first"])
            machine.bring(second, packages["second"])
            life = Life(machine, folder, dark=not arguments.light)
            before = tree(machine)
            live(life, packages)
            compare(life, before)
        print(f"{life.number} pictures in {folder}, {time.monotonic() - begun:.0f} s")
    return 0


def compare(life: Life, before: Mapping[str, str]) -> None:
    """What is left after the purge, and after the user removed what is theirs."""
    machine = life.machine
    home = f"+ {machine.home}/"
    folders = {home + name for name in FOLDERS}
    left = [row for row in difference(before, tree(machine)) if row not in folders]
    life.keep("left-after-purge", "\n".join(left))
    foreign = [row for row in left if not row.startswith(tuple(home + name for name in OWN_DATA))]
    expect(not foreign, "left by the package:\n" + "\n".join(foreign))
    expect(f"{home}.local/state/hudd/journal.db" in left, "the notes did not outlive the purge")
    expect(f"{home}.config/hudd/config.toml" in left, "the settings did not outlive the purge")
    life.step(life.user, "remove-own-data", f"rm -r {' '.join(f'~/{name}'.rstrip('/') for name in OWN_DATA)}")
    rest = [row for row in difference(before, tree(machine)) if row not in folders]
    life.keep("left-at-the-end", "\n".join(rest) or "nothing")
    expect(not rest, "left at the end:\n" + "\n".join(rest))
    expect(not hudds(machine), "hudd still runs")
    print(f"after the purge: {len(left)} files and folders of the user's own; without these: nothing")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
