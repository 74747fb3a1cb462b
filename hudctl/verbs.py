"""One function per verb: ask the daemon, print what ``render`` returns, give the exit code."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from hudctl import render, times
from hudctl.client import Client
from hudctl.console import colours, now_local, print_json, width, window
from hudctl.errors import HudctlError, UsageError
from hudctl.first_use import saying_first_use
from hudctl.flowing import Flow
from hudctl.ranges import check_range, now_there, range_there
from hudctl.release import client_version
from hudctl.waiting import awaited, connection_hindrance, sending_hindrance
from hudd.wire import table
from hudd.wire.messages import Note

SCHEMA: Final = 1


def _connect(arguments: argparse.Namespace, *, may_start: bool = False) -> Client:
    return Client(timeout_s=arguments.timeout, may_start=may_start)


def check_limit(arguments: argparse.Namespace) -> None:
    """A number below 0 is a mistake."""
    if arguments.limit < 0:
        raise UsageError(f"--limit is {arguments.limit}; give a whole number, 0 for all.")


def snap(arguments: argparse.Namespace) -> int:
    """The text streams while it is written; the reply is the committed note."""
    streamed: list[str] = []
    flow = Flow(width() if sys.stdout.isatty() else 0)

    def show(piece: str) -> None:
        streamed.append(piece)
        print(flow.push(piece), end="", flush=True)

    # A terminal that shows the note is not news: its window is ignored while this runs.
    asking = Client(timeout_s=arguments.timeout, window=window(), streaming=True, may_start=True)
    with saying_first_use(asking, arguments) as client:
        if arguments.json:
            with awaited():
                note = client.snap(arguments.monitor, region=arguments.region, window=arguments.window)
            print_json({"schema": SCHEMA, "note": note.to_json()})
            return table.EXIT_OK
        try:
            with awaited():
                note = client.snap(arguments.monitor, show, region=arguments.region, window=arguments.window)
        finally:
            if streamed:
                print(flow.end(), flush=True)
        if "".join(streamed).strip() != note.text.strip():
            print(flow.whole(note.text))
        print(render.render_snap_footer(note.to_json(), colour=colours(), width=width()), file=sys.stderr)
    return table.EXIT_OK


def status(arguments: argparse.Namespace) -> int:
    """Facts."""
    with saying_first_use(_connect(arguments), arguments) as client:
        body = client.status()
    if arguments.json:
        print_json(body)
    else:
        print(render.render_status(body, colour=colours(), width=width()))
    return table.EXIT_OK


def notes(arguments: argparse.Namespace) -> int:
    """Notes of the past, newest first unless reversed."""
    check_limit(arguments)
    check_range(arguments)
    with _connect(arguments) as client:
        since, until = range_there(arguments, client)
        found = _all_pages(client, arguments, since, until)
    if arguments.reverse:
        found.reverse()
    rows = [note.to_json() for note in found]
    if arguments.json:
        print_json({"schema": SCHEMA, "notes": rows})
    elif rows:
        print(render.render_notes(rows, colour=colours(), width=width()))
    else:
        print("No notes match.", file=sys.stderr)
    return table.EXIT_OK


def _all_pages(client: Client, arguments: argparse.Namespace, since: float | None, until: float | None) -> list[Note]:
    """Newest first, as many as were asked for; the daemon gives them in pages."""
    found: list[Note] = []
    wanted: int = arguments.limit or sys.maxsize
    while len(found) < wanted:
        page = client.notes(
            since=since,
            until=until,
            search=arguments.search,
            grep=arguments.grep,
            before=found[-1].seq if found else None,
            limit=min(wanted - len(found), table.REPLAY_PAGE),
        )
        found += page
        if not page:
            break
    return found


def cost(arguments: argparse.Namespace) -> int:
    """What was spent, today unless a range is given; or what is to be expected."""
    ranged = check_range(arguments)
    given = [name for name in ("today", "month", "estimate") if getattr(arguments, name)]
    if ranged:
        given.append("since or --until")
    if len(given) > 1:
        raise UsageError(f"--{given[0]} excludes --{given[1]}.")
    if arguments.json and arguments.csv:
        raise UsageError("--json excludes --csv.")
    by = [key.strip() for key in arguments.by.split(",")] if arguments.by else None
    if arguments.estimate:
        if by or arguments.csv:
            raise UsageError("--estimate excludes --by and --csv.")
        return _estimate(arguments)
    with _connect(arguments) as client:
        since, until = range_there(arguments, client)
        if not ranged:
            now = now_there(client)
            start = now.date().replace(day=1).isoformat() if arguments.month else "today"
            since = times.parse_moment(start, now=now)
        body = client.cost(since=since, until=until, by=by)
    if arguments.json:
        print_json(body)
    elif arguments.csv:
        print(render.cost_csv(body), end="")
    else:
        print(render.render_cost(body, colour=colours(), width=width()))
    return table.EXIT_OK


def _estimate(arguments: argparse.Namespace) -> int:
    with _connect(arguments) as client:
        body = client.cost(estimate=True)
    if arguments.json:
        print_json(body)
    else:
        print(render.render_estimate(body, colour=colours(), width=width()))
    return table.EXIT_OK


def errors(arguments: argparse.Namespace) -> int:
    """What went wrong."""
    check_limit(arguments)
    check_range(arguments)
    with _connect(arguments) as client:
        since, until = range_there(arguments, client)
        body: dict[str, Any] = {"schema": SCHEMA, "errors": _all_errors(client, since, until, arguments.limit)}
    if arguments.json:
        print_json(body)
    elif body["errors"]:
        print(render.render_errors(body, colour=colours(), width=width()))
    else:
        print("No errors.")
    return table.EXIT_OK


def _all_errors(client: Client, since: float | None, until: float | None, limit: int) -> list[dict[str, Any]]:
    """Newest first, as many as were asked for, 0 for all; the daemon gives them in pages."""
    found: dict[object, dict[str, Any]] = {}
    wanted = limit or sys.maxsize
    while len(found) < wanted:
        known = len(found)
        page = client.errors(since=since, until=until, limit=min(wanted, table.REPLAY_PAGE))
        for error in page:
            found.setdefault(error["id"], error)
        if len(page) < table.REPLAY_PAGE or len(found) == known:
            break
        # The range ends before its end, and times are cut to milliseconds: those of the same one come again.
        until = datetime.fromisoformat(page[-1]["time"]).timestamp() + 0.001
    return list(found.values())[:wanted]


def pause(arguments: argparse.Namespace) -> int:
    """For a duration, until a time, or until resumed."""
    params: dict[str, Any] = {"why": arguments.why}
    if arguments.duration and arguments.until:
        raise UsageError("A duration and --until exclude each other.")
    if arguments.duration:
        params["for_s"] = times.parse_duration(arguments.duration)
    elif arguments.until:
        now = now_local()
        params["for_s"] = times.parse_until(arguments.until, now=now) - now.timestamp()
    with _connect(arguments) as client:
        body = client.call("pause", **params)
    if arguments.json:
        print_json({"schema": SCHEMA, **body})
    elif body["until"]:
        print(f"Paused until {render.local_time(body['until'])}.")
    else:
        print("Paused until `hudctl resume`.")
    return table.EXIT_OK


def resume(arguments: argparse.Namespace) -> int:
    """End a pause, and tell what is still in the way."""
    with _connect(arguments, may_start=True) as client:
        before = client.status()
        body = client.call("resume")
        after = client.status()
    if arguments.json:
        told = {name: after.get(name) for name in ("connection", "sentence", "next_try_s")}
        print_json({"schema": SCHEMA, **body, **told, "was_paused": bool(before.get("pause"))})
        return table.EXIT_OK
    text = "Resumed." if before.get("pause") else "Nothing was paused."
    if sentence := connection_hindrance(after):
        text += f" hudd is not connected: {sentence}"
    if sentence := sending_hindrance(after):
        text += f" {sentence}"
    print(text)
    return table.EXIT_OK


def wait(arguments: argparse.Namespace) -> int:
    """Wait for a state; exit 5 when it did not come in time."""
    with _connect(arguments, may_start=True) as client, awaited(of_sending=arguments.goal != "connected"):
        body = client.call("wait", **{"for": arguments.goal})
    if arguments.json:
        print_json({"schema": SCHEMA, **body})
    else:
        print({"ready": "Ready.", "connected": "Connected.", "note": "A note was written."}[arguments.goal])
    return table.EXIT_OK


def config(arguments: argparse.Namespace) -> int:
    """Every setting; the default file works without a daemon."""
    if arguments.default:
        return _default_config(as_json=arguments.json)
    with _connect(arguments) as client:
        body = client.call("config")
    if arguments.json:
        print_json(body)
    else:
        print(render.render_config(body, colour=colours(), width=width()))
    return table.EXIT_OK


def show_version(arguments: argparse.Namespace) -> int:
    """Both versions; the daemon's is missing when it does not run, which is no failure here."""
    from hudctl.errors import NotRunningError  # noqa: PLC0415 - beside its only use

    body: dict[str, Any] = {
        "schema": SCHEMA,
        "hudctl": client_version(),
        "protocol": [table.PROTOCOL_OLDEST, table.PROTOCOL_NEWEST],
        "hudd": None,
    }
    try:
        with _connect(arguments) as client:
            body["hudd"] = client.hello()
    except NotRunningError as error:
        body["sentence"] = str(error)
    if arguments.json:
        print_json(body)
    else:
        print(render.render_versions(body, width=width()))
    return table.EXIT_OK


