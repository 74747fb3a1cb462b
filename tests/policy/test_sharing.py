"""The bars of browsers that share the screen, in their languages; the private windows of Firefox's relatives."""

# ruff: noqa: RUF001 - words of many alphabets

from __future__ import annotations

import time

import pytest

from hudd.config.settings import PrivacySettings
from hudd.policy.browsers import FIREFOX_SHARING
from hudd.policy.sharing import CHROMIUM_SHARING, says_sharing
from hudd.policy.windows import WindowRules
from hudd.screen.source import Window


def reason(title: str, app: str, **settings: object) -> str | None:
    rules = WindowRules(PrivacySettings(**settings))  # type: ignore[arg-type]  # a table of settings
    found = rules.judge([Window("0x1", title, app, rect=(0, 0, 9, 9))])
    return found[0].reason if found else None


@pytest.mark.parametrize(("language", "phrases"), CHROMIUM_SHARING.items())
def test_the_bar_of_chromium_is_known_in_its_languages(language: str, phrases: tuple[str, ...]) -> None:
    for phrase in phrases:
        assert phrase.count("{}") == 1
        for page in ("meet.example.org", "Besprechung 4"):
            told = phrase.format(page)
            for title in (told, f"{told}.", f"\u200f{told}", told.replace("Chrome ", "Brave ")):
                assert reason(title, "Google-chrome") == "sharing", (language, title)
        assert reason(phrase.format("x"), "Google-chrome", pause_when_sharing=False) is None
        assert not says_sharing(phrase.format(""))
        assert not says_sharing(f"{phrase.format('x')}: how to - Google Chrome")


@pytest.mark.parametrize(
    "title",
    [
        "meet.google.com hat deinen Bildschirm freigegeben.",
        "meet.google.com está compartiendo tu pantalla.",
        "Votre écran est partagé par le biais de l'application meet.google.com.",
        "meet.google.com が画面を共有しています。",
        "meet.google.com正在共享您的屏幕。",
        "meet.google.com is sharing a Chrome tab.",
        "Firefox - Teilen-Hinweis",
        "Firefox — 共有インジケーター",
        "LibreWolf - Indicateur de partage",
        "Ukazatel sdílení Firefoxu",
        "Ukazovateľ zdieľania aplikácie Firefox",
    ],
)
def test_bars_of_meetings_are_known_as_people_see_them(title: str) -> None:
    assert reason(title, "") == "sharing"


@pytest.mark.parametrize(("language", "words"), FIREFOX_SHARING.items())
def test_the_bar_of_firefox_is_known_in_its_languages(language: str, words: tuple[str, ...]) -> None:
    for word in words:
        for title in (f"Firefox - {word}", f"Firefox — {word}", f"Waterfox – {word}"):
            assert reason(title, "firefox") == "sharing", (language, title)
        for title in (word, f"{word} — Mozilla Firefox", f"News - {word}: how to"):
            assert reason(title, "firefox") is None, (language, title)


@pytest.mark.parametrize(
    "title", ["How to share your screen - Firefox", "Bildschirm freigeben", "Screen sharing settings", "", "Fenster"]
)
def test_words_about_sharing_are_no_bar(title: str) -> None:
    assert reason(title, "firefox") is None


def test_a_title_of_megabytes_is_no_bar_in_no_time() -> None:
    started = time.monotonic()
    assert not says_sharing("teilt " * 1_000_000)
    assert says_sharing(f"{'x' * 5_000_000} deler din skærm.")
    assert time.monotonic() - started < 2.0


@pytest.mark.parametrize(
    ("app", "brand"),
    [
        ("waterfox", "Waterfox"),
        ("floorp", "Ablaze Floorp"),
        ("one.ablaze.floorp", "Floorp"),
        ("icecat", "GNU IceCat"),
        ("Pale moon", "Pale Moon"),
        ("palemoon", "Pale Moon"),
        ("seamonkey", "SeaMonkey"),
        ("Navigator", "Mozilla Firefox"),
        ("basilisk", "Basilisk"),
        ("firedragon", "FireDragon"),
        ("abrowser", "Abrowser"),
        ("iceweasel", "Iceweasel"),
        ("librewolf", "LibreWolf"),
        ("zen", "Zen Browser"),
        ("Tor Browser", "Tor Browser"),
        ("Mullvad Browser", "Mullvad Browser"),
        ("cachy-browser", "Cachy"),
    ],
)
def test_private_windows_of_the_relatives_of_firefox_are_known(app: str, brand: str) -> None:
    for title in (
        f"Bank — {brand} Private Browsing",
        f"Bank - {brand} (Private Browsing)",
        f"Bank - {brand} Private Browsing",
        f"Bank — {brand} Privater Modus",
    ):
        assert reason(title, app) == "private_window"
    assert reason(f"Bank — {brand}", app) is None


@pytest.mark.parametrize("app", ["thorium-browser", "Iridium-browser", "yandex-browser", "Chromium", "brave-browser"])
def test_the_first_page_of_a_private_window_of_the_relatives_of_chromium_is_known(app: str) -> None:
    assert reason("New Incognito Tab - Web", app) == "private_window"
