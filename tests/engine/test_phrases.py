"""What cursors leave in a line, and which lines may stand for a whole screen."""

from __future__ import annotations

import pytest

from hudd.engine.evidence import find_evidence
from hudd.engine.findings import TextLine
from hudd.engine.phrases import clean

HEIGHT = 720


def line(text: str, top: int, confidence: float = 0.95) -> TextLine:
    return TextLine(text, 100, top, 8 * len(text), 12, confidence)


@pytest.mark.parametrize(
    ("read", "meant"),
    [
        ("ada@quay:~/src$ ]", "ada@quay:~/src$"),
        ("ada@quay:~/src$]", "ada@quay:~/src$"),
        ("ada@quay:~/src$ []", "ada@quay:~/src$"),
        ("ada@quay :~/src$ ff", "ada@quay :~/src$"),
        ("ada@quay:~/src$ git push ]", "ada@quay:~/src$ git push"),
        ("ada@quay:~/src$ ls [a-c]", "ada@quay:~/src$ ls [a-c]"),
        ("ada@quay:~/src$ ls -l", "ada@quay:~/src$ ls -l"),
        ("total $ 17", "total $ 17"),
    ],
)
def test_a_cursor_behind_a_prompt_is_left_out(read: str, meant: str):
    assert clean(read) == meant


def test_a_line_read_with_doubt_is_neither_title_nor_heading():
    plain = [line(f"some words of text {n}", 200 + 20 * n) for n in range(5)]
    for confidence, title, heading in ((0.95, "Quarterly figures - mail", "Large words"), (0.75, "", "")):
        top = line("Quarterly figures - mail", 10, confidence)
        large = TextLine("Large words", 100, 100, 400, 30, confidence)
        found = find_evidence([top, large, *plain], HEIGHT)
        assert (found.title, found.heading) == (title, heading)
