"""The service's side of a Realtime connection, scripted, without a socket: client events in, server frames out.

Shapes are those of realtime-protocol 2.2, 3.4, 3.5 and 9.1. Knobs are attributes; change them between events.
"""

from __future__ import annotations

import itertools
import json
from typing import Any

from tests.fakes.official_types import check_client_event

USAGE = {
    "total_tokens": 460,
    "input_tokens": 400,
    "output_tokens": 60,
    "input_token_details": {
        "text_tokens": 77,
        "audio_tokens": 0,
        "image_tokens": 323,
        "cached_tokens": 64,
        "cached_tokens_details": {"text_tokens": 64, "audio_tokens": 0, "image_tokens": 0},
    },
    "output_token_details": {"text_tokens": 60, "audio_tokens": 0},
}


class RealtimePeer:
    """Answers each client event as the service does.

    Attributes:
        text: What every answer says.
        status: How answers end.
        reason: ``status_details.reason`` of answers that are not complete.
        error: The error object of failed answers.
        usage: Usage of every answer.
        silent_to: Types of client events that get no reaction.
        stop_after: Type of a server event after which an answer is not continued, or ''.
        received: Every client event, parsed.
        items: The default conversation: item id → content, oldest first.
        refuse_items: Error code with which items are refused, or ''.
        twice: Whether each event is sent twice.
    """

    def __init__(self, *, text: str = "A terminal shows make, which failed with 2 errors.") -> None:
        self.text = text
        self.status = "completed"
        self.reason = ""
        self.error: dict[str, Any] | None = None
        self.usage: dict[str, Any] | None = USAGE
        self.silent_to: set[str] = set()
        self.stop_after = ""
        self.received: list[dict[str, Any]] = []
        self.items: dict[str, list[dict[str, Any]]] = {}
        self.refuse_items = ""
        self.twice = False
        self.session_id = "sess_1"
        self.expires_at = 1_795_347_066
        self._number = itertools.count(1)
        self._open: dict[str, dict[str, Any]] = {}

    def event(self, kind: str, **fields: Any) -> str:
        """A server event as a frame."""
        return json.dumps({"type": kind, "event_id": f"event_{next(self._number)}", **fields})

    def error_event(self, code: str | None, *, event_id: str | None = None, **fields: Any) -> str:
        error = {"type": "invalid_request_error", "code": code, "message": "m", "param": None, "event_id": event_id}
        return self.event("error", error={**error, **fields})

    def greeting(self) -> list[str]:
        return [self.event("session.created", session=self._session())]

    def receive(self, data: bytes) -> list[str]:
        """Take a client event; returns the frames that follow it."""
        event = check_client_event(data)
        self.received.append(event)
        if event["type"] in self.silent_to:
            return []
        frames = self._react(event)
        return [frame for frame in frames for _ in range(1 + self.twice)]

    def _react(self, event: dict[str, Any]) -> list[str]:
        match event["type"]:
            case "session.update":
                return [self.event("session.updated", session=self._session())]
            case "response.create":
                return self._respond_or_refuse(event)
            case "response.cancel":
                return self._cancel(event)
            case "conversation.item.create":
                return self._create_item(event)
            case "conversation.item.delete":
                return self._delete_item(event)
            case _:
                return []

    @property
    def open_responses(self) -> list[str]:
        """Ids of responses that were begun and not ended."""
        return list(self._open)

    def received_types(self) -> list[str]:
        return [event["type"] for event in self.received]

    def _session(self) -> dict[str, Any]:
        return {
            "type": "realtime",
            "object": "realtime.session",
            "id": self.session_id,
            "model": "gpt-realtime-1.5",
            "expires_at": self.expires_at,
        }

    def _create_item(self, event: dict[str, Any]) -> list[str]:
        if self.refuse_items:
            return [self.error_event(self.refuse_items, event_id=event["event_id"])]
        item = event["item"]
        assert item["id"] not in self.items, "an item id was used twice"
        self.items[item["id"]] = item["content"]
        return [self.event(f"conversation.item.{what}", item=item, previous_item_id=None) for what in ("added", "done")]

    def _delete_item(self, event: dict[str, Any]) -> list[str]:
        if self.items.pop(event["item_id"], None) is None:
            return [self.error_event("item_delete_invalid_item_id")]
        return [self.event("conversation.item.deleted", item_id=event["item_id"])]

    @property
    def auto_active(self) -> bool:
        """Whether a response is being written into the default conversation."""
        return any(response["conversation_id"] for response in self._open.values())

    def _respond_or_refuse(self, event: dict[str, Any]) -> list[str]:
        if event["response"]["conversation"] == "auto" and self.auto_active:
            return [self.error_event("conversation_already_has_active_response", event_id=event["event_id"])]
        return self._respond(event["response"])

    def _respond(self, request: dict[str, Any]) -> list[str]:
        number = next(self._number)
        response = {
            "object": "realtime.response",
            "id": f"resp_{number}",
            "status": "in_progress",
            "status_details": None,
            "output": [],
            "conversation_id": "conv_1" if request["conversation"] == "auto" else None,
            "output_modalities": ["text"],
            "usage": None,
            "metadata": request.get("metadata"),
        }
        item = {"id": f"item_{number}", "type": "message", "status": "in_progress", "role": "assistant", "content": []}
        place = {"response_id": response["id"], "item_id": item["id"], "output_index": 0, "content_index": 0}
        in_item = {"response_id": response["id"], "output_index": 0}
        words = [word + " " for word in self.text.split(" ")]
        words[-1] = words[-1][:-1]
        frames = [
            ("response.created", {"response": response}),
            ("response.output_item.added", {**in_item, "item": item}),
            ("response.content_part.added", {**place, "part": {"type": "text", "text": ""}}),
            *(("response.output_text.delta", {**place, "delta": word, "obfuscation": "x9"}) for word in words),
            ("response.output_text.done", {**place, "text": self.text}),
            ("response.content_part.done", {**place, "part": {"type": "text", "text": self.text}}),
        ]
        content = [{"type": "output_text", "text": self.text}]
        done_item = {**item, "status": "completed", "content": content}
        frames.append(("response.output_item.done", {**in_item, "item": done_item}))
        frames.append(("response.done", {"response": self._done(response, done_item)}))
        limits = [{"name": "tokens", "limit": 15_000_000, "remaining": 14_998_954, "reset_seconds": 0.004}]
        frames.append(("rate_limits.updated", {"rate_limits": limits}))
        self._open[response["id"]] = response
        sent = []
        for kind, fields in frames:
            sent.append(self.event(kind, **fields))
            if kind == "response.done":
                self._open.pop(response["id"])
                if response["conversation_id"] and fields["response"]["output"]:
                    self.items[item["id"]] = content
            if kind == self.stop_after:
                break
        return sent

    def _done(self, response: dict[str, Any], item: dict[str, Any]) -> dict[str, Any]:
        details = None
        if self.status == "failed":
            details = {"type": "failed", "error": self.error}
        elif self.status != "completed":
            details = {"type": self.status, "reason": self.reason}
        return {
            **response,
            "status": self.status,
            "status_details": details,
            "output": [item] if self.status != "failed" else [],
            "usage": self.usage,
        }

    def _cancel(self, event: dict[str, Any]) -> list[str]:
        response = self._open.pop(event.get("response_id", ""), None)
        if response is None:
            return [self.error_event("response_cancel_not_active", event_id=event.get("event_id"))]
        details = {"type": "cancelled", "reason": "client_cancelled"}
        return [
            self.event(
                "response.done",
                response={**response, "status": "cancelled", "status_details": details, "usage": self.usage},
            )
        ]
