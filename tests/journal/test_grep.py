from __future__ import annotations

import threading
import time

import pytest

from hudd.journal.grep import Expression, split_expression


@pytest.mark.parametrize(
    ("grep", "split"),
    [
        ("/a/", ("a", True)),
        ("/a/i", ("a", False)),
        ("/usr/bin/", ("usr/bin", True)),
        ("//", None),
        ("/", None),
        ("/i", None),
        ("///", ("/", True)),
        ("a/b/", None),
        ("/open", None),
        ("", None),
    ],
)
def test_what_counts_as_an_expression(grep: str, split: tuple[str, bool] | None) -> None:
    assert split_expression(grep) == split


def test_rows_are_found_by_any_line_of_their_text() -> None:
    with Expression("^b.$", cased=True, timeout_s=20, enough=threading.Event()) as expression:
        assert expression.find([(1, "a\nbc\n"), (2, "abc"), (3, "B1")]) == {1}
        assert expression.find([]) == set()
        assert expression.find([(4, "bä \x00 \u2028"), (5, "b\u2028")]) == {5}


def test_time_is_limited_and_the_process_is_gone_afterwards() -> None:
    started = time.monotonic()
    with Expression("(a|a)*$", cased=True, timeout_s=0.5, enough=threading.Event()) as expression:
        process = expression._process
        with pytest.raises(ValueError, match="took too long"):
            expression.find([(1, "a" * 40 + "b")])
        with pytest.raises(ValueError, match="took too long"):
            expression.find([(1, "x" * 200_000)])
    assert process.returncode is not None
    assert time.monotonic() - started < 10
    expression.close()


def test_an_invalid_expression_leaves_no_process() -> None:
    with pytest.raises(ValueError, match="unterminated character set at position 0"):
        Expression("[", cased=True, timeout_s=20, enough=threading.Event())


def test_it_ends_at_once_when_nobody_waits_any_more() -> None:
    left = threading.Event()
    started = time.monotonic()
    with Expression("(a|a)*$", cased=True, timeout_s=60, enough=left) as expression:
        threading.Timer(0.1, left.set).start()
        with pytest.raises(ValueError, match="took too long"):
            expression.find([(1, "a" * 40 + "b")])
    assert time.monotonic() - started < 10
