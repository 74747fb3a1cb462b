"""The command line of hudctl: verbs, options, exit codes. Everything heavy is imported by the verb that needs it."""

from __future__ import annotations

import argparse
import errno
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, NoReturn

from hudctl.console import columns, give_up_stdout, open_missing_streams, print_error, tell
from hudctl.errors import HudctlError, UsageError
from hudctl.regions import region
from hudd.wire import table

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

DESCRIPTION: Final = "Asks hudd, the daemon that keeps notes of what is on the screen."
EPILOG: Final = (
    "exit codes: 0 ok, 1 failed, 2 usage, 3 hudd is not running, 4 refused, 5 deadline passed, 6 versions do not meet, "
    "7 not possible in this state, 8 the service failed, 9 storage, 130 interrupted"
)

_OUTPUT_ERRORS: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)

Verb = Callable[[argparse.Namespace], int]


class _Parser(argparse.ArgumentParser):
    """argparse's own, whose complaint is an error as any other: with --json it is an object, too."""

    def print_help(self, file: SupportsWrite[str] | None = None) -> None:
        # argparse's own keeps it for itself when the disk is full.
        (file or sys.stdout).write(self.format_help())

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        raise UsageError(f"{message}.")


class _Help(argparse.HelpFormatter):
    """argparse's own, told the width: it would load ``shutil`` and its compressors to ask, for every option."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=columns(80) - 2)


def build_parser() -> argparse.ArgumentParser:
    """The whole command line; README and the tests read it too."""
    parser = _Parser(prog="hudctl", description=DESCRIPTION, epilog=EPILOG, formatter_class=_Help)
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)

    def add(name: str, text: str, *, timeout: float | None = 5.0) -> argparse.ArgumentParser:
        verb = verbs.add_parser(name, help=text, description=text, formatter_class=_Help)
        verb.add_argument("--json", action="store_true", help="print one JSON object with a schema number")
        if timeout is not None:
            text = f"give up after this (default {timeout:g})"
            verb.add_argument("--timeout", metavar="SECONDS", type=_seconds, default=timeout, help=text)
        return verb

    _add_trial(add("try", "Try hudd: local engine, temporary folders, no key, nothing left behind.", timeout=None))
    snap = add("snap", "Take a picture now and print the note while it is written.", timeout=30.0)
    what = snap.add_mutually_exclusive_group()
    what.add_argument("--monitor", metavar="NAME", help="which monitor (see hudctl status)")
    what.add_argument(
        "--region", metavar="X,Y,WxH", type=region, help="a part of the desktop, in its pixels: 100,50,640x480"
    )
    text = "the focused window, or the one with this id or these words in its title"
    what.add_argument("--window", metavar="TITLE", nargs="?", const="", help=text)
    add("status", "Tell what hudd does now, why it is not sending, what it has cost today.")
    _add_notes(add("notes", "Print notes of the past."))
    _add_follow(add("follow", "Print new notes as they are written; catch up first.", timeout=None))
    _add_cost(add("cost", "Tell what was spent, and what it would have cost at the service."))
    errors = add("errors", "List what went wrong, newest first.")
    _add_range(errors)
    errors.add_argument("--limit", type=int, default=20, metavar="N", help="at most so many (default 20, 0 means all)")
    _add_keeping(add)
    _add_pause(add("pause", "Let no picture leave until resumed, or for a while."))
    add("resume", "End a pause; try a stopped connection again.")
    wait = add("wait", "Wait until hudd is ready, connected, or has written a note.", timeout=30.0)
    wait.add_argument("--for", dest="goal", choices=("ready", "connected", "note"), default="ready", help="what for")
    _add_stream(add)
    config = add("config", "Print every setting, its value and where it came from.")
    config.add_argument("--default", action="store_true", help="print the default file instead, for editing")
    add("reload", "Let hudd read its settings file again, and tell what became of each change.", timeout=15.0)
    complete = add("completion", "Print what a shell reads to complete hudctl.", timeout=None)
    complete.add_argument("shell", choices=("bash", "zsh", "fish"), help="which shell")
    complete.add_argument("program", nargs="?", choices=("hudctl", "hudd"), default="hudctl", help="default hudctl")
    _add_key(add("key", "Let other machines in: their keys and what these may do.", timeout=None))
    _add_first_aid(add)
    _add_service(add("service", "Let systemd or launchd run hudd.", timeout=None))
    add("version", "Tell the versions of hudctl and of the running hudd.")
    return parser


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value <= 86_400:
        raise argparse.ArgumentTypeError(f"must be a number of seconds up to a day, not {text}")
    return value


_seconds.__name__ = "number"  # argparse names the type in its sentence


def _add_key(verb: argparse.ArgumentParser) -> None:
    what = verb.add_subparsers(dest="what", metavar="add|list|revoke", required=True, help="what to do")

    def add(name: str, about: str) -> argparse.ArgumentParser:
        made = what.add_parser(name, help=about, description=about, formatter_class=_Help)
        # Without a default, which would undo one that was given before the word.
        text = "print one JSON object with a schema number"
        made.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help=text)
        return made

    new = add("add", "Make a key for another machine.")
    new.add_argument("name", metavar="NAME", help="for the list, for instance laptop")
    roles = "notes: may only listen; control: may command, too"
    new.add_argument("--role", choices=("notes", "control"), required=True, help=roles)
    new.add_argument("-o", "--output", metavar="FILE", help="a new private file instead of the output")
    add("list", "List the keys.")
    add("revoke", "Withdraw a key; its connections end.").add_argument("name", metavar="NAME", help="see list")


def _add_first_aid(add: Callable[..., argparse.ArgumentParser]) -> None:
    doctor = add("doctor", "Tell what is wrong here and what to do about it.", timeout=None)
    doctor.add_argument("--service", action="store_true", help="look at the service although the local engine answers")
    doctor.add_argument(
        "--spend", action="store_true", help="also ask the service one small question, which costs money"
    )
    report = add(
        "bugreport", "Pack what a report of a mistake needs, without secrets, to be read by you first.", timeout=None
    )
    report.add_argument("-o", "--output", metavar="FILE", help="a new private file (default hudd-report-TIME.tar.gz)")
    setup = add("setup", "Set hudd up: who answers, the key, the service. Asks; may be run again.", timeout=None)
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

    def add(name: str, about: str, *, plans: bool = True) -> argparse.ArgumentParser:
        made = what.add_parser(name, help=about, description=about, formatter_class=_Help)
        # Without a default, which would undo one that was given before the word.
        text = "print one JSON object with a schema number"
        made.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help=text)
        if plans:
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
    add("status", "Tell what the service manager knows of it.", plans=False)
    logs = add("logs", "Print its log.", plans=False)
    logs.add_argument("-n", "--lines", type=int, default=50, metavar="N", help="the last so many lines (default 50)")
    logs.add_argument("-f", "--follow", action="store_true", help="go on with new lines")


def _add_trial(trial: argparse.ArgumentParser) -> None:
    trial.add_argument("--seconds", type=_seconds, default=60.0, help="how long to watch (default 60)")
    trial.add_argument("--pictures", metavar="DIR", help="show these pictures instead of the screen")


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


def _add_keeping(add: Callable[..., argparse.ArgumentParser]) -> None:
    mark = add("mark", "Keep a note for ever, whatever the settings remove.")
    mark.add_argument("seq", type=int, metavar="SEQ", help="its number (see hudctl notes --json)")
    mark.add_argument("--off", action="store_true", help="keep it no longer than the others")
    forget = add("forget", "Take the text of notes from everywhere, for good.", timeout=120.0)
    forget.add_argument("--last", metavar="DURATION", help="what was seen within, for instance, 10m")
    _add_range(forget)
    forget.add_argument("--seq", type=int, metavar="N", help="only the note with this number")
    prune = add("prune", "Remove notes that are too old or too much by the settings.", timeout=120.0)
    prune.add_argument("--older-than", metavar="DURATION", help="instead of the settings, for instance 30d")
    prune.add_argument("--dry-run", action="store_true", help="only tell what would go")
    export = add("export", "Write notes for other programs.", timeout=30.0)
    left_out = "default jsonl; md and ics leave out what says nothing new, failed or was forgotten"
    export.add_argument("--format", choices=("jsonl", "md", "csv", "ics"), default="jsonl", help=left_out)
    _add_range(export)
    export.add_argument("-o", "--output", metavar="FILE", help="a private file instead of the output")
    backup = add("backup", "Copy the journal into a private file while it is in use.", timeout=300.0)
    backup.add_argument("file", metavar="FILE", help="an older backup is replaced when the copy is whole")


def _add_stream(add: Callable[..., argparse.ArgumentParser]) -> None:
    record = add("record", "Write what comes on the note socket into a private file, for replay.", timeout=None)
    record.add_argument("file", metavar="FILE", help="a new file, one JSON object a line")
    every = "note/,delta/,state/,error/,cost/"
    record.add_argument("--topics", metavar="TOPICS", default=every, help=f"with commas between (default {every})")
    record.add_argument("--limit", type=int, default=0, metavar="N", help="stop after so many notes (default 0, never)")
    record.add_argument("--seconds", type=_seconds, metavar="N", help="stop after so long (default: at ctrl-C)")
    replay = add("replay", "Publish a recording on sockets of its own, to test subscribers.", timeout=None)
    replay.add_argument("file", metavar="FILE", help="made by hudctl record")
    fast = "how many times faster than recorded (default 1); max: without waiting"
    replay.add_argument("--speed", type=_speed, metavar="N", default=1.0, help=fast)
    replay.add_argument("--loop", action="store_true", help="begin again at the end; the numbers of the notes go on")


def _speed(text: str) -> float:
    if text == "max":
        return 0.0
    value = float(text)
    if not 0 <= value <= 1_000_000:
        raise argparse.ArgumentTypeError(f"must be a number of at least 0, or max, not {text}")
    return value


_speed.__name__ = "number"


def _add_pause(pause: argparse.ArgumentParser) -> None:
    pause.add_argument("duration", nargs="?", metavar="DURATION", help="for instance 15m or 1h30m")
    pause.add_argument("--until", metavar="TIME", help="for instance 14:00")
    pause.add_argument("--why", metavar="WORDS", default="", help="shown in the status")


def _add_range(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--since", metavar="TIME", help="2h, 14:00, today, 2026-11-21, …")
    verb.add_argument("--until", metavar="TIME", help="likewise")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return its exit code. Never prints a traceback for what a person can cause."""
    open_missing_streams()
    words = list(sys.argv[1:] if argv is None else argv)
    # Even before the words are understood; as argparse, which takes abbreviations.
    as_json = any(len(word) > 2 and "--json".startswith(word) for word in words)
    try:
        code = _run(words)
        sys.stdout.flush()  # here, where it may fail with a sentence
    except HudctlError as error:
        return _failed(error, as_json=as_json)
    except KeyboardInterrupt:
        return table.EXIT_INTERRUPTED
    except ImportError as error:
        return _failed(_broken(error), as_json=as_json)
    except OSError as error:
        return _output_failed(error)
    return code


