"""Words about words: what may be quoted and how, which text tells of a failure, how a place on the screen is called."""

from __future__ import annotations

import re
from typing import Final

_ERROR: Final = re.compile(
    r"\b(\w*error|errno|exception|traceback|fail(ed|ure|s)?|fatal|panic(ked)?|denied|not found|cannot|can't|could not"
    r"|couldn't|refused|timed out|unable to|segmentation fault|aborted|no such file)\b(?!\(|\s*=|\.\w)",
    re.IGNORECASE,
)
_CODE: Final = re.compile(
    r"^\s*(#|//|def |class |return |import |from \w+ import|if |elif |except|raise |assert |catch)|[{};]\s*$"
)
_HARMLESS: Final = re.compile(
    r"\b(0|no|without) (errors?|failures?|failed)\b|\b(errors?|failed|failures?)[:=]? ?0\b", re.IGNORECASE
)


def is_error(text: str) -> bool:
    """True when a line reads like a message of failure, not like program text about one."""
    return bool(_ERROR.search(text)) and not _CODE.search(text) and not _HARMLESS.search(text) and len(text.split()) > 1


_QUOTE_MARKS: Final = '["\u201c\u201d\u201e\u00ab\u00bb\u2018\u2019]'


def clean(text: str) -> str:
    """Text fit for a quotation: one line, printable, its double quotes made single so that it cannot leave the quotes.

    A lone quote or icon mark at the start, which stands for nothing on the screen, is left out.
    """
    text = "".join(c if c.isprintable() else " " for c in text)
    text = " ".join(re.sub(_QUOTE_MARKS, "'", text).split())
    if text.startswith("'") and text.count("'") == 1:
        text = text[1:]
    text = re.sub(r"^([®°•|¥>*] ?)+(?=\w)", "", text)
    return re.sub(r"(?<=\.\w\w) [xX]$", "", text)  # the cross that closes a tab


_CONFUSED: Final = str.maketrans("01|!i5", "olllls")


def skeleton(text: str) -> str:
    """What is left of a text when letters that recognition confuses are one letter, and marks and spaces are gone."""
    text = clean(text)
    return "".join(c for c in text.lower().translate(_CONFUSED) if c.isalnum()) or text


def shorten(text: str, limit: int) -> str:
    """Cut at a word's end and mark the cut with ``…``; never longer than ``limit`` characters."""
    if len(text) <= limit:
        return text
    if limit < 2:
        return ""
    head = text[: limit - 1]
    space = head.rfind(" ")
    if text[limit - 1] != " " and space > limit // 2:
        head = head[:space]
    return head.rstrip(" ,;:") + "…"


def place_of(left: int, top: int, width: int, height: int, screen_width: int, screen_height: int) -> str:
    """Name the place of a rectangle on the picture, for instance ``the lower right part``."""
    x, y = (left + width / 2) / max(1, screen_width), (top + height / 2) / max(1, screen_height)
    row = "upper" if y < 1 / 3 else "lower" if y > 2 / 3 else ""
    column = "left" if x < 1 / 3 else "right" if x > 2 / 3 else ""
    if width > 0.7 * screen_width:
        column = ""
    if height > 0.7 * screen_height:
        row = ""
    return f"the {' '.join(word for word in (row, column) if word) or 'middle'} part"
