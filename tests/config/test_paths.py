from __future__ import annotations

import sys
from pathlib import Path

import pytest

from hudd.config.paths import config_file, expand, journal_file, state_dir
from hudd.errors import SettingsError


def test_own_variables_go_first():
    environ = {"HUDD_STATE_DIR": "/s", "HUDD_CONFIG": "/c.toml", "XDG_STATE_HOME": "/x", "XDG_CONFIG_HOME": "/y"}
    assert state_dir(environ) == Path("/s")
    assert journal_file(environ) == Path("/s/journal.db")
    assert config_file(environ) == Path("/c.toml")


def test_xdg_variables_come_next():
    assert state_dir({"XDG_STATE_HOME": "/x"}) == Path("/x/hudd")
    assert config_file({"XDG_CONFIG_HOME": "/y"}) == Path("/y/hudd/config.toml")


@pytest.mark.skipif(sys.platform != "linux", reason="the places of Linux")
def test_the_places_of_the_system(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert state_dir({"XDG_STATE_HOME": "relative"}) == tmp_path / ".local/state/hudd"
    assert config_file({}) == tmp_path / ".config/hudd/config.toml"


@pytest.mark.parametrize(("name", "function"), [("HUDD_STATE_DIR", state_dir), ("HUDD_CONFIG", config_file)])
@pytest.mark.parametrize("value", ["here", "~/there", "/a\0b"])
def test_relative_paths_are_refused(name: str, function, value: str):
    with pytest.raises(SettingsError, match=f"{name} is .* no absolute path; give one that starts with a slash"):
        function({name: value})


def test_home_is_expanded_in_front_only():
    environ = {"HOME": "/home/me"}
    assert expand("~/key", environ) == Path("/home/me/key")
    assert expand("~", environ) == Path("/home/me")
    assert expand("/a/~/b", environ) == Path("/a/~/b")
    assert expand("~other/key", environ) == Path("~other/key")
    assert expand("~/key", {}) == Path("~/key")
