"""``python -m tests.shipped`` writes the completions and manual pages that hudd ships, from the parsers and the settings.

One source: what ``--help`` says, what TAB offers and what ``man`` shows cannot differ. ``--check`` only compares.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import hudctl.cli
import hudd.cli
from hudd.config.loader import all_keys, limits_in_words
from hudd.config.settings import Settings
from hudd.config.toml_values import to_toml

ROOT: Final = Path(__file__).resolve().parent.parent
COMPLETION: Final = ROOT / "hudctl" / "data" / "completion"
MANUAL: Final = ROOT / "packaging" / "man"
SHELLS: Final = ("bash", "zsh", "fish")
ROFF_NAMES: Final = (("\\", "\\e"), ("-", "\\-"), ('"', "\\(dq"), ("~", "\\(ti"), ("^", "\\(ha"))
LINE: Final = 79
WHOLE_WORDS: Final = {"break_long_words": False, "break_on_hyphens": False}
FILES: Final = ("FILE", "DIR")
"""Metavars that stand for a path."""
SUMMARY: Final = {"hudd": "keep notes of what is on the screen", "hudctl": "ask hudd, and tell it what to do"}
SEE_ALSO: Final = {
    "hudd": ("hudctl(1)", "hudd.toml(5)"),
    "hudctl": ("hudd(1)", "hudd.toml(5)"),
    "hudd.toml": ("hudd(1)", "hudctl(1)"),
}


def parsers() -> dict[str, argparse.ArgumentParser]:
    """Both command lines."""
    os.environ["COLUMNS"] = "80"  # argparse folds usage lines by the terminal it happens to run in
    return {"hudd": hudd.cli.build_parser(), "hudctl": hudctl.cli.build_parser()}


def texts() -> dict[Path, str]:
    """Every shipped file and what must be in it."""
    found: dict[Path, str] = {}
    for program, parser in parsers().items():
        found[MANUAL / f"{program}.1"] = program_page(program, parser)
        for shell in SHELLS:
            found[COMPLETION / f"{program}.{shell}"] = completion(parser, shell)
    found[MANUAL / "hudd.toml.5"] = settings_page()
    return found


# Completion


def completion(parser: argparse.ArgumentParser, shell: str) -> str:
    """What a shell reads to complete this command line."""
    import shtab

    for action in _all_actions(parser):
        if action.metavar in FILES:
            vars(action)["complete"] = shtab.DIRECTORY if action.metavar == "DIR" else shtab.FILE
    text = shtab.complete(parser, shell)
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"


def _all_actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    yield from parser._actions
    for _, verb in subparsers(parser):
        yield from _all_actions(verb)


def subparsers(parser: argparse.ArgumentParser) -> list[tuple[str, argparse.ArgumentParser]]:
    """The verbs of a parser, in order."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return list(action.choices.items())
    return []


# Manual pages


def program_page(program: str, parser: argparse.ArgumentParser) -> str:
    """The manual page of a command, section 1."""
    lines = [
        *_head(program, 1, SUMMARY[program]),
        ".SH SYNOPSIS",
        f".B {program}",
        *_roff(_usage(parser, program)),
        ".SH DESCRIPTION",
        *_roff(parser.description or ""),
        *_options(parser, ".SH OPTIONS"),
    ]
    verbs = _verbs("", parser)
    if verbs:
        lines.append(".SH COMMANDS")
    for name, verb in verbs:
        lines += [f".SS {_escape(name)}", *_roff(verb.description or ""), *_options(verb, "")]
    lines += [".SH EXIT STATUS", *_exit_codes(parser.epilog or ""), *_environment(program)]
    return _page(lines, program)


def settings_page() -> str:
    """The manual page of the settings file, section 5."""
    lines = [
        *_head("hudd.toml", 5, "settings of hudd"),
        ".SH DESCRIPTION",
        *_roff(
            "hudd reads its settings from ~/.config/hudd/config.toml (macOS: ~/Library/Application Support/hudd), or "
            "from the file that HUDD_CONFIG or --config names. Each key has a default, so the file may be absent or "
            "name only what differs. The environment (HUDD_<SECTION>_<KEY>) and flags go before the file. An unknown "
            "key is an error. hudctl reload applies most changes while hudd runs; the word in brackets says how."
        ),
    ]
    section = ""
    for key in all_keys().values():
        if key.section != section:
            section = key.section
            purpose = (type(getattr(Settings(), section)).__doc__ or "").strip().splitlines()[0]
            lines += [f".SH [{section.upper()}]", *_roff(purpose)]
        lines += [".TP", f'.BR {key.name} " = {_escape(to_toml(key.default))}"']
        lines += _roff(f"{key.doc}{limits_in_words(key)} ({key.apply})")
    return _page(lines, "hudd.toml")


