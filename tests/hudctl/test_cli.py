from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hudctl import errors, verbs
from hudctl.cli import build_parser, main
from hudctl.release import client_version
from hudd.wire import table

ASKING = ["snap", "status", "notes", "follow", "cost", "errors", "pause", "resume", "wait", "config"]
"""Verbs that need a daemon."""


def verbs_of(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    (sub,) = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    return dict(sub.choices)


@pytest.fixture
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A runtime folder in which no daemon lives."""
    monkeypatch.setenv("HUDD_RUNTIME_DIR", str(tmp_path / "run"))
    return tmp_path


def run(*arguments: str, folder: Path, stdout: int = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "HUDD_RUNTIME_DIR": str(folder / "run")}
    return subprocess.run(
        [sys.executable, "-m", "hudctl", *arguments],
        env=environ,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
    )


def test_every_verb_has_a_function_and_every_function_a_verb() -> None:
    assert set(verbs_of(build_parser())) == set(verbs.VERBS)


def test_every_method_of_the_table_is_reached_by_a_verb_that_exists() -> None:
    named = {method.verb for method in table.METHODS}
    assert "" not in named
    assert named <= set(verbs.VERBS)


@pytest.mark.parametrize("verb", sorted(verbs.VERBS))
def test_every_verb_explains_itself_and_takes_json(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, "--help"]) == 0
    told = capsys.readouterr().out
    assert "--json" in told
    parser = verbs_of(build_parser())[verb]
    assert parser.description
    assert parser.description.endswith(".")
    assert all(action.help for action in parser._actions)


def test_help_lists_every_verb_and_every_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    told = capsys.readouterr().out
    assert all(verb in told for verb in verbs.VERBS)
    flat = " ".join(told.split())
    codes = {value for name, value in vars(table).items() if name.startswith("EXIT_")}
    assert all(f" {code} " in flat for code in codes)


@pytest.mark.parametrize(
    "words",
    [
        "",
        "nope",
        "status --nope",
        "status --timeout soon",
        "wait --for godot",
        "notes --search a --grep b",
        "notes --since never",
        "notes --until 25:00",
        "notes --limit -2",
        "notes --limit many",
        "notes --since 1h --until 2h",
        "errors --limit -1",
        "errors --since today --until yesterday",
        "cost --since 1h --until 2h",
        "export --since 1h --until 2h",
        "forget --since 1h --until 2h",
        "follow --limit -1",
        "follow --after -1",
        "follow --since soon",
        "follow --after x",
        "cost --since 2026-13-01",
        "errors --since 5x",
        "pause 5x",
        "pause 1h --until 14:00",
        "pause --until 2020-01-01",
        "try --seconds -1",
        "try --seconds x",
        "try --pictures /no/such/folder",
    ],
)
@pytest.mark.usefixtures("nobody")
def test_a_mistake_in_the_command_line_is_told_in_a_sentence_and_exits_2(
    words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words.split()) == table.EXIT_USAGE
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.strip()
    assert "Traceback" not in told.err


@pytest.mark.parametrize("verb", ASKING)
def test_without_a_daemon_one_sentence_names_how_to_start_it(
    verb: str, nobody: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([verb]) == table.EXIT_NOT_RUNNING
    told = capsys.readouterr()
    assert told.out == ""
    assert len(told.err.strip().splitlines()) == 1
    assert "not running" in told.err
    assert f"HUDD_RUNTIME_DIR={nobody / 'run'} hudd" in told.err


@pytest.mark.usefixtures("nobody")
def test_with_json_the_error_is_an_object_on_stdout_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--json"]) == table.EXIT_NOT_RUNNING
    told = capsys.readouterr()
    body = json.loads(told.out)
    assert body["schema"] == 1
    assert body["error"]["exit_code"] == table.EXIT_NOT_RUNNING
    assert "not running" in told.err


def test_version_needs_no_daemon(nobody: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["version"]) == 0
    assert "hudd is not running" in capsys.readouterr().out
    assert main(["version", "--json"]) == 0
    body = json.loads(capsys.readouterr().out)
    assert body["hudd"] is None
    assert body["protocol"] == [table.PROTOCOL_OLDEST, table.PROTOCOL_NEWEST]


@pytest.mark.parametrize(
    ("raised", "code"),
    [(errors.from_reply({"message": "no", "data": {"code": error.code}}), error.exit_code) for error in table.ERRORS]
    + [(KeyboardInterrupt(), table.EXIT_INTERRUPTED), (errors.UsageError("A duration is needed."), table.EXIT_USAGE)],
)
def test_every_error_of_the_contract_has_its_exit_code(
    raised: BaseException, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(arguments: argparse.Namespace) -> int:
        raise raised

    monkeypatch.setitem(verbs.VERBS, "status", fail)
    assert main(["status"]) == code
    assert "Traceback" not in capsys.readouterr().err


def test_as_a_program_it_ends_with_the_same_codes_and_no_traceback(tmp_path: Path) -> None:
    done = run("status", folder=tmp_path)
    assert done.returncode == table.EXIT_NOT_RUNNING
    assert done.stdout == ""
    assert done.stderr.startswith("hudctl: hudd is not running.")
    assert run("nope", folder=tmp_path).returncode == table.EXIT_USAGE


@pytest.mark.parametrize("arguments", [("version",), ("version", "--json"), ("--help",)])
def test_a_reader_that_left_is_no_failure(arguments: tuple[str, ...], tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = run(*arguments, folder=tmp_path, stdout=writer)
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("words", ["notes --limit many --json", "nope --json", "cost --json --csv", "pause 5x --js"])
@pytest.mark.usefixtures("nobody")
def test_a_mistake_in_the_command_line_is_an_object_too_with_json(
    words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words.split()) == table.EXIT_USAGE
    told = capsys.readouterr()
    body = json.loads(told.out)
    assert body["error"]["exit_code"] == table.EXIT_USAGE
    assert body["error"]["message"] in told.err


def test_a_mistake_of_ours_is_not_blamed_on_the_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(arguments: argparse.Namespace) -> int:
        raise ValueError("a mistake inside")

    monkeypatch.setitem(verbs.VERBS, "status", fail)
    with pytest.raises(ValueError, match="a mistake inside"):
        main(["status"])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a device that is always full")
@pytest.mark.parametrize("words", [("version",), ("version", "--json"), ("--help",), ("config", "--default")])
def test_an_output_that_takes_nothing_is_told_in_a_sentence(words: tuple[str, ...], tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = run(*words, folder=tmp_path, stdout=full.fileno())
    assert done.returncode == table.EXIT_FAILED
    assert done.stderr == ("hudctl: The output cannot be written: No space left on device; send it somewhere else.\n")


def test_an_error_object_that_cannot_be_written_keeps_no_traceback(tmp_path: Path) -> None:
    with Path(os.devnull).open("r") as unwritable:
        done = run("status", "--json", folder=tmp_path, stdout=unwritable.fileno())
    assert done.returncode == table.EXIT_FAILED
    assert "Traceback" not in done.stderr
    assert "cannot be written" in done.stderr


@pytest.mark.parametrize(
    ("closed", "words", "code"),
    [
        (">&-", "version", 0),
        (">&-", "version --json", 0),
        (">&-", "notes", table.EXIT_NOT_RUNNING),
        ("2>&-", "notes", table.EXIT_NOT_RUNNING),
        ("<&- >&- 2>&-", "notes --json", table.EXIT_NOT_RUNNING),
        (">&-", "--help", 0),
    ],
)
def test_closed_streams_change_no_exit_code(closed: str, words: str, code: int, tmp_path: Path) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", f'"$0" -m hudctl {words} {closed}', sys.executable],
        env={**os.environ, "HUDD_RUNTIME_DIR": str(tmp_path / "run")},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


def test_ctrl_c_while_it_is_still_loading_is_an_interruption(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Interrupting:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "hudctl.verbs":
                raise KeyboardInterrupt

    import hudctl

    monkeypatch.delitem(sys.modules, "hudctl.verbs")
    monkeypatch.delattr(hudctl, "verbs")
    monkeypatch.setattr(sys, "meta_path", [Interrupting(), *sys.meta_path])
    assert main(["status"]) == table.EXIT_INTERRUPTED
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("mode", [0o755, 0o770])
def test_a_runtime_folder_that_is_open_to_others_is_refused(
    mode: int, nobody: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (nobody / "run").mkdir()
    (nobody / "run").chmod(mode)
    for verb in ("status", "follow"):
        assert main([verb]) == table.EXIT_REFUSED
        told = capsys.readouterr().err
        assert f"(mode {mode:04o}); close it with: chmod 700 {nobody / 'run'}" in told


def test_the_default_settings_come_as_an_object_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "--default"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("# Settings of hudd.")
    assert main(["config", "--default", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"schema": 1, "default": text}


@pytest.mark.parametrize("verb", sorted(verbs.VERBS))
def test_the_part_of_one_verb_is_that_of_the_whole(verb: str) -> None:
    alone, whole = verbs_of(build_parser(verb)), verbs_of(build_parser())
    assert list(alone) == [verb]
    assert alone[verb].format_help() == whole[verb].format_help()
    assert list(verbs_of(build_parser("--help"))) == list(whole)


def test_the_version_of_hudctl_alone_needs_no_daemon(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"hudctl {client_version()}\n"
