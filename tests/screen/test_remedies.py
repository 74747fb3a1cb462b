"""Whatever keeps a picture from being taken names what helps: the doctor promises it for each back end."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

HUDD = Path(__file__).parents[2] / "hudd"
FILES = sorted([*(HUDD / "screen").glob("*.py"), HUDD / "desktop" / "portal.py"])
ERRORS = {"CaptureError", "NoDisplayError", "PictureError"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_error_of_a_back_end_has_a_remedy(path: Path) -> None:
    without = [
        f"{path.name}:{call.lineno}: {ast.unparse(call)}"
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in ERRORS
        if all(keyword.arg != "hint" for keyword in call.keywords)
    ]
    assert without == []
