"""Which windows must not be seen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudd.config.settings import PrivacySettings
from hudd.policy.windows import (
    WindowRules,
    compile_pattern,
    hidden_rects,
    pattern_problem,
    reasons_of,
)
from hudd.screen.source import Window


def reason(window: Window, **settings: object) -> str | None:
    found = WindowRules(PrivacySettings(**settings)).judge([window])  # type: ignore[arg-type]  # a table of settings
    return found[0].reason if found else None


def window(title: str = "", app: str = "", rect: tuple[int, int, int, int] | None = (0, 0, 10, 10)) -> Window:
    return Window("0x1", title, app, rect=rect)


@pytest.mark.parametrize(
    ("app", "pattern", "found"),
    [
        ("KeePassXC", "keepassxc", True),
        ("org.keepassxc.KeePassXC", "keepassxc", False),
        ("org.keepassxc.KeePassXC", "*keepassxc*", True),
        ("signal-desktop", "/^signal/", True),
        ("", "keepassxc", False),
        ("keepassxc2", "keepassxc", False),
    ],
)
def test_programs_are_named_whole(app: str, pattern: str, found: bool) -> None:
    assert (reason(window(app=app), exclude_apps=(pattern,)) == "excluded") is found


@pytest.mark.parametrize(
    ("title", "pattern", "found"),
    [
        ("My Online Banking - Firefox", "banking", True),
        ("Tax 2026 return.ods", "tax*return", True),
        ("A.B", "a.b", True),
        ("AxB", "a.b", False),
        ("AxB", "/a.b/", True),
        ("x" * 5000 + "banking", "banking", False),
    ],
)
def test_titles_are_named_in_part(title: str, pattern: str, found: bool) -> None:
    assert (reason(window(title), exclude_titles=(pattern,)) == "excluded") is found


@pytest.mark.parametrize(
    ("title", "app", "found"),
    [
        ("mybank.example/login - Account - Mozilla Firefox", "firefox", True),
        ("Account - Mozilla Firefox", "firefox", False),
        ("mybank.example.txt - gedit", "gedit", False),
    ],
)
def test_addresses_are_found_where_a_browser_shows_them(title: str, app: str, found: bool) -> None:
    assert (reason(window(title, app), exclude_urls=("https://www.mybank.example",)) == "excluded") is found


@pytest.mark.parametrize(
    ("title", "app"),
    [
        ("Mozilla Firefox Private Browsing", "firefox"),
        ("Bank \u2014 Mozilla Firefox Private Browsing", "firefox"),
        ("Bank \u2014 Mozilla Firefox Privater Modus", "firefox-esr"),
        ("Bank \u2014 Navigation privée de Mozilla Firefox", "firefox"),
        ("Bank - Mozilla Firefox (Private Browsing)", "Firefox"),
        ("Bank - [InPrivate] - Microsoft Edge", "microsoft-edge"),
        ("New Incognito Tab - Google Chrome", "google-chrome"),
        ("New Private Tab - Brave", "brave-browser"),
        ("Bank - Vivaldi (Private)", "vivaldi-stable"),
    ],
)
def test_private_windows_are_known_by_their_titles(title: str, app: str) -> None:
    assert reason(window(title, app)) == "private_window"
    assert reason(window(title, app), private_windows=False) is None


@pytest.mark.parametrize(
    ("title", "app"),
    [("How to use Private Browsing \u2014 Mozilla Firefox", "firefox"), ("Notes (Private)", "gedit")],
)
def test_words_about_private_windows_are_none(title: str, app: str) -> None:
    assert reason(window(title, app)) is None


@pytest.mark.parametrize(
    ("title", "app"),
    [
        ("meet.google.com is sharing your screen.", "Google-chrome"),
        ("Firefox \u2014 Sharing Indicator", "firefox"),
        ("Sharing control bar | Microsoft Teams", "teams"),
        ("as_toolbar", "zoom"),
    ],
)
def test_a_meeting_that_shares_is_known_by_its_bar(title: str, app: str) -> None:
    assert reason(window(title, app)) == "sharing"
    assert reason(window(title, app), pause_when_sharing=False) is None


@pytest.mark.parametrize("pattern", ["", " ", "*", "**", "/", "//", "/(/", "/.*/", "/a?/"])
def test_a_pattern_that_says_nothing_or_everything_is_refused(pattern: str) -> None:
    assert bool(pattern_problem(pattern)) is (pattern != "/")


@given(st.text(min_size=1, max_size=30), st.text(max_size=30))
def test_a_literal_pattern_is_found_wherever_it_stands(words: str, around: str) -> None:
    if pattern_problem(words) or words != words.strip() or "*" in words or words.startswith("/"):
        return
    assert compile_pattern(words)(around + words + around)


def test_a_mask_is_enough_only_where_the_place_is_known() -> None:
    rules = WindowRules(PrivacySettings(exclude_apps=("a",)))
    known, unknown = rules.judge([window(app="a")]), rules.judge([window(app="a", rect=None)])
    sharing = rules.judge([window("x is sharing your screen")])
    assert reasons_of(known, mask=False) == {"excluded"}
    assert reasons_of(known, mask=True) == frozenset()
    assert reasons_of(unknown, mask=True) == {"excluded"}
    assert reasons_of(sharing, mask=True) == {"sharing"}
    assert hidden_rects([*known, *unknown, *sharing]) == ((0, 0, 10, 10),)
