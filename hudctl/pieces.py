"""The streamed text of one snap, while its note is written."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import zmq

from hudctl.connection import new_token
from hudctl.errors import DeadlineError, HudctlError
from hudd.wire.codec import FrameError, decode_json

LAST_PIECES_S: Final = 0.05
"""How long streamed pieces may come after the finished note, which travels on another socket."""


class Pieces:
    """The streamed text of one snap."""

    def __init__(self, socket: zmq.Socket[bytes], snap_id: str, topic: str, on_delta: Callable[[str], None]) -> None:
        self.socket = socket
        self._snap_id = snap_id
        self._topic = topic
        self._on_delta = on_delta
        self._newest = -1
        self._text = ""

    def subscribe(self, connect: Callable[[zmq.Socket[bytes]], None], deadline: float) -> None:
        """Subscribe, and wait for the welcome that proves it.

        Raises:
            DeadlineError: No welcome came.
        """
        welcome = f"welcome/{new_token()}/".encode()
        self.socket.subscribe(self._topic)
        self.socket.subscribe(welcome)
        connect(self.socket)
        while True:
            left_ms = (deadline - time.monotonic()) * 1000
            if left_ms <= 0 or not self.socket.poll(int(left_ms) + 1):
                raise DeadlineError("The daemon's note socket did not welcome us in time.", code="E_DEADLINE")
            if self.socket.recv_multipart()[0] == welcome:
                self.socket.unsubscribe(welcome)
                return

    def take(self) -> None:
        """Hand on what has come."""
        while self.socket.poll(0):
            frames = self.socket.recv_multipart()
            try:
                body = decode_json(frames[1], max_bytes=None)
                snap_id, number, text = body["snap_id"], int(body["n"]), str(body["text"])
            except (FrameError, LookupError, TypeError, ValueError) as error:
                raise HudctlError(f"The daemon streamed something unreadable: {error}") from error
            if snap_id == self._snap_id and number > self._newest and text:
                self._newest = number
                self._text += text
                self._on_delta(text)

    def finish(self, text: str) -> None:
        """Take the last pieces; what was lost on the way comes as one."""
        until = time.monotonic() + LAST_PIECES_S
        while self._text != text and text.startswith(self._text):
            left_ms = (until - time.monotonic()) * 1000
            if left_ms <= 0 or not self.socket.poll(int(left_ms) + 1):
                break
            self.take()
        if len(text) > len(self._text) and text.startswith(self._text):
            self._on_delta(text[len(self._text) :])
