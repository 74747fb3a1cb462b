"""Spoilt machines, what is around the files: Python, the running daemon, limits, clock, service and network."""

from __future__ import annotations

import resource
import socket
import sys
import threading
from collections.abc import Iterable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from hudctl.doctor_daemon import ask_daemon
from hudd.bus.server import Request
from hudd.checks.background import check_service
from hudd.checks.confinement import check_sandbox
from hudd.checks.endpoint import check_endpoint
from hudd.checks.finding import Context, Finding
from hudd.checks.machine import check_extras, check_libraries, check_limits, check_python, check_reading
from hudd.wire.installation import Installation
from hudd.wire.table import PROTOCOL_NEWEST
from tests.fakes.bus import ThreadedDaemon
from tests.fakes.machine import ON_DEMAND, SHOW, Machine
from tests.fakes.situations import Situations

SPOILT_SURROUNDINGS = Situations()
situation = SPOILT_SURROUNDINGS.row

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


@situation(
    check_extras, "ok", "nothing needs it now. If you want it, install it: pipx runpip hudd install 'hudd[systemd]'", ""
)
def _systemd_extra_missing(machine: Machine) -> None:
    machine.without("systemd")
    machine.patch.setattr(Installation, "find", lambda: Installation("pipx"))


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

    machine.run_dir.mkdir(mode=0o700)
    machine.patch.setenv("HUDD_RUNTIME_DIR", str(machine.run_dir))
    machine.uses(ThreadedDaemon(machine.run_dir, handlers={"hello": hello}))


# Limits, clock, service, network


@situation(check_limits, "failure", "only 64 files", "LimitNOFILE")
def _few_descriptors(machine: Machine) -> None:
    def few(_: int) -> tuple[int, int]:
        return 64, 64

    machine.patch.setattr(resource, "getrlimit", few)


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
    def find(_: str) -> None:
        """Nothing is installed."""

    machine.changes["find"] = find


@situation(check_sandbox, "warning", "source runs a command", "hudctl service install --loosen command-source")
def _sandbox_too_narrow_for_the_source(machine: Machine) -> None:
    machine.systemctl(SHOW.format("loaded", "active"))
    machine.settings('[screen]\nsource = "command:shot"\n')


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


@situation(check_endpoint, "failure", "is not reached through the proxy 127.0.0.1:9", "[realtime] proxy")
def _proxy_of_another_kind_dead(machine: Machine) -> None:
    machine.service('url = "wss://service.invalid/v1/realtime"', 'proxy = "socks5://name:secret@127.0.0.1:9"')


@situation(check_endpoint, "failure", "a SOCKS proxy needs the package python-socks", "Install it")
def _library_for_a_socks_proxy_missing(machine: Machine) -> None:
    machine.patch.setitem(sys.modules, "python_socks", None)
    listening = machine.uses(socket.create_server(("127.0.0.1", 0)))
    port = listening.getsockname()[1]
    machine.service('url = "wss://service.invalid/v1/realtime"', f'proxy = "socks5://127.0.0.1:{port}"')


@situation(check_endpoint, "failure", "absent.pem cannot be used (No such file", "PEM file in [realtime] ca_file")
def _certificates_missing(machine: Machine) -> None:
    machine.service('url = "wss://127.0.0.1:9/v1/realtime"', f'ca_file = "{machine.folder}/absent.pem"')


@situation(check_endpoint, "failure", "other.pem cannot be used", "PEM file in [realtime] ca_file")
def _certificates_that_are_none(machine: Machine) -> None:
    (machine.folder / "other.pem").write_text("no certificate\n")
    machine.service('url = "wss://127.0.0.1:9/v1/realtime"', f'ca_file = "{machine.folder}/other.pem"')
