"""The daemon of ``hudctl try``: hudd as it is, which also ends when the trial dies without stopping it.

``python -m hudctl.trial_daemon FOLDER``: standard input is a pipe that the trial holds; its end is the trial's end,
however that came. Then the folder goes too, as nobody else is left to remove it.
"""

from __future__ import annotations

import os
import runpy
import shutil
import signal
import sys
import threading
from typing import Final

_STDIN: Final = 0


def main(folder: str) -> None:
    """Run hudd until it ends, or until standard input does. Raises ``SystemExit`` with hudd's own exit code."""
    alone = threading.Event()

    def watch() -> None:
        while os.read(_STDIN, 1):
            pass
        alone.set()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="trial", daemon=True).start()
    sys.argv = ["hudd"]
    try:
        runpy.run_module("hudd", run_name="__main__", alter_sys=True)
    finally:
        if alone.is_set():
            shutil.rmtree(folder, ignore_errors=True)  # what another process still holds is the system's to clean


if __name__ == "__main__":
    main(sys.argv[1])
