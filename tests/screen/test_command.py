from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from hudd.clock import SystemClock
from hudd.config.settings import ScreenSettings
from hudd.errors import CaptureError, SettingsError
from hudd.model import Source
from hudd.screen import command
from hudd.screen.choose import open_screen, probe
from hudd.screen.command import CommandScreen, command_words
from hudd.screen.programs import picture_of


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "it's a screen.png"
    image = Image.new("RGB", (40, 20), (10, 20, 30))
    image.paste((200, 0, 0), (0, 0, 5, 5))
    image.save(path)
    return path


def test_what_a_program_prints_is_a_monitor_named_command(picture: Path) -> None:
    screen = open_screen(ScreenSettings(source=f'command:cat "{picture}"'), os.environ)
    (source,) = screen.sources()
    assert source == Source("monitor", "command", (0, 0, 40, 20))
    shot = screen.grab(source, epoch=3, captured_at=1.0)
    assert (shot.width, shot.height, shot.epoch, bytes(shot.pixels[:3])) == (40, 20, 3, b"\x00\x00\xc8")
    assert (screen.status().backend, screen.status().damage, screen.damage_fd()) == ("command cat", False, None)
    assert not shot.placed, "which part of the desktop it is, and how large, only the program knows"
    region = screen.grab(Source("region", "region", (30, 10, 50, 50)), epoch=0, captured_at=0.0)
    assert (region.width, region.height, bytes(region.pixels[:3])) == (10, 10, b"\x1e\x14\x0a")
    assert not region.placed


def test_words_are_split_without_a_shell(tmp_path: Path) -> None:
    assert command_words("a 'b c' $HOME;d") == ("a", "b c", "$HOME;d")
    for wrong in ("", "   ", "a 'b"):
        with pytest.raises(SettingsError, match="command:"):
            command_words(wrong)


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        ("echo first >&2; echo 'no such output' >&2; exit 3", "failed with exit code 3: no such output."),
        ("true", "printed no picture."),
        ("echo hello", "is no picture that can be read"),
        ("kill -TERM $$", "failed with exit code -15."),
    ],
)
def test_a_program_that_fails_is_quoted(script: str, sentence: str) -> None:
    with pytest.raises(CaptureError) as caught:
        CommandScreen(("sh", "-c", script), os.environ, SystemClock())
    assert sentence in caught.value.message


def test_a_missing_program_is_named() -> None:
    with pytest.raises(CaptureError, match=r"The program no-such-program cannot be started \(No such file"):
        open_screen(ScreenSettings(source="command:no-such-program"), os.environ)


def test_a_program_that_hangs_is_killed_with_all_that_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "TIMEOUT_S", 0.5)
    pids = tmp_path / "pids"
    script = f"sleep 60 & echo $! > {pids}; echo 'still asking' >&2; sleep 60"
    started = time.monotonic()
    with pytest.raises(CaptureError, match=r"gave no picture within 0.5 s: still asking"):
        CommandScreen(("sh", "-c", script), os.environ, SystemClock())
    assert time.monotonic() - started < 5
    child = int(pids.read_text())
    end = time.monotonic() + 5
    while Path(f"/proc/{child}/stat").exists() and time.monotonic() < end:
        if Path(f"/proc/{child}/stat").read_text().split()[2] == "Z":
            return
        time.sleep(0.01)
    assert not Path(f"/proc/{child}").exists()


def test_a_flood_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hudd.screen.programs.MOST_BYTES", 1000)
    with pytest.raises(CaptureError, match="printed more than 1,000 bytes"):
        picture_of(("cat", "/dev/zero"), os.environ, timeout_s=5, what="cat")


def test_probe_tells_a_frame_and_a_frame_of_one_colour(picture: Path, tmp_path: Path) -> None:
    (good,) = probe(ScreenSettings(source=f'command:cat "{picture}"'), os.environ)
    assert good.ok
    assert good.sentence.startswith("command cat: command 40x20 in ")
    Image.new("RGB", (40, 20)).save(tmp_path / "black.png")
    (black,) = probe(ScreenSettings(source=f"command:cat {tmp_path}/black.png"), os.environ)
    assert not black.ok
    assert "40x20" in black.sentence
    assert "black: the screen is one colour: locked, off, or capture is not permitted." in black.sentence
    assert black.remedy
    (missing,) = probe(ScreenSettings(source="command:no-such-program"), os.environ)
    assert (missing.ok, missing.remedy) == (False, "Install it, or correct [screen] source.")


def test_this_python_prints_a_picture_too() -> None:
    code = "import sys; sys.stdout.buffer.write(b'P6 2 1 255 ' + bytes(6))"
    data = picture_of((sys.executable, "-c", code), os.environ, timeout_s=20, what="python")
    assert data.startswith(b"P6")
