"""The pictures that ship with hudd, read with the real reader: no note quotes a number that is not on them."""

from __future__ import annotations

import io
import os
import re
import time
from pathlib import Path

import pytest
from PIL import Image

from hudd.engine.errors import ReaderError
from hudd.engine.ocr import best_reader
from hudd.engine.worker import Describer

PICTURES = Path(__file__).resolve().parents[2] / "hudd" / "data" / "pictures"
_STEPS = "[ 1/42] [ 2/42] [ 3/42] [ 4/42] [ 5/42] [ 6/42] [ 7/42] [ 8/42] [ 9/42] ok (0.4 s) [10/42] ok (1.1 s)"
_FAILED = "[11/42] tests/test_fares.c:88: error: expected fare 1450, got 1540  1 test failed, 2 passed, 31 not run"
_CODE = "41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61  cents * 2  / 100;  round_to(cents, 10)  * 85"

NUMBERS = {
    "01-build-runs.png": _STEPS,
    "02-build-failed.png": f"{_STEPS} {_FAILED}",
    "03-issue.png": "217 14:05 3.2 3 comments 15.40 14.50 60 percent Saturday 09:12 line 88 09:20"
    " [ 1 [ 2 [ 3 [ 4 [ 5 [ 6 [ 7 [ 8 [ 9 [10 [11 1 t",
    "04-editor.png": f"{_STEPS} {_FAILED} {_CODE} line 50, column 42 utf-8",
    "05-build-passed.png": "[ 9/42] (0.4 s) [10/42] (1.1 s) [11/42] (0.9 s) [12/42] (2.3 s) [13/42] (0.2 s) [14/42]"
    " (0.7 s) 34 tests passed in 12.6 s [main 4c1e9ab] 2 files changed, 9 insertions(+), 4 deletions(-) 8d20f71",
    "06-mail.png": "3 unread 3.2.1 10:41 4 to 9 10:02 09:37 09:10 15:00 17:30 14:30 [ 9 [10 [11 [12 [13 [14 34 2",
    "07-figures.png": "48 210 9 114 612 480 1 920 +4.1 21 377 0 149 639 310 +11.8 33 905 12 460 701 224 2 405 -2.6"
    " 12 018 3 377 188 902 0 +0.4 6 640 2 981 254 317 760 -7.9 122 150 27 932 1 906 562 5 395 +1.2 10:00 3",
    "08-release.png": "3.2.1 15:02 4c1e9ab #217 #209 40 seconds 64 4.7 MB 12 1.9 MB 3 14 15:20"
    " [ 9 [10 [11 [12 [13 34 2",
}
SAYS = {
    "01-build-runs.png": "make check",
    "02-build-failed.png": "1 test failed, 2 passed, 31",
    "03-issue.png": "#217 Child tickets cost too much at weekends",
    "04-editor.png": "test",
    "05-build-passed.png": "4c1e9ab",
    "06-mail.png": "Could 3.2.1 go out at 15:00 today?",
    "07-figures.png": "third quarter, second draft",
    "08-release.png": "version 3.2.1. Issue #217 was closed at 15:20",
}


def shipped(name: str, quality: int | None) -> tuple[bytes, str]:
    data = (PICTURES / name).read_bytes()
    if quality is None:
        return data, "image/png"
    jpeg = io.BytesIO()
    Image.open(io.BytesIO(data)).convert("RGB").save(jpeg, "JPEG", quality=quality)
    return jpeg.getvalue(), "image/jpeg"


def runs(text: str) -> list[str]:
    return re.findall(r"\d+", text.replace("9114", "9 114").replace("1920", "1 920").replace("21377", "21 377"))


@pytest.mark.slow
@pytest.mark.parametrize("whole", [True, False], ids=["snaps", "news"])
@pytest.mark.parametrize("quality", [None, 75, 90], ids=["png", "jpeg75", "jpeg90"])
def test_every_number_quoted_stands_on_the_picture(quality: int | None, whole: bool) -> None:
    try:
        best_reader("tesserocr")
    except ReaderError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"{error}")
    describer = Describer("tesserocr")
    wrong: list[tuple[str, str]] = []
    for number, (name, known) in enumerate(NUMBERS.items(), 1):
        data, media_type = shipped(name, quality)
        header = {
            "id": number, "stream": "s", "media_type": media_type, "max_tokens": 200, "whole": whole, "budget_s": 60.0,
            "told": number - 1,
        }  # fmt: skip
        note = str(describer.answer(header, data, time.monotonic())["text"])
        quoted = re.findall(r'"([^"]+)"', note)
        assert quoted, (name, note)
        wrong += [(name, quote) for quote in quoted if not set(runs(quote)) <= set(runs(known))]
        assert not re.search(r"\b[khm]uild\b|[\u00ab\u00bb]|4cle9ab", note), (name, note)
        if quality is None and whole:
            assert SAYS[name] in note, (name, note)
    assert not wrong
