"""The default conversation of a session: its items, and what of them the model sees. Pure."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, cast

from hudd.engine.accounting import Segment, count, items_to_drop, text_segment
from hudd.engine.objects import JsonObject
from hudd.engine.schema import RejectedError
from hudd.engine.validation import SentPicture

KEPT_PICTURES: Final = 8
"""So many of the newest pictures keep their bytes: older ones are counted and cached, but never read again."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One item.

    Attributes:
        item: What is told of it, without the data of pictures and audio.
        pictures: Its pictures, in the order of its parts.
        audio_ms: Length of its audio.
    """

    item: JsonObject
    pictures: tuple[SentPicture, ...] = ()
    audio_ms: int = 0

    @property
    def id(self) -> str:
        """``item_…`` or what the client chose."""
        return cast("str", self.item["id"])

    def segments(self) -> tuple[Segment, ...]:
        """What it adds to a prompt."""
        owner = str(self.item.get("role") or self.item["type"])
        found: list[Segment] = []
        pictures = iter(self.pictures)
        for part in cast("list[JsonObject]", self.item.get("content") or []):
            if part["type"] == "input_image":
                picture = next(pictures)
                found.append(Segment("image", f"{picture.digest} {picture.detail}", picture.tokens))
            elif part["type"] in ("input_text", "output_text"):
                found.append(text_segment(owner, part["text"]))
        if self.item["type"] == "function_call":
            found.append(text_segment(owner, self.item["name"] + self.item["arguments"]))
        elif self.item["type"] == "function_call_output":
            found.append(text_segment(owner, self.item["output"]))
        if self.audio_ms:
            found.append(Segment("audio", self.id, -(-self.audio_ms // 100)))
        return tuple(found)

    def tokens(self) -> int:
        """Tokens it adds to a prompt."""
        return count(self.segments()).total


def make_entry(item: Mapping[str, Any], item_id: str, pictures: tuple[SentPicture, ...]) -> Entry:
    """An entry from a checked client item; its data is kept apart and not in what is told."""
    told: JsonObject = {"id": item_id, "type": item["type"], "status": "completed"}
    if item["type"] == "message":
        told["role"] = item["role"]
        told["content"] = [_told_part(part) for part in item["content"]]
    elif item["type"] == "function_call":
        told.update(name=item["name"], call_id=item.get("call_id", ""), arguments=item["arguments"])
    else:
        told.update(call_id=item["call_id"], output=item["output"])
        del told["status"]  # the service tells none here
    return Entry(told, pictures)


def _told_part(part: Mapping[str, Any]) -> JsonObject:
    if part["type"] == "input_image":
        return {"type": "input_image", "detail": part.get("detail", "auto")}
    if part["type"] == "input_audio":
        return {"type": "input_audio", "transcript": part.get("transcript")}
    return copy.deepcopy(dict(part))


def with_image_urls(entry: Entry) -> JsonObject:
    """The item with the data URIs of its pictures, as a service that echoes them would tell it (4.2)."""
    item = copy.deepcopy(entry.item)
    pictures = iter(entry.pictures)
    for part in cast("list[JsonObject]", item.get("content") or []):
        if part["type"] == "input_image":
            picture = next(pictures)
            if picture.data:
                part["image_url"] = f"data:{picture.media_type};base64,{base64.b64encode(picture.data).decode()}"
    return item


def preamble(instructions: str, tools: Sequence[Any]) -> tuple[Segment, ...]:
    """Instructions and tools: the beginning of every prompt (6.3)."""
    segments = [text_segment("instructions", instructions)]
    if tools:
        segments.append(text_segment("tools", json.dumps(tools, sort_keys=True)))
    return tuple(segments)


class Conversation:
    """Items in order, with what truncation took out of the model's view.

    Args:
        conversation_id: ``conv_…``.
    """

    def __init__(self, conversation_id: str) -> None:
        self.id = conversation_id
        self._entries: list[Entry] = []
        self._hidden: set[str] = set()

    def __contains__(self, item_id: object) -> bool:
        return any(entry.id == item_id for entry in self._entries)

    @property
    def last_id(self) -> str | None:
        """Id of the last item, or None when it is empty."""
        return self._entries[-1].id if self._entries else None

    def insert(self, entry: Entry, previous_item_id: str | None) -> str | None:
        """Add an entry.

        Args:
            entry: What to add.
            previous_item_id: None appends, ``root`` puts it first, an id puts it behind that item (3.3).

        Returns:
            The id of the item before it, or None.

        Raises:
            RejectedError: Its id is taken, or there is no such previous item. (These two codes are not known from the
                service.)
        """
        if entry.id in self:
            raise RejectedError(
                "item_create_duplicate_item_id",
                f"Error adding item: an item with id '{entry.id}' already exists.",
                param="item.id",
            )
        at = len(self._entries)
        if previous_item_id == "root":
            at = 0
        elif previous_item_id is not None:
            at = self._position(
                previous_item_id,
                "item_create_invalid_previous_item_id",
                f"Error adding item: the previous item with id '{previous_item_id}' does not exist.",
                param="previous_item_id",
            )
            at += 1
        self._entries.insert(at, entry)
        self._drop_old_data()
        return self._entries[at - 1].id if at else None

    def replace(self, entry: Entry) -> None:
        """Put a finished item in the place of its unfinished self; nothing when it was deleted meanwhile."""
        self._entries = [entry if known.id == entry.id else known for known in self._entries]

    def delete(self, item_id: str) -> None:
        """Remove an item.

        Raises:
            RejectedError: There is none.
        """
        message = f"Error deleting item: the item with id '{item_id}' does not exist."
        del self._entries[self._position(item_id, "item_delete_invalid_item_id", message)]
        self._hidden.discard(item_id)

    def get(self, item_id: str, *, code: str, doing: str) -> Entry:
        """An item by its id.

        Args:
            item_id: Which.
            code: ``error.code`` when there is none.
            doing: For the message: ``retrieving``, ``referencing`` …

        Raises:
            RejectedError: There is none.
        """
        message = f"Error {doing} item: the item with id '{item_id}' does not exist."
        return self._entries[self._position(item_id, code, message)]

    def view(self, truncation: object, limit: int) -> tuple[Entry, ...]:
        """What the model sees now; what is dropped for it stays dropped (6.5).

        Raises:
            ContextOverflowError: Truncation is disabled and it does not fit.
        """
        seen = [entry for entry in self._entries if entry.id not in self._hidden]
        dropped = items_to_drop([entry.tokens() for entry in seen], truncation, limit)
        self._hidden.update(entry.id for entry in seen[:dropped])
        return tuple(seen[dropped:])

    def _position(self, item_id: str, code: str, message: str, *, param: str = "item_id") -> int:
        for index, entry in enumerate(self._entries):
            if entry.id == item_id:
                return index
        raise RejectedError(code, message, param=param)

    def _drop_old_data(self) -> None:
        left = KEPT_PICTURES
        for index in range(len(self._entries) - 1, -1, -1):
            entry = self._entries[index]
            if not entry.pictures:
                continue
            if left <= 0 and entry.pictures[0].data:
                lighter = tuple(replace(picture, data=b"") for picture in entry.pictures)
                self._entries[index] = replace(entry, pictures=lighter)
            left -= len(entry.pictures)


def newest_question(entries: Iterable[Entry]) -> tuple[str, tuple[SentPicture, ...]]:
    """What is asked: the text and the pictures behind the last answer."""
    words: list[str] = []
    pictures: list[SentPicture] = []
    for entry in entries:
        if entry.item.get("role") == "assistant":
            words, pictures = [], []
        elif entry.item.get("role") == "user":
            words.extend(
                p["text"] for p in cast("list[JsonObject]", entry.item["content"]) if p["type"] == "input_text"
            )
            pictures.extend(picture for picture in entry.pictures if picture.data)
    return "\n".join(words), tuple(pictures)
