"""The manual pages are well formed; that they say what the parsers say is held in ``tests/hudctl/test_completion``."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from hudd.config.loader import all_keys
from tests import shipped

PAGES = sorted(path for path in shipped.texts() if path.parent == shipped.MANUAL)


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_page_has_no_mistake_of_form(page: Path) -> None:
    mandoc = shutil.which("mandoc")
    assert mandoc is not None, "apt-get install mandoc"
    done = subprocess.run([mandoc, "-Tlint", page], capture_output=True, text=True, timeout=30, check=False)
    told = [
        line for line in done.stdout.splitlines() if "missing date" not in line
    ]  # no date: built twice, equal twice
    assert told == []


@pytest.mark.slow
def test_page_of_settings_shows_every_key() -> None:
    mandoc = shutil.which("mandoc")
    assert mandoc is not None, "apt-get install mandoc"
    page = subprocess.run(
        [mandoc, "-Tascii", "-O", "width=200", shipped.MANUAL / "hudd.toml.5"],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    ).stdout.replace("\b", "")
    assert len(PAGES) == 3
    for key in all_keys().values():
        assert "".join(character * 2 for character in key.name) in page  # overstruck: printed bold
