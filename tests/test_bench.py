"""The bench runs, its rows are well formed, and its table and JSON say what was measured."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench import __main__ as bench
from tests.bench.process import cpu_s, most_resident_kb, resident_kb, switches, use_of
from tests.bench.rows import NO_BAR, Row, document, figure, row_of, table

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize(
    ("measured", "bar", "word"), [(1.0, 2.0, "ok"), (2.0, 2.0, "ok"), (2.01, 2.0, "over"), (1e9, NO_BAR, "-")]
)
def test_a_row_says_whether_it_is_over_its_bar(measured: float, bar: float, word: str) -> None:
    assert Row("a", measured, bar, "ms").word == word


def test_a_plain_tuple_becomes_a_row_and_its_words_become_the_how() -> None:
    row = row_of(("gate 4K", 0.5, 1.0, "x memcpy (3/6 ms)"), "least of many")
    assert (row.unit, row.how) == ("x", "memcpy (3/6 ms); least of many")
    assert row_of(("replay", 0.5, 1.0, "s"), "wall").how == "wall"
    assert row_of(Row("a", 1, 2, "s", "its own"), "another").how == "its own"


def test_the_table_has_a_line_for_each_row_and_all_columns_stand_below_each_other() -> None:
    rows = [Row("short", 1.234, 2.0, "x", "so"), Row("a longer name", 12345.6, NO_BAR, "1/s", "else")]
    head, first, second = table(rows).splitlines()
    assert first.index("so") == second.index("else") == head.index("how")
    assert "ok" in first
    assert "12,346" in second


@pytest.mark.parametrize(("value", "text"), [(0.0, "0"), (0.01234, "0.0123"), (12.34, "12.3"), (1234.5, "1,234")])
def test_figures_are_short(value: float, text: str) -> None:
    assert figure(value) == text
    assert figure(math.inf) == ""


def test_the_json_names_what_is_over_and_has_no_infinity() -> None:
    rows = [Row("slow", 3.0, 2.0, "s", ""), Row("told", 3.0, NO_BAR, "s", "")]
    body = json.loads(document(rows, load_before="a", load_after="b", quick=True, took_s=1.23))
    assert body["over"] == ["slow"]
    assert [(row["bar"], row["verdict"]) for row in body["rows"]] == [(2.0, "over"), (None, "-")]


def test_the_use_of_a_process_is_what_it_really_used() -> None:
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        used = use_of(busy.pid, 0.3)
    finally:
        busy.kill()
        busy.wait()
    # A shared machine may give it little, an idle process gets none.
    assert 3 < used.cpu_percent < 110
    before = cpu_s(os.getpid())
    sum(range(1_000_000))
    assert cpu_s(os.getpid()) > before
    assert 1000 < resident_kb(os.getpid()) <= most_resident_kb(os.getpid())
    sleeps = switches(os.getpid())
    subprocess.run([sys.executable, "-c", ""], check=True)  # waiting for it is a voluntary switch
    assert switches(os.getpid()) > sleeps


def test_a_name_that_is_no_group_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        bench.main(["--only", "nothing"])
    assert "nothing" in capsys.readouterr().err


def test_what_is_over_its_bar_fails_a_full_run_and_not_a_quick_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def slow(*, quick: bool) -> list[Row]:
        return [Row("slow", 3.0, 2.0, "s", "quick" if quick else "full")]

    monkeypatch.setattr(bench, "GROUPS", {"one": (slow, "")})
    written = tmp_path / "rows.json"
    assert bench.main(["--json", str(written)]) == 1
    assert bench.main(["--quick"]) == 0
    assert json.loads(written.read_text())["rows"][0]["how"] == "full"


@pytest.mark.slow
def test_a_quick_run_measures_everything_it_names(tmp_path: Path) -> None:
    """Real processes and a real display; the figures are not judged."""
    written = tmp_path / "rows.json"
    groups = ["gate", "client", "idle", "stream"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench", "--quick", "--only", *groups, "--json", str(written)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    body = json.loads(written.read_text())
    names = [row["name"] for row in body["rows"]]
    assert len(names) == len(set(names)) >= 12
    for row in body["rows"]:
        assert row["unit"]
        assert row["how"]
        assert math.isfinite(row["measured"])
        assert row["measured"] >= 0
        assert row["name"] in done.stdout
    assert {"hudctl status", "hudctl snap", "commit and publish, p99", "10 stalled subscribers"} <= set(names)
