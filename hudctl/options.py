"""The verbs of hudctl and their options, as a table: a command line that names a verb needs only its row."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Final, NamedTuple

from hudctl.console import columns
from hudctl.regions import region


class HelpFormatter(argparse.HelpFormatter):
    """argparse's own, told the width: it would load ``shutil`` and its compressors to ask, for every option."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=columns(80) - 2)


def _nothing(_verb: argparse.ArgumentParser) -> None:
    """No options but those that all verbs have."""


class Verb(NamedTuple):
    """A row of the table.

    Attributes:
        name: What a person types.
        about: One sentence.
        fill: Adds its options to its parser.
        timeout_s: Default of ``--timeout``; None where there is no such option.
    """

    name: str
    about: str
    fill: Callable[[argparse.ArgumentParser], None] = _nothing
    timeout_s: float | None = 5.0

    def add_to(self, add_parser: Callable[..., argparse.ArgumentParser]) -> None:
        """Make its parser, by the method of the sub-parsers that it is to be among."""
        made = add_parser(self.name, help=self.about, description=self.about, formatter_class=HelpFormatter)
        made.add_argument("--json", action="store_true", help="print one JSON object with a schema number")
        if self.timeout_s is not None:
            text = f"give up after this (default {self.timeout_s:g})"
            made.add_argument("--timeout", metavar="SECONDS", type=_seconds, default=self.timeout_s, help=text)
        self.fill(made)


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value <= 86_400:
        raise argparse.ArgumentTypeError(f"must be a number of seconds up to a day, not {text}")
    return value


_seconds.__name__ = "number"  # argparse names the type in its sentence


def _speed(text: str) -> float:
    if text == "max":
        return 0.0
    value = float(text)
    if not 0 <= value <= 1_000_000:
        raise argparse.ArgumentTypeError(f"must be a number of at least 0, or max, not {text}")
    return value


_speed.__name__ = "number"


