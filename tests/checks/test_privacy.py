"""What the doctor says of the reasons to send nothing that cannot be known here."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from hudd.checks.finding import Context, Finding
from hudd.checks.privacy import check_privacy
from hudd.config.settings import PrivacySettings, ScreenSettings, Settings
from hudd.screen import x11
from hudd.screen.tellers import HIDDEN
from tests.fakes.dbus import private_bus
from tests.fakes.logind import logind

GNOME = {"WAYLAND_DISPLAY": "wayland-0"}
EXCLUDING = Settings(privacy=PrivacySettings(exclude_apps=("keepassxc",)))


def found(environ: Mapping[str, str], settings: Settings | None = None) -> list[Finding]:
    return list(check_privacy(Context(environ, None, settings or Settings())))


def test_what_is_not_available_is_one_line_with_its_causes() -> None:
    (finding,) = found({})
    assert (finding.state, finding.name) == ("ok", "privacy")
    assert finding.cause.startswith(
        "Nothing is told here. Not available: a locked screen, another session in front, sleep"
    )
    assert "(There is no system bus here)." in finding.cause
    assert "a screensaver (There is no session bus here)." in finding.cause


def test_a_desktop_whose_lock_is_not_told_is_worth_a_warning() -> None:
    (finding,) = found(GNOME)
    assert finding.state == "warning"
    assert HIDDEN.rstrip(".") in finding.cause
    assert "systemd-logind" in finding.remedy


def test_who_excludes_windows_that_nobody_tells_of_is_told_so(caplog: pytest.LogCaptureFixture) -> None:
    finding = found(GNOME, EXCLUDING)[-1]
    assert finding.state == "warning"
    assert "[privacy] excludes windows, and this desktop does not tell which are open" in finding.cause
    assert "strict = true" in finding.remedy
    assert [record.levelname for record in caplog.records if "excludes windows" in record.message] == ["WARNING"]
    assert len(found(GNOME, Settings(privacy=PrivacySettings(exclude_apps=("keepassxc",), strict=True)))) == 1
    assert len(found({}, EXCLUDING)) == 1, "without a display nothing is seen either"


def test_who_excludes_windows_from_what_a_program_shows_is_told_so_where_there_is_no_display() -> None:
    finding = found({}, replace(EXCLUDING, screen=ScreenSettings(source="command:photograph")))[-1]
    assert finding.state == "warning"
    assert "[privacy] excludes windows, and no desktop tells hudd which are open" in finding.cause
    assert "inside the session whose windows are seen, or set [privacy] strict" in finding.remedy
    assert len(found({}, replace(EXCLUDING, screen=ScreenSettings(source="pictures:/nowhere")))) == 1, "nor a window"


def test_who_excludes_windows_that_x11_cannot_be_asked_for_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise ImportError("no xcffib")

    monkeypatch.setattr(x11, "load_xcffib", missing)
    for source in ("auto", "command:photograph"):
        finding = found({"DISPLAY": ":99"}, replace(EXCLUDING, screen=ScreenSettings(source=source)))[-1]
        assert finding.state == "warning"
        assert "[privacy] excludes windows, and hudd cannot ask this desktop which are open" in finding.cause
        assert "xcffib" in finding.remedy


def test_who_is_away_is_asked_only_where_a_setting_needs_it() -> None:
    assert "who is away" not in found({})[0].cause
    assert "who is away" in found({}, Settings(privacy=PrivacySettings(idle_s=60.0)))[0].cause


async def test_what_is_told_is_named_and_what_fails_is_a_warning(tmp_path: Path) -> None:
    async with private_bus(tmp_path) as bus, logind(bus) as desk:
        environ = {"DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={bus.socket}"}
        (finding,) = await asyncio.to_thread(found, environ)
        assert finding.cause.startswith("Told here: a locked screen, another session in front, sleep.")
        desk.served.answers.pop("GetUser")
        (finding,) = await asyncio.to_thread(found, environ)
        assert finding.state == "warning"
        assert "Failing: a locked screen, another session in front" in finding.cause
        assert "nothing leaves" in finding.remedy
