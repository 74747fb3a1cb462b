"""Regular expressions over notes, in a process of their own.

Python's ``re`` cannot be interrupted and holds the interpreter while it runs: one expression like ``(a+)+$`` would
stand the whole daemon still. The process can be ended. Run as a script, this file is that process; it imports the
standard library only and speaks one JSON line per message: first the expression, then ``[[seq, text], …]``, each
answered by ``{"found": [seq, …]}`` or ``{"error": "…"}``.
"""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import Any, Self

TOO_SLOW = "The search took too long and was stopped; narrow it by time, or use a simpler expression."


def split_expression(grep: str) -> tuple[str, bool] | None:
    """The expression in ``/…/`` or ``/…/i`` and whether case matters; None when ``grep`` is a plain substring."""
    for ending, cased in (("/i", False), ("/", True)):
        if grep.startswith("/") and grep.endswith(ending) and len(grep) > len(ending) + 1:
            return grep[1 : -len(ending)], cased
    return None


class Expression:
    """One regular expression and the process that searches by it. Use as a context manager; one thread.

    Args:
        expression: In Python's syntax.
        cased: Whether case matters.
        timeout_s: Seconds for everything until it is closed.
        enough: Ends it earlier, from any thread; set by ``close``, too.

    Raises:
        ValueError: The expression is invalid, with a sentence that says where.
    """

    def __init__(self, expression: str, *, cased: bool, timeout_s: float, enough: threading.Event) -> None:
        self._process = subprocess.Popen(
            # -I -S: nothing of the caller's environment or site packages, and the quickest start.
            [sys.executable, "-I", "-S", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._enough = enough
        threading.Thread(target=self._end, args=(timeout_s,), name="journal-search-end", daemon=True).start()
        try:
            self._ask({"expression": expression, "cased": cased})
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def find(self, rows: Sequence[tuple[int, str]]) -> set[int]:
        """The numbers of the rows whose text matches anywhere.

        Raises:
            ValueError: The time is over.
        """
        return set(self._ask(rows)["found"])

    def close(self) -> None:
        """End the process. Safe to call twice."""
        self._enough.set()
        self._process.kill()
        # Leaving the block closes the pipes and waits for the end of the process; what it did not read is of no use.
        with contextlib.suppress(BrokenPipeError), self._process:
            pass

    def _end(self, timeout_s: float) -> None:
        self._enough.wait(timeout_s)
        self._process.kill()

    def _ask(self, message: object) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = b""
        if not line:
            raise ValueError(TOO_SLOW)
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise ValueError(answer["error"])
        return answer


def main() -> int:
    """Serve one expression on standard input and output until the input ends."""
    order = json.loads(sys.stdin.readline())
    try:
        expression = re.compile(order["expression"], re.MULTILINE | (0 if order["cased"] else re.IGNORECASE))
    except (re.error, OverflowError, RecursionError) as error:
        _say({"error": f"The regular expression is invalid: {error}."})
        return 0
    _say({"found": []})
    for line in sys.stdin:
        _say({"found": [seq for seq, text in json.loads(line) if expression.search(text)]})
    return 0


def _say(answer: object) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
