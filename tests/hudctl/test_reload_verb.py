from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hudctl.cli import main
from hudctl.reload import outcome
from tests.fakes.bus import ThreadedDaemon


def changed(**row: Any) -> list[str]:
    return outcome({"changed": [{"key": "gate.settle_s", "old": 0.4, "new": 1.5, **row}]})


def test_each_change_is_one_line() -> None:
    assert changed(applied="live") == ["gate.settle_s: 0.4 -> 1.5, in force."]
    assert changed(applied="reconnect") == ["gate.settle_s: 0.4 -> 1.5, in force with a new session."]
    assert changed(applied="restart") == [
        "gate.settle_s: 0.4 -> 1.5, only after a restart.",
        "This one waits for a restart of hudd.",
    ]
    assert changed(applied="fixed", by="HUDD_GATE_SETTLE_S") == [
        "gate.settle_s: 0.4 -> 1.5 in the file, but HUDD_GATE_SETTLE_S goes before it."
    ]
    assert outcome({"changed": [{"key": "the key", "applied": "reconnect"}]}) == [
        "The key is another one: a new session is opened with it."
    ]
    assert outcome({"changed": []}) == ["Nothing changed."]
    waiting = [{"key": f"a.{n}", "old": 1, "new": 2, "applied": "restart"} for n in range(3)]
    assert outcome({"changed": waiting})[-1] == "These 3 wait for a restart of hudd."


def test_long_texts_and_what_could_steer_the_terminal_are_kept_short_and_harmless() -> None:
    [line] = outcome({"changed": [{"key": "a.b", "old": "\x1b[2J", "new": "word " * 1000, "applied": "live"}]})
    assert len(line) < 120
    assert "\x1b" not in line


def test_the_verb_prints_what_hudd_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    async def reload(request: Any) -> dict[str, Any]:
        return {
            "schema": 1,
            "file": "/c",
            "changed": [{"key": "log.level", "old": "info", "new": "debug", "applied": "live"}],
            "notes": ["The key file is missing."],
        }

    monkeypatch.setenv("HUDD_RUNTIME_DIR", str(tmp_path))
    with ThreadedDaemon(tmp_path, handlers={"reload": reload}):
        assert main(["reload"]) == 0
        printed = capsys.readouterr()
        assert printed.out == 'log.level: "info" -> "debug", in force.\n'
        assert printed.err == "hudctl: The key file is missing.\n"
        assert main(["reload", "--json"]) == 0
        assert '"applied": "live"' in capsys.readouterr().out
    assert main(["reload"]) == 3
