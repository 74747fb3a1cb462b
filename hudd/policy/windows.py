"""Which windows must not be seen: patterns, and what is known of private browsing and of meetings. Pure.

A title is all that a window system tells of a page. Firefox, its relatives, Edge, Vivaldi and Opera write into it that
a window is private. Chromium and Chrome do not: of them only the page that a new private tab shows can be known.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from hudd.config.settings import PrivacySettings
from hudd.policy.facts import Reason
from hudd.screen.source import Rect, Window

Match = Callable[[str], bool]

LONGEST_TEXT: Final = 1024
"""Of a title or a name, in characters; a program may set a title of megabytes."""

PRIVATE_TITLES: Final = (
    # Firefox, LibreWolf, Tor Browser, Mullvad: words after the name of the browser, which stands last.
    r"(?:^|[\u2014\u2013-] )[^\u2014\u2013]*\bPrivate Browsing\)?$",
    r"(?:^|[\u2014\u2013-] )[^\u2014\u2013]*\b(?:Privater Modus|Navigation privée|Privénavigatie)\b[^\u2014\u2013]*$",
    r"(?:^|[\u2014\u2013-] )[^\u2014\u2013]*\b(?:Navegación privada|Navegação privativa)\b[^\u2014\u2013]*$",
    r"(?:^|[\u2014\u2013-] )[^\u2014\u2013]*\bNavigazione anonima\b[^\u2014\u2013]*$",
    # Edge, Vivaldi, Opera, Epiphany.
    r"\[InPrivate\]|\bInPrivate [-\u2014\u2013] Microsoft",
    r"\[(?:Private|Incognito)\]|\((?:Private|Incognito)\)$",
    # Chromium, Chrome, Brave: the first page of such a window only.
    r"^New Incognito Tab\b|^New Private Tab\b|^Neuer Inkognito-Tab\b|^Nouvel onglet de navigation privée\b",
)
"""Titles of private windows in the words of the browsers' English builds, and of some others."""

SHARING_TITLES: Final = (
    r"\bis sharing (?:your screen|a window|a tab)\b",  # Chromium and what is made of it
    r"\bSharing Indicator\b",  # Firefox
    r"^Sharing control bar\b",  # Teams
    r"^(?:as_toolbar|zoom_linux_float_video_window|You are screen sharing)",  # Zoom
)
SHARING_APPS: Final = ("as_toolbar",)

BROWSERS: Final = (
    "firefox",
    "librewolf",
    "tor browser",
    "mullvad",
    "chromium",
    "chrome",
    "brave",
    "edge",
    "vivaldi",
    "opera",
    "epiphany",
    "falkon",
    "konqueror",
    "qutebrowser",
    "safari",
    "zen",
)


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
    return lambda text: expression.search(text[:LONGEST_TEXT]) is not None


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
        self._sharing = [_known(one) for one in SHARING_TITLES] if settings.pause_when_sharing else []

    @property
    def any(self) -> bool:
        """Whether windows matter at all."""
        return bool(self._apps or self._titles or self._addresses or self._private or self._sharing)

    @property
    def named(self) -> bool:
        """Whether the person named windows, so that a desktop that hides them must be told of."""
        return bool(self._apps or self._titles or self._addresses)

    def judge(self, windows: Iterable[Window]) -> tuple[Finding, ...]:
        """The windows that must not be seen, covered by others or not."""
        findings: list[Finding] = []
        for window in windows:
            reason = self._reason(window)
            if reason is not None:
                findings.append(Finding(window.id, reason, window.rect))
        return tuple(findings)

    def _reason(self, window: Window) -> Reason | None:
        app, title = window.app, window.title
        if _any(self._apps, app) or _any(self._titles, title):
            return "excluded"
        if self._addresses and is_browser(window) and _any(self._addresses, title):
            return "excluded"
        if _any(self._private, title) and is_browser(window):
            return "private_window"
        if self._sharing and (app.lower() in SHARING_APPS or _any(self._sharing, title)):
            return "sharing"
        return None


def is_browser(window: Window) -> bool:
    """Whether a window is a browser's, by its class; without a class, by its title."""
    told = (window.app or window.title[:LONGEST_TEXT]).lower()
    return any(name in told for name in BROWSERS)


def reasons_of(findings: Sequence[Finding], *, mask: bool) -> frozenset[Reason]:
    """Why nothing may leave because of these windows; one that can be painted over is no reason."""
    return frozenset(f.reason for f in findings if f.reason == "sharing" or not mask or f.rect is None)


def hidden_rects(findings: Sequence[Finding]) -> tuple[Rect, ...]:
    """What is painted over, whole, whatever covers it."""
    return tuple(f.rect for f in findings if f.rect is not None and f.reason != "sharing")


def _address(pattern: str) -> str:
    """Without the scheme, which a title seldom shows."""
    return pattern if pattern.startswith("/") else re.sub(r"^[a-z]+://(?:www\.)?", "", pattern, flags=re.IGNORECASE)


def _known(expression: str) -> Match:
    return compile_pattern(f"/{expression}/")


def _all(patterns: Iterable[str], *, whole: bool = False) -> list[Match]:
    return [compile_pattern(one, whole=whole) for one in patterns]


def _any(matches: Sequence[Match], text: str) -> bool:
    return any(match(text) for match in matches)
