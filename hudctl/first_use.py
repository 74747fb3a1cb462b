"""Says once, to a person, that answers cost money and how much is spent at most."""

from __future__ import annotations

import argparse
from collections.abc import Generator
from contextlib import contextmanager

from hudctl.client import Client
from hudctl.console import tell
from hudctl.words import line


@contextmanager
def saying_first_use(client: Client, arguments: argparse.Namespace) -> Generator[Client]:
    """Open a client for a verb that a person reads; at its end say what the daemon wants said, and that it was.

    Programs ask with ``--json``: what is said to them was said to nobody.
    """
    with client:
        yield client
        sentence = line(client.hello().get("first_use"))
        if sentence and not arguments.json:
            tell(f"hudctl: {sentence}")
            client.call("status", first_use_told=True)
