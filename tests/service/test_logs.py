from __future__ import annotations

import asyncio
import io
import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from hudd.errors import EXIT_SETTINGS, StorageError
from hudd.service import logs
from hudd.service.logs import Log, Mask, leads_to_journal, shorten_start_log, start_logging
from tests.fakes.clock import ManualClock

LOGGER = logging.getLogger("hudd.realtime.link")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def log(clock: ManualClock, stream: io.StringIO) -> Iterator[Log]:
    with start_logging("info", {}, clock, stream) as started:
        yield started


def pass_time(clock: ManualClock, seconds: float) -> None:
    asyncio.run(clock.advance(seconds))


@pytest.mark.usefixtures("log")
def test_a_line_has_local_time_with_zone_level_and_place(stream: io.StringIO):
    LOGGER.warning("The connection was lost: %s.", "1006")
    pattern = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d warning realtime\.link: The connection was lost: 1006\.\n"
    assert re.fullmatch(pattern, stream.getvalue())


@pytest.mark.usefixtures("log")
def test_tracebacks_follow_the_line(stream: io.StringIO):
    try:
        int("sk-abcdefgh12345")
    except ValueError:
        LOGGER.exception("A mistake in hudd.")
    assert "error realtime.link: A mistake in hudd.\nTraceback" in stream.getvalue()
    assert "ValueError: invalid literal for int() with base 10: 'sk-…'" in stream.getvalue()


def test_in_the_journal_lines_have_priorities_and_no_time(tmp_path: Path, clock: ManualClock):
    with (tmp_path / "journal").open("w+") as file:
        found = os.fstat(file.fileno())
        environ = {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}
        with start_logging("debug", environ, clock, file, to_journal=lambda: None):
            LOGGER.debug("one")
            LOGGER.info("two\nlines")
            LOGGER.warning("three")
            LOGGER.error("four")
            LOGGER.critical("five")
            LOGGER.info("")
        file.seek(0)
        assert file.read().splitlines() == [
            "<7>realtime.link: one",
            "<6>realtime.link: two",
            "<6>lines",
            "<4>realtime.link: three",
            "<3>realtime.link: four",
            "<3>realtime.link: five",
            "<6>realtime.link: ",
        ]


def test_a_journal_that_stderr_does_not_lead_to_is_none(tmp_path: Path):
    with (tmp_path / "file").open("w") as file:
        inode = os.fstat(file.fileno()).st_ino
        assert not leads_to_journal({}, file)
        assert not leads_to_journal({"JOURNAL_STREAM": "8:1"}, file)
        assert not leads_to_journal({"JOURNAL_STREAM": f"x{inode}"}, file)
    assert not leads_to_journal({"JOURNAL_STREAM": "8:1"}, io.StringIO())
    assert not leads_to_journal({"JOURNAL_STREAM": "8:1"}, file)


def test_levels_can_be_changed_while_it_runs(log: Log, stream: io.StringIO):
    LOGGER.debug("hidden")
    log.set_level("debug")
    LOGGER.debug("shown")
    log.set_level("error")
    LOGGER.warning("hidden again")
    assert "shown" in stream.getvalue()
    assert "hidden" not in stream.getvalue()


def test_libraries_stay_at_warnings_because_they_print_headers(log: Log, stream: io.StringIO):
    log.set_level("debug")
    logging.getLogger("websockets.client").debug("> Authorization: secret")
    logging.getLogger("asyncio").info("slow")
    logging.getLogger("websockets.client").warning("told")
    assert "warning websockets.client: told" in stream.getvalue()
    assert len(stream.getvalue().splitlines()) == 1
    log.set_level("error")
    logging.getLogger("asyncio").warning("quiet")
    assert "quiet" not in stream.getvalue()


def test_close_leaves_nothing_behind(clock: ManualClock, stream: io.StringIO):
    root, own = logging.getLogger(), logging.getLogger("hudd")
    before = (list(root.handlers), root.level, own.level)
    log = start_logging("debug", {}, clock, stream)
    assert (list(root.handlers), root.level, own.level) != before
    log.close()
    assert (list(root.handlers), root.level, own.level) == before
    stream.write("still open")


@pytest.mark.usefixtures("log")
def test_repetitions_are_counted_and_told(clock: ManualClock, stream: io.StringIO):
    for _ in range(5):
        LOGGER.warning("No answer from %s.", "there")
    LOGGER.warning("No answer from %s.", "elsewhere")
    LOGGER.error("No answer from %s.", "there")
    assert len(stream.getvalue().splitlines()) == 3
    pass_time(clock, 59)
    LOGGER.warning("No answer from %s.", "there")
    assert len(stream.getvalue().splitlines()) == 3
    pass_time(clock, 2)
    LOGGER.warning("No answer from %s.", "there")
    assert stream.getvalue().endswith("No answer from there. (5 more of these in the last 61 s)\n")
    pass_time(clock, 61)
    LOGGER.warning("No answer from %s.", "there")
    assert stream.getvalue().endswith("No answer from there.\n"), "nothing was left out since"


def test_debug_lines_are_never_left_out(log: Log, stream: io.StringIO):
    log.set_level("debug")
    for _ in range(3):
        LOGGER.debug("same")
    assert len(stream.getvalue().splitlines()) == 3


