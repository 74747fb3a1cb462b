"""A page for the reader from a frame as the screen gives it, without encoding it first."""

from __future__ import annotations

from PIL import Image

from hudd.engine.picture import Page


def page_of(pixels: bytes | bytearray | memoryview, width: int, height: int) -> Page:
    """A page from ``width * height`` pixels of B G R X."""
    plain = Image.frombuffer("RGB", (width, height), bytes(pixels), "raw", "BGRX", 0, 1)
    return Page(plain.convert("L"), plain.reduce(max(1, width // 240)), plain.getchannel("R"))
