"""Reading what the command socket answers."""

from __future__ import annotations

from typing import Any, cast

from hudctl.errors import HudctlError, from_reply
from hudd.wire.codec import FrameError, decode_reply


def reply_to(frames: list[bytes], request_id: int) -> dict[str, Any] | None:
    """The result for our request; None for the reply to an earlier one.

    Raises:
        HudctlError: The reply is an error, or cannot be read.
    """
    try:
        body = decode_reply(frames[-1])
    except FrameError as error:
        raise HudctlError(f"The daemon's reply cannot be read: {error}") from error
    reply = cast("dict[str, Any]", body) if isinstance(body, dict) else {}
    if reply.get("id") != request_id:
        return None
    if "error" in reply:
        raise from_reply(reply["error"])
    result = reply.get("result")
    if not isinstance(result, dict):
        raise HudctlError("The daemon's reply has no result.")
    return cast("dict[str, Any]", result)
