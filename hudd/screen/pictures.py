"""The back end ``pictures:DIR``: shows the files of a folder in order, then new ones as they are dropped in."""

from __future__ import annotations

import io
import logging
import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from PIL import Image, UnidentifiedImageError

from hudd.clock import Clock
from hudd.errors import CaptureError, NoDisplayError, PictureError
from hudd.model import Shot, Source
from hudd.screen.arrange import cut_out
from hudd.screen.places import source_around
from hudd.screen.source import Rect, ScreenStatus, Window

_log = logging.getLogger("hudd.screen")

_FORMATS: Final = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "PPM")
"""What is read. A closed list, because some of Pillow's other readers start programs or warn instead of failing."""
_SUFFIXES: Final = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".ppm")
_MOST_PIXELS: Final = 64_000_000
"""Larger pictures are refused before they are unpacked: two 8K screens still fit."""


@dataclass(frozen=True, slots=True, order=True)
class PictureFile:
    """One version of a file; a file that was written again is another one."""

    name: str
    modified_ns: int
    size: int


def list_pictures(directory: Path) -> tuple[PictureFile, ...]:
    """The picture files of a folder, in the order of their names; other files are left out.

    Raises:
        NoDisplayError: The folder cannot be read.
    """
    try:
        return tuple(sorted(_files(directory)))
    except OSError as error:
        raise NoDisplayError(
            f"The folder {directory} cannot be read ({error.strerror}).",
            hint="Make it again, or correct [screen] source.",
        ) from error


def read_picture(path: Path) -> tuple[bytes, int, int]:
    """Decode a file to ``B G R X`` bytes.

    Returns:
        The bytes, the width and the height.

    Raises:
        PictureError: The file is no picture that can be read.
    """
    return _decode(path, path.name)


def decode_picture(data: bytes, name: str) -> tuple[bytes, int, int]:
    """Decode the bytes of a file, which errors call ``name``, to ``B G R X`` bytes, width and height.

    Raises:
        PictureError: They are no picture that can be read.
    """
    return _decode(io.BytesIO(data), name)


def _decode(file: Path | io.BytesIO, name: str) -> tuple[bytes, int, int]:
    try:
        with Image.open(file, formats=_FORMATS) as picture:
            if picture.width * picture.height > _MOST_PIXELS:
                raise PictureError(
                    f"{name} has {picture.width}x{picture.height} pixels, which is too large.", hint="Make it smaller."
                )
            rgb = picture.convert("RGB")
    except (OSError, UnidentifiedImageError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        # Pillow reports broken files by all of these. Its words name the object in memory, which says nothing.
        why = "the format is not known" if isinstance(error, UnidentifiedImageError) else str(error)
        raise PictureError(
            f"{name} is no picture that can be read ({why}).", hint="Make it a PNG, JPEG or PPM."
        ) from error
    return rgb.tobytes("raw", "BGRX"), rgb.width, rgb.height


class PictureFolder:
    """A screen that shows files. Each is shown for ``interval_s``, the last one until a new one comes.

    A file that cannot be decoded is passed over with one warning, and tried again when it was written again, so a
    picture may be dropped in slowly.

    Args:
        directory: The folder.
        interval_s: Seconds for each picture.
        clock: Tells when the next is due.

    Raises:
        CaptureError: There is no such folder.
    """

    def __init__(self, directory: Path, interval_s: float, clock: Clock) -> None:
        if not directory.is_dir():
            raise CaptureError(f"There is no folder {directory}.", hint='Correct [screen] source = "pictures:DIR".')
        self._directory = directory
        self._interval_s = interval_s
        self._clock = clock
        self._shown: set[PictureFile] = set()
        self._source: Source | None = None
        self._pixels = b""
        self._since = 0.0

    def sources(self) -> tuple[Source, ...]:
        return (self._current(),)

    def grab(self, source: Source, *, epoch: int, captured_at: float) -> Shot:
        started = self._clock.monotonic()
        shown = self._current()
        if source.kind != "monitor":
            source_around(source, (shown,))
            return cut_out(self.grab(shown, epoch=epoch, captured_at=captured_at), source)
        return Shot(
            # The picture may have another size than the one before.
            source=replace(source, rect=shown.rect),
            pixels=self._pixels,
            width=shown.rect[2],
            height=shown.rect[3],
            captured_at=captured_at,
            epoch=epoch,
            grab_ms=(self._clock.monotonic() - started) * 1000.0,
        )

    def damage_fd(self) -> int | None:
        return None

    def take_damage(self) -> tuple[Rect, ...]:
        return ()

    def window_rect(self, window: int) -> Rect | None:  # noqa: ARG002 - a folder has no windows
        return None

    def windows(self) -> tuple[Window, ...]:
        raise CaptureError("Pictures have no windows.", hint="Use --monitor or --region instead.")

    def status(self) -> ScreenStatus:
        return ScreenStatus(f"pictures in {self._directory}", "", damage=False)

    def close(self) -> None:
        self._pixels = b""
        self._source = None

    def _current(self) -> Source:
        due = self._source is None or self._clock.monotonic() - self._since >= self._interval_s
        if due:
            self._advance()
        if self._source is None:
            raise NoDisplayError(
                f"The folder {self._directory} holds no picture that can be read.",
                hint="Put PNG or JPEG files into it.",
            )
        return self._source

    def _advance(self) -> None:
        """Show the next file that was not shown, if there is one."""
        files = list_pictures(self._directory)
        self._shown.intersection_update(files)
        for file in files:
            if file in self._shown:
                continue
            self._shown.add(file)
            try:
                self._pixels, width, height = read_picture(self._directory / file.name)
            except PictureError as error:
                _log.warning("%s It is passed over.", error)
                continue
            self._source = Source("monitor", "pictures", (0, 0, width, height))
            self._since = self._clock.monotonic()
            return


def _files(directory: Path) -> Iterator[PictureFile]:
    for path in directory.iterdir():
        if path.suffix.lower() not in _SUFFIXES or path.name.startswith("."):
            continue
        try:
            facts = path.stat()
        except FileNotFoundError:
            # It was removed since the folder was listed.
            continue
        if stat.S_ISREG(facts.st_mode):
            yield PictureFile(path.name, facts.st_mtime_ns, facts.st_size)
