"""The catch-up machine: whatever is lost, doubled or restarted, each note comes once and in order."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hudctl.feed_core import ASK_TIMEOUT_S, BACKOFF_LAST_S, Ask, Cursor, FeedCore
from hudd.wire.messages import Note
from tests.fakes.bus import MemoryJournal, make_note


class World:
    """A journal, a lossy note socket, a lossy command socket, a reader; time passes by hand."""

    def __init__(self, core: FeedCore, page: int = 3) -> None:
        self.core = core
        self.page = page
        self.journal = MemoryJournal("s1")
        self.instance = "i1"
        self.frames: deque[tuple[str, dict[str, Any]]] = deque()
        self.replies: deque[tuple[int, dict[str, Any]]] = deque()
        self.now = 0.0
        self.got: list[Note] = []

    def write(self, source: str, *, lost: bool) -> None:
        note = self.journal.append(source)
        if not lost:
            self.frames.append((note.topic, note.to_json()))

    def facts(self) -> dict[str, Any]:
        heads, instance = self.journal.heads(), self.instance
        return {"stream": self.journal.stream, "heads": heads, "instance": instance, "protocol": [1, 1]}

    def welcome(self) -> None:
        self.frames.append(("welcome/t/", self.facts()))

    def beat(self) -> None:
        self.frames.append(("hb/", self.facts()))

    def read_frame(self) -> None:
        if self.frames:
            self.core.on_frame(*self.frames.popleft(), self.now)
        self._take()

    def ask(self, *, lost: bool = False) -> Ask | None:
        ask = self.core.next_ask(self.now)
        if ask is not None and not lost:
            params = ask.params()
            page = self.journal.page(params["stream"], params["seq"], params["topic_prefix"], self.page)
            self.replies.append((ask.number, page))
        return ask

    def read_reply(self, *, lost: bool = False) -> None:
        if self.replies:
            number, page = self.replies.popleft()
            if not lost:
                self.core.on_page(number, page)
        self._take()

    def _take(self) -> None:
        while self.core.notes:
            self.got.append(self.core.notes.popleft())

    def come_to_rest(self) -> None:
        """The network is kind from now on: a beat, and everything is delivered."""
        self.beat()
        for _ in range(1000):
            while self.frames:
                self.read_frame()
            if self.ask() is None and not self.replies:
                at = self.core.wake_at()
                if at is None:
                    return
                self.now = max(at, self.now)
            while self.replies:
                self.read_reply()
        raise AssertionError("it never came to rest")


SOURCES = st.sampled_from(["a", "b", "c"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), SOURCES, st.booleans()),
        st.tuples(st.just("frame")),
        st.tuples(st.just("drop")),
        st.tuples(st.just("double")),
        st.tuples(st.just("swap")),
        st.tuples(st.just("ask"), st.booleans()),
        st.tuples(st.just("reply"), st.booleans()),
        st.tuples(st.just("fail")),
        st.tuples(st.just("beat")),
        st.tuples(st.just("welcome")),
        st.tuples(st.just("wait"), st.sampled_from([0.1, 1.0, 6.0])),
        st.tuples(st.just("restart reader")),
        st.tuples(st.just("replace journal")),
    ),
    max_size=60,
)
TOPICS = st.sampled_from([("note/",), ("note/a/",), ("note/a/", "note/b/"), ("note/b/", "note/b/")])


@settings(max_examples=400)
@given(STEPS, TOPICS, st.integers(0, 4))
def test_any_history_ends_gapless_in_order_and_without_repeats(
    steps: list[tuple[Any, ...]], topics: tuple[str, ...], earlier: int
) -> None:
    world = World(FeedCore(topics, after=0))
    for _ in range(earlier):
        world.write("a", lost=True)
    world.welcome()
    journals = [world.journal]
    for step in steps:
        match step:
            case ("write", source, lost):
                world.write(source, lost=lost)
            case ("frame",):
                world.read_frame()
            case ("drop",) if world.frames and world.core.welcomed:
                world.frames.popleft()
            case ("double",) if world.frames:
                world.frames.append(world.frames[0])
            case ("swap",) if len(world.frames) > 1:
                world.frames.rotate(1)
            case ("ask", lost):
                world.ask(lost=lost)
            case ("reply", lost):
                world.read_reply(lost=lost)
            case ("fail",) if world.replies:
                world.core.on_failure(world.replies.popleft()[0], world.now)
            case ("beat",):
                world.beat()
            case ("welcome",):
                world.welcome()
            case ("wait", seconds):
                world.now += seconds
            case ("restart reader",) if world.core.cursor is not None:
                cursor = world.core.cursor
                world.core = FeedCore(topics, after=cursor.seq, stream=cursor.stream)
                world.frames.clear()
                world.replies.clear()
                world.welcome()
            case ("replace journal",) if len(journals) == 1 and world.core.welcomed:
                # What was in the old one and not yet read is gone with it; the rest must still come once.
                world.journal = MemoryJournal("s2")
                journals.append(world.journal)
                world.welcome()
            case _:
                pass
    world.come_to_rest()
    for journal in journals:
        ours = [n.seq for n in journal.notes if any(n.topic.startswith(topic) for topic in topics)]
        got = [n.seq for n in world.got if n.stream == journal.stream]
        assert got == (ours if journal is world.journal else ours[: len(got)])
    assert len(journals) == 2 or not world.core.fresh


def fed(after: int | None = 0, topics: tuple[str, ...] = ("note/",), stream: str | None = None) -> World:
    return World(FeedCore(topics, after=after, stream=stream))


def test_from_now_on_means_after_the_welcome() -> None:
    world = fed(after=None)
    world.write("a", lost=False)
    world.welcome()
    world.write("b", lost=False)
    world.come_to_rest()
    assert [note.seq for note in world.got] == [2]


def test_live_notes_in_a_row_need_no_request() -> None:
    world = fed()
    world.welcome()
    for _ in range(5):
        world.write("a", lost=False)
    while world.frames:
        world.read_frame()
    assert len(world.got) == 5
    assert world.core.next_ask(0) is None
    assert world.core.wake_at() is None


def test_other_topics_never_look_like_a_loss_to_one_topic() -> None:
    world = fed(topics=("note/a/",))
    world.welcome()
    for source in "abbbabba":
        world.write(source, lost=source == "b")
    while world.frames:
        world.read_frame()
    assert [note.seq for note in world.got] == [1, 5, 8]
    assert world.core.next_ask(0) is None


def test_a_lost_note_is_asked_for_before_the_later_one_is_handed_out() -> None:
    world = fed()
    world.welcome()
    world.write("a", lost=False)
    world.write("a", lost=True)
    world.write("a", lost=False)
    while world.frames:
        world.read_frame()
    assert [note.seq for note in world.got] == [1]
    assert world.core.cursor == Cursor("s1", 1)
    ask = world.ask()
    assert ask is not None
    assert ask.params() == {"stream": "s1", "seq": 1, "topic_prefix": "note/", "limit": 500}
    world.read_reply()
    assert [note.seq for note in world.got] == [1, 2, 3]


def test_one_request_serves_several_topics() -> None:
    world = fed(topics=("note/eDP-1/", "note/eDP-2/"))
    world.welcome()
    world.write("eDP-2", lost=True)
    world.beat()
    world.read_frame()
    world.read_frame()
    ask = world.ask()
    assert ask is not None
    assert ask.topic_prefix == "note/eDP-"


def test_a_page_that_does_not_come_is_asked_for_again() -> None:
    world = fed()
    world.write("a", lost=True)
    world.welcome()
    world.read_frame()
    first = world.ask(lost=True)
    assert first is not None
    assert world.core.next_ask(ASK_TIMEOUT_S - 0.1) is None
    second = world.core.next_ask(ASK_TIMEOUT_S)
    assert second is not None
    world.core.on_page(first.number, world.journal.page("s1", 0))
    assert not world.core.notes  # the late page belongs to a request that was given up
    world.core.on_page(second.number, world.journal.page("s1", 0))
    assert len(world.core.notes) == 1


def test_failures_are_repeated_ever_more_rarely_and_as_told() -> None:
    world = fed()
    world.write("a", lost=True)
    world.welcome()
    world.read_frame()
    waits: list[float] = []
    for _ in range(8):
        ask = world.core.next_ask(world.now)
        assert ask is not None
        world.core.on_failure(ask.number, world.now)
        at = world.core.wake_at()
        assert at is not None
        waits.append(round(at - world.now, 3))
        assert world.core.next_ask(at - 0.01) is None
        world.now = at
    assert waits == [0.2, 0.4, 0.8, 1.6, 3.2, BACKOFF_LAST_S, BACKOFF_LAST_S, BACKOFF_LAST_S]
    ask = world.core.next_ask(world.now)
    assert ask is not None
    world.core.on_failure(ask.number, world.now, retry_after_s=30)
    assert world.core.wake_at() == world.now + 30


def test_an_announced_note_that_is_gone_is_not_waited_for() -> None:
    world = fed()
    world.write("a", lost=True)
    world.write("a", lost=True)
    world.welcome()
    world.journal.notes.clear()
    world.come_to_rest()
    assert world.got == []
    assert world.core.cursor == Cursor("s1", 2)


def test_a_pruned_range_is_told_and_passed() -> None:
    world = fed(after=2)
    for _ in range(6):
        world.write("a", lost=True)
    del world.journal.notes[:4]
    world.welcome()
    world.come_to_rest()
    assert [note.seq for note in world.got] == [5, 6]
    assert world.core.fresh


def test_everything_from_the_start_is_no_pruned_range() -> None:
    world = fed(after=0)
    for _ in range(3):
        world.write("a", lost=True)
    del world.journal.notes[:1]
    world.welcome()
    world.come_to_rest()
    assert not world.core.fresh


def test_a_cursor_of_another_stream_begins_at_the_first_note() -> None:
    world = fed(after=40, stream="older")
    world.write("a", lost=True)
    world.welcome()
    world.come_to_rest()
    assert [note.seq for note in world.got] == [1]
    assert world.core.fresh


def test_a_cursor_ahead_of_the_journal_goes_on_from_its_newest_note() -> None:
    world = fed(after=40)
    world.write("a", lost=True)
    world.welcome()
    world.write("a", lost=False)
    world.come_to_rest()
    assert [note.seq for note in world.got] == [2]
    assert world.core.fresh


def put_back(world: World, notes: int) -> None:
    """An older copy of the journal, with so many notes, and the daemon that opened it."""
    world.journal = MemoryJournal("s1")
    world.instance = "i2"
    for _ in range(notes):
        world.journal.append("a")


def test_an_older_copy_that_is_put_back_under_a_feed_is_told_and_gone_on_from() -> None:
    world = fed()
    world.welcome()
    for _ in range(5):
        world.write("a", lost=False)
    world.write("a", lost=True)
    world.beat()  # which names 6, and nobody gets it any more
    while world.frames:
        world.read_frame()
    assert world.ask(lost=True) is not None
    put_back(world, 3)
    world.welcome()
    world.read_frame()
    assert world.core.fresh
    assert world.core.cursor == Cursor("s1", 3)
    world.write("a", lost=False)
    world.write("a", lost=True)
    world.come_to_rest()
    assert [note.seq for note in world.got] == [1, 2, 3, 4, 5, 4, 5]


def test_heads_behind_the_reader_at_a_new_connection_to_the_same_daemon_are_no_older_copy() -> None:
    world = fed()
    world.welcome()
    for _ in range(3):
        world.write("a", lost=False)
    while world.frames:
        world.read_frame()
    facts = world.facts()
    world.frames.append(("welcome/t/", {**facts, "heads": {"note/a/": 2}}))
    world.come_to_rest()
    assert [note.seq for note in world.got] == [1, 2, 3]
    assert not world.core.fresh


def test_a_stale_frame_of_the_replaced_journal_repeats_nothing() -> None:
    world = fed()
    world.welcome()
    world.write("a", lost=False)
    old = world.frames[-1]
    world.read_frame()
    world.read_frame()
    world.journal = MemoryJournal("s2")
    world.write("a", lost=False)
    world.come_to_rest()
    world.frames.append(old)
    world.come_to_rest()
    assert [(note.stream, note.seq) for note in world.got] == [("s1", 1), ("s2", 1)]


@pytest.mark.parametrize("topics", [(), ("state/",), ("note/", "")])
def test_only_note_topics_make_a_feed(topics: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="note/"):
        FeedCore(topics)


@pytest.mark.parametrize(
    ("topic", "body"),
    [("welcome/t/", {}), ("welcome/t/", {"stream": "s", "heads": 5}), ("hb/", {"heads": {"note/a/": "x"}, "stream": ""}),
     ("note/a/", {"seq": 1})],
)  # fmt: skip
def test_frames_that_are_not_as_agreed_are_refused(topic: str, body: dict[str, Any]) -> None:
    world = fed()
    world.welcome()
    world.read_frame()
    with pytest.raises(ValueError, match=r".+"):
        world.core.on_frame(topic, body, 0.0)


def test_unknown_topics_are_ignored() -> None:
    world = fed()
    world.welcome()
    world.read_frame()
    world.core.on_frame("novel/", {}, 0.0)
    world.core.on_frame("note/a/", make_note(1).to_json(), 0.0)
    assert len(world.core.notes) == 1
