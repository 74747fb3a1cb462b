"""The size of a PNG or JPEG picture, read from its first bytes. Pure; nothing is decoded."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final, Literal

PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
MAX_SIDE_PX: Final = 65_535

# Start-of-frame markers: every Cn apart from DHT (C4), JPG (C8) and DAC (CC).
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_BARE: Final = frozenset({0x01, *range(0xD0, 0xD8)})  # markers without a length


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """What the first bytes of a picture tell.

    Attributes:
        media_type: What the bytes are, whatever the data URI claims.
        width: Pixels in a row, at least 1.
        height: Rows, at least 1.
    """

    media_type: Literal["image/png", "image/jpeg"]
    width: int
    height: int


def read_header(data: bytes) -> ImageHeader | None:
    """Read type and size.

    Args:
        data: The picture's bytes; anything is allowed.

    Returns:
        None when the bytes are no PNG or JPEG picture, are cut before the size, or claim an impossible one.
    """
    if data.startswith(PNG_SIGNATURE):
        return _png(data)
    if data.startswith(b"\xff\xd8\xff"):
        return _jpeg(data)
    return None


def _png(data: bytes) -> ImageHeader | None:
    if len(data) < 24 or data[12:16] != b"IHDR":
        return None
    width, height = struct.unpack_from(">II", data, 16)
    if not (0 < width <= MAX_SIDE_PX and 0 < height <= MAX_SIDE_PX):
        return None
    return ImageHeader("image/png", width, height)


def _jpeg(data: bytes) -> ImageHeader | None:
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        if marker in _BARE:
            at += 2
            continue
        if marker in (0xD9, 0xDA):  # the picture's data begins or ends before its size was told
            return None
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if length < 2:
            return None
        if marker in _FRAMES:
            if at + 9 > len(data):
                return None
            height, width = struct.unpack_from(">HH", data, at + 5)
            return ImageHeader("image/jpeg", width, height) if width and height else None
        at += 2 + length
    return None
