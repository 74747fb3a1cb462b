"""Money, with a whole daemon that pays an engine as if it were the service."""

from __future__ import annotations

import csv
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hudd.wire import table
from tests.fakes.daemon import DaemonProcess, draw_page

CAP_USD = 0.03
CAP_MICROUSD = 30_000


@contextmanager
def paid_service() -> Iterator[str]:
    """An engine that anybody may ask; its address."""
    engine = subprocess.Popen(
        [sys.executable, "-m", "hudd", "engine", "--port", "0", "--answers", "canned"],
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
    assert "Cap: $0.03" in daemon.hudctl("cost").stdout
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
