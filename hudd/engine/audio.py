"""The input audio buffer, as far as the engine needs it: lengths, no sound. Pure. Source: realtime-protocol 7.2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from hudd.engine.conversation import Entry
from hudd.engine.schema import RejectedError

MIN_COMMIT_MS: Final = 100
_BYTES_PER_MS: Final = {"audio/pcm": 48, "audio/pcmu": 8, "audio/pcma": 8}


class AudioBuffer:
    """Counts how much audio waits to be committed."""

    def __init__(self) -> None:
        self._ms = 0.0

    def append(self, audio: str, audio_format: Mapping[str, Any]) -> None:
        """Add base64 audio of a format; there is no acknowledgement."""
        payload = len(audio.rstrip("=")) * 3 // 4
        self._ms += payload / _BYTES_PER_MS[audio_format["type"]]

    def clear(self) -> None:
        """Forget what waits."""
        self._ms = 0.0

    def commit(self, item_id: str) -> Entry:
        """Make a user message of what waits.

        Raises:
            RejectedError: It is shorter than 100 ms.
        """
        if self._ms < MIN_COMMIT_MS:
            raise RejectedError(
                "input_audio_buffer_commit_empty",
                "Error committing input audio buffer: buffer too small. Expected at least 100ms of audio, "
                f"but buffer only has {self._ms:.2f}ms of audio.",
            )
        length_ms = int(self._ms)
        self.clear()
        item = {
            "id": item_id,
            "type": "message",
            "status": "completed",
            "role": "user",
            "content": [{"type": "input_audio", "transcript": None}],
        }
        return Entry(item, audio_ms=length_ms)
