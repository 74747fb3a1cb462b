"""`hudctl service logs` on a real journald: the last lines, new lines, and fields to look for."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import time
from collections.abc import Iterator

import pytest

from hudd.service.journald import message_id
from tests.fakes.journald import SystemdWithJournal
from tests.fakes.screen import need_root
from tests.fakes.systemd import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

OWN = f"[Service]\nEnvironment=PYTHONPATH={ROOT} PYTHONDONTWRITEBYTECODE=1\n"
CONFIG = f"""[screen]
source = "pictures:{ROOT}/hudd/data/pictures"
pictures_interval_s = 600.0
[engine]
answers = "canned"
"""


@pytest.fixture(scope="module")
def manager() -> Iterator[SystemdWithJournal]:
    need_root("making namespaces")
    with SystemdWithJournal() as made:
        made.write(".config/systemd/user/hudd.service.d/own.conf", OWN)
        made.write(".config/hudd/config.toml", CONFIG)
        done = made.hudctl("service", "install")
        assert done.returncode == 0, done.stderr
        yield made


def rows(text: str) -> list[dict[str, str]]:
    return [json.loads(row) for row in text.splitlines()]


def test_the_last_lines_are_printed(manager: SystemdWithJournal) -> None:
    assert manager.hudctl("snap").returncode == 0
    manager.until_logged("note 1 on pictures")
    done = manager.hudctl("service", "logs")
    assert done.returncode == 0, done.stderr
    assert f"hudd[{manager.pid()}]: notes: note 1 on pictures" in done.stdout
    last = manager.hudctl("service", "logs", "--lines", "1").stdout.splitlines()
    assert last == done.stdout.splitlines()[-1:]


def test_new_lines_come_as_they_are_written(manager: SystemdWithJournal) -> None:
    followed = manager.write("followed", "")
    follower = manager.start(f"exec {sys.executable} -m hudctl service logs -n 0 -f > ~/followed")
    end = time.monotonic() + 30
    while not (lines := followed.read_text().splitlines()):
        assert time.monotonic() < end, "nothing came"
        assert manager.hudctl("reload").returncode == 0
    assert follower.poll() is None
    assert lines[0].endswith(f"hudd[{manager.pid()}]: reload: reloaded: nothing changed")


def test_fields_can_be_looked_for(manager: SystemdWithJournal) -> None:
    if importlib.util.find_spec("systemd") is None:
        assert not os.environ.get("CI"), "CI installs hudd[systemd]"
        pytest.skip("hudd[systemd] is not installed")
    (note,) = rows(manager.journal("--output", "json", "HUDD_SEQ=1"))
    assert (note["PRIORITY"], note["MESSAGE"].startswith("notes: note 1")) == ("6", True)
    manager.write(".config/hudd/config.toml", CONFIG.replace(f"pictures:{ROOT}/hudd/data/pictures", "command:/absent"))
    manager.hudctl("reload")
    manager.until_logged("/absent")
    error = rows(manager.journal("--output", "json", "HUDD_ERR_CODE=E_CAPTURE"))[0]
    assert error["MESSAGE_ID"] == message_id("E_CAPTURE")
    assert int(error["PRIORITY"]) <= 4