def trial(arguments: argparse.Namespace) -> int:
    """The minute of ``hudctl try``."""
    from hudctl.trial import run_trial  # noqa: PLC0415 - only this verb starts processes

    if arguments.pictures is not None and not Path(arguments.pictures).is_dir():
        raise UsageError(f"--pictures {arguments.pictures} is no folder; give one with pictures in it.")
    return run_trial(seconds=arguments.seconds, pictures=arguments.pictures, as_json=arguments.json)


def _stream(arguments: argparse.Namespace) -> int:
    """Record and replay."""
    from hudctl import record, replay  # noqa: PLC0415 - not for every start

    return (record.record if arguments.verb == "record" else replay.replay)(arguments)


def _default_config(*, as_json: bool) -> int:
    import subprocess  # noqa: PLC0415 - only for what lives in the daemon's package

    command = [sys.executable, "-m", "hudd", "--print-default-config"]
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, encoding="utf-8")
    if done.returncode:
        raise HudctlError("hudd did not print its default settings.", hint="Its own words are above.")
    if as_json:
        print_json({"schema": SCHEMA, "default": done.stdout})
    else:
        print(done.stdout, end="")
    return table.EXIT_OK


def _of(module: str, name: str) -> Callable[[argparse.Namespace], int]:
    """A verb that has a module of its own, which is loaded when it runs: the other verbs need nothing of it."""

    def verb(arguments: argparse.Namespace) -> int:
        return getattr(import_module(f"hudctl.{module}"), name)(arguments)

    return verb


VERBS: Final[dict[str, Callable[[argparse.Namespace], int]]] = {
    "try": trial,
    "snap": snap,
    "status": status,
    "notes": notes,
    "follow": _of("follow", "follow"),
    "cost": cost,
    "errors": errors,
    "pause": pause,
    "resume": resume,
    "wait": wait,
    "mark": _of("keeping", "mark"),
    "forget": _of("keeping", "forget"),
    "prune": _of("keeping", "prune"),
    "export": _of("keeping", "export"),
    "backup": _of("keeping", "backup"),
    "record": _stream,
    "replay": _stream,
    "config": config,
    "reload": _of("reload", "reload"),
    "completion": _of("completion", "completion"),
    "service": _of("service", "service"),
    "version": show_version,
    "key": _of("keys", "key"),
    "doctor": _of("doctor", "doctor"),
    "bugreport": _of("bugreport", "bugreport"),
    "setup": _of("setup", "setup"),
}
