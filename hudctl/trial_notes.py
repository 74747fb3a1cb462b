"""The notes of ``hudctl try`` on a terminal, each printed while it is written."""

from __future__ import annotations

from hudctl import render
from hudctl.words import clean, wrap
from hudd.wire.messages import Note


class StreamedNotes:
    """Prints pieces of notes as they come, wrapped between words, and a line below each finished note.

    Pieces and notes may be lost or mixed: a note always ends up printed whole, and one after the other.

    Args:
        colour: Whether the line below is dimmed.
        width: Columns of the terminal.
    """

    def __init__(self, *, colour: bool, width: int) -> None:
        self._colour = colour
        self._width = width
        self._pieces: dict[str, str] = {}
        self._open = ""  # the snap that is on the terminal now
        self._shown = ""  # what of it is printed

    def piece(self, snap_id: str, text: str) -> None:
        """Take a piece of a note and print its whole words, unless another note is not finished yet."""
        self._pieces[snap_id] = self._pieces.get(snap_id, "") + text
        if self._open in ("", snap_id):
            self._open = snap_id
            self._print_words()

    def note(self, note: Note) -> None:
        """Finish a note. Answers without news print nothing, failed ones their sentence."""
        self._pieces.pop(note.snap_id, None)
        shown = self._shown
        if shown and not (self._open == note.snap_id and note.kind == "note"):
            print(" …")  # what was begun belongs to another note, or came to nothing
            shown = ""
        if note.kind == "note":
            self._print_note(note, shown)
        elif note.kind == "failed":
            print(render.render_note(note.to_json(), colour=self._colour, width=self._width), end="\n\n", flush=True)
        self._open, self._shown = next(iter(self._pieces), ""), ""
        if self._open:
            self._print_words()

    @property
    def unfinished(self) -> bool:
        """Whether a note is being written."""
        return bool(self._open)

    def end(self) -> None:
        """The trial is over: a line that was begun is ended."""
        if self._shown:
            print(" …\n", flush=True)
        self._open, self._shown = "", ""

    def _print_words(self) -> None:
        """The last word is held back: it may still grow, and then belong on the next line."""
        text = self._wrapped(self._pieces[self._open])
        whole = text[: max(text.rfind(" "), text.rfind("\n"), 0)]
        if whole.startswith(self._shown):
            print(whole[len(self._shown) :], end="", flush=True)
            self._shown = whole

    def _print_note(self, note: Note, shown: str) -> None:
        text = self._wrapped(note.text)
        print(text[len(shown) :] if text.startswith(shown) else f" …\n{text}")
        print(render.render_snap_footer(note.to_json(), colour=self._colour, width=self._width), end="\n\n", flush=True)

    def _wrapped(self, text: str) -> str:
        return "\n".join(wrap(clean(text).strip(), self._width))
