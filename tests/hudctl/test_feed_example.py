"""The README's example of a reader that keeps its place, run as it stands there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.fakes.bus import MemoryJournal, ThreadedDaemon

README = Path(__file__).parent.parent.parent / "README.md"


def _run(folder: Path, code: str, notes: int) -> list[str]:
    """What it prints until so many notes came; killed then, and its place is what the file holds."""
    with subprocess.Popen(
        [sys.executable, "-u", "-c", code],
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
    example = next(block.split("```", 1)[0] for block in examples if block.startswith("place ="))
    assert len(example.strip().splitlines()) <= 6
    place = tmp_path / "place"
    head = f"import json; from pathlib import Path; from hudctl import Feed; path = Path({str(place)!r})\n"
    # Ends by itself between two notes, so that what was printed is what was stored.
    stop = "        if feed.cursor.seq in (3, 5): break\n"
    folder = tmp_path / "run"
    folder.mkdir(mode=0o700)
    journal = MemoryJournal()
    for _ in range(3):
        journal.append()
    with ThreadedDaemon(folder, journal) as daemon:
        assert _run(folder, head + example + stop, 4) == [f"Note {n} of eDP-1." for n in (1, 2, 3)] + [""]
        daemon.do(lambda there: there.note())
        daemon.do(lambda there: there.note())
        assert _run(folder, head + example + stop, 3) == ["Note 4 of eDP-1.", "Note 5 of eDP-1.", ""]
