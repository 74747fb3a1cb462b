"""The calls of a client that are about keeping: marks, forgetting, pruning, export, backup."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, cast

from hudctl.errors import HudctlError
from hudd.wire.messages import Note


class KeepingCalls(ABC):
    """Needs ``call``, which ``hudctl.Client`` has."""

    @abstractmethod
    def call(self, method: str, /, *, timeout_s: float | None = None, **params: Any) -> dict[str, Any]:
        """Call any method and return its result."""

    def export(
        self, *, since: float | str | None = None, until: float | str | None = None, after: int = 0
    ) -> Iterator[Note]:
        """All notes of a range of time in the order of their numbers, fetched page by page."""
        more = True
        while more:
            page = self.call("notes.export", since=since, until=until, after=after)
            for note in cast("list[Any]", page.get("notes") or []):
                made = read_note(note)
                after = made.seq
                yield made
            more = bool(page.get("more"))

    def mark(self, seq: int, *, keep: bool = True) -> dict[str, Any]:
        """Keep a note for ever, whatever the settings remove, or no longer."""
        return self.call("notes.mark", seq=seq, keep=keep)

    def forget(
        self,
        *,
        since: float | str | None = None,
        until: float | str | None = None,
        seq: int | None = None,
        timeout_s: float | None = None,
    ) -> dict[str, Any]:
        """Take the text of notes from everywhere, for good; empty numbered rows stay."""
        return self.call("notes.forget", timeout_s=timeout_s, since=since, until=until, seq=seq)

    def prune(self, *, older_than_s: float | None = None, dry_run: bool = False) -> dict[str, Any]:
        """Remove what is too old or too much by the settings, or older than an age; or tell what would go."""
        return self.call("journal.prune", older_than_s=older_than_s, dry_run=dry_run)

    def backup(self, path: str | os.PathLike[str], *, timeout_s: float | None = None) -> dict[str, Any]:
        """Copy the journal into a file while it is in use; a relative path is meant from here."""
        return self.call("journal.backup", timeout_s=timeout_s, path=os.path.abspath(path))  # noqa: PTH100 - str in, str out


def read_note(data: object) -> Note:
    """A note of a reply.

    Raises:
        HudctlError: It cannot be read.
    """
    try:
        return Note.from_json(cast("Mapping[str, Any]", data))
    except ValueError as error:
        raise HudctlError(f"The daemon sent a note that cannot be read: {error}") from error
