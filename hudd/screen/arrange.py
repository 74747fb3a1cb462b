"""Brings frames into the one form that the rest expects: B G R X, upright, rows without padding. A door to numpy."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hudd.errors import CaptureError
from hudd.model import Shot, Source

_Pixels = npt.NDArray[np.uint32]

_AS_IS: Final = {0, 1}
"""wl_shm ARGB8888 and XRGB8888: in memory B G R A."""
_SWAPPED: Final = {0x34324258, 0x34324241}
"""DRM fourcc XB24 and AB24: in memory R G B A."""
_TEN_BITS: Final = {0x30335258, 0x30335241}
"""XR30 and AR30: ten bits each, blue lowest."""
_TEN_BITS_SWAPPED: Final = {0x30334258, 0x30334241}
"""XB30 and AB30."""
_OTHER: Final = 'Choose another [screen] source ("grim", "portal"), and report this: hudctl bugreport.'


@dataclass(frozen=True, slots=True)
class Raw:
    """A frame as a window system gave it.

    Attributes:
        data: ``stride * height`` bytes.
        code: Format by ``wl_shm.format``: 0 and 1, or a DRM fourcc.
        width, height: Pixels before turning.
        stride: Bytes from row to row.
        transform: ``wl_output.transform`` of the output: 0-3 quarter turns, 4-7 mirrored first.
        upside_down: Whether the last row comes first.
    """

    data: bytes
    code: int
    width: int
    height: int
    stride: int
    transform: int = 0
    upside_down: bool = False


def arranged(raw: Raw) -> tuple[bytes, int, int]:
    """The pixels as ``Shot`` wants them, their width and height. Without a copy when there is nothing to do.

    Raises:
        CaptureError: The format is not known, or there are too few bytes.
    """
    if raw.stride < raw.width * 4 or raw.stride % 4 or len(raw.data) < raw.stride * raw.height:
        raise CaptureError(f"A frame of {raw.width}x{raw.height} came with too few bytes.", hint=_OTHER)
    if raw.code not in _AS_IS | _SWAPPED | _TEN_BITS | _TEN_BITS_SWAPPED:
        raise CaptureError(
            f"The compositor gives pixels in a format that hudd does not know ({raw.code:#x}).", hint=_OTHER
        )
    turned = raw.transform or raw.upside_down
    if raw.code in _AS_IS and not turned and raw.stride == raw.width * 4:
        return raw.data, raw.width, raw.height
    words = np.frombuffer(raw.data, dtype="<u4", count=raw.stride // 4 * raw.height)
    pixels: _Pixels = words.reshape(raw.height, raw.stride // 4)[:, : raw.width]
    if raw.upside_down:
        pixels = pixels[::-1]
    pixels = _upright(_blue_first(pixels, raw.code), raw.transform)
    return pixels.tobytes(), int(pixels.shape[1]), int(pixels.shape[0])


def cut_out(shot: Shot, source: Source) -> Shot:
    """The part of a frame that ``source.rect`` covers; the frame may have more pixels than its desktop rectangle.

    Raises:
        CaptureError: The rectangle lies outside of the frame.
    """
    left, top, width, height = shot.source.rect
    x_scale, y_scale = shot.width / max(1, width), shot.height / max(1, height)
    wanted_left, wanted_top, wanted_width, wanted_height = source.rect
    x0 = max(0, round((wanted_left - left) * x_scale))
    x1 = min(shot.width, round((wanted_left + wanted_width - left) * x_scale))
    y0 = max(0, round((wanted_top - top) * y_scale))
    y1 = min(shot.height, round((wanted_top + wanted_height - top) * y_scale))
    if x1 <= x0 or y1 <= y0:
        raise CaptureError(f"The {source.kind} lies outside of the screen.", hint="Choose a part of a monitor.")
    if len(shot.pixels) < shot.width * shot.height * 4:
        raise CaptureError(f"The frame of {shot.source.name} has too few bytes.", hint=_OTHER)
    pixels: Any = np.frombuffer(shot.pixels, dtype="<u4", count=shot.width * shot.height)
    part = pixels.reshape(shot.height, shot.width)[y0:y1, x0:x1]
    return replace(shot, source=source, pixels=part.tobytes(), width=x1 - x0, height=y1 - y0)


def _blue_first(pixels: _Pixels, code: int) -> _Pixels:
    if code in _AS_IS:
        return pixels
    words: Any = pixels
    if code in _SWAPPED:
        return (words & 0xFF00FF00) | (words & 0xFF) << 16 | (words >> 16 & 0xFF)
    low, middle, high = words >> 2 & 0xFF, words >> 12 & 0xFF, words >> 22 & 0xFF
    return low | middle << 8 | high << 16 if code in _TEN_BITS else high | middle << 8 | low << 16


def _upright(pixels: _Pixels, transform: int) -> _Pixels:
    """Undo what the compositor did to fit a turned monitor."""
    turned: Any = np.rot90(pixels, k=-(transform % 4))
    return turned[:, ::-1] if transform >= 4 else turned