def _add_range(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--since", metavar="TIME", help="2h, 14:00, today, 2026-11-21, …")
    verb.add_argument("--until", metavar="TIME", help="likewise")


def _add_trial(trial: argparse.ArgumentParser) -> None:
    trial.add_argument("--seconds", type=_seconds, default=60.0, help="how long to watch (default 60)")
    trial.add_argument("--pictures", metavar="DIR", help="show these pictures instead of the screen")


def _add_snap(snap: argparse.ArgumentParser) -> None:
    what = snap.add_mutually_exclusive_group()
    what.add_argument("--monitor", metavar="NAME", help="which monitor (see hudctl status)")
    what.add_argument(
        "--region", metavar="X,Y,WxH", type=region, help="a part of the desktop, in its pixels: 100,50,640x480"
    )
    text = "the focused window, or the one with this id or these words in its title"
    what.add_argument("--window", metavar="TITLE", nargs="?", const="", help=text)


def _add_notes(notes: argparse.ArgumentParser) -> None:
    _add_range(notes)
    which = notes.add_mutually_exclusive_group()
    which.add_argument("--search", metavar="WORDS", help="notes with all these words (full text)")
    which.add_argument("--grep", metavar="TEXT", help="notes with this substring, or /regular expression/")
    notes.add_argument("--limit", type=int, default=50, metavar="N", help="at most so many (default 50, 0 means all)")
    notes.add_argument("--reverse", action="store_true", help="oldest first")


def _add_follow(follow: argparse.ArgumentParser) -> None:
    follow.add_argument("--since", metavar="TIME", help="catch up from this time (default: the last ten notes)")
    follow.add_argument("--after", type=int, metavar="SEQ", help="catch up after this note number")
    follow.add_argument("--all", action="store_true", help="also answers that said nothing new, and failed ones")
    follow.add_argument("--limit", type=int, default=0, metavar="N", help="stop after so many notes (default 0, never)")


def _add_cost(cost: argparse.ArgumentParser) -> None:
    _add_range(cost)
    cost.add_argument("--today", action="store_true", help="since midnight (the default)")
    cost.add_argument("--month", action="store_true", help="since the first of the month")
    cost.add_argument("--by", metavar="KEYS", help="split by day, hour, model, trigger; several with commas")
    cost.add_argument("--csv", action="store_true", help="print the rows for a spreadsheet")
    cost.add_argument("--estimate", action="store_true", help="what each model and memory would cost")


def _add_errors(errors: argparse.ArgumentParser) -> None:
    _add_range(errors)
    errors.add_argument("--limit", type=int, default=20, metavar="N", help="at most so many (default 20, 0 means all)")


def _add_mark(mark: argparse.ArgumentParser) -> None:
    mark.add_argument("seq", type=int, metavar="SEQ", help="its number (see hudctl notes --json)")
    mark.add_argument("--off", action="store_true", help="keep it no longer than the others")


def _add_forget(forget: argparse.ArgumentParser) -> None:
    forget.add_argument("--last", metavar="DURATION", help="what was seen within, for instance, 10m")
    _add_range(forget)
    forget.add_argument("--seq", type=int, metavar="N", help="only the note with this number")


def _add_prune(prune: argparse.ArgumentParser) -> None:
    prune.add_argument("--older-than", metavar="DURATION", help="instead of the settings, for instance 30d")
    prune.add_argument("--dry-run", action="store_true", help="only tell what would go")


def _add_export(export: argparse.ArgumentParser) -> None:
    left_out = "default jsonl; md and ics leave out what says nothing new, failed or was forgotten"
    export.add_argument("--format", choices=("jsonl", "md", "csv", "ics"), default="jsonl", help=left_out)
    _add_range(export)
    export.add_argument("-o", "--output", metavar="FILE", help="a private file instead of the output")


def _add_backup(backup: argparse.ArgumentParser) -> None:
    backup.add_argument("file", metavar="FILE", help="an older backup is replaced when the copy is whole")


def _add_pause(pause: argparse.ArgumentParser) -> None:
    pause.add_argument("duration", nargs="?", metavar="DURATION", help="for instance 15m or 1h30m")
    pause.add_argument("--until", metavar="TIME", help="for instance 14:00")
    pause.add_argument("--why", metavar="WORDS", default="", help="shown in the status")


def _add_wait(wait: argparse.ArgumentParser) -> None:
    wait.add_argument("--for", dest="goal", choices=("ready", "connected", "note"), default="ready", help="what for")


def _add_record(record: argparse.ArgumentParser) -> None:
    record.add_argument("file", metavar="FILE", help="a new file, one JSON object a line")
    every = "note/,delta/,state/,error/,cost/"
    record.add_argument("--topics", metavar="TOPICS", default=every, help=f"with commas between (default {every})")
    record.add_argument("--limit", type=int, default=0, metavar="N", help="stop after so many notes (default 0, never)")
    record.add_argument("--seconds", type=_seconds, metavar="N", help="stop after so long (default: at ctrl-C)")


def _add_replay(replay: argparse.ArgumentParser) -> None:
    replay.add_argument("file", metavar="FILE", help="made by hudctl record")
    fast = "how many times faster than recorded (default 1); max: without waiting"
    replay.add_argument("--speed", type=_speed, metavar="N", default=1.0, help=fast)
    replay.add_argument("--loop", action="store_true", help="begin again at the end; the numbers of the notes go on")


def _add_config(config: argparse.ArgumentParser) -> None:
    config.add_argument("--default", action="store_true", help="print the default file instead, for editing")


def _add_completion(complete: argparse.ArgumentParser) -> None:
    complete.add_argument("shell", choices=("bash", "zsh", "fish"), help="which shell")
    complete.add_argument("program", nargs="?", choices=("hudctl", "hudd"), default="hudctl", help="default hudctl")


def _part(add_parser: Callable[..., argparse.ArgumentParser], name: str, about: str) -> argparse.ArgumentParser:
    """A word that follows a verb, as in ``hudctl key list``."""
    made = add_parser(name, help=about, description=about, formatter_class=HelpFormatter)
    # Without a default, which would undo one that was given before the word.
    text = "print one JSON object with a schema number"
    made.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help=text)
    return made


def _add_key(verb: argparse.ArgumentParser) -> None:
    what = verb.add_subparsers(dest="what", metavar="add|list|revoke", required=True, help="what to do")

    new = _part(what.add_parser, "add", "Make a key for another machine.")
    new.add_argument("name", metavar="NAME", help="for the list, for instance laptop")
    roles = "notes: may only listen; control: may command, too"
    new.add_argument("--role", choices=("notes", "control"), required=True, help=roles)
    new.add_argument("-o", "--output", metavar="FILE", help="a new private file instead of the output")
    _part(what.add_parser, "list", "List the keys.")
    gone = _part(what.add_parser, "revoke", "Withdraw a key; its connections end.")
    gone.add_argument("name", metavar="NAME", help="see list")


def _add_doctor(doctor: argparse.ArgumentParser) -> None:
    doctor.add_argument("--service", action="store_true", help="look at the service although the local engine answers")
    doctor.add_argument(
        "--spend", action="store_true", help="also ask the service one small question, which costs money"
    )


def _add_bugreport(report: argparse.ArgumentParser) -> None:
    report.add_argument("-o", "--output", metavar="FILE", help="a new private file (default hudd-report-TIME.tar.gz)")


