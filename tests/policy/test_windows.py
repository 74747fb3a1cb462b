"""Which windows must not be seen."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudd.config.settings import PrivacySettings
from hudd.policy.browsers import CHROMIUM_PRIVATE, FIREFOX_PRIVATE
from hudd.policy.windows import (
    LONGEST_TEXT,
    WindowRules,
    compile_pattern,
    hidden_rects,
    pattern_problem,
    place_of_focus,
    reasons_of,
)
from hudd.screen.source import Rect, Window


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
        ("x" * 5000 + "banking", "banking", True),
        ("x" * LONGEST_TEXT + "banking" + "x" * LONGEST_TEXT, "banking", False),
        ("x" * 1500 + "banking", "/^banking/", False),
    ],
)
def test_titles_are_named_in_part(title: str, pattern: str, found: bool) -> None:
    assert (reason(window(title), exclude_titles=(pattern,)) == "excluded") is found


@given(st.integers(0, LONGEST_TEXT - 20), st.integers(0, LONGEST_TEXT - 20), st.sampled_from("x-ä秘"))
def test_words_are_found_wherever_they_stand_in_a_long_title(before: int, after: int, letter: str) -> None:
    title = f"{letter * before}Überweisung{letter * after}"
    assert reason(window(title), exclude_titles=("überweisung",)) == "excluded"
    private = f"{letter * before} \u2014 Mozilla Firefox Private Browsing"
    assert reason(window(private, "firefox")) == "private_window"


def test_a_title_of_megabytes_is_searched_at_its_ends_in_no_time() -> None:
    for filling in ("- ", "a", "\u2014 Private "):
        started = time.monotonic()
        title = f"Bank {filling * 1_000_000} \u2014 Mozilla Firefox Private Browsing"
        assert reason(window(title, "firefox")) == "private_window"
        assert reason(window(title, "firefox"), exclude_titles=("bank",)) == "excluded"
        assert reason(window(title, "firefox"), exclude_titles=("a*zz",)) == "private_window"
        assert time.monotonic() - started < 5.0


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


@pytest.mark.parametrize(("language", "words"), FIREFOX_PRIVATE.items())
def test_private_windows_of_firefox_are_known_in_many_languages(language: str, words: tuple[str, ...]) -> None:
    for word in words:
        for brand in ("Mozilla Firefox", "Firefox ESR", "LibreWolf"):
            for name in (
                f"{brand} {word}",
                f"{word} {brand}",
                f"{brand} ({word})",
                f"{brand} \u2014 {word}",
                word.upper(),
            ):
                for title in (name, f"Bank \u2014 {name}", f"Bank \u2013 {name}", f"Bank - {name}"):
                    assert reason(window(title, "firefox")) == "private_window", (language, title)
        for title in (
            f"{word} \u2014 Mozilla Firefox",
            f"{word} - Help - Google Chrome",
            f"{word}: how to \u2013 Firefox",
        ):
            assert reason(window(title, "chrome-firefox")) is None, (language, title)


def test_the_readme_names_the_languages() -> None:
    told = (Path(__file__).parents[2] / "README.md").read_text()
    listed = told.split("Known are Firefox's words in ")[1].split(", Edge's")[0]
    assert set(listed.replace(" and ", ", ").replace("\n", " ").split(", ")) == set(FIREFOX_PRIVATE)


@pytest.mark.parametrize(("language", "words"), CHROMIUM_PRIVATE.items())
def test_the_first_page_of_a_private_window_of_chromium_is_known(language: str, words: tuple[str, ...]) -> None:
    for word in words:
        for title in (word, f"{word} - Chromium", f"{word} - Google Chrome"):
            assert reason(window(title, "chromium")) == "private_window", (language, title)
        assert reason(window(f"About {word} - Chromium", "chromium")) is None


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


@pytest.mark.parametrize(
    ("popup", "found"),
    [
        (Window("2", "", "firefox", rect=(5, 5, 5, 5), popup=True), True),
        (Window("2", "Save as", "", pid=7, popup=True), True),
        (Window("2", "Save as", "gedit", pid=8, popup=True), False),
        (Window("2", "", "", popup=True), False),
        (Window("2", "News \u2014 Mozilla Firefox", "firefox", pid=7), False),
    ],
)
def test_pop_ups_of_a_program_are_hidden_with_its_window(popup: Window, *, found: bool) -> None:
    private = Window("1", "Bank \u2014 Mozilla Firefox Private Browsing", "firefox", pid=7, rect=(0, 0, 9, 9))
    rules = WindowRules(PrivacySettings())
    assert [one.window for one in rules.judge([popup, private])] == (["2", "1"] if found else ["1"])
    assert rules.judge([popup]) == ()


@pytest.mark.parametrize(
    ("bar", "found"),
    [
        ((0, 0, 640, 28), True),
        ((0, 0, 300, 27), True),
        ((0, 40, 640, 28), False),
        ((640, 0, 640, 28), False),
        (None, False),
    ],
)
def test_titles_that_i3_draws_above_a_window_are_hidden_with_it(bar: Rect | None, *, found: bool) -> None:
    rules = WindowRules(PrivacySettings(exclude_apps=("vault",)))
    vault, bars = Window("1", "Accounts", "vault", rect=(0, 28, 640, 372)), Window("2", "", "i3-frame", rect=bar)
    assert [one.window for one in rules.judge([vault, bars])] == (["1", "2"] if found else ["1"])


def test_a_bar_of_a_meeting_does_not_hide_other_windows_of_its_program() -> None:
    bar, menu = Window("1", "x is sharing your screen", "chrome", pid=7), Window("2", "", "chrome", 7, popup=True)
    assert [one.window for one in WindowRules(PrivacySettings()).judge([bar, menu])] == ["1"]


def test_the_focused_window_is_known_with_what_lies_over_it() -> None:
    low, top = Window("1", "", "a", rect=(0, 0, 9, 9)), Window("3", "", "b", rect=(5, 5, 9, 9))
    focused = Window("2", "", "c", rect=(1, 1, 9, 9), focused=True)
    assert place_of_focus([low, focused, top, Window("4", "", "d")]) == ((1, 1, 9, 9), ((5, 5, 9, 9),))
    assert "No window has the focus" in str(place_of_focus([low, top]))
    assert "is not told" in str(place_of_focus([Window("2", "", "c", focused=True)]))


def test_a_mask_is_enough_only_where_the_place_is_known() -> None:
    rules = WindowRules(PrivacySettings(exclude_apps=("a",)))
    known, unknown = rules.judge([window(app="a")]), rules.judge([window(app="a", rect=None)])
    sharing = rules.judge([window("x is sharing your screen")])
    assert reasons_of(known, mask=False) == {"excluded"}
    assert reasons_of(known, mask=True) == frozenset()
    assert reasons_of(unknown, mask=True) == {"excluded"}
    assert reasons_of(sharing, mask=True) == {"sharing"}
    assert hidden_rects([*known, *unknown, *sharing]) == ((0, 0, 10, 10),)