def _run(words: Sequence[str]) -> int:
    try:
        arguments = build_parser().parse_args(words)
    except SystemExit as stop:  # --help was printed
        return int(stop.code or 0)
    # These two must also run where zmq is missing, to say so.
    if arguments.verb == "doctor":
        from hudctl.doctor import doctor  # noqa: PLC0415 - --help must not pay for it

        return doctor(arguments)
    if arguments.verb == "bugreport":
        from hudctl.bugreport import bugreport  # noqa: PLC0415 - likewise

        return bugreport(arguments)
    from hudctl import verbs  # noqa: PLC0415 - --help must not pay for zmq

    return verbs.VERBS[arguments.verb](arguments)


def _broken(error: ImportError) -> HudctlError:
    from hudd.wire.installation import Installation  # noqa: PLC0415 - beside its only use

    return HudctlError(
        f"A library cannot be loaded: {error}.", hint=f"Install hudd again: {Installation.find().reinstall()}"
    )


def _failed(error: HudctlError, *, as_json: bool) -> int:
    try:
        print_error(error, as_json=as_json)
    except OSError as broken:
        return _output_failed(broken) or error.exit_code
    return error.exit_code


def _output_failed(error: OSError) -> int:
    """A reader of a pipe that has left is no failure; a full disk is."""
    if error.errno not in (errno.EPIPE, *_OUTPUT_ERRORS) or error.filename is not None:
        raise error
    give_up_stdout()
    if error.errno == errno.EPIPE:
        return table.EXIT_OK
    tell(f"hudctl: The output cannot be written: {error.strerror}; send it somewhere else.")
    return table.EXIT_FAILED


if __name__ == "__main__":
    sys.exit(main())
