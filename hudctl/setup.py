"""``hudctl setup``: who answers, the key, the service; asked in a short dialogue or given by flags. May be run again.

Each step leaves a state that hudd can start with, so ctrl-C is safe at any point: the key's file is complete before the
settings name it, and both are put in place at once or not at all.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from hudctl.console import colours, print_json, tell, width
from hudctl.doctor import own_checks, read_settings, render_line
from hudctl.doctor_words import Line
from hudctl.errors import HudctlError, UsageError
from hudctl.setup_files import Value, changed_text, read_text, what_to_add, write_whole
from hudctl.setup_key import choose_key, keep_for_service
from hudctl.setup_service import Installed, find_installed, install_service, refuse_beside_another, wants_service
from hudctl.words import Look, objects, wrap
from hudd.wire import table
from hudd.wire.endpoints import how_to_start

SCHEMA: Final = 1
Use = Literal["local", "service"]


@dataclass(slots=True)
class Setup:
    """What is known and what was done.

    Attributes:
        arguments: The flags.
        quiet: Whether only JSON is printed.
        asks: Whether there is a person to ask.
        config: The settings file.
        settings: ``section.key`` → value in force.
        origins: ``section.key`` → where it came from.
        done: Sentences of what was changed.
        checks: What was looked at.
        failed: Whether something did not work.
        started: Whether hudd was started with what was written.
        installed: The service, as it is there already.
    """

    arguments: argparse.Namespace
    quiet: bool
    asks: bool
    config: Path = field(default_factory=Path)
    settings: dict[str, Any] = field(default_factory=dict[str, Any])
    origins: dict[str, str] = field(default_factory=dict[str, str])
    done: list[str] = field(default_factory=list[str])
    checks: list[Line] = field(default_factory=list[Line])
    failed: bool = False
    started: bool = False
    installed: Installed | None = None

    def say(self, text: str = "") -> None:
        """A sentence for a person."""
        if not self.quiet:
            most = width() if sys.stdout.isatty() else 0
            for row in text.split("\n"):
                print(*([row] if row.startswith(" ") else wrap(row, most)), sep="\n", flush=True)

    def show(self, found: Line) -> None:
        """What was looked at, for the end and, as doctor lays it out, for a person."""
        self.checks.append(found)
        if not self.quiet:
            print(render_line(found, Look(colours(), width())), flush=True)

    def ask(self, question: str, choices: str) -> str:
        """One of the choices by its first letter; the upper-case one at a plain return."""
        default = next(letter for letter in choices if letter.isupper()).lower()
        while True:
            word = input(f"{question} [{'/'.join(choices)}] ").strip().lower()
            if not word:
                return default
            if word[0] in choices.lower():
                return word[0]
            self.say(f"Please answer with one of {', '.join(choices.lower())}.")

    def value(self, name: str) -> Any:
        """Of ``section.key``."""
        return self.settings.get(name, "")


def setup(arguments: argparse.Namespace) -> int:
    """Run the dialogue, or what the flags say; print what was done."""
    quiet = bool(arguments.json)
    asks = not arguments.yes and not quiet
    if asks and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("setup asks questions, and this is no terminal; answer them by flags: --use … --yes.")
    if arguments.use == "local" and (arguments.key_file or arguments.key_stdin or arguments.keyring):
        raise UsageError(
            "The local engine needs no key; leave out --key-file, --key-stdin and --keyring, or take --use service."
        )
    if arguments.key_file and arguments.keyring:
        raise UsageError("--key-file leaves the key in its file; to put it into the keyring: --keyring --key-stdin.")
    if not asks and arguments.use is None:
        raise UsageError("Without questions it must be said who answers: --use local or --use service.")
    run = Setup(arguments, quiet, asks)
    try:
        _steps(run)
    except (KeyboardInterrupt, EOFError):
        tell(f"\nhudctl: Stopped. {' '.join(run.done) or 'Nothing was changed.'} Run hudctl setup again at any time.")
        raise KeyboardInterrupt from None
    if quiet:
        print_json({"schema": SCHEMA, "config": str(run.config), "done": run.done, "checks": run.checks})
    return table.EXIT_FAILED if run.failed else table.EXIT_OK


def _steps(run: Setup) -> None:
    if run.arguments.install_service:
        refuse_beside_another()
    _read(run)
    _look(run)
    use = _choose(run)
    values: dict[str, Value] = {"use": use}
    if use == "service" or run.asks or run.arguments.install_service:
        run.installed = find_installed()
    if use == "service":
        values |= choose_key(run)
    _write(run, values)
    _try(run, use)
    _service(run, use)
    run.say()
    for sentence in run.done or ["Nothing was to be changed."]:
        run.say(f"* {sentence}")
    run.say(_what_next(started=run.started))
    run.say("Then ask it: hudctl snap. What is wrong, if anything: hudctl doctor.")


def _runs() -> bool:
    from hudctl.connection import Endpoints  # noqa: PLC0415 - beside its only use

    try:
        Endpoints().probe()
    except HudctlError:
        return False
    return True


def _what_next(*, started: bool) -> str:
    if not _runs():
        return f"Start hudd with: {how_to_start(os.environ)}"
    if started:
        return "hudd runs."
    return "hudd runs; to take this up: hudctl service restart, or end it and start it again."


def _read(run: Setup) -> None:
    told = read_settings()
    problems = [str(problem) for problem in told.get("problems", ())]
    if problems:
        raise HudctlError(
            f"The settings have mistakes: {' '.join(problems)}", hint="Correct them, then run setup again."
        )
    run.config = Path(str(told["file"]))
    rows = objects(told.get("settings"))
    run.settings = {str(row["name"]): row["value"] for row in rows}
    run.origins = {str(row["name"]): str(row["origin"]) for row in rows}


def _look(run: Setup) -> None:
    """Find the display, and tell what else is in the way."""
    run.say("Looking at this machine; no picture is kept.")
    wanted = ("libraries", "display", "reading", "disk", "folder")
    for found in own_checks():
        if found["name"] in wanted and (found["name"] == "display" or found["state"] != "ok"):
            run.show(found)


def _choose(run: Setup) -> Use:
    host = urlsplit(str(run.value("realtime.url"))).hostname or "the service"
    cap = run.value("cost.cap_day_usd")
    leaves = _leaves(str(run.value("picture.crops")), int(run.value("picture.max_pictures")))
    run.say(
        f"""
