"""The command line of hudd: flags, sub-commands, exit codes."""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from hudd.config.loader import Loaded, default_toml, load
from hudd.config.toml_values import all_keys
from hudd.errors import EXIT_OK, EXIT_USAGE, HuddError, NoDisplayError, SettingsError

DESCRIPTION: Final = (
    "Watches the screen and keeps short, true notes of what is on it. Runs in the foreground and logs to stderr; "
    "hudctl is its client."
)
EPILOG: Final = "exit codes: 0 ok, 1 internal, 64 usage, 69 another hudd runs, 74 storage, 77 permissions, 78 settings"


def program_version() -> str:
    """The version of this installation."""
    try:
        return version("hudd")
    except PackageNotFoundError:
        return "0+unknown"


def build_parser() -> argparse.ArgumentParser:
    """The whole command line; README and the tests read it too."""
    from hudd.engine.command import add_engine_arguments  # noqa: PLC0415 - loads the engine only where it is wanted

    parser = argparse.ArgumentParser(prog="hudd", description=DESCRIPTION, epilog=EPILOG)
    parser.add_argument("--config", metavar="FILE", type=Path, help="settings file instead of the usual one")
    parser.add_argument("--log-level", choices=("debug", "info", "warning", "error"), help="overrides [log] level")
    log_file = "log into this file, which is kept small, instead of stderr"
    parser.add_argument("--log-file", metavar="FILE", type=Path, help=log_file)
    parser.add_argument("--check", action="store_true", help="check the settings, print what is wrong, and end")
    parser.add_argument("--print-default-config", action="store_true", help="print a settings file with every default")
    parser.add_argument("--version", action="version", version=f"hudd {program_version()}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    engine = commands.add_parser(
        "engine",
        help="run only the embedded engine: a free local Realtime server",
        description="Runs the embedded engine alone, a free local Realtime server for anybody's tests.",
    )
    add_engine_arguments(engine)
    gate = commands.add_parser(
        "gate",
        help="say which pictures of a folder would be sent, and why",
        description="Says for a folder of pictures which of them the change gate would send, and why.",
    )
    gate.add_argument("directory", metavar="DIR", type=Path, help="a folder of PNG or JPEG files, taken in name order")
    gate.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run hudd and return its exit code."""
    parser = build_parser()
    words = sys.argv[1:] if argv is None else argv
    try:
        if mistaken := _setting_among(words):
            parser.error(mistaken)
        arguments = parser.parse_args(words)
    except SystemExit as stop:  # argparse has printed its sentence
        return EXIT_USAGE if stop.code else EXIT_OK
    try:
        return _run(arguments)
    except SettingsError as error:
        for problem in error.problems:
            print(f"hudd: {problem}", file=sys.stderr)
        return error.exit_code
    except HuddError as error:
        print(f"hudd: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return EXIT_OK
    except BrokenPipeError:
        # The reader of a pipe has left; nothing may be printed any more, not even by the interpreter's exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK


def _setting_among(words: Sequence[str]) -> str:
    """A sentence about a setting that stands where an option would, or ''. What follows a command is the command's."""
    settings = {key.flag: key for key in all_keys().values() if key.flag != "--log-level"}
    for word in itertools.takewhile(lambda word: word not in ("engine", "gate"), words):
        if (key := settings.get(word.partition("=")[0])) is not None:
            return (
                f"{key.flag} is a setting, no option; set {key.variable}, "
                f"or write {key.name} under [{key.section}] into the settings file."
            )
    return ""


def _run(arguments: argparse.Namespace) -> int:
    if arguments.print_default_config:
        print(default_toml(), end="")
        return EXIT_OK
    if arguments.command == "engine":
        from hudd.engine.command import run_engine  # noqa: PLC0415 - the daemon never runs it in its own process

        return run_engine(arguments)
    if arguments.log_file is not None:
        from hudd.service.logs import shorten_start_log  # noqa: PLC0415 - beside its only use

        shorten_start_log(arguments.log_file)
    loaded = _load(arguments)
    if arguments.command == "gate":
        return _gate(arguments, loaded)
    if arguments.check:
        return _check(loaded)
    from hudd.app import run_daemon  # noqa: PLC0415 - --version must not pay for it

    def read() -> Loaded:
        return _load(arguments)

    log_file: Path | None = arguments.log_file
    return asyncio.run(
        run_daemon(loaded, environ=dict(os.environ), version=program_version(), read=read, log_file=log_file)
    )


def _load(arguments: argparse.Namespace) -> Loaded:
    flags: dict[str, object] = {}
    if arguments.log_level:
        flags["log.level"] = arguments.log_level
    return load(config=arguments.config, environ=dict(os.environ), flags=flags)


def _check(loaded: Loaded) -> int:
    """Everything that a start or a reload would refuse, also in the files that the settings name."""
    from hudd import adapters  # noqa: PLC0415 - loads what the daemon needs

    problems: list[str] = []
    for read in (adapters.load_instructions, adapters.load_prices, adapters.check_remote_keys):
        try:
            read(loaded.settings, os.environ)
        except SettingsError as error:
            problems += error.problems
    if problems:
        raise SettingsError(problems)
    print("The settings are fine.")
    return EXIT_OK


def _gate(arguments: argparse.Namespace, loaded: Loaded) -> int:
    from hudd.screen.judge import judge_folder  # noqa: PLC0415 - loads numpy and Pillow

    folder = arguments.directory
    if not folder.is_dir():
        raise NoDisplayError(f"{folder} is no folder.", hint="Give a folder with pictures, as hudd gate ./screens.")
    verdicts = list(judge_folder(folder, loaded.settings.gate))
    if arguments.json:
        print(json.dumps({"schema": 1, "pictures": [v.to_json() for v in verdicts]}))
        return EXIT_OK
    if not verdicts:
        raise NoDisplayError(f"There are no pictures in {folder}.", hint="Give a folder with PNG or JPEG files.")
    for verdict in verdicts:
        print(f"{verdict.action:<5}  {verdict.reason:<14} {verdict.file}")
    sent = sum(1 for v in verdicts if v.action == "send")
    print(f"{sent} of {len(verdicts)} pictures would be sent.")
    return EXIT_OK
