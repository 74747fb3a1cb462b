"""A service that looks at the pictures it receives, for a colour that nobody may see."""

from __future__ import annotations

import base64
import io
import json
from typing import Any, Final

import numpy as np
from PIL import Image

from tests.soak.service import Service

SECRET: Final = (255, 0, 255)
_NEAR: Final = 60
"""JPEG's blur."""
_LEAST_PX: Final = 64


class Looking(Service):
    """A service that looks at what it receives."""

    def __init__(self) -> None:
        super().__init__()
        self.pictures = 0
        self.secrets: list[str] = []

    def received(self, index: int, frame: str | bytes) -> None:
        event: Any = json.loads(frame)
        if event.get("type") == "response.create":
            for item in event["response"].get("input", ()):
                for part in item.get("content", ()):
                    if part.get("type") == "input_image":
                        self._look(part["image_url"], event["response"]["metadata"].get("snap", ""))
        super().received(index, frame)

    def _look(self, address: str, snap: str) -> None:
        data = base64.b64decode(address.partition(",")[2])
        self.pictures += 1
        if shows_secret(data):
            self.secrets.append(snap)


def shows_secret(data: bytes) -> bool:
    """Whether a picture has a patch of the secret's colour, JPEG's blur allowed for."""
    with Image.open(io.BytesIO(data)) as picture:
        red, green, blue = (np.asarray(band) for band in picture.convert("RGB").split())
    near = (red > SECRET[0] - _NEAR) & (green < SECRET[1] + _NEAR) & (blue > SECRET[2] - _NEAR)
    return int(np.count_nonzero(near)) >= _LEAST_PX
