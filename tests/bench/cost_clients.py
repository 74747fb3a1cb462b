"""Whoever is compared in the table of costs: hudd with each of its memories, and two naive clients."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from typing import Final, Protocol

from hudd.config.settings import SessionSettings, Settings
from hudd.engine.accounting import CacheMode, Prompt, Segment, count, input_limit, items_to_drop, text_segment
from hudd.engine.conversation import preamble
from hudd.ledger.calibration import learn, window_tokens
from hudd.ledger.records import Sample
from hudd.model import Picture, Question, Source, Usage
from hudd.protocol.events import ClientEvent, ItemCreate, Message, OutputItem, ResponseCreate, TextPart
from hudd.realtime.memory import ConversationMemory, context_tokens
from hudd.realtime.prompt import WindowHistory, build, build_in_conversation, compose_instructions, question_message
from tests.bench.day import Change

MODEL: Final = "gpt-realtime-1.5"
MONDAY: Final = 1_795_420_800.0
WINDOW_ANSWERS: Final = 10
MAX_OUTPUT_TOKENS: Final = 200


@dataclass(frozen=True, slots=True)
class Case:
    """One line of the table.

    Attributes:
        model: Whose prices apply.
        cache: How the service's prompt cache behaves.
        image_tokens: Of one picture.
        pictures: Of one question.
        reasoning_tokens: Billed with each answer, for a model that reasons.
    """

    model: str = MODEL
    cache: CacheMode = "300s"
    image_tokens: int = 323
    pictures: int = 1
    reasoning_tokens: int = 0


class Client(Protocol):
    """Somebody who asks about each change.

    Attributes:
        sent: What goes over the wire for the newest change.
    """

    sent: Sequence[ClientEvent]

    def prompt(self, change: Change, case: Case) -> Prompt:
        """All that the response is billed for as input."""
        ...

    def answered(self, change: Change, text: str, usage: Usage) -> Sequence[Segment]:
        """Take the answer; returns what it adds to the prompt in the service's conversation, if anything."""
        ...


@cache
def instructions() -> str:
    """Those that hudd ships."""
    return compose_instructions((files("hudd") / "data" / "instructions.txt").read_text(encoding="utf-8"))


def question_of(change: Change, case: Case) -> Question:
    """The question that hudd asks about a change."""
    source = Source("monitor", "eDP-1", (0, 0, 1920, 1080))
    picture = Picture(source, "image/jpeg", b"", 1280, 720, 0.67, f"{change.at_s:x}", MONDAY + change.at_s, 1)
    return Question(f"{change.at_s:026d}", "change", (picture,) * case.pictures, 0.0)


def request_in_conversation(question: Question) -> ResponseCreate:
    """The request for a question that stands in the service's conversation."""
    return build_in_conversation(question, event_id="rc_1", max_output_tokens=MAX_OUTPUT_TOKENS)


def segments(messages: Sequence[Message], change: Change, case: Case) -> Iterator[Segment]:
    """Messages as the engine counts them; each picture of a change is one of its own."""
    shown = 0
    for message in messages:
        for part in message.parts:
            if isinstance(part, TextPart):
                yield text_segment(message.role, part.text)
            else:
                shown += 1
                yield Segment("image", f"{change.at_s} {shown} auto", case.image_tokens)


class SteeredHistory(WindowHistory):
    """The history of both memories, which shrinks where the cache does not pay for it, as ``hudd.flow.meter`` does."""

    def __init__(self, settings: SessionSettings, *, steered: bool = True) -> None:
        super().__init__(history_tokens=settings.history_tokens, retention_ratio=settings.retention_ratio)
        self.longest = settings.history_tokens
        self.samples: list[Sample] = []
        self.steered = steered

    def answered(self, change: Change, text: str, usage: Usage) -> None:
        if change.news:
            self.remember("eDP-1", text)
        self.samples.append(Sample(1, 0, usage))
        if self.steered and len(self.samples) == WINDOW_ANSWERS:
            self.set_limit(window_tokens(self.longest, self.limit, learn(self.samples).cached_text_percent))
            self.samples.clear()


