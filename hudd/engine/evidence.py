"""What a screen looks like, said only on evidence: words that such programs show and others rarely do. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Protocol


class Line(Protocol):
    """What the evidence needs of a line of text."""

    @property
    def text(self) -> str: ...
    @property
    def left(self) -> int: ...
    @property
    def top(self) -> int: ...
    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...
    @property
    def confidence(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the lines give away.

    Attributes:
        looks_like: Kinds of program with their article, strongest first, for instance ``a terminal``; may be empty.
        title: The text of a window's title line, or empty.
        heading: The text of the largest line when it stands out, or empty.
    """

    looks_like: tuple[str, ...]
    title: str
    heading: str


@dataclass(frozen=True, slots=True)
class _Clue:
    """A pattern, how much it weighs, how many lines have to match, and down to where on the screen it counts."""

    pattern: re.Pattern[str]
    weight: int
    lines: int
    lowest: float

    def found(self, lines: Sequence[Line], height: int) -> bool:
        hits = sum(line.top < self.lowest * height and bool(self.pattern.search(line.text)) for line in lines)
        return hits >= self.lines


def _clue(pattern: str, weight: int, lines: int = 1) -> _Clue:
    return _Clue(re.compile(pattern), weight, lines, 1.0)


def _name(pattern: str) -> _Clue:
    """A program's name; at the bottom it may be a task bar's button of a window nobody sees."""
    return _Clue(re.compile(pattern), ENOUGH, 1, 0.9)


ENOUGH: Final = 3  # the weight from which a kind is named
MOST_KINDS: Final = 4

_CLUES: Final[dict[str, tuple[_Clue, ...]]] = {
    "a terminal": (
        _clue(r"[\w.-]+\s?:\s?[~/][\w/.~ -]*\s?[#$](\s|$)", 3),
        _clue(r"^[($\u276f>\w\s).~/-]{0,30}[$\u276f]\s\w+", 1, 2),
        _clue(r"^[d.lI-]\s?[rwx-]{3,}", 2, 3),
        _clue(r"\bsudo \w+|\bapt(-get)? (install|update)|\bpip3? (install|show)", 1),
        _clue(r"\bgit (status|commit|push|log)\b|\bcargo (build|run|test)\b", 1),
        _clue(r"^(Permissions Size|total \d+)\b", 1),
        _clue(r"^(bash|zsh|fish)$|command not found", 1),
        _clue(r"^(In|Out) ?\[\d+\]:", 2),
    ),
    "a code editor": (
        _name(r"Visual Studio Code|\b(VSCodium|PyCharm|IntelliJ|Sublime Text|Spyder|Neovim|Cursor Settings)\b"),
        _clue(r"\bLn \d+, ?Col ?\d+|Spaces: ?\d|\bLine: ?\d+.*Column: ?\d+", 2),
        _clue(
            r"^(def|class|from|import|return|if|elif|else|for|while|local|function|const|let|var|fn|pub|async|export|case"
            r"|self|assert)\b.*[(\[{:;=.'\"]",
            2,
            4,
        ),
        _clue(r"^(def|class|async def) \w+.*:$|^(from \w[\w.]* import \w+)|^#include\b|^(pub )?fn \w+\(", 2, 2),
        _clue(r"^(EXPLORER|OUTLINE|TIMELINE|DEBUG CONSOLE|PROBLEMS)$", 1, 2),
        _clue(r"\bUTF-8\b", 1),
        _clue(r"^(NORMAL|INSERT|VISUAL)\b", 2),
        _clue(r"\bFile\b.*\bEdit\b.*\b(Selection|Source|Search)\b.*\b(Run|Go)\b", 2),
    ),
    "a web browser": (
        _name(r"(Mozilla Firefox|Google Chrome|Chromium|Microsoft.? Edge|Brave)$"),
        _clue(r"Search Google or type a URL|Search with \w+ or enter address|Search or enter (web )?address", 3),
        _clue(r"^\W{0,3}(https?://\S+|www\.\S+|([a-z0-9-]+\.)+(com|org|net|io|dev|gov|edu|de)(/\S*)?)$", 2),
        _clue(r"^New Tab$", 1),
    ),
    "a chat": (
        _name(r"\b(Slack|Mattermost|Microsoft Teams|Discord|Telegram|Element|WhatsApp|Signal)$"),
        _clue(r"\b\d{1,2}[:.]\d{2} ?[AP]M\b", 2, 3),
        _clue(r"(joined|left) the (channel|room)|is typing|Reply to this thread|Type a message|^Message #\w+", 2),
        _clue(r"(?i)^\W*(direct messages|channels|threads)\b", 1, 2),
        _clue(r"^\W*\d+ repl(y|ies)\b", 1),
    ),
    "a slide editor": (
        _clue(r"Click to add (title|subtitle|text|notes)", 3),
        _name(r"\bPowerPoint\b|LibreOffice Impress|\bKeynote\b|Google Slides"),
        _clue(r"\bSlide \d+ of \d+\b", 3),
        _clue(r"\bTransitions\b.*\bAnimations\b|^(Slide Show|Transitions|Animations)$", 2),
    ),
    "a file manager": (
        _clue(
            r"^\W*(.{1,2} )?(Home|Recent|Trash|Desktop|Documents|Downloads|Music|Pictures|Videos|Public|This PC)$",
            3,
            5,
        ),
        _clue(r"^\W*Files$|\b(Dolphin|Nautilus|Thunar)$|File Explorer$", 1),
        _clue(r"Date modified|^\d+ items\b", 2),
    ),
    "a settings window": (
        _clue(r"^\W*([A-Z]\w+ )?(Settings|Preferences)$", 2),
        _clue(
            r"^\W*(General|Appearance|Notifications|Privacy|Accounts?|Displays?|Sound|Bluetooth|Keyboard|About|Features)$",
            2,
            3,
        ),
    ),
    "a system monitor": (
        _clue(r"(?i)\bload av(era)?g", 2),
        _clue(r"(?i)^pid:?$|\bpid\b.*\bcpu\b|^cpu ?%$|^%cpu$", 2),
        _clue(r"(?i)^\W*(cpu|mem|swap|disks)\b", 1, 2),
    ),
    "a spreadsheet": (
        _name(r"LibreOffice Calc|\bExcel$|Google Sheets"),
        _clue(r"^Sheet ?1$", 2),
        _clue(r"^=(SUM|AVERAGE|IF)\(", 2),
    ),
    "a mail program": (
        _name(r"\b(Thunderbird|Gmail|Outlook)$"),
        _clue(r"^\W*(Inbox|Drafts|Sent|Spam|Compose)\b", 3, 3),
    ),
}

