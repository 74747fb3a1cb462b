from __future__ import annotations

import importlib.util
import io
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hudd.service.journald import JournalHandler, fields_of, message_id
from hudd.service.logs import start_logging
from tests.fakes.clock import ManualClock


def record(level: int = logging.WARNING, **extra: object) -> logging.LogRecord:
    made = logging.LogRecord("hudd.errors", level, "/x/flow.py", 7, "said", None, None, "tell")
    vars(made).update(extra)
    return made


def test_a_line_has_its_place_and_priority():
    fields = fields_of(record(), "said")
    assert {"MESSAGE=said", "PRIORITY=4", "CODE_FILE=/x/flow.py", "CODE_LINE=7", "CODE_FUNC=tell"} <= set(fields)
    assert not [field for field in fields if field.startswith(("HUDD_", "MESSAGE_ID"))]


@pytest.mark.parametrize(
    ("level", "priority"),
    [(logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (logging.DEBUG, 7)],
)
def test_levels_are_priorities(level: int, priority: int):
    assert f"PRIORITY={priority}" in fields_of(record(level), "x")


def test_notes_have_their_number_and_errors_their_class():
    assert "HUDD_SEQ=41" in fields_of(record(hudd_seq=41), "x")
    fields = fields_of(record(hudd_err_code="rate_limit_exceeded"), "x")
    assert "HUDD_ERR_CODE=rate_limit_exceeded" in fields
    assert f"MESSAGE_ID={message_id('rate_limit_exceeded')}" in fields


def test_message_ids_are_journalds_and_never_change():
    assert len(message_id("E_UPSTREAM")) == 32
    assert message_id("E_UPSTREAM") == "229ff98962085e318975b609a975e12e"
    assert message_id("E_UPSTREAM") != message_id("E_STORAGE")


def test_only_a_stream_that_leads_to_the_journal_gives_way_to_it(tmp_path: Path):
    sent: list[tuple[Any, ...]] = []

    def send(*fields: str) -> None:
        sent.append(fields)

    with (tmp_path / "journal").open("w+") as file:
        found = os.fstat(file.fileno())
        environ = {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}
        with start_logging("info", environ, ManualClock(), file, to_journal=lambda: JournalHandler(send)) as log:
            log.mask.hide("hunter22")
            logging.getLogger("hudd.x").warning("with sk-abcdef123456 and hunter22", extra={"hudd_seq": 3})
        assert "MESSAGE=x: with sk-… and …" in sent[0]
        assert "HUDD_SEQ=3" in sent[0]
        assert (tmp_path / "journal").read_text() == ""
        with start_logging("info", environ, ManualClock(), file, to_journal=lambda: None):
            logging.getLogger("hudd.x").warning("by stderr")
        assert (tmp_path / "journal").read_text() == "<4>x: by stderr\n"
    with start_logging("info", {}, ManualClock(), io.StringIO(), to_journal=lambda: JournalHandler(send)):
        logging.getLogger("hudd.x").warning("on a terminal")
    assert len(sent) == 1


def test_a_journal_that_refuses_does_not_end_the_daemon(capsys: pytest.CaptureFixture[str]):
    def send(*_: str) -> None:
        raise OSError("no journal")

    JournalHandler(send).handle(record())
    assert "no journal" in capsys.readouterr().err


THROUGH_THE_LIBRARY = """
import logging, os, socket, sys
from hudd.clock import SystemClock
from hudd.service.logs import start_logging
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journald, open("/run/systemd/journal/stderr", "w") as stderr:
    journald.bind("/run/systemd/journal/socket")
    journald.settimeout(5)
    found = os.fstat(stderr.fileno())
    with start_logging("info", {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}, SystemClock(), stderr):
        logging.getLogger("hudd.notes").warning("said", extra={"hudd_seq": 12, "hudd_err_code": "E_STORAGE"})
    sys.stdout.buffer.write(journald.recv(65536))
"""


@pytest.mark.slow
def test_the_real_library_tells_the_journal_all_fields():
    if importlib.util.find_spec("systemd") is None or os.getuid() != 0:
        if os.environ.get("CI"):
            pytest.fail("systemd-python is missing, or this is not root; CI has both")
        pytest.skip("needs systemd-python, and root for a journal socket of its own")
    place = "mkdir -p /run/systemd/journal; mount -t tmpfs tmpfs /run/systemd/journal"
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-ec", f'{place}; exec "$0" -c "$1"', sys.executable, THROUGH_THE_LIBRARY],
        capture_output=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr.decode()
    fields = done.stdout.decode().splitlines()
    assert {"MESSAGE=notes: said", "PRIORITY=4", "HUDD_SEQ=12", "HUDD_ERR_CODE=E_STORAGE"} <= set(fields)
    assert f"MESSAGE_ID={message_id('E_STORAGE')}" in fields
