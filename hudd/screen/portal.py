"""The back end ``portal``: the desktop portal of GNOME, KDE and others, by a dialogue that the composition hands in.

A ScreenCast, whose permission is kept, gives frames when something changed; where it does not work, single screenshots
are asked for. Nothing here knows D-Bus; ``hudd.desktop.portal`` does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from hudd.clock import Clock
from hudd.config.settings import ScreenSettings
from hudd.errors import CaptureError, NoDisplayError, PictureError
from hudd.model import Shot, Source
from hudd.screen.arrange import cut_out
from hudd.screen.pictures import decode_picture
from hudd.screen.pipewire import FramePipe, closing_descriptor, pipewire_command
from hudd.screen.places import check_wanted, source_around, wanted_sources
from hudd.screen.source import CastEndedError, Rect, ScreenStatus, Stream, Window
from hudd.screen.told import Told
from hudd.wire.messages import topic_source

WHOLE: Final = "desktop"
"""The one source of single screenshots, which show all monitors."""
_WORD_S: Final = 1.0
"""The word that a ScreenCast was ended comes by another way than the end of its frames, and within this time."""
_ASKS_AGAIN: Final = "hudd asks the portal for another one."


class Portal(Protocol):
    """The dialogue with the portal. Every call blocks until it is answered; one thread at a time."""

    def screenshot(self) -> bytes:
        """A picture file of the whole desktop; the file that the portal wrote is gone afterwards.

        Raises:
            CaptureError: There is no portal, it refused, or a person did.
        """
        ...

    def cast(self, *, cursor: bool) -> tuple[int, Sequence[Stream]]:
        """Begin a ScreenCast of all monitors; a person is asked once, then never while the permission lives.

        Returns:
            A descriptor of PipeWire, which is the caller's to close, and the streams.

        Raises:
            CaptureError: There is no portal, it refused, or a person did.
            NoDisplayError: It has not answered yet, or a person ended the last ScreenCast (``CastEndedError``).
        """
        ...

    def cast_ended(self, within_s: float = 0.0) -> bool:
        """Whether the desktop ended the ScreenCast, as a person may at any time; waits so long for the word of it."""
        ...

    def remember_end(self) -> bool:
        """Begin no other ScreenCast until a person asks for it.

        Returns:
            False where it was not a person who ended it, but the end of the portal itself.
        """
        ...

    def end_cast(self) -> None:
        """End the ScreenCast, if there is one."""
        ...


class PortalScreen:
    """What the portal shows.

    Args:
        settings: Which monitors, and whether the pointer is drawn.
        portal: The dialogue.
        clock: Measures grabs.
        outputs: The outputs that the desktop has now. When one goes, GNOME ends all of the ScreenCast (mutter,
            meta-screen-cast-session.c, on_stream_closed), with the same word as when a person does.

    Raises:
        CaptureError: The portal gives neither a ScreenCast nor a screenshot; both reasons are told.
        NoDisplayError: It has not answered yet, or a person ended the last ScreenCast.
    """

    def __init__(
        self,
        settings: ScreenSettings,
        portal: Portal,
        clock: Clock,
        outputs: Callable[[], frozenset[Source]] = frozenset,
    ) -> None:
        self._settings = settings
        self._portal = portal
        self._clock = clock
        self._outputs = outputs
        self._outputs_of_cast: frozenset[Source] = frozenset()
        self._pipes: dict[str, tuple[Source, FramePipe]] = {}
        self._unplaced: set[str] = set()
        self._told: Told | None = None
        self._why_screenshots = ""
        self._whole: Source | None = None
        try:
            self._open_cast()
        except NoDisplayError:  # screenshots are not what is left, but what was not wanted, or not yet
            self.close()
            raise
        except CaptureError as error:
            self.close()
            self._why_screenshots = f"Single screenshots are taken, and changes found by polling: {error.message}"
            try:
                self._whole = self._screenshot(0, 0.0).source
            except CaptureError as second:
                self.close()
                raise CaptureError(f"{error.message} {second.message}", hint=second.hint or error.hint) from second
        except BaseException:
            self.close()
            raise
        try:
            check_wanted(settings.monitors, self._all())
        except BaseException:
            self.close()
            raise

    def sources(self) -> tuple[Source, ...]:
        if self._told is not None:
            ended = sorted(name for name, (_, pipe) in self._pipes.items() if pipe.ended)
            if self._portal.cast_ended(_WORD_S if ended else 0.0):
                if self._outputs() == self._outputs_of_cast and self._portal.remember_end():
                    raise CastEndedError
                raise NoDisplayError(
                    "The ScreenCast was ended, with other monitors or another portal.", hint=_ASKS_AGAIN
                )
            if ended:  # a monitor was unplugged or has another size: only a new ScreenCast shows what there is now
                raise NoDisplayError(f"The ScreenCast of {' and '.join(ended)} ended.", hint=_ASKS_AGAIN)
        return wanted_sources(self._settings.monitors, self._all())

    def grab(self, source: Source, *, epoch: int, captured_at: float) -> Shot:
        if self._whole is not None:
            shot = self._screenshot(epoch, captured_at)
            self._whole = shot.source
            if source.kind == "monitor":
                return shot
            source_around(source, (shot.source,))
            return cut_out(shot, source)
        started = self._clock.monotonic()
        monitor = source if source.kind == "monitor" else source_around(source, self._all())
        held = self._pipes.get(monitor.name)
        if held is None:
            raise CaptureError(f"The monitor {monitor.name} was unplugged.", hint="Plug it in, or name another one.")
        frame = held[1].newest(epoch=epoch)
        shot = Shot(
            monitor,
            frame.data,
            frame.width,
            frame.height,
            captured_at,
            epoch,
            (self._clock.monotonic() - started) * 1000.0,
            placed=monitor.name not in self._unplaced,
        )
        return shot if monitor is source else cut_out(shot, source)

    def damage_fd(self) -> int | None:
        return None if self._told is None else self._told.fileno()

    def take_damage(self) -> tuple[Rect, ...]:
        if self._told is None or not self._told.take():
            return ()
        # A pipe that broke is told too; the next look meets its error.
        return tuple(source.rect for source, pipe in self._pipes.values() if pipe.take_changed())

    def window_rect(self, window: int) -> Rect | None:  # noqa: ARG002 - Wayland tells nobody where a window is
        return None

    def windows(self) -> tuple[Window, ...]:
        raise CaptureError(
            "The desktop portal does not tell which windows there are.", hint="Use --monitor or --region instead."
        )

    def status(self) -> ScreenStatus:
        way = "screenshots" if self._whole is not None else "ScreenCast"
        return ScreenStatus(f"portal {way}", self._why_screenshots, self._told is not None)

    def close(self) -> None:
        while self._pipes:
            self._pipes.popitem()[1][1].close()
        told, self._told = self._told, None
        if told is not None:
            told.close()
        self._portal.end_cast()

    def _all(self) -> tuple[Source, ...]:
        if self._whole is not None:
            return (self._whole,)
        return tuple(source for source, _ in self._pipes.values())

    def _open_cast(self) -> None:
        pipewire_command(0, 0)  # without GStreamer nobody needs to be asked
        descriptor, streams = self._portal.cast(cursor=self._settings.cursor)
        self._outputs_of_cast = self._outputs()
        self._told = Told()
        with closing_descriptor(descriptor):
            for index, stream in enumerate(streams, start=1):
                name = topic_source(stream.name or f"screen-{index}")
                pipe = FramePipe(pipewire_command(descriptor, stream.node), self._told.tell, descriptors=(descriptor,))
                self._pipes[name] = (Source("monitor", name, stream.rect), pipe)
        for name, (source, pipe) in list(self._pipes.items()):
            frame = pipe.newest()
            if not source.rect[2]:
                self._unplaced.add(name)
                rect = (source.rect[0], source.rect[1], frame.width, frame.height)
                self._pipes[name] = (Source("monitor", name, rect), pipe)
        if not self._pipes:
            raise CaptureError(
                "The ScreenCast has no monitor in it.", hint="Choose at least one when the desktop asks."
            )

    def _screenshot(self, epoch: int, captured_at: float) -> Shot:
        started = self._clock.monotonic()
        try:
            pixels, width, height = decode_picture(self._portal.screenshot(), "What the portal wrote")
        except PictureError as error:
            raise CaptureError(error.message, hint=error.hint) from error
        source = Source("monitor", WHOLE, (0, 0, width, height))
        grab_ms = (self._clock.monotonic() - started) * 1000.0
        return Shot(source, pixels, width, height, captured_at, epoch, grab_ms, placed=False)  # or how it is scaled