Who writes the notes?
  local    the engine inside of hudd. It reads the text on the screen, here,
           offline and for nothing.
  service  a vision model at {host}. Its notes are better.
{textwrap.indent(textwrap.fill(leaves, 66), " " * 11)}
           What it costs: about a third of a cent a question, and at most
           ${cap:.2f} a day ([cost] cap_day_usd)."""
    )
    given = run.arguments.use
    if given is not None:
        run.say(f"Chosen: {given}.")
        return given
    now = str(run.value("realtime.use"))
    answer = run.ask("local or service?", "Ls" if now == "local" else "lS") if run.asks else now[0]
    if answer == "s" and run.ask(f"Shall pictures of this screen go to {host}?", "yN") != "y":
        run.say("Then the local engine answers.")
        answer = "l"
    return "service" if answer == "s" else "local"


def _leaves(crops: str, most_pictures: int) -> str:
    """What a person agrees to; README tells the same."""
    details = most_pictures - 1 if crops == "auto" else 0
    also = {0: "", 1: ", sometimes a second one of a part of it in full size"}
    parts = also.get(details, f", sometimes up to {details} more of parts of it in full size")
    return (
        f"What leaves this machine, per question: one picture of one monitor{parts}, the monitor's name, the time, "
        "hudd's instructions and a few of its recent notes. Nothing leaves while the screen is still, or while a "
        "hudctl pause holds."
    )


def _write(run: Setup, values: dict[str, Value]) -> None:
    """Only what differs, in a person's own file as it is written."""
    same = all(
        run.value(f"realtime.{key}") == value and run.origins.get(f"realtime.{key}") in ("file", "default")
        for key, value in values.items()
    )
    if same and run.config.exists():
        run.say(f"\nThe settings in {run.config} say so already.")
        return
    before = read_text(run.config)
    after = changed_text(before, values)
    if after is None:
        raise HudctlError(
            f"{run.config} is written in a way that cannot be changed safely, so it was left alone.",
            hint=f"Write this into it yourself:\n{what_to_add(values)}",
        )
    if after == before:
        return
    write_whole(run.config, after, private=False)
    problems = [str(problem) for problem in read_settings().get("problems", ())]
    if problems:
        write_whole(run.config, before, private=False)
        raise HudctlError(f"The settings did not take it, so they are as before: {' '.join(problems)}")
    run.settings |= {f"realtime.{key}": value for key, value in values.items()}
    told = ", ".join(f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items())
    rest = "; nothing else in it was changed" if before else ""
    run.done.append(f"[realtime] {told} stands in {run.config}{rest}.")
    for key in values:
        if (name := f"HUDD_REALTIME_{key.upper()}") in os.environ:
            run.say(f"But {name} is set in this environment and goes before the file; unset it.")


def _try(run: Setup, use: Use) -> None:
    run.say("\nTrying it; this is free.")
    for found in own_checks("--engine"):
        run.show(found)
        run.failed = run.failed or (use == "local" and found["state"] == "failure")
    if use == "service":
        for found in own_checks("--service"):
            if found["name"] in ("key", "endpoint", "clock"):
                run.show(found)


def _service(run: Setup, use: Use) -> None:
    if not (run.asks or run.arguments.install_service):
        return
    installed = run.installed
    if not wants_service(run, installed):
        return
    if use == "service" and (installed is None or installed.key is None):
        values = keep_for_service(run)
        if values is None:
            return
        if values:
            _write(run, values)
    run.started = install_service(run, installed)
