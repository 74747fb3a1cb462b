"""The README names what there is, and only that."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hudctl.cli import build_parser as hudctl_parser
from hudd.cli import build_parser as hudd_parser
from hudd.config.loader import default_toml
from hudd.config.settings import SECTIONS, Settings
from hudd.wire import table

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def options_of(parser: argparse.ArgumentParser) -> set[str]:
    """Every long option of a parser and of its sub-commands."""
    found: set[str] = set()
    for action in parser._actions:
        found.update(o for o in action.option_strings if o.startswith("--"))
        if isinstance(action, argparse._SubParsersAction):
            for sub in action.choices.values():
                found |= options_of(sub)
    return found


def verbs_of(parser: argparse.ArgumentParser) -> set[str]:
    return {v for a in parser._actions if isinstance(a, argparse._SubParsersAction) for v in a.choices}


EXISTING = options_of(hudctl_parser()) | options_of(hudd_parser())
# Options of other programs that the README calls.
FOREIGN = {"--user", "--now", "--no-install-recommends"}


def test_every_option_is_named() -> None:
    assert not sorted(o for o in EXISTING - {"--help"} if o not in README)


def test_every_named_option_exists() -> None:
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", README))
    assert not named - EXISTING - FOREIGN


def test_every_verb_is_named_and_every_named_verb_exists() -> None:
    verbs = verbs_of(hudctl_parser())
    assert not [v for v in verbs if f"| `{v}` |" not in README]
    named = set(re.findall(r"hudctl (\w+)", README))
    assert not named - verbs - {"import"}
    assert not set(re.findall(r"`hudd (\w+)", README)) - verbs_of(hudd_parser())


def test_the_options_of_each_verb_stand_in_its_row() -> None:
    for action in hudctl_parser()._actions:
        if isinstance(action, argparse._SubParsersAction):
            for verb, sub in action.choices.items():
                row = next(line for line in README.splitlines() if line.startswith(f"| `{verb}` |"))
                missing = [o for o in options_of(sub) - {"--help"} if f"`{o}" not in row]
                assert not missing, (verb, missing)


def test_the_settings_file_is_the_real_one() -> None:
    assert default_toml().strip() in README
    for section in SECTIONS:
        assert f"[{section}]" in README
        for key in type(getattr(Settings(), section)).__dataclass_fields__:
            assert f"# {key} = " in README


def test_exit_codes_and_variables_are_named() -> None:
    for name in ("HUDD_RUNTIME_DIR", "HUDD_STATE_DIR", "HUDD_CONFIG", "HUDD_REALTIME_KEY"):
        assert name in README
    for code in {e.exit_code for e in table.ERRORS} | {3, 130}:
        assert re.search(rf"\b{code} [a-z]", README)


def test_the_opening_is_as_promised() -> None:
    """Two headings, each followed by one sh block with one command line."""
    headings = re.findall(r"^## (.+)$", README, re.MULTILINE)
    assert headings[:3] == ["Try it", "With the real service", "Run the tests"]
    for heading in headings[:3]:
        body = README.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
        block = re.search(r"```sh\n(.*?)```", body, re.DOTALL)
        assert block is not None
        assert len(block[1].strip().splitlines()) == 1, heading


def test_the_ci_runs_the_test_command_of_the_readme() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "## Run the tests" in script
    assert "README.md" in script


def test_the_python_example_is_at_most_six_lines_that_compile() -> None:
    example = README.split("```python\n", 1)[1].split("```", 1)[0]
    assert len([line for line in example.splitlines() if line.strip()]) <= 6
    compile(example, "README", "exec")


@pytest.mark.parametrize("program", ["hudd", "hudctl"])
def test_help_is_printed(program: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", program, "--help"], capture_output=True, text=True, timeout=60, check=True
    )
    assert "exit codes" in done.stdout


def test_the_changelog_keeps_its_form() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert text.startswith("# Changelog")
    assert "## [Unreleased]" in text
