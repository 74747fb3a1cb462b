"""The catch-up algorithm of PROTOCOL.md as a pure machine: frames and replies in, notes and requests out.

No socket, no clock: `now` is an argument, in seconds that never go back. The shells (``hudctl.feed``,
``hudctl.afeed``) only carry bytes and wait.

The machine holds one number per stream, the cursor: every note of our topics up to it was handed out. A live note is
handed out at once when nothing can lie between it and the cursor; otherwise, and whenever a heartbeat or a welcome
names a newer note, the range behind the cursor is asked for. So a lost frame never loses a note, a frame that comes
twice gives no second note, and the cursor alone is enough to go on after a restart of either side.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

from hudd.wire.messages import Note
from hudd.wire.table import REPLAY_PAGE

ASK_TIMEOUT_S: Final = 5.0
"""A page that did not come by then was asked of a daemon that is gone; it is asked for again."""
SMALLEST_PAGE: Final = 8
"""So few notes are asked for over a line on which more take longer than that."""

BACKOFF_FIRST_S: Final = 0.2
BACKOFF_LAST_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a feed has come. Keep both parts; a number means nothing without its stream."""

    stream: str
    seq: int


@dataclass(frozen=True, slots=True)
class Ask:
    """A page of ``notes.since`` that is wanted.

    Attributes:
        number: Counts the requests; the page is handed back with it.
        stream: The stream the seq belongs to.
        seq: Notes after this number.
        topic_prefix: What all our topics begin with.
        wanted: The newest note known of when it was asked.
        limit: How many notes the page may have.
    """

    number: int
    stream: str
    seq: int
    topic_prefix: str
    wanted: int
    limit: int = REPLAY_PAGE

    def params(self) -> dict[str, Any]:
        """The parameters of the request."""
        return {"stream": self.stream, "seq": self.seq, "topic_prefix": self.topic_prefix, "limit": self.limit}


