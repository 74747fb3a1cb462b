"""The verb follow: notes as they are written, after some of the past."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from typing import Final

from hudctl import render, times
from hudctl.client import Client
from hudctl.console import colours, now_local, print_json, tell, width, window
from hudctl.errors import UsageError
from hudctl.feed import Feed
from hudctl.first_use import saying_first_use
from hudctl.ranges import now_there
from hudctl.verbs import check_limit
from hudd.wire import table
from hudd.wire.messages import Note

SCHEMA: Final = 1
FOLLOW_SHOWS: Final = 10
"""Notes of the past that `follow` begins with, as `tail -f` does."""

LOOK_S: Final = 5.0
SILENT_S: Final = 20.0
"""A daemon that runs is heard every 15 s."""
_AWAY: Final = "Nothing is heard of hudd any more; notes follow when it is back. Why: hudctl status"
_BACK: Final = "hudd is back."
_MISSED: Final = "Some notes are missing: they were pruned, or another journal or an older copy of it was put in place."


def follow(arguments: argparse.Namespace) -> int:
    """Catch up, then follow; ends by ctrl-C or after --limit notes."""
    check_limit(arguments)
    after = _start_of_follow(arguments)
    printed, told = 0, False
    with Feed(after=after, window=window(), streaming=True) as feed:
        for note in heard(feed):
            if feed.fresh and not told:
                told = True
                tell(f"hudctl: {_MISSED}")
            if note.kind != "note" and not arguments.all:
                continue
            if arguments.json:
                print_json({"schema": SCHEMA, "note": note.to_json()})
            else:
                print(render.render_note(note.to_json(), colour=colours(), width=width()), flush=True)
            printed += 1
            if arguments.limit and printed >= arguments.limit:
                break
    return table.EXIT_OK


def heard(feed: Feed) -> Iterator[Note]:
    """The notes, for ever; says once when the daemon is silent for long, and when it is heard again."""
    away = False
    while True:
        started = time.monotonic()
        note = feed.get(LOOK_S)
        # Behind a note, and after this process was stopped, more may wait that was not read yet.
        unread = note is not None or time.monotonic() - started > 2 * LOOK_S
        if away != (feed.silent_s > SILENT_S) and (away or not unread):
            away = not away
            tell(f"hudctl: {_AWAY if away else _BACK}")
        if note is not None:
            yield note


def _start_of_follow(arguments: argparse.Namespace) -> int | None:
    """The number to begin after: as asked for, else such that the last ten notes come first."""
    if arguments.after is not None and arguments.since is not None:
        raise UsageError("--since and --after exclude each other.")
    if arguments.after is not None and arguments.after < 0:
        raise UsageError(f"--after is {arguments.after}; give the number of a note, 0 for all.")
    if arguments.since is not None:
        times.parse_moment(arguments.since, now=now_local())  # a mistake is told before a daemon is asked
    made = Client(timeout_s=5.0)
    if not made.may_command:
        return None  # a key of another machine that may only listen: what comes from now on
    with saying_first_use(made, arguments) as client:
        if arguments.after is not None:
            newest = next((note.seq for note in client.notes(limit=1)), 0)
            if arguments.after > newest:
                tell(f"hudctl: The newest note is #{newest}; notes are printed from #{newest + 1} on.")
            return min(arguments.after, newest)
        if arguments.since is None:
            recent = client.notes(limit=FOLLOW_SHOWS)
            return recent[-1].seq - 1 if recent else 0
        return client.seq_before(times.parse_moment(arguments.since, now=now_there(client)))