class WindowClient:
    """hudd's default: each question is out of band, with a short text history."""

    def __init__(self, settings: Settings, *, steered: bool = True) -> None:
        self.start = preamble(instructions(), ())
        self.history = SteeredHistory(settings.session, steered=steered)
        self.sent: Sequence[ClientEvent] = ()

    def prompt(self, change: Change, case: Case) -> Prompt:
        request = build(question_of(change, case), self.history, event_id="rc_1", max_output_tokens=MAX_OUTPUT_TOKENS)
        self.sent = (request,)
        return (*self.start, *segments(request.input or (), change, case))

    def answered(self, change: Change, text: str, usage: Usage) -> Sequence[Segment]:
        self.history.answered(change, text, usage)
        return ()


@dataclass(slots=True)
class Item:
    """An item of the service's conversation."""

    segments: tuple[Segment, ...]

    @property
    def tokens(self) -> int:
        """What it adds to a prompt."""
        return count(self.segments).total


@dataclass(slots=True)
class NaiveClient:
    """Shows every change to the service's conversation and leaves everything there; truncation is all that cuts.

    Attributes:
        limit: Tokens behind the instructions above which the oldest items go.
        ratio: Share of the limit that a cut keeps.
        items: What stands in the conversation.
        sent: As in ``Client``.
    """

    limit: int
    ratio: float
    items: list[Item] = field(default_factory=list[Item])
    sent: Sequence[ClientEvent] = ()

    def prompt(self, change: Change, case: Case) -> Prompt:
        question = question_of(change, case)
        message = question_message(question)
        self.sent = (ItemCreate("ic_1", message), request_in_conversation(question))
        self.items.append(Item(tuple(segments((message,), change, case))))
        truncation = {"retention_ratio": self.ratio, "token_limits": {"post_instructions": self.limit}}
        del self.items[: items_to_drop([item.tokens for item in self.items], truncation, self.limit)]
        return (*preamble(instructions(), ()), *(segment for item in self.items for segment in item.segments))

    def answered(self, change: Change, text: str, usage: Usage) -> Sequence[Segment]:
        answer = text_segment("assistant", text)
        self.items.append(Item((answer,)))
        return (answer,)


class MemoryClient:
    """hudd's ``conversation`` memory: what it creates and deletes stands in the service's conversation."""

    def __init__(self, settings: Settings) -> None:
        session = replace(settings.session, memory="conversation")
        self.start = preamble(instructions(), ())
        self.history = SteeredHistory(session)
        self.memory = ConversationMemory(session, self.history)
        self.truncation = {
            "retention_ratio": session.retention_ratio,
            "token_limits": {"post_instructions": context_tokens(session)},
        }
        self.limit = input_limit(reasons=False)
        self.items: dict[str, Item] = {}
        self.asked = ""
        self.sent: Sequence[ClientEvent] = ()

    def prompt(self, change: Change, case: Case) -> Prompt:
        deletions, question = self.memory.deletions(), question_of(change, case)
        for deletion in deletions:
            self.items.pop(deletion.item_id, None)
        creations = self.memory.plan(question)
        for create in creations:
            self.items[create.item.id] = Item(tuple(segments((create.item,), change, case)))
            self.memory.placed(create.item.id)
        self.sent = (*deletions, *creations, request_in_conversation(question))
        self.asked = question.id
        dropped = items_to_drop([item.tokens for item in self.items.values()], self.truncation, self.limit)
        for item_id in list(self.items)[:dropped]:
            del self.items[item_id]
        return (*self.start, *(segment for item in self.items.values() for segment in item.segments))

    def answered(self, change: Change, text: str, usage: Usage) -> Sequence[Segment]:
        answer, item_id = text_segment("assistant", text), f"item_{change.at_s}"
        self.items[item_id] = Item((answer,))
        self.memory.ended(self.asked, (OutputItem(id=item_id, type="message", texts=(text,)),))
        self.history.answered(change, text, usage)
        return (answer,)


def clients(settings: Settings) -> dict[str, Callable[[], Client]]:
    """Whoever is compared."""
    return {
        "window": lambda: WindowClient(settings),
        "conversation": lambda: MemoryClient(settings),
        "naive retention": lambda: NaiveClient(8_000, 0.8),
        "naive history": lambda: NaiveClient(input_limit(reasons=False), 1.0),
    }
