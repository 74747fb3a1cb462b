"""Money, with a whole daemon that pays an engine as if it were the service."""

from __future__ import annotations

import asyncio
import csv
import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hudd.wire import table
from tests.fakes.daemon import DaemonProcess, draw_page
from tests.fakes.dbus import NOTIFICATIONS, Bubbles, private_bus, service

pytestmark = pytest.mark.slow

CAP_USD = 0.03
CAP_MICROUSD = 30_000


@contextmanager
def paid_service(*options: str) -> Iterator[str]:
    """An engine that anybody may ask; its address."""
    engine = subprocess.Popen(
        [sys.executable, "-m", "hudd", "engine", "--port", "0", "--answers", "canned", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        assert engine.stdout is not None
        yield engine.stdout.readline().split()[-1]
    finally:
        engine.terminate()
        engine.wait(10)
        engine.stdout.close()


def payer(folder: Path, url: str) -> DaemonProcess:
    pages = folder / "pages"
    pages.mkdir()
    draw_page(pages / "1.png", ["The invoice of Larkspur is due on Monday."])
    return DaemonProcess(
        folder,
        realtime_use="service",
        realtime_key="any",
        realtime_url=url,
        screen_source=f"pictures:{pages}",
        cost_cap_day_usd=CAP_USD,
    )


def spend_all(daemon: DaemonProcess) -> None:
    """Ask until nothing fits any more."""
    for _ in range(30):
        done = daemon.hudctl("snap")
        if done.returncode != table.EXIT_OK:
            assert done.returncode == 7, done.stderr
            assert "cap" in done.stderr
            return
    raise AssertionError("the cap never held")


def within_cap(status: dict[str, Any]) -> bool:
    today = status["cost_today"]
    return today["microusd"] + today["reserved_microusd"] <= CAP_MICROUSD


def test_a_cap_holds_across_a_crash_and_everything_tells_so(tmp_path: Path) -> None:
    with paid_service() as url, payer(tmp_path, url) as daemon:
        daemon.start().ready()
        spend_all(daemon)
        before = daemon.until("nothing", lambda s: s["cost_today"]["stage"] == "nothing")
        assert before["sending"]["allowed"] is False
        assert "cap_reached" in before["sending"]["reasons"]
        assert before["cost_today"]["because"] == "day"
        assert within_cap(before)
        assert "$0.03" in daemon.log()

        daemon.kill()
        daemon.start().until_up()
        after = daemon.until("nothing after a crash", lambda s: s["cost_today"]["stage"] == "nothing")
        assert after["cost_today"]["microusd"] >= before["cost_today"]["microusd"]
        assert within_cap(after)
        assert daemon.hudctl("snap").returncode == 7

        check_reports(daemon, after["cost_today"]["microusd"])


def check_reports(daemon: DaemonProcess, spent: int) -> None:
    """What hudctl tells of it."""
    told = daemon.asked("cost", "--month", "--by", "day,trigger")
    assert {row["trigger"] for row in told["rows"]} <= {"manual", "change"}
    assert sum(row["microusd"] for row in told["rows"]) == told["total"]["microusd"] == spent
    rows = list(csv.DictReader(io.StringIO(daemon.hudctl("cost", "--csv", "--by", "model").stdout)))
    assert [(row["engine"], row["model"]) for row in rows] == [("service", "gpt-realtime-1.5")]
    assert int(rows[0]["microusd"]) == spent
    estimate = daemon.asked("cost", "--estimate")["estimate"]
    assert estimate["asked"] > 0
    assert estimate["image_tokens"] == 323
    assert [row["model"] for row in estimate["rows"] if row["present"]] == ["gpt-realtime-1.5"]
    assert "Cap: $0.03 a day." in daemon.hudctl("cost").stdout
    for wrong in (["--by", "weather"], ["--month", "--today"], ["--csv", "--json"], ["--estimate", "--by", "day"]):
        assert daemon.hudctl("cost", *wrong).returncode == table.EXIT_USAGE, wrong


def test_a_model_without_a_price_asks_nothing_and_says_so(tmp_path: Path) -> None:
    with paid_service() as url, payer(tmp_path, url) as daemon:
        daemon.environ["HUDD_REALTIME_MODEL"] = "somebody/elses-model"
        daemon.start().until_up()
        status = daemon.until("blocked", lambda s: "price_unknown" in s["sending"]["reasons"])
        assert "prices_file" in status["cost_today"]["sentence"]
        done = daemon.hudctl("snap")
        assert done.returncode == 7
        assert "price" in done.stderr
        assert status["cost_today"]["answers"] == 0


def test_what_a_model_without_a_price_costs_is_unknown_and_never_zero(tmp_path: Path) -> None:
    with paid_service() as url, payer(tmp_path, url) as daemon:
        daemon.environ |= {"HUDD_REALTIME_MODEL": "my-realtime", "HUDD_COST_TOKEN_CAP_DAY": "1000000"}
        daemon.start().ready()
        done = daemon.hudctl("snap")
        assert done.returncode == table.EXIT_OK
        assert "only 1,000,000 tokens a day" in done.stderr
        today = daemon.status()["cost_today"]
        assert (today["microusd"], today["unpriced"]["answers"]) == (None, today["answers"])
        assert today["unpriced"]["tokens"] > 300
        told = daemon.hudctl("status").stdout
        assert "without a known price" in told
        assert re.search(r"\$0\.00\b", told + daemon.hudctl("cost").stdout) is None
        assert "only 1,000,000 tokens a day" in daemon.log()


def test_that_it_costs_money_is_said_once_and_a_refusal_names_cap_and_end(tmp_path: Path) -> None:
    with paid_service() as url, payer(tmp_path, url) as daemon:
        daemon.start().ready()
        told = [daemon.hudctl("status", *options).stderr for options in (("--json",), (), (), ("--json",))]
        assert [("costs money: at most $0.03" in text) for text in told] == [False, True, False, False]
        spend_all(daemon)
        refused = daemon.hudctl("snap")
        assert refused.returncode == table.EXIT_STATE
        assert "The day's cap of $0.03 is reached until midnight." in refused.stderr
        assert "cap_day_usd" in refused.stderr


async def test_money_that_is_spent_without_a_note_is_told_everywhere(tmp_path: Path) -> None:
    async with private_bus(tmp_path) as bus, service(bus, NOTIFICATIONS) as desktop:
        bubbles = Bubbles(desktop)
        await asyncio.to_thread(spend_without_a_note, tmp_path, bus.environ)
        [alarm] = [text for text in bubbles.history if "without a note" in text]
        assert alarm.startswith("$0.00")


def spend_without_a_note(folder: Path, desktop: dict[str, str]) -> None:
    """Let three answers be cancelled by the service, and look at everything that tells so but the desktop."""
    with paid_service("--fault", "cancelled") as url, payer(folder, url) as daemon:
        daemon.environ |= {**desktop, "HUDD_COST_CAP_DAY_USD": "1.00"}
        daemon.start().ready()
        for _ in range(3):
            assert daemon.hudctl("snap").returncode == table.EXIT_UPSTREAM
        status = daemon.until("the alarm", lambda s: s["cost_today"]["unnoted"]["alarm"])
        assert status["cost_today"]["unnoted"]["microusd"] == status["cost_today"]["microusd"] > 0
        assert "without a note; hudctl errors tells why" in daemon.hudctl("status").stdout
        assert "was spent without a note" in daemon.hudctl("cost").stdout
        assert "without a note" in daemon.log()
        errors = daemon.asked("errors")["errors"]
        assert {(error["code"], error["param"]) for error in errors} == {("cancelled", "turn_detected")}
        assert len(errors) >= 3
