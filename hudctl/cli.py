"""The command line of hudctl: verbs, options, exit codes. Everything heavy is imported by the verb that needs it."""

from __future__ import annotations

import argparse
import errno
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, NoReturn

from hudctl.console import give_up_stdout, open_missing_streams, print_error, tell
from hudctl.errors import HudctlError, UsageError
from hudctl.options import VERBS, HelpFormatter
from hudctl.release import client_version
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


class _Version(argparse.Action):
    """argparse's own wants the version before anybody asks for it, and finding it takes long."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        sys.stdout.write(f"hudctl {client_version()}\n")
        parser.exit()


def build_parser(verb: str = "") -> argparse.ArgumentParser:
    """The command line; README and the tests read it too.

    Args:
        verb: Build only the part of this one, which takes half of the time; any other word builds all of it.
    """
    parser = _Parser(prog="hudctl", description=DESCRIPTION, epilog=EPILOG, formatter_class=HelpFormatter)
    about = "show the version of hudctl and exit; that of the daemon: hudctl version"
    parser.add_argument("--version", action=_Version, nargs=0, default=argparse.SUPPRESS, help=about)
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for row in [row for row in VERBS if row.name == verb] or VERBS:
        row.add_to(verbs.add_parser)
    return parser


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
        arguments = build_parser(words[0] if words else "").parse_args(words)
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
