"""Words about words: what may be quoted and how, which text tells of a failure, how a place on the screen is called."""

from __future__ import annotations

import re
from typing import Final

# How the sentences of a note begin, and those that never vary. Notes shown on the screen are known again by them.
NOTHING_CHANGED: Final = "Nothing changed on the screen."
ONLY_OWN_NEW: Final = "Nothing else changed: only hudd's own notes are new."
ONLY_OWN_SHOWN: Final = "The screen shows nothing but hudd's own notes."
NOTHING_READABLE_CHANGED: Final = "Nothing readable changed"
ANOTHER_SCREEN: Final = "The screen is another one now."
NO_TEXT: Final = "No readable text was found"
NO_TIME: Final = "Nothing could be read in time"
LOOKS_LIKE: Final = "It looks like"
SCREEN_SHOWS: Final = "The screen shows"
SCREEN_IS: Final = "The screen is"
NOT_READ: Final = "was not read in time."
GET_READER: Final = "Install hudd[local] to read the text."
NEW: Final = "New:"
NEW_ERROR: Final = "New error:"
STILL: Final = "Still shown:"
SHOWS_ERROR: Final = "It shows an error:"
READS: Final = "It reads:"
LEADS: Final = (NEW, NEW_ERROR, STILL, SHOWS_ERROR, READS, NOT_READ)
BEGINNINGS: Final = (SCREEN_SHOWS, f"{SCREEN_IS} headed", f"{SCREEN_IS} titled")
RARE_SENTENCES: Final = (
    NOTHING_CHANGED,
    ONLY_OWN_NEW,
    ONLY_OWN_SHOWN,
    f"{NOTHING_READABLE_CHANGED}; the picture changed",
    ANOTHER_SCREEN,
    f"{NO_TEXT}; the picture is",
    f"{NO_TIME}; the picture is",
    GET_READER,
)

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
# Marks at the ends that stand for a cursor, a border or an icon: these always, the others when a space parts them.
_STRAY_BEFORE: Final = re.compile(
    r"^(?:[\u00ae\u00b0\u2022|\u00a5>\\\])}\u00b4\u00a9\u00ac] ?|[*_=;:,!^`\u2013\u2014] )+(?=[\w$#/~(\['.=-])"
)
_STRAY_AFTER: Final = re.compile(
    r"(?<=[\w.!?):'\]])(?: ?[|\\\u00b4\u00ae\u00a9\u2022\u00ac(\[{]| [_^`=<>~\u00b0\u2013\u2014])+$"
)
# A cursor behind a prompt, or behind the command after it, is read as a bracket or a narrow letter or two.
_CURSOR_AT_PROMPT: Final = re.compile(
    r"^(\S{0,60}(?: :\S{0,60})?[:~\w\])] ?[$#%\u276f\u279c]) ?(?:\[\]|[\]\[|IilJj]|ff|fj|ij|fl)$"
)
_CURSOR_AT_COMMAND: Final = re.compile(r"^([^\[]{0,60}[:~\w\])] ?[$#%\u276f\u279c] [^\[]*?) ?\]$")
_PAIRS: Final = {"[": "]", "(": ")", "{": "}", "'": "'"}


def clean(text: str) -> str:
    """Text fit for a quotation: one line, printable, its double quotes made single so that it cannot leave the quotes.

    Stray marks at the ends, which a cursor, a border or an icon left there, are left out when words stand between them.
    """
    text = "".join(c if c.isprintable() else " " for c in text)
    text = " ".join(re.sub(_QUOTE_MARKS, "'", text).split())
    text = _CURSOR_AT_COMMAND.sub(r"\1", _CURSOR_AT_PROMPT.sub(r"\1", text))
    before = ""
    while text != before:
        before = text
        text = _STRAY_AFTER.sub("", _STRAY_BEFORE.sub("", text))
        if text[:1] in _PAIRS and _PAIRS[text[0]] not in text[1:] and any(c.isalnum() for c in text):
            text = text[1:].lstrip()
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
