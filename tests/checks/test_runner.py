"""The checks keep their time and their order, whatever one of them does."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable

import pytest

from hudd.checks.finding import Context, Finding, gather, ok
from hudd.checks.runner import run_checks


@pytest.fixture
def context() -> Context:
    return gather({"HUDD_STATE_DIR": "/nowhere", "HUDD_RUNTIME_DIR": "/nowhere"})


def test_a_check_that_hangs_is_given_up_and_the_others_are_told(context: Context) -> None:
    forever = threading.Event()

    def hang(_: Context) -> Iterable[Finding]:
        forever.wait()
        return []

    started = time.monotonic()
    found = list(
        run_checks(
            [("a", lambda _: [ok("a", "Fine.")]), ("b", hang), ("c", lambda _: [ok("c", "Fine.")])],
            context,
            seconds=0.3,
        )
    )
    forever.set()
    assert [(f.name, f.state) for f in found] == [("a", "ok"), ("b", "failure"), ("c", "ok")]
    assert "hangs" in found[1].cause
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("error", "cause", "remedy"),
    [(ImportError("No module named 'mss'"), "mss", "pip install"), (KeyError("x"), "KeyError", "bugreport")],
)
def test_a_check_with_a_mistake_takes_no_other_with_it(
    context: Context, error: Exception, cause: str, remedy: str
) -> None:
    def broken(_: Context) -> Iterable[Finding]:
        yield ok("a", "Half.")
        raise error

    first, second = run_checks([("a", broken), ("b", lambda _: [ok("b", "Fine.")])], context)
    assert first.state == "failure"
    assert cause in first.cause
    assert remedy in first.remedy
    assert second.state == "ok"
