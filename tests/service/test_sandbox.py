from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from hudctl.service_text import LOOSEN
from hudd.config.settings import EngineSettings, RealtimeSettings, ScreenSettings, Settings
from hudd.service.sandbox import Sandbox, how_to_loosen, needed_drop_ins, own_sandbox, sandbox_of, under_systemd

MOUNTS = "22 1 8:1 / / {root},relatime shared:1 - ext4 /dev/sda1 rw\n23 22 0:5 / /dev rw - devtmpfs udev rw\n"


def proc(folder: Path, pid: str, no_new: str, filtered: str, root: str | None = None) -> Path:
    (folder / pid).mkdir()
    (folder / pid / "status").write_text(f"Name:\thudd\nNoNewPrivs:\t{no_new}\nSeccomp:\t{filtered}\n")
    if root is not None:
        (folder / pid / "mountinfo").write_text(MOUNTS.format(root=root))
    return folder


def test_what_holds_for_another_process(tmp_path: Path):
    proc(tmp_path, "10", "1", "2", "ro")
    proc(tmp_path, "11", "0", "0", "rw")
    proc(tmp_path, "12", "1", "2")
    assert sandbox_of(10, tmp_path) == Sandbox(True, True, True)
    assert sandbox_of(10, tmp_path).enforced
    assert sandbox_of(11, tmp_path).in_words() == "absent"
    assert sandbox_of(12, tmp_path) == Sandbox(True, True, None)
    assert sandbox_of(13, tmp_path).in_words() == "not to be told"


def test_a_part_that_is_missing_is_named(tmp_path: Path):
    proc(tmp_path, "10", "1", "2", "rw")
    found = sandbox_of(10, tmp_path)
    assert not found.enforced
    assert found.in_words() == "in part: the home and the system can be written"


def test_from_within_the_home_is_tried_and_nothing_is_left_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    proc(tmp_path, "self", "1", "2")
    home = tmp_path / "home"
    home.mkdir()
    assert own_sandbox({"HOME": str(home)}, tmp_path).files_protected is False
    assert list(home.iterdir()) == []

    def refuse(*_: object) -> int:
        raise OSError(errno.EROFS, "read-only")

    monkeypatch.setattr(os, "open", refuse)
    assert own_sandbox({"HOME": str(home)}, tmp_path).files_protected is True
    assert own_sandbox({}, tmp_path).files_protected is None


def test_a_service_is_known_by_its_environment():
    assert under_systemd({"INVOCATION_ID": "5", "NOTIFY_SOCKET": "/run/n"})
    assert not under_systemd({"INVOCATION_ID": "5"})


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        (Settings(), ()),
        (Settings(screen=ScreenSettings(source="command:grim -")), ("command-source",)),
        (Settings(screen=ScreenSettings(source="portal")), ("portal-screenshots",)),
        (Settings(engine=EngineSettings(reader="rapidocr")), ("text-recognition",)),
        (Settings(engine=EngineSettings(reader="rapidocr"), realtime=RealtimeSettings(use="service")), ()),
    ],
)
def test_what_the_settings_need_is_named_as_install_knows_it(settings: Settings, names: tuple[str, ...]):
    needed = needed_drop_ins(settings)
    assert tuple(name for name, _ in needed) == names
    assert set(names) <= set(LOOSEN)


def test_the_command_is_given():
    assert how_to_loosen(("key-command",)) == "hudctl service install --loosen key-command"
