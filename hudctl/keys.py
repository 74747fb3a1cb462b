"""`hudctl key`: the keys of other machines. Works on the files beside the journal, whether hudd runs or not."""

from __future__ import annotations

import argparse
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import zmq

from hudctl.console import print_json
from hudctl.errors import HudctlError, StorageError, UsageError
from hudd.wire import table
from hudd.wire.endpoints import EndpointError, state_dir
from hudd.wire.remote_keys import (
    MAX_KEYS,
    ClientFile,
    ClientKey,
    DaemonKey,
    KeyFileError,
    KeyFolder,
    Role,
    check_name,
    write_private,
)

SCHEMA: Final = 1


def key(arguments: argparse.Namespace) -> int:
    """Add, list or revoke."""
    try:
        folder = KeyFolder(state_dir(os.environ))
        return {"add": _add, "list": _list, "revoke": _revoke}[arguments.what](folder, arguments)
    except EndpointError as error:
        raise UsageError(str(error)) from error
    except KeyFileError as error:
        raise HudctlError(str(error)) from error
    except OSError as error:
        raise StorageError(f"The keys cannot be kept: {error}.") from error


def _add(folder: KeyFolder, arguments: argparse.Namespace) -> int:
    if not zmq.has("curve"):
        raise HudctlError("This libzmq has no CURVE.", hint="Use one that was built with libsodium, as pyzmq brings.")
    name = check_name(arguments.name)
    output = None if arguments.output is None else Path(arguments.output).absolute()
    if output is not None and output.exists():
        raise UsageError(f"{output} exists; name a new file, so that no other key is lost.")
    with folder.changing():
        clients = folder.clients()
        if any(client.name == name for client in clients):
            raise UsageError(f"There is a key {name}; revoke it first, or take another name.")
        if len(clients) >= MAX_KEYS:
            raise UsageError(f"There are {MAX_KEYS} keys already; revoke some.")
        daemon = folder.daemon_key()
        if daemon is None:
            daemon = DaemonKey(*_pair())
            folder.write_daemon_key(daemon)
        made = _new_client(name, arguments.role, daemon)
        if output is not None:
            # Before the list: a key that nobody holds opens nothing, and one that cannot be kept is not added.
            write_private(output, json.dumps(made.to_json(), indent=1) + "\n")
        added = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        folder.write_clients((*clients, ClientKey(name, made.role, made.public, added)))
    _tell_added(made, output, as_json=arguments.json)
    return table.EXIT_OK


def _tell_added(made: ClientFile, output: Path | None, *, as_json: bool) -> None:
    if output is None:
        print_json({"schema": SCHEMA, "key": made.to_json()} if as_json else made.to_json())
    elif as_json:
        print_json({"schema": SCHEMA, "name": made.name, "role": made.role, "path": str(output)})
    else:
        print(f"Wrote the key {made.name} ({made.role}) to {output}.")
    if not as_json:
        kept = "It is shown this once." if output is None else "Move it to the other machine."
        rest = "There it goes into a file of mode 0600, named by HUDD_REMOTE_KEY, and HUDD_REMOTE is hudd's address."
        print(f"hudctl: {kept} {rest}", file=sys.stderr)


def _new_client(name: str, role: Role, daemon: DaemonKey) -> ClientFile:
    public, secret = _pair()
    return ClientFile(name=name, role=role, public=public, secret=secret, daemon=daemon.public)


def _pair() -> tuple[str, str]:
    public, secret = zmq.curve_keypair()
    return public.decode(), secret.decode()


def _list(folder: KeyFolder, arguments: argparse.Namespace) -> int:
    clients = folder.clients()
    if arguments.json:
        rows: list[dict[str, Any]] = [
            {"name": client.name, "role": client.role, "public": client.public, "added": client.added}
            for client in clients
        ]
        print_json({"schema": SCHEMA, "keys": rows})
    elif not clients:
        print("No other machine has a key.")
    else:
        wide = max(len(client.name) for client in clients)
        for client in clients:
            print(f"{client.name:<{wide}}  {client.role:<7}  {client.public}  {client.added}")
    return table.EXIT_OK


def _revoke(folder: KeyFolder, arguments: argparse.Namespace) -> int:
    with folder.changing():
        clients = folder.clients()
        left = tuple(client for client in clients if client.name != arguments.name)
        if len(left) == len(clients):
            known = ", ".join(client.name for client in clients) or "none"
            raise UsageError(f"There is no key {arguments.name[:80]!r}; there are: {known}.")
        folder.write_clients(left)
    if arguments.json:
        print_json({"schema": SCHEMA, "revoked": arguments.name, "left": len(left)})
    else:
        print(f"Revoked {arguments.name}. A running hudd ends its connections within two seconds.")
    return table.EXIT_OK
