"""Spoilt machines: the doctor names each, with the cause and what to do. One row of the table for each."""

from __future__ import annotations

import os
import resource
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from hudctl.doctor_daemon import ask_daemon
from hudd.bus.server import Request
from hudd.checks import machine as machine_checks
from hudd.checks.background import check_service
from hudd.checks.configured import check_prices, check_profile, check_settings
from hudd.checks.confinement import check_sandbox
from hudd.checks.display import check_display
from hudd.checks.endpoint import check_endpoint, check_key
from hudd.checks.finding import Context, Finding
from hudd.checks.machine import check_disk, check_extras, check_libraries, check_limits, check_python, check_reading
from hudd.checks.places import check_folder, check_journal, check_sockets
from hudd.wire.table import PROTOCOL_NEWEST
from tests.fakes.bus import ThreadedDaemon
from tests.fakes.disk import small_disk
from tests.fakes.machine import ON_DEMAND, SHOW, Machine

Check = Callable[[Context], Iterable[Finding]]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    with Machine(tmp_path, monkeypatch) as made:
        yield made


Spoil = Callable[[Machine], None]
TABLE: dict[str, tuple[Check, Spoil, str, str, str]] = {}


def situation(check: Check, state: str, cause: str, remedy: str) -> Callable[[Spoil], Spoil]:
    """A row: what is looked at, how bad it is, words of the cause and of the remedy."""

    def add(spoil: Spoil) -> Spoil:
        TABLE[spoil.__name__.removeprefix("_").replace("_", " ")] = (check, spoil, state, cause, remedy)
        return spoil

    return add


# The interpreter and the libraries


@situation(check_python, "failure", "Python 3.10.2", "newer Python")
def _python_too_old(machine: Machine) -> None:
    machine.changes["python"] = (3, 10, 2)


@situation(check_libraries, "failure", "websockets", "pip install")
def _library_missing(machine: Machine) -> None:
    machine.without("websockets")


@situation(check_reading, "failure", "no text recognition", "[local]', and on Debian")
def _local_reader_missing(machine: Machine) -> None:
    machine.without("tesserocr", "rapidocr", "onnxruntime")


@situation(check_reading, "failure", "no English data", "tesseract-ocr-eng")
def _tesseract_data_missing(machine: Machine) -> None:
    machine.without("rapidocr")
    machine.patch.setattr("hudd.engine.ocr.find_tessdata", lambda: None)


@situation(check_extras, "warning", "hudd[desktop] is not installed", "[desktop]', or set")
def _desktop_extra_missing_in_a_desktop(machine: Machine) -> None:
    machine.environ["DBUS_SESSION_BUS_ADDRESS"] = "unix:path=/nowhere"
    machine.without("dbus_fast")


@situation(check_extras, "ok", "hudd[systemd] (fields in the journal of systemd) is not installed", "")
def _systemd_extra_missing(machine: Machine) -> None:
    machine.without("systemd")


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
    machine.patch.setattr(machine_checks.os, "access", lambda *_: False)  # root may write everywhere


@situation(check_disk, "failure", "The disk is full or nearly so", "Free some space")
def _disk_full(machine: Machine) -> None:
    machine.uses(small_disk(machine.state, 80)).fill(leave=1 << 20)


# The running daemon


def check_daemon(context: Context) -> Iterable[Finding]:
    """What hudctl itself looks at."""
    del context
    return [Finding(**row) for row in ask_daemon()]


@situation(check_daemon, "failure", "speaks protocol 2 to 3", "hudctl is older: bring it up to date with: ")
def _client_too_old_for_the_daemon(machine: Machine) -> None:
    async def hello(request: Request) -> Mapping[str, Any]:
        del request
        return {"protocol": [PROTOCOL_NEWEST + 1, PROTOCOL_NEWEST + 2]}

    _run_dir(machine)
    machine.patch.setenv("HUDD_RUNTIME_DIR", str(machine.run_dir))
    machine.uses(ThreadedDaemon(machine.run_dir, handlers={"hello": hello}))


# Limits, clock, service, screen, network


@situation(check_limits, "failure", "only 64 files", "LimitNOFILE")
def _few_descriptors(machine: Machine) -> None:
    machine.patch.setattr(resource, "getrlimit", lambda _: (64, 64))


@situation(check_endpoint, "failure", "The clock says 2024-01-01", "timedatectl")
def _clock_before_hudd_was_made(machine: Machine) -> None:
    machine.changes["wall"] = lambda: 1_704_100_000.0


