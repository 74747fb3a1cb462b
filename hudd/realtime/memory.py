"""The ``conversation`` memory: what of ours stands in the service's conversation, and what should leave it. Pure.

One per connection, because each connection is a new and empty conversation. Pictures and answers are items of it. A
picture whose question ended is spent: it would be billed again with every answer, so spent ones are deleted, several at
once, since each deletion costs the cached beginning from its place on (realtime-protocol 6.3). The texts are cut by our
own count too, because the service's truncation does nothing on some endpoints (6.5).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from hudd.config.settings import SessionSettings
from hudd.model import Question
from hudd.protocol.events import ItemCreate, ItemDelete, Message, OutputItem, TextPart
from hudd.realtime.prompt import (
    TOKENS_PER_ITEM,
    WindowHistory,
    estimate_tokens,
    frame_message,
    question_message,
)

SPENT_PICTURES: Final = 2
"""Spent pictures that are deleted together.

An answer of 60 tokens behind a deleted picture is billed once more at full price whether pictures leave one by one or
together, so what a larger block saves is only the request; what it costs is its pictures once more with every answer:
a tenth of their price each while the cache is warm, all of it when it is not. With two, the picture before the present
one is in sight every other time."""
PICTURE_TOKENS: Final = 839
"""The dearest reading of one picture of a 16:9 screen (realtime-protocol 4.3)."""


def context_tokens(settings: SessionSettings) -> int:
    """Tokens after the instructions up to which the service may let a conversation grow.

    In ``window`` memory nothing stands in the service's conversation. In ``conversation`` memory the pictures, spent
    ones and the present one, stand beside the text.
    """
    if settings.memory == "window":
        return settings.history_tokens
    return settings.history_tokens + (SPENT_PICTURES + 1) * PICTURE_TOKENS


@dataclass(frozen=True, slots=True)
class _Item:
    """One item of the conversation.

    Attributes:
        id: Ours for what we create, the service's for answers.
        tokens: Of its text, about.
        pictures: How many it holds.
        question_id: The question it belongs to, or ''.
        spent: True when its question ended.
    """

    id: str
    tokens: int
    pictures: int = 0
    question_id: str = ""
    spent: bool = False


class ConversationMemory:
    """Items of one connection's conversation.

    Args:
        settings: ``history_tokens`` and ``retention_ratio`` are the budget of the texts.
        history: Recent notes, put back at the beginning of a connection. Where the cache does not pay, its limit is
            below the budget and holds here too.
    """

    def __init__(self, settings: SessionSettings, history: WindowHistory) -> None:
        self._most = settings.history_tokens
        self._ratio = settings.retention_ratio
        self._history = history
        self._items: list[_Item] = []
        self._planned: dict[str, _Item] = {}
        self._texts: list[str] | None = None
        self._framed = False
        self._count = 0

    @property
    def _limit(self) -> int:
        return min(self._most, self._history.limit)

    @property
    def _kept(self) -> int:
        return int(self._limit * self._ratio)

    @property
    def tokens(self) -> int:
        """Text tokens that stand in the conversation, about."""
        return sum(item.tokens for item in self._items)

    @property
    def pictures(self) -> int:
        """Pictures that stand in the conversation."""
        return sum(item.pictures for item in self._items)

    def learn(self, text: str) -> None:
        """A note came from another connection, which the model of this one has not seen."""
        if text.strip() and self._texts is not None and text.strip() not in self._texts:
            self._texts.append(text.strip())

    def plan(self, question: Question) -> tuple[ItemCreate, ...]:
        """The items to create before a question is asked: texts that are missing, then the question itself."""
        self._planned.clear()
        if self._texts is None:
            self._texts = [text for _, text in self._history.latest(self._kept)]
        return tuple(self._plan(question, self._texts))

    def _plan(self, question: Question, texts: list[str]) -> Iterator[ItemCreate]:
        if not self._framed:
            yield self._create(frame_message(), _Item(self._new_id(), 0))
        for text in texts:
            item = _Item(self._new_id(), estimate_tokens(text) + TOKENS_PER_ITEM)
            yield self._create(Message("assistant", (TextPart(text),)), item)
        message = question_message(question)
        tokens = sum(estimate_tokens(part.text) for part in message.parts if isinstance(part, TextPart))
        item = _Item(self._new_id(), tokens + TOKENS_PER_ITEM, len(question.pictures), question.id)
        yield self._create(message, item)

    def placed(self, item_id: str) -> None:
        """A planned item's bytes are with the socket."""
        item = self._planned.pop(item_id, None)
        if item is None:
            return
        if not item.pictures and not self._framed:
            self._framed = True  # it is never deleted, and its few tokens are the same for ever
            return
        if not item.pictures and self._texts:
            del self._texts[0]
        self._items.append(item)

    def ended(self, question_id: str, output: tuple[OutputItem, ...] = ()) -> None:
        """A question ended: its pictures are spent, its answer stands in the conversation."""
        self._planned.clear()
        self._items = [replace(item, spent=True) if item.question_id == question_id else item for item in self._items]
        known = {item.id for item in self._items}
        for answer in output:
            if answer.id and answer.id not in known:
                tokens = sum(estimate_tokens(text) for text in answer.texts) + TOKENS_PER_ITEM
                self._items.append(_Item(answer.id, tokens))

    def deletions(self) -> tuple[ItemDelete, ...]:
        """What should leave now. To be asked between answers only: what is being written cannot be deleted."""
        leaving: list[_Item] = []
        spent = [item for item in self._items if item.spent]
        if sum(item.pictures for item in spent) >= SPENT_PICTURES:
            leaving += spent
        texts = [item for item in self._items if not item.pictures]
        tokens = sum(item.tokens for item in texts)
        if tokens > self._limit:
            # The newest stays even where it alone is above the share: without it nobody could tell what changed.
            while len(texts) > 1 and tokens > self._kept:
                oldest = texts.pop(0)
                tokens -= oldest.tokens
                leaving.append(oldest)
        gone = {item.id for item in leaving}
        self._items = [item for item in self._items if item.id not in gone]
        return tuple(ItemDelete(f"del_{item.id}", item.id) for item in leaving)

    def _new_id(self) -> str:
        self._count += 1
        return f"hudd_{self._count}"  # at most 32 characters are allowed (realtime-protocol 3.3)

    def _create(self, message: Message, item: _Item) -> ItemCreate:
        self._planned[item.id] = item
        return ItemCreate(f"ic_{item.id}", replace(message, id=item.id))
