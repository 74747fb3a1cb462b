from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hudd.config.settings import ScreenSettings
from hudd.errors import CaptureError, NoDisplayError, SettingsError
from hudd.screen.choose import open_screen
from hudd.screen.pictures import PictureFolder

linux = pytest.mark.skipif(sys.platform != "linux", reason="displays are named by DISPLAY on Linux")


@linux
@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        ({}, "There is no display: DISPLAY is not set. Start hudd inside the desktop session, or set"),
        ({"DISPLAY": ":54321"}, "The X display :54321 cannot be opened. Check DISPLAY and XAUTHORITY."),
        ({"DISPLAY": "nonsense"}, "The X display nonsense cannot be opened."),
    ],
)
@pytest.mark.parametrize("source", ["auto", "mss"])
def test_no_display_is_one_sentence_with_cause_and_remedy(environ: dict[str, str], sentence: str, source: str) -> None:
    with pytest.raises(NoDisplayError) as caught:
        open_screen(ScreenSettings(source=source), environ)
    assert str(caught.value).startswith(sentence)


def test_an_unknown_source_is_a_mistake_in_the_settings() -> None:
    with pytest.raises(SettingsError, match=r"\[screen\] source = 'wlroots' is unknown; use auto, mss, wayland,"):
        open_screen(ScreenSettings(source="wlroots"), {})


def test_a_folder_of_pictures_needs_no_display(tmp_path: Path) -> None:
    screen = open_screen(ScreenSettings(source=f"pictures:{tmp_path}"), {})
    assert isinstance(screen, PictureFolder)
    screen.close()


def test_a_folder_under_home_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "shots").mkdir()
    assert str(tmp_path) in open_screen(ScreenSettings(source="pictures:~/shots"), {}).status().backend


def test_a_folder_has_one_monitor_of_one_name(tmp_path: Path) -> None:
    source = f"pictures:{tmp_path}"
    with pytest.raises(CaptureError, match=r"eDP-1 \(there is: pictures\)"):
        open_screen(ScreenSettings(source=source, monitors=("eDP-1",)), {})
    open_screen(ScreenSettings(source=source, monitors=("pictures",)), {}).close()


def test_a_missing_folder_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="There is no folder"):
        open_screen(ScreenSettings(source=f"pictures:{tmp_path}/none"), {})


def test_pictures_load_neither_mss_nor_the_x_library(tmp_path: Path) -> None:
    code = (
        "import sys; from hudd.screen.choose import open_screen; from hudd.config.settings import ScreenSettings;"
        f"open_screen(ScreenSettings(source='pictures:{tmp_path}'), {{}});"
        "print([name for name in ('mss', 'xcffib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path.cwd())
    assert done.stdout.strip() == "[]"