@situation(check_service, "warning", "not installed as a service", "hudctl service install")
def _service_not_installed(machine: Machine) -> None:
    machine.systemctl(SHOW.format("not-found", "inactive"))


@situation(check_service, "failure", "exit code 78: settings", "journalctl --user -u hudd")
def _service_failed(machine: Machine) -> None:
    machine.systemctl(SHOW.format("loaded", "failed"))


@situation(check_service, "warning", "installed (/u) and stopped", "systemctl --user start hudd")
def _service_stopped(machine: Machine) -> None:
    machine.systemctl(SHOW.format("loaded", "inactive"))


@situation(check_service, "warning", "first snap, and its socket is stopped", "systemctl --user start hudd-ctl.socket")
def _service_on_demand_stopped_with_its_socket(machine: Machine) -> None:
    machine.systemctl(ON_DEMAND.format("loaded", "inactive"), socket=SHOW.format("loaded", "inactive"))


@situation(check_service, "warning", "not started with the session", "systemctl --user enable hudd")
def _service_not_enabled(machine: Machine) -> None:
    machine.systemctl(ON_DEMAND.format("loaded", "active"))


@situation(check_service, "warning", "systemd of this user does not run", "enable-linger")
def _no_bus_of_the_user(machine: Machine) -> None:
    machine.systemctl("", 1, "Failed to connect to bus: No medium found\n")


@situation(check_service, "warning", "no systemd here", "autostart")
def _no_systemd(machine: Machine) -> None:
    machine.changes["find"] = lambda _: None


@situation(check_sandbox, "warning", "source runs a command", "hudctl service install --loosen command-source")
def _sandbox_too_narrow_for_the_source(machine: Machine) -> None:
    machine.systemctl(SHOW.format("loaded", "active"))
    machine.settings('[screen]\nsource = "command:shot"\n')


@situation(check_display, "failure", "DISPLAY is not set", "desktop session")
def _no_display(machine: Machine) -> None:
    del machine


@situation(check_display, "failure", ":77", "")
def _dead_x_server(machine: Machine) -> None:
    machine.environ["DISPLAY"] = ":77"


@situation(check_display, "failure", "absent", "pictures")
def _folder_of_pictures_missing(machine: Machine) -> None:
    machine.settings(f'[screen]\nsource = "pictures:{machine.folder}/absent"\n')


@situation(check_endpoint, "failure", "not found", "name server")
def _name_not_found(machine: Machine) -> None:
    machine.service('url = "wss://nobody.invalid/v1/realtime"')


@situation(check_endpoint, "failure", "Connection refused", "firewall")
def _nothing_listens(machine: Machine) -> None:
    machine.service('url = "ws://127.0.0.1:9/v1/realtime"')


@situation(check_endpoint, "failure", "refused the key (HTTP 401)", "put a valid one into")
def _key_that_the_service_refuses(machine: Machine) -> None:
    class Refuses(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_error(401)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name of it
            """Not into the output of the tests."""

    server = machine.uses(ThreadingHTTPServer(("127.0.0.1", 0), Refuses))
    serving = threading.Thread(target=server.serve_forever, args=(0.05,))
    serving.start()
    machine.at_the_end(serving.join)
    machine.at_the_end(server.shutdown)
    machine.service(f'url = "ws://127.0.0.1:{server.server_port}/v1/realtime"')


@situation(check_endpoint, "failure", "through the proxy 127.0.0.1:9", "[realtime] proxy")
def _proxy_dead(machine: Machine) -> None:
    machine.service('url = "wss://service.invalid/v1/realtime"', 'proxy = "http://name:secret@127.0.0.1:9"')


@pytest.mark.parametrize("name", TABLE)
def test_the_doctor_names(name: str, machine: Machine) -> None:
    check, spoil, state, cause, remedy = TABLE[name]
    spoil(machine)
    found = list(check(machine.context()))
    fitting = [f for f in found if f.state == state and cause in f.cause and remedy.lower() in f.remedy.lower()]
    assert fitting, "\n".join(str(f.to_json()) for f in found)
    assert all(f.remedy for f in found if f.state != "ok"), "no remedy"
    assert "sk-planted" not in str([f.to_json() for f in found]), "a key is shown"
    assert "secret" not in str([f.to_json() for f in found]), "a password is shown"


def test_there_are_as_many_situations_as_were_promised() -> None:
    assert len(TABLE) >= 30
