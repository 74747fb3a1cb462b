"""The command that repairs, renews or extends hudd fits the way it was installed."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from hudd.wire import installation
from hudd.wire.installation import Installation

PYTHON = "/opt/my python/bin/python"


@pytest.mark.parametrize(
    ("found", "reinstall", "upgrade", "add"),
    [
        (
            Installation("debian"),
            "sudo apt-get install --reinstall ./hudd_*.deb",
            "sudo apt-get install ./hudd_*.deb",
            "The Debian package comes without keyring; with pipx hudd can have it",
        ),
        (
            Installation("pipx", "/home/a/hudd"),
            "pipx reinstall hudd",
            "pipx upgrade hudd",
            "Install it: pipx runpip hudd install 'hudd[keyring]'",
        ),
        (
            Installation("pipx", "/home/a/hudd-0.1.0-py3-none-any.whl"),
            "pipx reinstall hudd",
            "pipx install --force NEWER.whl",
            "Install it: pipx runpip hudd install 'hudd[keyring]'",
        ),
        (
            Installation("pip", "/home/a/my hudd", PYTHON),
            f"'{PYTHON}' -m pip install --force-reinstall '/home/a/my hudd'",
            f"'{PYTHON}' -m pip install --upgrade '/home/a/my hudd'",
            f"Install it: '{PYTHON}' -m pip install 'hudd[keyring]'",
        ),
        (
            Installation("pip", "/home/a/hudd", "/v/bin/python", editable=True),
            "/v/bin/python -m pip install --force-reinstall -e /home/a/hudd",
            "/v/bin/python -m pip install --upgrade -e /home/a/hudd",
            "Install it: /v/bin/python -m pip install 'hudd[keyring]'",
        ),
        (
            Installation("pip", "", "/v/bin/python"),
            "/v/bin/python -m pip install --force-reinstall FOLDER-OF-THE-CLONE",
            "/v/bin/python -m pip install --upgrade FOLDER-OF-THE-CLONE",
            "Install it: /v/bin/python -m pip install 'hudd[keyring]'",
        ),
        (
            Installation("tree", "/home/a/hudd", "/v/bin/python"),
            "/v/bin/python -m pip install --force-reinstall -e /home/a/hudd",
            "/v/bin/python -m pip install --upgrade -e /home/a/hudd",
            "Install it: /v/bin/python -m pip install -e '/home/a/hudd[keyring]'",
        ),
    ],
)
def test_each_way_has_its_own_commands(found: Installation, reinstall: str, upgrade: str, add: str) -> None:
    assert (found.reinstall(), found.upgrade(), found.add("keyring")) == (reinstall, upgrade, add)
    assert shlex.split(reinstall)


def test_what_the_debian_package_carries_comes_with_it() -> None:
    assert Installation("debian").add("desktop") == "Install hudd again: sudo apt-get install --reinstall ./hudd_*.deb"


@pytest.mark.parametrize(
    ("told", "kind", "source", "editable"),
    [
        ({"url": "file:///home/a/my%20hudd", "dir_info": {"editable": True}}, "pip", "/home/a/my hudd", True),
        ({"url": "file:///home/a/x.whl", "archive_info": {}}, "pip", "/home/a/x.whl", False),
        ({"url": "https://example.org/x.whl"}, "pip", "", False),
        (None, "pip", "", False),
    ],
)
def test_the_way_is_read_from_what_pip_wrote(
    tmp_path: Path, told: dict[str, object] | None, kind: str, source: str, editable: bool
) -> None:
    """In an interpreter of its own, whose only hudd is the planted one."""
    site = tmp_path / "site"
    planted = site / "hudd-9.dist-info"
    planted.mkdir(parents=True)
    (planted / "METADATA").write_text("Metadata-Version: 2.1\nName: hudd\nVersion: 9\n")
    if told is not None:
        (planted / "direct_url.json").write_text(json.dumps(told))
    found = asked(tmp_path, f"{site}:{Path(__file__).parents[2]}")
    assert found == [kind, source, editable]
    (tmp_path / "pipx_metadata.json").write_text("{}")
    assert asked(tmp_path, f"{site}:{Path(__file__).parents[2]}") == ["pipx", source, editable]


def test_the_package_and_a_source_tree_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Installation.find("/usr/lib/hudd").kind == "debian"
    monkeypatch.setattr(installation, "_direct_url", lambda: None)
    assert Installation.find(str(tmp_path)) == Installation("tree", str(Path(__file__).parents[2]))


def asked(prefix: Path, path: str) -> list[object]:
    code = (
        "import json, sys; from hudd.wire.installation import Installation;"
        "found = Installation.find(sys.argv[1]); print(json.dumps([found.kind, found.source, found.editable]))"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", code, str(prefix)],
        env={"PYTHONPATH": path}, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return json.loads(done.stdout)