@dataclass(slots=True)
class FeedCore:
    """The state of one feed.

    Args:
        topics: Prefixes of note topics.
        after: Hand out what came after this number; None for what comes from now on.
        stream: The stream ``after`` belongs to; None for whichever there is.
        live: Nothing can be asked for: notes are handed out as they come, and ``fresh`` tells that some were missed.
    """

    topics: Sequence[str] = ("note/",)
    after: int | None = None
    stream: str | None = None
    live: bool = False
    notes: deque[Note] = field(default_factory=deque[Note])
    fresh: bool = False
    welcomed: bool = False
    _cursors: dict[str, int] = field(default_factory=dict[str, int])
    _instance: str | None = None
    _wanted: int = 0
    _must_ask: bool = False
    _asks: int = 0
    _outstanding: Ask | None = None
    _resend_at: float = 0.0
    _not_before: float = 0.0
    _backoff_s: float = BACKOFF_FIRST_S
    _limit: int = REPLAY_PAGE

    def __post_init__(self) -> None:
        self.topics = tuple(dict.fromkeys(self.topics))
        if not self.topics or not all(topic.startswith("note/") for topic in self.topics):
            raise ValueError('topics of a feed begin with "note/"')
        if self.stream is not None and self.after is not None:
            self._cursors[self.stream] = self.after

    @property
    def cursor(self) -> Cursor | None:
        """Everything up to here was put into ``notes``; None before the first welcome."""
        return None if self.stream is None else Cursor(self.stream, self._cursors.get(self.stream, 0))

    # In ----------------------------------------------------------------------------------------------------------

    def on_frame(self, topic: str, body: Mapping[str, Any], now: float) -> None:
        """Take one frame of the note socket. Topics that are not ours, and unknown ones, are ignored.

        Raises:
            ValueError: The body is not what PROTOCOL.md says.
        """
        if topic.startswith("note/"):
            if self.welcomed and self._is_ours(topic):
                self._on_note(Note.from_json(body))
        elif topic.startswith(("welcome/", "hb/")):
            try:
                stream = str(body["stream"])
                heads = {str(k): int(v) for k, v in cast("Mapping[str, Any]", body["heads"]).items()}
            except (LookupError, TypeError, AttributeError) as error:
                raise ValueError(f"this is no {topic} frame: {error!r}") from error
            if topic.startswith("welcome/"):
                self._on_welcome(stream, heads, str(body.get("instance")), now)
            elif self.welcomed:
                self._on_heads(stream, heads)

    def on_page(self, number: int, page: Mapping[str, Any]) -> None:
        """Take the result of an `Ask`. Pages of asks that were given up are ignored.

        Raises:
            ValueError: The page is not what PROTOCOL.md says.
        """
        ask = self._outstanding
        if ask is None or ask.number != number:
            return
        try:
            stream = str(page["stream"])
            found = [Note.from_json(note) for note in cast("Sequence[Mapping[str, Any]]", page["notes"])]
            more, oldest = bool(page.get("more")), int(page.get("oldest") or 0)
        except (LookupError, TypeError) as error:
            raise ValueError(f"this is no page of notes: {error!r}") from error
        self._outstanding = None
        self._backoff_s = BACKOFF_FIRST_S
        self._limit = min(self._limit * 2, REPLAY_PAGE)
        if stream != ask.stream:
            # The journal was replaced under us: this page counts from a number of the other one.
            self._switch(stream)
            self._must_ask = True
            return
        if stream != self.stream:
            return  # we went to another stream meanwhile; its own ask follows
        # Below the oldest note rows were removed; whoever stood there missed them for good.
        self.fresh = self.fresh or 0 < ask.seq < oldest - 1
        for note in found:
            self._hand_out(note)
        if more and found:
            self._must_ask = True
        else:
            # What was known of and is not there any more was pruned or forgotten; waiting for it would never end.
            self._cursors[stream] = max(self._cursors.get(stream, 0), ask.wanted)

    def on_failure(self, number: int, now: float, retry_after_s: float = 0.0) -> None:
        """An `Ask` could not be sent or was answered with an error that may pass. It is asked again, later."""
        if self._outstanding is not None and self._outstanding.number == number:
            self._outstanding = None
            self._must_ask = True
            self._not_before = now + max(retry_after_s, self._backoff_s)
            self._backoff_s = min(self._backoff_s * 2, BACKOFF_LAST_S)

    # Out ---------------------------------------------------------------------------------------------------------

    def next_ask(self, now: float) -> Ask | None:
        """The request to send now, or None. What it returns counts as sent."""
        if self.live:
            return None
        if self._outstanding is not None and now >= self._resend_at:
            self._outstanding = None
            self._must_ask = True
            self._limit = max(self._limit // 2, SMALLEST_PAGE)
        if self._outstanding is not None or self.stream is None or not self.welcomed or now < self._not_before:
            return None
        seq = self._cursors.get(self.stream, 0)
        if not self._must_ask and self._wanted <= seq:
            return None
        self._asks += 1
        self._must_ask = False
        self._outstanding = Ask(self._asks, self.stream, seq, _shared_prefix(self.topics), self._wanted, self._limit)
        self._resend_at = now + ASK_TIMEOUT_S
        return self._outstanding

    def wake_at(self) -> float | None:
        """When `next_ask` may have something although nothing came in; None for never."""
        if self.live:
            return None
        if self._outstanding is not None:
            return self._resend_at
        if self.stream is not None and (self._must_ask or self._wanted > self._cursors.get(self.stream, 0)):
            return self._not_before
        return None

    # Within ------------------------------------------------------------------------------------------------------

    def _is_ours(self, topic: str) -> bool:
        return any(topic.startswith(prefix) for prefix in self.topics)

    def _on_welcome(self, stream: str, heads: Mapping[str, int], instance: str, now: float) -> None:
        if not self.welcomed:
            self.welcomed = True
            if self.after is None:
                # From now on: notes of before, on any topic, are not wanted.
                self.stream = stream
                self._cursors[stream] = max(heads.values(), default=0)
            elif self.stream is None:
                self.stream = stream
                self._cursors[stream] = self.after
        newest = max(heads.values(), default=0)
        if instance != self._instance and 0 < newest < self._cursors.get(stream, 0):
            # An older copy of the journal was put back: its next notes take numbers that we hold already.
            self.fresh = True
            self._cursors[stream] = newest
            self._wanted = 0
        self._instance = instance
        if self._outstanding is not None:
            # A welcome means a new connection, perhaps a new daemon that never got the request.
            self._outstanding = None
            self._must_ask = True
        self._not_before = now
        self._backoff_s = BACKOFF_FIRST_S
        self._on_heads(stream, heads)

    def _on_heads(self, stream: str, heads: Mapping[str, int]) -> None:
        self._switch(stream)
        ours = [seq for topic, seq in heads.items() if self._is_ours(topic)]
        self._wanted = max(self._wanted, max(ours, default=0))

    def _switch(self, stream: str) -> None:
        """Go on in another stream: from its beginning, or where we were in it before."""
        if stream == self.stream:
            return
        self.fresh = self.fresh or self.stream is not None
        self.stream = stream
        self._cursors.setdefault(stream, 0)
        self._wanted = 0
        self._outstanding = None

    def _on_note(self, note: Note) -> None:
        self._switch(note.stream)
        cursor = self._cursors.get(note.stream, 0)
        if note.seq <= cursor:
            return
        # A topic that ends in its source can be the only one we hear, and then prev names its last note.
        alone = len(self.topics) == 1 and self.topics[0] == note.topic
        gapless = note.seq == cursor + 1 or (alone and note.prev <= cursor)
        if gapless or self.live:
            self.fresh = self.fresh or not gapless
            self._hand_out(note)
        self._wanted = max(self._wanted, note.seq)

    def _hand_out(self, note: Note) -> None:
        assert self.stream is not None
        if note.seq > self._cursors.get(self.stream, 0):
            self._cursors[self.stream] = note.seq
            if self._is_ours(note.topic):
                self.notes.append(note)


def _shared_prefix(topics: Sequence[str]) -> str:
    """What all topics begin with; one request then serves them all, and the rest is left out here."""
    low, high = min(topics), max(topics)
    same = 0
    while same < min(len(low), len(high)) and low[same] == high[same]:
        same += 1
    return low[:same]
