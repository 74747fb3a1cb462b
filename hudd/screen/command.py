"""The back end ``command:PROGRAM ARGS``: any program that writes a picture to its standard output."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Final

from hudd.clock import Clock
from hudd.errors import CaptureError, PictureError, SettingsError
from hudd.model import Shot, Source
from hudd.screen.arrange import cut_out
from hudd.screen.pictures import decode_picture
from hudd.screen.places import source_around
from hudd.screen.programs import picture_of
from hudd.screen.source import Rect, ScreenStatus, Window

NAME: Final = "command"
TIMEOUT_S: Final = 10.0


def command_words(text: str) -> tuple[str, ...]:
    """The program and its arguments, split as a shell would, without one.

    Raises:
        SettingsError: A quote is not closed, or there is no program.
    """
    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        raise SettingsError([f"[screen] source = 'command:{text}' cannot be split into words ({error})."]) from error
    if not words:
        raise SettingsError(["[screen] source = 'command:' names no program; write command:PROGRAM ARGS."])
    return words


class CommandScreen:
    """One monitor, ``command``, whose frames a program prints as PNG, JPEG, WebP, BMP or PPM.

    Args:
        words: The program and its arguments.
        environ: Its environment.
        clock: Measures grabs.

    Raises:
        CaptureError: The first frame could not be had.
    """

    def __init__(self, words: tuple[str, ...], environ: Mapping[str, str], clock: Clock) -> None:
        self._words = words
        self._environ = environ
        self._clock = clock
        first = self._take(0, 0.0)
        self._source = first.source

    def sources(self) -> tuple[Source, ...]:
        return (self._source,)

    def grab(self, source: Source, *, epoch: int, captured_at: float) -> Shot:
        shot = self._take(epoch, captured_at)
        self._source = shot.source
        if source.kind == "monitor":
            return shot
        source_around(source, (shot.source,))
        return cut_out(shot, source)

    def damage_fd(self) -> int | None:
        return None

    def take_damage(self) -> tuple[Rect, ...]:
        return ()

    def window_rect(self, window: int) -> Rect | None:  # noqa: ARG002 - a program tells of no windows
        return None

    def windows(self) -> tuple[Window, ...]:
        raise CaptureError(
            "A program that prints pictures tells of no windows.", hint="Use --monitor or --region instead."
        )

    def status(self) -> ScreenStatus:
        return ScreenStatus(f"command {self._words[0]}", "", damage=False)

    def close(self) -> None:
        """Nothing is kept between two frames."""

    def _take(self, epoch: int, captured_at: float) -> Shot:
        started = self._clock.monotonic()
        data = picture_of(self._words, self._environ, timeout_s=TIMEOUT_S, what=f"The program {self._words[0]}")
        try:
            pixels, width, height = decode_picture(data, f"What {self._words[0]} printed")
        except PictureError as error:
            raise CaptureError(error.message, hint=error.hint) from error
        source = Source("monitor", NAME, (0, 0, width, height))
        grab_ms = (self._clock.monotonic() - started) * 1000.0
        return Shot(source, pixels, width, height, captured_at, epoch, grab_ms, placed=False)
