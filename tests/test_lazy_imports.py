"""hudctl starts fast: it loads nothing heavy, whatever the verb."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = (
    "websockets",
    "mss",
    "PIL",
    "numpy",
    "xxhash",
    "asyncio",
    "sqlite3",
    "openai",
    "hudd.app",
    "hudd.realtime",
    "hudd.screen",
)
SHOW = "import sys, json; print(json.dumps(sorted(sys.modules)))"


def loaded_by(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{SHOW}"], capture_output=True, text=True, check=True, timeout=60
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    "code",
    [
        "import hudctl",
        "from hudctl import Client, Feed",
        "import hudctl.cli; hudctl.cli.build_parser()",
        "import hudctl.verbs, hudctl.trial, hudctl.render",
    ],
)
def test_hudctl_loads_nothing_heavy(code: str) -> None:
    loaded = loaded_by(code)
    assert not [m for m in loaded for h in HEAVY if m == h or m.startswith(f"{h}.")]


def test_help_does_not_even_load_zmq() -> None:
    assert "zmq" not in loaded_by("import hudctl.cli; hudctl.cli.build_parser().format_help()")


def test_the_engine_child_is_light() -> None:
    loaded = loaded_by("import hudd.engine.server, hudd.engine.command")
    assert not loaded & {"numpy", "PIL", "mss", "zmq", "sqlite3", "cv2", "onnxruntime"}
