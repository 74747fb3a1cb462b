"""The verbs about keeping: mark, forget, prune, export, backup."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from hudctl import render, times
from hudctl.backup import back_up, own_problem, refuse
from hudctl.client import Client
from hudctl.console import print_json
from hudctl.errors import StorageError, UsageError
from hudctl.ranges import check_range, range_there
from hudd.wire import own_files, table
from hudd.wire.messages import Note

SCHEMA: Final = 1


def mark(arguments: argparse.Namespace) -> int:
    """Keep a note for ever, or no longer."""
    with Client(timeout_s=arguments.timeout) as client:
        body = client.mark(arguments.seq, keep=not arguments.off)
    if arguments.json:
        print_json(body)
    elif body["keep"]:
        print(f"Note {body['seq']} is kept for ever.")
    else:
        print(f"Note {body['seq']} is kept as long as the others.")
    return table.EXIT_OK


def forget(arguments: argparse.Namespace) -> int:
    """Take the text of notes from everywhere, for good."""
    if not (arguments.last or arguments.since or arguments.until or arguments.seq is not None):
        raise UsageError("Say what to forget: --last 10m, --since and --until, or --seq N.")
    if arguments.last and (arguments.since or arguments.until):
        raise UsageError("--last excludes --since and --until.")
    if arguments.seq is not None and (arguments.last or arguments.since or arguments.until):
        raise UsageError("--seq excludes a range of time.")
    check_range(arguments)
    with Client(timeout_s=arguments.timeout) as client:
        since, until = range_there(arguments, client)
        body = client.forget(since=since, until=until, seq=arguments.seq)
    if arguments.json:
        print_json(body)
        return table.EXIT_OK
    print(f"Forgot {_notes(body['notes'])}{_numbers(body)}.")
    if not body["cleaned"]:
        print(f"hudctl: {body['sentence']}", file=sys.stderr)
    if body["copies"]:
        print(f"hudctl: Not reached, delete by hand: {', '.join(body['copies'])}", file=sys.stderr)
    return table.EXIT_OK


def prune(arguments: argparse.Namespace) -> int:
    """Remove what is too old or too much, or tell what would go."""
    older = times.parse_duration(arguments.older_than) if arguments.older_than else None
    with Client(timeout_s=arguments.timeout) as client:
        body = client.prune(older_than_s=older, dry_run=arguments.dry_run)
    if arguments.json:
        print_json(body)
    elif not body["limits"]:
        print(
            "The settings keep everything ([journal] keep_days and max_mb are 0); give --older-than, for instance 90d."
        )
    else:
        print(_pruned(body))
    return table.EXIT_OK


def _pruned(body: dict[str, Any]) -> str:
    verb = "Would remove" if body["dry_run"] else "Removed"
    text = f"{verb} {_notes(body['notes'])}{_numbers(body)}"
    if body["notes"]:
        oldest, newest = render.local_time(body["oldest"]), render.local_time(body["newest"])
        text += f", from {oldest} to {newest}, about {body['bytes'] / 1e6:.1f} MB"
    if body["kept"]:
        text += f"; {body['kept']} marked {'one stays' if body['kept'] == 1 else 'ones stay'}"
    return f"{text}."


def export(arguments: argparse.Namespace) -> int:
    """Notes in the form of another program, to a private file or to the output."""
    from hudctl.exports import FOR_READERS, FORMS, told  # noqa: PLC0415 - no other verb needs csv

    check_range(arguments)
    if arguments.json and arguments.output is None:
        raise UsageError("--json tells what was written and needs -o FILE; the notes themselves: --format jsonl.")
    count = 0
    with Client(timeout_s=arguments.timeout) as client:
        since, until = range_there(arguments, client)

        def counted() -> Iterator[Note]:
            nonlocal count
            notes = client.export(since=since, until=until)
            for note in told(notes) if arguments.format in FOR_READERS else notes:
                count += 1
                yield note

        pieces = FORMS[arguments.format](counted())
        if arguments.output is None:
            for piece in pieces:
                sys.stdout.write(piece)
            sys.stdout.flush()
            return table.EXIT_OK
        path = Path(arguments.output).absolute()
        refuse(own_problem(path) or own_files.no_export(path))
        size = _write(path, pieces)
    if arguments.json:
        print_json({"schema": SCHEMA, "path": str(path), "bytes": size, "notes": count})
    else:
        print(f"Wrote {_notes(count)} to {path}.")
    return table.EXIT_OK


def _write(path: Path, pieces: Iterator[str]) -> int:
    """Into a private file beside it first, so that a file of that name is replaced only by a whole one."""
    part = path.with_name(f".{path.name}.part-{os.getpid()}")
    try:
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="") as to:
                for piece in pieces:
                    to.write(piece)
            size = part.stat().st_size
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror or error}.") from error
    return size


def backup(arguments: argparse.Namespace) -> int:
    """A copy of the journal, made by the daemon while it goes on."""
    path = Path(arguments.file).absolute()
    with Client(timeout_s=arguments.timeout) as client:
        body = back_up(client, path)
    if arguments.json:
        print_json(body)
    else:
        print(f"Wrote {body['path']}, {body['bytes'] / 1e6:.1f} MB.")
    return table.EXIT_OK


def _notes(count: int) -> str:
    return "no notes" if not count else f"{count:,} note{'' if count == 1 else 's'}"


def _numbers(body: dict[str, Any]) -> str:
    if not body["notes"]:
        return ""
    first, last = body["first"], body["last"]
    return f" ({first})" if first == last else f" ({first} to {last})"
