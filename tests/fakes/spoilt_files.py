"""Spoilt machines, the files: settings, key, folders and sockets, journal and disk. One row for each."""

from __future__ import annotations

import os
import socket
import sqlite3
from pathlib import Path

from hudd.checks import machine as machine_checks
from hudd.checks.configured import check_prices, check_profile, check_settings
from hudd.checks.endpoint import check_key
from hudd.checks.machine import check_disk
from hudd.checks.places import check_folder, check_journal, check_sockets
from tests.fakes.disk import small_disk
from tests.fakes.machine import Machine
from tests.fakes.situations import Situations

SPOILT_FILES = Situations()
situation = SPOILT_FILES.row

# The settings


@situation(check_settings, "failure", "unknown key", "Did you mean settle_s?")
def _settings_with_an_unknown_key(machine: Machine) -> None:
    machine.settings("[gate]\nsetle_s = 1\n")


@situation(check_settings, "failure", "not valid TOML", "Correct it")
def _settings_that_are_no_toml(machine: Machine) -> None:
    machine.settings("[gate\n")


@situation(check_settings, "failure", "HUDD_GATE_SETLE_S is unknown", "HUDD_GATE_SETTLE_S")
def _unknown_variable(machine: Machine) -> None:
    machine.environ["HUDD_GATE_SETLE_S"] = "1"


@situation(check_profile, "failure", "absent.txt", "[notes] profile")
def _profile_missing(machine: Machine) -> None:
    machine.settings(f'[notes]\nprofile = "{machine.folder}/absent.txt"\n')


@situation(check_prices, "failure", "prices.toml", "prices_file")
def _prices_broken(machine: Machine) -> None:
    (machine.folder / "prices.toml").write_text("date = ")
    machine.settings(f'[cost]\nprices_file = "{machine.folder}/prices.toml"\n')


@situation(check_prices, "warning", "No price is known for vendor/new", "token_cap_day")
def _price_unknown(machine: Machine) -> None:
    machine.service('model = "vendor/new"')


# The key


@situation(check_key, "failure", "no key", "HUDD_REALTIME_KEY")
def _no_key(machine: Machine) -> None:
    machine.settings('[realtime]\nuse = "service"\n')


@situation(check_key, "failure", "is no key", "HUDD_REALTIME_KEY")
def _key_of_two_words(machine: Machine) -> None:
    machine.service()
    machine.environ["HUDD_REALTIME_KEY"] = "sk-planted 0123"


@situation(check_key, "warning", "does not look like", "right text")
def _key_of_another_shape(machine: Machine) -> None:
    machine.service()
    machine.environ["HUDD_REALTIME_KEY"] = "planted0123"


def _key_file(machine: Machine, mode: int) -> Path:
    path = machine.folder / "key"
    path.write_text("sk-planted-0123456789abcdef\n")
    path.chmod(mode)
    machine.settings(f'[realtime]\nuse = "service"\nkey_file = "{path}"\n')
    return path


@situation(check_key, "failure", "open to others (mode 0644)", "chmod 600")
def _key_file_with_a_wrong_mode(machine: Machine) -> None:
    _key_file(machine, 0o644)


@situation(check_key, "failure", "not to user 65533", "copy")
def _key_file_of_somebody_else(machine: Machine) -> None:
    _key_file(machine, 0o600)
    machine.patch.setattr(os, "getuid", lambda: 65533)


@situation(check_key, "failure", "cannot be read: Permission denied", "mode 0600")
def _key_file_unreadable(machine: Machine) -> None:
    _key_file(machine, 0o000)

    def refuse(path: Path) -> object:
        raise PermissionError(13, "Permission denied", str(path))  # root reads everything

    machine.patch.setattr("hudd.config.keys.open_at_once", refuse)


@situation(check_key, "failure", "does not exist", "key_file")
def _key_file_missing(machine: Machine) -> None:
    _key_file(machine, 0o600).unlink()


# Folders and sockets


def _run_dir(machine: Machine, mode: int = 0o700) -> None:
    machine.run_dir.mkdir()
    machine.run_dir.chmod(mode)


@situation(check_folder, "failure", "open to others (mode 0755)", "chmod 700")
def _runtime_folder_with_a_wrong_mode(machine: Machine) -> None:
    _run_dir(machine, 0o755)


@situation(check_folder, "failure", "not to user 65533", "HUDD_RUNTIME_DIR")
def _runtime_folder_of_somebody_else(machine: Machine) -> None:
    _run_dir(machine)
    machine.patch.setattr(os, "getuid", lambda: 65533)


@situation(check_folder, "failure", "symbolic link", "real folder")
def _runtime_folder_is_a_link(machine: Machine) -> None:
    machine.run_dir.symlink_to(machine.folder)


@situation(check_folder, "failure", "bytes", "shorter path")
def _path_of_the_socket_too_long(machine: Machine) -> None:
    machine.environ["HUDD_RUNTIME_DIR"] = f"/tmp/{'x' * 120}"


@situation(check_sockets, "failure", "a plain file instead of hudd's socket", "mv ")
def _planted_file_in_place_of_a_socket(machine: Machine) -> None:
    _run_dir(machine)
    (machine.run_dir / "ctl.sock").write_text("")


@situation(check_sockets, "warning", "left it behind", "next start")
def _stale_socket(machine: Machine) -> None:
    _run_dir(machine)
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(machine.run_dir / "ctl.sock"))
    (machine.run_dir / "ctl.sock").chmod(0o600)


@situation(check_sockets, "failure", "open to others (mode 0666)", "chmod 600")
def _socket_open_to_others(machine: Machine) -> None:
    _stale_socket(machine)
    (machine.run_dir / "ctl.sock").chmod(0o666)


# The journal and the disk


@situation(check_journal, "failure", "is damaged", "sets the damaged journal aside")
def _journal_corrupt(machine: Machine) -> None:
    path = machine.journal()
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 8192)


@situation(check_journal, "failure", "cannot be written: its mode is 0400", "chmod 600")
def _journal_read_only(machine: Machine) -> None:
    machine.journal().chmod(0o400)


@situation(check_journal, "failure", "no journal of hudd", "Move it away")
def _database_of_another_program(machine: Machine) -> None:
    machine.state.mkdir()
    with sqlite3.connect(machine.state / "journal.db") as other:
        other.execute("CREATE TABLE other (a)")
    other.close()


@situation(check_journal, "failure", "has version 99", "newer hudd")
def _journal_of_a_newer_hudd(machine: Machine) -> None:
    with sqlite3.connect(machine.journal()) as journal:
        journal.execute("PRAGMA user_version = 99")
    journal.close()


@situation(check_journal, "warning", "was set aside", "remove it")
def _journal_was_set_aside(machine: Machine) -> None:
    machine.journal().with_name("journal.db.corrupt-20261121T100000Z").write_text("")


@situation(check_journal, "failure", "may not look into", "HUDD_STATE_DIR")
def _state_folder_closed_to_this_user(machine: Machine) -> None:
    def refuse(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))  # root may look everywhere

    context = machine.context
    machine.context = lambda: (context(), machine.patch.setattr(Path, "exists", refuse))[0]


@situation(check_disk, "failure", "this user may not write", "HUDD_STATE_DIR")
def _state_folder_not_writable(machine: Machine) -> None:
    def refuse(*_: object) -> bool:
        return False  # root may write everywhere

    machine.patch.setattr(machine_checks.os, "access", refuse)


@situation(check_disk, "failure", "The disk is full or nearly so", "Free some space")
def _disk_full(machine: Machine) -> None:
    machine.uses(small_disk(machine.state, 80)).fill(leave=1 << 20)