KINDS: Final = tuple(_CLUES)  # with their articles, as a note names them

_NAMES: Final = re.compile(
    r"Visual Studio Code|VSCodium|PyCharm|IntelliJ IDEA|Sublime Text|Spyder|Mozilla Firefox|Google Chrome|Chromium"
    r"|Microsoft Edge|Slack|Mattermost|Microsoft Teams|Discord|PowerPoint|LibreOffice (Impress|Calc|Writer)|Thunderbird"
)
_TITLE: Final = re.compile(r"[^\W\d_]{3}.* [-\u2013\u2014] .*[^\W\d_]{3}")
_HEADING_RATIO: Final = 1.4
_HEADING_CONFIDENCE: Final = 0.9  # a title speaks for the whole screen; a misread one is worse than none


def find_evidence(lines: Sequence[Line], height: int) -> Evidence:
    """Weigh what the lines give away about the programs on the screen.

    Args:
        lines: The lines that may be trusted.
        height: Pixels down the picture.
    """
    scores: dict[str, int] = {}
    for kind, clues in _CLUES.items():
        score = sum(clue.weight for clue in clues if clue.found(lines, height))
        if kind == "a code editor" and _numbered_rows(lines):
            score += 2
        if score >= ENOUGH:
            scores[kind] = score
    kinds = sorted(scores, key=lambda kind: -scores[kind])[:MOST_KINDS]
    return Evidence(tuple(kinds), find_title(lines, height), find_heading(lines))


def find_title(lines: Sequence[Line], height: int) -> str:
    """The text of a window's title line at the top, such as ``notes.txt - Editor``; empty when none stands there."""
    at_top = (line for line in lines if line.top < 0.06 * height and line.confidence >= _HEADING_CONFIDENCE)
    top = [line for line in at_top if _TITLE.search(line.text) and _mostly_letters(line.text)]
    named = [line for line in top if _NAMES.search(line.text)]
    for line in sorted(named or top, key=lambda one: (one.top, -one.width)):
        return trimmed(line.text)
    return ""


def find_heading(lines: Sequence[Line]) -> str:
    """The text of the largest line when its letters are clearly taller and wider than the common ones; else empty."""
    wordy = [line for line in lines if re.search(r"[^\W\d_]{4,}", line.text) and _mostly_letters(line.text, 0.85)]
    if len(wordy) < 3:
        return ""
    common_height = sorted(line.height for line in lines)[len(lines) // 2]
    common_width = sorted(line.width / len(line.text) for line in lines)[len(lines) // 2]
    headings = [
        line
        for line in wordy
        if line.confidence >= _HEADING_CONFIDENCE
        and line.height >= _HEADING_RATIO * common_height
        and line.width / len(line.text) >= 1.3 * common_width
    ]
    # A box drawn around a plain line makes it tall, but not its letters wide; both have to stand out.
    return trimmed(max(headings, key=lambda line: (line.height, len(line.text))).text) if headings else ""


def _mostly_letters(text: str, share: float = 0.7) -> bool:
    solid = [c for c in text if not c.isspace()]
    return "|" not in text and sum(c.isalpha() for c in solid) >= share * len(solid)


def trimmed(text: str) -> str:
    """Without the stray marks that an icon beside the text leaves at either end."""
    text = re.sub(r"^(\W|\b\w\b(?=\s\S))+(?=\w)", "", text.strip())
    return re.sub(r"[^\w\])}'\"!?.%]+$", "", text)


def _numbered_rows(lines: Sequence[Line]) -> bool:
    """True when line numbers stand in a column: at least six whole numbers, one more from row to row."""
    columns: dict[int, list[tuple[int, int]]] = {}
    for line in lines:
        if re.fullmatch(r"\d{1,5}", line.text):
            columns.setdefault((line.left + line.width) // 12, []).append((line.top, int(line.text)))
    for rows in columns.values():
        numbers = [number for _, number in sorted(rows)]
        if sum(b - a in (1, 2, 3) for a, b in pairwise(numbers)) >= 6:
            return True
    return False
