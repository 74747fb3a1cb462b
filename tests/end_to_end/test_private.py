"""A real daemon on a real desktop with a window that must not be seen."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hudctl import Client, HudctlError
from tests.fakes.daemon import DaemonProcess
from tests.fakes.desks import XDesk, x_desk

pytestmark = pytest.mark.slow


def until(true: Callable[[], Any]) -> None:
    end = time.monotonic() + 20.0
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def started(folder: Path, desk: XDesk, **settings: object) -> DaemonProcess:
    daemon = DaemonProcess(folder, privacy_exclude_apps='["hudd-secret"]', engine_answers="canned", **settings)
    daemon.environ |= desk.environ
    return daemon


def reasons(client: Client) -> list[str]:
    return client.call("status")["sending"]["reasons"]


def test_a_snap_says_what_withholds_and_works_when_the_window_is_gone(tmp_path: Path) -> None:
    with x_desk() as desk, started(tmp_path, desk) as daemon:
        daemon.start().ready()
        with Client(timeout_s=20, runtime_dir=tmp_path / "run") as client:
            client.snap()
            desk.secret(shown=True)
            until(lambda: reasons(client) == ["excluded"])
            with pytest.raises(HudctlError, match=r"window that \[privacy\] excludes") as caught:
                client.snap()
            assert caught.value.code == "E_STATE"
            assert "Vault" not in str(client.call("status"))  # titles are nobody's business
            desk.secret(shown=False)
            until(lambda: not reasons(client))
            client.snap()


def test_a_masked_window_is_counted_in_the_note_and_in_the_journal(tmp_path: Path) -> None:
    with x_desk() as desk, started(tmp_path, desk, privacy_on_excluded="mask") as daemon:
        daemon.start().ready()
        with Client(timeout_s=20, runtime_dir=tmp_path / "run") as client:
            desk.secret(shown=True)
            until(lambda: client.snap().pictures[0].masked == 1)
            kept = client.call("notes.since", seq=0, limit=500)["notes"]
            assert kept[-1]["snap"]["pictures"][0]["masked"] == 1
            assert reasons(client) == []


def test_strict_withholds_where_a_lock_cannot_be_known(tmp_path: Path) -> None:
    with x_desk() as desk, started(tmp_path, desk, privacy_strict=True) as daemon:
        for name in ("DBUS_SYSTEM_BUS_ADDRESS", "DBUS_SESSION_BUS_ADDRESS"):
            daemon.environ[name] = "unix:path=/nonexistent/bus"
        daemon.start().ready("connected")
        with Client(timeout_s=20, runtime_dir=tmp_path / "run") as client:
            assert "not_strict_enough" in reasons(client)
            facts = {fact["name"]: fact["state"] for fact in client.call("status")["privacy"]["facts"]}
            assert (facts["lock"], facts["windows"]) == ("not_available", "known")
