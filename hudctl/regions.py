"""A part of the desktop, as a person types it."""

from __future__ import annotations

import argparse
import re
from typing import Final

_FORM: Final = re.compile(r"(-?\d{1,6}),(-?\d{1,6})[, ](\d{1,6})x(\d{1,6})", re.ASCII)


def region(text: str) -> tuple[int, int, int, int]:
    """``X,Y,WxH`` as left, top, width, height; also ``X,Y WxH``, which slurp prints.

    Raises:
        argparse.ArgumentTypeError: It is something else.
    """
    match = _FORM.fullmatch(text.strip())
    if match is None or "0" in (match[3].lstrip("0") or "0", match[4].lstrip("0") or "0"):
        raise argparse.ArgumentTypeError(f"{text!r} is no region; write it like 100,50,640x480 (left,top,WIDTHxHEIGHT)")
    left, top, width, height = (int(number) for number in match.groups())
    return left, top, width, height
