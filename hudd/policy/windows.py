"""Which windows must not be seen: the patterns of the settings, and those of ``policy.browsers``. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from hudd.config.settings import PrivacySettings
from hudd.policy.browsers import BROWSERS, PRIVATE_TITLES, SHARING_APPS, SHARING_TITLES
from hudd.policy.facts import Reason
from hudd.policy.sharing import says_sharing
from hudd.screen.source import Rect, Window

Match = Callable[[str], bool]

LONGEST_TEXT: Final = 16_384
"""Of the beginning of a title or a name, and of its end, in characters; a program may set a title of megabytes."""
_PIECE: Final = 1024
"""So much is searched at once, because some expressions take the square of the length; pieces overlap by half."""


TITLE_BARS: Final = "i3-frame"
"""The class of windows into which i3 writes the titles of tabs and stacks, right above their windows."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One window that must not be seen.

    Attributes:
        window: The window system's id.
        reason: Why.
        rect: Where it is; None where the window system does not tell.
    """

    window: str
    reason: Reason
    rect: Rect | None


def compile_pattern(pattern: str, *, whole: bool = False) -> Match:
    """A pattern of the settings as a function.

    Args:
        pattern: Words in which * stands for anything, or /a regular expression/. Case never counts.
        whole: Words must be the whole text, not a part of it.

    Raises:
        ValueError: It is empty, matches everything, or is no regular expression; the sentence says so.
    """
    if len(pattern) > 1 and pattern.startswith("/") and pattern.endswith("/"):
        try:
            expression = re.compile(pattern[1:-1], re.IGNORECASE)
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"is no regular expression ({error})") from error
    else:
        if not pattern.strip().strip("*"):
            raise ValueError("is empty or matches every window")
        words = ".*".join(re.escape(part) for part in pattern.strip().split("*"))
        expression = re.compile(f"^{words}$" if whole else words, re.IGNORECASE | re.DOTALL)
    if expression.search(""):
        raise ValueError("matches every window")
    return lambda text: any(expression.search(text, start, end) for start, end in _pieces(len(text)))


def pattern_problem(pattern: str) -> str:
    """What is wrong with a pattern of the settings; '' when nothing is."""
    try:
        compile_pattern(pattern)
    except ValueError as error:
        return str(error)
    return ""


class WindowRules:
    """The settings about windows, ready to judge.

    Args:
        settings: Their patterns have been checked.
    """

    def __init__(self, settings: PrivacySettings) -> None:
        self._apps = _all(settings.exclude_apps, whole=True)
        self._titles = _all(settings.exclude_titles)
        self._addresses = _all(_address(one) for one in settings.exclude_urls)
        self._private = [_known(one) for one in PRIVATE_TITLES] if settings.private_windows else []
        self._sharing = [*map(_known, SHARING_TITLES), says_sharing] if settings.pause_when_sharing else []

    @property
    def any(self) -> bool:
        """Whether windows matter at all."""
        return bool(self._apps or self._titles or self._addresses or self._private or self._sharing)

    @property
    def named(self) -> bool:
        """Whether the person named windows, so that a desktop that hides them must be told of."""
        return bool(self._apps or self._titles or self._addresses)

    def judge(self, windows: Sequence[Window]) -> tuple[Finding, ...]:
        """The windows that must not be seen, covered by others or not, with what their programs show beside them."""
        told: list[tuple[Window, Reason | None]] = [(window, self._reason(window)) for window in windows]
        hidden: list[tuple[Window, Reason | None]] = [
            (window, own) for window, own in told if own in ("excluded", "private_window")
        ]
        findings: list[Finding] = []
        for window, own in told:
            reason = own or _reason_beside(window, hidden)
            if reason is not None:
                findings.append(Finding(window.id, reason, window.rect))
        return tuple(findings)

    def _reason(self, window: Window) -> Reason | None:
        app, title = window.app, window.title
        if _any(self._apps, app) or _any(self._titles, title):
            return "excluded"
        if self._addresses and is_browser(window) and _any(self._addresses, title):
            return "excluded"
        if self._private and is_browser(window) and _any(self._private, title):
            return "private_window"
        if self._sharing and (app.lower() in SHARING_APPS or _any(self._sharing, title)):
            return "sharing"
        return None


def is_browser(window: Window) -> bool:
    """Whether a window is a browser's, by its class; without a class, by its title."""
    told = window.app or f"{window.title[:LONGEST_TEXT]} {window.title[-LONGEST_TEXT:]}"
    return any(name in told.lower() for name in BROWSERS)


def reasons_of(findings: Sequence[Finding], *, mask: bool) -> frozenset[Reason]:
    """Why nothing may leave because of these windows; one that can be painted over is no reason."""
    return frozenset(f.reason for f in findings if f.reason == "sharing" or not mask or f.rect is None)


def place_of_focus(windows: Sequence[Window]) -> tuple[Rect, tuple[Rect, ...]] | str:
    """Where the focused window is and what lies over it, or one sentence that says why that cannot be told.

    Args:
        windows: The topmost last.
    """
    for index, window in enumerate(windows):
        if window.focused:
            if window.rect is None:
                return "Where the focused window is on the picture is not told here; set [privacy] strict = false."
            return window.rect, tuple(other.rect for other in windows[index + 1 :] if other.rect is not None)
    return "No window has the focus; click into one, or set [privacy] strict = false."


def hidden_rects(findings: Sequence[Finding]) -> tuple[Rect, ...]:
    """What is painted over, whole, whatever covers it."""
    return tuple(f.rect for f in findings if f.rect is not None and f.reason != "sharing")


def _reason_beside(window: Window, hidden: Iterable[tuple[Window, Reason | None]]) -> Reason | None:
    """Why a window must not be seen that shows something of a hidden one."""
    return next((reason for other, reason in hidden if _is_beside(window, other)), None)


def _is_beside(window: Window, hidden: Window) -> bool:
    """Whether a window shows something of a hidden one: a pop-up of its program, or its title."""
    if window.popup and window.app and window.app == hidden.app:
        return True
    if window.popup and window.pid is not None and window.pid == hidden.pid:
        return True
    if window.app != TITLE_BARS or window.rect is None or hidden.rect is None:
        return False
    (left, top, width, height), (hidden_left, hidden_top, hidden_width, _) = window.rect, hidden.rect
    ends_there = abs(top + height - hidden_top) <= 2
    return ends_there and left < hidden_left + hidden_width and hidden_left < left + width


def _address(pattern: str) -> str:
    """Without the scheme, which a title seldom shows."""
    return pattern if pattern.startswith("/") else re.sub(r"^[a-z]+://(?:www\.)?", "", pattern, flags=re.IGNORECASE)


def _known(expression: str) -> Match:
    return compile_pattern(f"/{expression}/")


def _all(patterns: Iterable[str], *, whole: bool = False) -> list[Match]:
    return [compile_pattern(one, whole=whole) for one in patterns]


def _pieces(length: int) -> Sequence[tuple[int, int]]:
    """What is searched of a text of a length: whatever is shorter than half a piece is found wherever it stands."""
    if length <= _PIECE:
        return ((0, length),)
    begin = range(0, min(length, LONGEST_TEXT) - _PIECE + 1, _PIECE // 2)
    end = range(max(LONGEST_TEXT - _PIECE, length - LONGEST_TEXT), length - _PIECE, _PIECE // 2)
    return [(start, start + _PIECE) for start in (*begin, *end, length - _PIECE)]


def _any(matches: Sequence[Match], text: str) -> bool:
    return any(match(text) for match in matches)
