"""``hudctl completion``: prints what a shell reads to complete hudctl and hudd."""

from __future__ import annotations

import argparse
import json
import sys
from importlib.resources import files

from hudd.wire.table import EXIT_OK


def completion(arguments: argparse.Namespace) -> int:
    """Print the shipped file for a shell."""
    name = f"{arguments.program}.{arguments.shell}"
    text = (files("hudctl") / "data" / "completion" / name).read_text(encoding="utf-8")
    if arguments.json:
        print(json.dumps({"schema": 1, "program": arguments.program, "shell": arguments.shell, "text": text}))
    else:
        sys.stdout.write(text)
    return EXIT_OK
