"""The README's example of a reader that keeps its place, run as it stands there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.fakes.bus import MemoryJournal, ThreadedDaemon

README = Path(__file__).parent.parent.parent / "README.md"


def _run(folder: Path, code: str, notes: int) -> list[str]:
    """What it prints until so many notes came; killed then, with the last one in hand."""
    with subprocess.Popen(
        [sys.executable, "-u", "-c", code],
        cwd=folder.parent,
        env={**os.environ, "HUDD_RUNTIME_DIR": str(folder)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline().rstrip() for _ in range(notes)]
        process.kill()
    return lines


def test_the_example_goes_on_where_it_was(tmp_path: Path) -> None:
    examples = README.read_text(encoding="utf-8").split("```python\n")
    example = next(found for block in examples if "cursor_file" in (found := block.split("```", 1)[0]))
    assert len(example.strip().splitlines()) <= 6
    # It is killed with a note in hand, never just behind it.
    code = f"import time; from hudctl import Feed\n{example}        if note.seq in (3, 5): time.sleep(60)\n"
    folder = tmp_path / "run"
    folder.mkdir(mode=0o700)
    journal = MemoryJournal()
    for _ in range(3):
        journal.append()
    with ThreadedDaemon(folder, journal) as daemon:
        assert _run(folder, code, 3) == [f"Note {n} of eDP-1." for n in (1, 2, 3)]
        daemon.do(lambda there: there.note())
        daemon.do(lambda there: there.note())
        assert _run(folder, code.replace("(3, 5)", "(5,)"), 3) == [f"Note {n} of eDP-1." for n in (3, 4, 5)]