def _head(name: str, part: int, summary: str) -> list[str]:
    return [
        '.\\" Written by python -m tests.shipped; change the parsers and the settings instead.',
        f'.TH {name.upper()} {part} "" "hudd" "Manual of hudd"',
        ".SH NAME",
        f"{_escape(name)} \\- {summary}",
    ]


def _page(lines: list[str], name: str) -> str:
    *others, last = (f".BR {entry[:-3]} ({entry[-2]})" for entry in SEE_ALSO[name])
    return "\n".join([*lines, ".SH SEE ALSO", *(f"{other} ," for other in others), last]) + "\n"


def _usage(parser: argparse.ArgumentParser, program: str) -> str:
    usage = " ".join(parser.format_usage().removeprefix("usage:").split())
    return usage.removeprefix(program).strip()


def _verbs(before: str, parser: argparse.ArgumentParser) -> list[tuple[str, argparse.ArgumentParser]]:
    found: list[tuple[str, argparse.ArgumentParser]] = []
    for name, verb in subparsers(parser):
        full = f"{before} {name}".strip()
        found += [(full, verb), *_verbs(full, verb)]
    return found


def _options(parser: argparse.ArgumentParser, title: str) -> list[str]:
    lines: list[str] = []
    for action in parser._actions:
        if action.help == argparse.SUPPRESS or (action.dest == "help" and not title):
            continue
        if isinstance(action, argparse._SubParsersAction):
            continue
        value = _value(action)
        names = ", ".join(f"\\fB{_escape(name)}\\fR" for name in action.option_strings)
        shown = f"{names} {value}".strip()
        lines += [".TP", shown, *_roff(_sentence(action, parser))]
    return [title, *lines] if title and lines else lines


def _value(action: argparse.Action) -> str:
    if action.option_strings and action.nargs == 0:
        return ""
    metavar = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    if action.choices is not None and action.metavar is None:
        metavar = "|".join(str(choice) for choice in action.choices)
    return f"\\fI{_escape(metavar)}\\fR"


def _sentence(action: argparse.Action, parser: argparse.ArgumentParser) -> str:
    values = {**vars(action), "prog": parser.prog}
    text = (action.help or "") % values if action.help else ""
    return f"{text[:1].upper()}{text[1:]}" + ("" if text.endswith((".", ")")) or not text else ".")


def _exit_codes(epilog: str) -> list[str]:
    lines: list[str] = []
    for part in epilog.removeprefix("exit codes:").split(","):
        found = re.fullmatch(r"\s*(\d+) (.+)", part)
        if found is not None:
            lines += [".TP", f".B {found[1]}", *_roff(found[2])]
    return lines


def _environment(program: str) -> list[str]:
    meanings = {
        "HUDD_RUNTIME_DIR": "Folder of the sockets instead of the usual one.",
        "HUDD_STATE_DIR": "Folder of the journal instead of the usual one.",
        "HUDD_CONFIG": "Settings file instead of the usual one.",
    }
    if program == "hudd":
        meanings["HUDD_REALTIME_KEY"] = "The key for the Realtime service."
        meanings["HUDD_<SECTION>_<KEY>"] = "A setting, see hudd.toml(5); it goes before the file."
    lines = [".SH ENVIRONMENT"]
    for name, meaning in meanings.items():
        lines += [".TP", f".B {_escape(name)}", *_roff(meaning)]
    return lines


def _escape(text: str) -> str:
    for character, name in ROFF_NAMES:
        text = text.replace(character, name)
    return "".join(c if c.isascii() else f"\\[u{ord(c):04X}]" for c in text)


def _roff(text: str) -> list[str]:
    """One sentence a line, as manual pages are written; a line may not begin with a control character."""
    sentences = re.split(r"(?<=[.!?]) (?=[A-Z])", " ".join(text.split()))
    lines = [line for sentence in sentences for line in textwrap.wrap(_escape(sentence), LINE, **WHOLE_WORDS)]
    return [f"\\&{line}" if line[:1] in ".'" else line for line in lines]


def main() -> int:
    """Write the files, or tell which of them differ."""
    check = "--check" in sys.argv[1:]
    stale = 0
    for path, text in texts().items():
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        stale += 1
        print(f"{'stale' if check else 'written'}: {path.relative_to(ROOT)}")
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return int(check and stale > 0)


if __name__ == "__main__":
    sys.exit(main())