def _add_setup(setup: argparse.ArgumentParser) -> None:
    setup.add_argument("--use", choices=("local", "service"), help="who answers, instead of being asked")
    where = setup.add_mutually_exclusive_group()
    where.add_argument("--key-file", metavar="FILE", help="take the key from this file and keep it there")
    where.add_argument("--key-stdin", action="store_true", help="take the key from standard input")
    setup.add_argument("--keyring", action="store_true", help="keep the key in the desktop's keyring, not in a file")
    setup.add_argument("--install-service", action="store_true", help="let the system start hudd")
    setup.add_argument("--yes", action="store_true", help="ask nothing; take what is given, else the defaults")


def _add_service(verb: argparse.ArgumentParser) -> None:
    words = "install|uninstall|start|stop|restart|status|logs"
    what = verb.add_subparsers(dest="what", metavar=words, required=True, help="what to do")

    def add(name: str, about: str) -> argparse.ArgumentParser:
        made = _part(what.add_parser, name, about)
        made.add_argument("--dry-run", action="store_true", help="only print what would be done")
        return made

    new = add("install", "Write the unit for this installation, enable it and start it.")
    new.add_argument("--on-demand", action="store_true", help="start hudd with the first snap, not at login")
    new.add_argument("--key-file", metavar="FILE", help="the key of the service, a file of mode 0600")
    loosen = "take from the sandbox what cannot work in it"
    names = ("command-source", "key-command", "portal-screenshots", "text-recognition")
    new.add_argument("--loosen", action="append", choices=names, help=loosen)
    new.add_argument("--no-start", action="store_true", help="start it only at the next login")
    add("uninstall", "Stop it and remove what install wrote.")
    add("start", "Start it.")
    add("stop", "Stop it; no client starts it again.")
    add("restart", "Stop it and start it again.")
    _part(what.add_parser, "status", "Tell what the service manager knows of it.")
    logs = _part(what.add_parser, "logs", "Print its log.")
    logs.add_argument("-n", "--lines", type=int, default=50, metavar="N", help="the last so many lines (default 50)")
    logs.add_argument("-f", "--follow", action="store_true", help="go on with new lines")


VERBS: Final = (
    Verb("try", "Try hudd: local engine, temporary folders, no key, nothing left behind.", _add_trial, None),
    Verb("snap", "Take a picture now and print the note while it is written.", _add_snap, 30.0),
    Verb("status", "Tell what hudd does now, why it is not sending, what it has cost today."),
    Verb("notes", "Print notes of the past.", _add_notes),
    Verb("follow", "Print new notes as they are written; catch up first.", _add_follow, None),
    Verb("cost", "Tell what was spent, and what it would have cost at the service.", _add_cost),
    Verb("errors", "List what went wrong, newest first.", _add_errors),
    Verb("mark", "Keep a note for ever, whatever the settings remove.", _add_mark),
    Verb("forget", "Take the text of notes from everywhere, for good.", _add_forget, 120.0),
    Verb("prune", "Remove notes that are too old or too much by the settings.", _add_prune, 120.0),
    Verb("export", "Write notes for other programs.", _add_export, 30.0),
    Verb("backup", "Copy the journal into a private file while it is in use.", _add_backup, 300.0),
    Verb("pause", "Let no picture leave until resumed, or for a while.", _add_pause),
    Verb("resume", "End a pause; try a stopped connection again."),
    Verb("wait", "Wait until hudd is ready, connected, or has written a note.", _add_wait, 30.0),
    Verb("record", "Write what comes on the note socket into a private file, for replay.", _add_record, None),
    Verb("replay", "Publish a recording on sockets of its own, to test subscribers.", _add_replay, None),
    Verb("config", "Print every setting, its value and where it came from.", _add_config),
    Verb("reload", "Let hudd read its settings file again, and tell what became of each change.", timeout_s=15.0),
    Verb("completion", "Print what a shell reads to complete hudctl.", _add_completion, None),
    Verb("key", "Let other machines in: their keys and what these may do.", _add_key, None),
    Verb("doctor", "Tell what is wrong here and what to do about it.", _add_doctor, None),
    Verb(
        "bugreport",
        "Pack what a report of a mistake needs, without secrets, to be read by you first.",
        _add_bugreport,
        None,
    ),
    Verb("setup", "Set hudd up: who answers, the key, the service. Asks; may be run again.", _add_setup, None),
    Verb("service", "Let systemd or launchd run hudd.", _add_service, None),
    Verb("version", "Tell the versions of hudctl and of the running hudd."),
)