@pytest.mark.usefixtures("log")
def test_what_is_remembered_is_bounded(stream: io.StringIO):
    for number in range(1000):
        LOGGER.info("message %d", number)
    LOGGER.info("message 999")
    LOGGER.info("message 0")
    assert len(stream.getvalue().splitlines()) == 1001, "the last is remembered, the first forgotten"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("key sk-proj-Abc_123-xyz, ok", "key sk-…, ok"),
        ("ek_68af296e8e408191a1120ab6383263c2 ended", "ek_… ended"),
        ("{'Authorization': 'Bearer abc.def'}", "{'Authorization': 'Bearer …'}"),
        ("authorization: bearer   abcdef", "authorization: bearer   …"),
        ("api-key: 0123456789abcdef", "api-key: …"),
        ("{'api-key': '0123456789'}", "{'api-key': '…'}"),
        ("x-api-key=0123456789 next", "x-api-key=… next"),
        ("realtime, openai-insecure-api-key.abcdef", "realtime, openai-insecure-api-key.…"),
        ("risk-taking and a desk-lamp", "risk-taking and a desk-lamp"),
        ("sk-1", "sk-1"),
    ],
)
def test_what_looks_like_a_key_is_masked(text: str, masked: str):
    assert Mask()(text) == masked


def test_a_key_that_was_told_is_masked_wherever_it_stands(log: Log, stream: io.StringIO):
    log.mask.hide("0a1b2c3d4e5f")
    log.mask.hide("")
    log.mask.hide("a")
    LOGGER.info("sent %s to a host", {"k": "0a1b2c3d4e5f"})
    assert stream.getvalue().endswith("sent {'k': '…'} to a host\n")


@examples(deadline=None)
@given(st.text(), st.from_regex(r"sk-[A-Za-z0-9_-]{20,60}", fullmatch=True), st.text())
def test_no_key_comes_through(before: str, key: str, after: str):
    mask = Mask()
    mask.hide(key)
    assert key not in mask(before + key + after)


@pytest.mark.usefixtures("log")
def test_a_state_that_comes_back_within_the_minute_is_told_again(stream: io.StringIO):
    for state in ("ready", "paused", "ready"):
        LOGGER.info("= %s", state, extra={"always": True})
    assert [line.rpartition("= ")[2] for line in stream.getvalue().splitlines()] == ["ready", "paused", "ready"]


def test_a_log_file_is_private_and_never_grows_beyond_its_bound(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(logs, "FILE_BYTES", 2000)
    path = tmp_path / "logs" / "hudd.log"
    with start_logging("info", {}, clock, file=path):
        for number in range(200):
            LOGGER.info("line %d with sk-abcdefgh12345", number)
    found = sorted(path.parent.iterdir())
    assert [file.name for file in found] == ["hudd.log", "hudd.log.1", "hudd.log.2"]
    for file in found:
        assert file.stat().st_size <= 2000
        assert file.stat().st_mode & 0o777 == 0o600
        assert "abcdefgh" not in file.read_text()
    assert "line 199 with sk-…" in path.read_text()


def test_a_log_file_that_cannot_be_written_is_a_sentence(tmp_path: Path, clock: ManualClock):
    (tmp_path / "hudd.log").mkdir()
    with pytest.raises(StorageError, match="cannot be written: Is a directory"):
        start_logging("info", {}, clock, file=tmp_path / "hudd.log")


@pytest.mark.parametrize(
    ("name", "size", "left"),
    [
        ("hudd.start.log", logs.START_BYTES + 1, 0),
        ("hudd.start.log", logs.START_BYTES, logs.START_BYTES),
        ("somebody.else.log", logs.START_BYTES + 1, logs.START_BYTES + 1),
    ],
)
def test_what_was_said_before_the_log_does_not_grow_for_ever(tmp_path: Path, name: str, size: int, left: int):
    said = tmp_path / name
    said.write_bytes(b"x" * size)
    with said.open("ab") as stderr:
        shorten_start_log(tmp_path / "hudd.log", stderr.fileno())
        assert said.stat().st_size == left
        stderr.write(b"words of this start")
    assert said.stat().st_size == left + 19


def test_a_standard_error_that_is_no_file_is_left_alone(tmp_path: Path):
    shorten_start_log(tmp_path / "hudd.log", -1)
    reader, writer = os.pipe()
    shorten_start_log(tmp_path / "hudd.log", writer)
    os.close(reader)
    os.close(writer)


def test_a_start_that_fails_says_so_in_what_it_shortened(tmp_path: Path):
    said = tmp_path / "hudd.start.log"
    said.write_bytes(b"x" * (logs.START_BYTES + 1))
    environ = {**os.environ, "HUDD_STATE_DIR": str(tmp_path), "HUDD_GATE_SETTLE_S": "much"}
    with said.open("ab") as stderr:
        command = [sys.executable, "-m", "hudd", "--log-file", str(tmp_path / "hudd.log")]
        done = subprocess.run(command, env=environ, stderr=stderr, timeout=30, check=False)
    assert done.returncode == EXIT_SETTINGS
    assert said.stat().st_size < 1000
    assert said.read_text().startswith("hudd: HUDD_GATE_SETTLE_S is ")
