"""The budget of the service's conversation."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from hudd.config.settings import SessionSettings
from hudd.protocol.events import OutputItem
from hudd.realtime.memory import PICTURE_TOKENS, SPENT_PICTURES, ConversationMemory, context_tokens
from hudd.realtime.prompt import WindowHistory
from tests.fakes.questions import make_question

SETTINGS = SessionSettings(memory="conversation", history_tokens=100, retention_ratio=0.5)


def memory(*notes: str) -> ConversationMemory:
    history = WindowHistory(history_tokens=1000, retention_ratio=0.5)
    for note in notes:
        history.remember("eDP-1", note)
    return ConversationMemory(SETTINGS, history)


def ask(one: ConversationMemory, number: int, answer: str = "A note.") -> list[str]:
    """Ask and answer; returns the deleted ids."""
    question = make_question(number)
    for item in one.plan(question):
        one.placed(item.item.id)
    one.ended(question.id, (OutputItem(f"item_{number}", "message", "", (answer,)),))
    return [deletion.item_id for deletion in one.deletions()]


def test_the_service_is_told_more_than_our_own_budget_so_that_it_cuts_only_when_we_do_not() -> None:
    assert context_tokens(SETTINGS) == 100 + (SPENT_PICTURES + 1) * PICTURE_TOKENS
    assert context_tokens(replace(SETTINGS, memory="window")) == 100


def test_only_as_much_is_put_back_as_a_cut_would_keep() -> None:
    one = memory(*(f"Note {n} with some more words in it." for n in range(20)))
    texts = [item.item.parts[0] for item in one.plan(make_question(1))[1:-1]]
    assert 1 <= len(texts) <= 4
    assert "Note 19" in texts[-1].text  # type: ignore[union-attr]


def test_a_note_of_another_connection_is_told_once() -> None:
    one = memory("Old.")
    one.learn("Too early: it is in the history by the time of the first question.")
    ask(one, 1)
    one.learn("From elsewhere.")
    one.learn("From elsewhere.")
    planned = one.plan(make_question(2))
    assert [part.text for item in planned[:-1] for part in item.item.parts] == ["From elsewhere."]  # type: ignore[union-attr]


def test_the_budget_follows_the_limit_that_the_cached_share_sets() -> None:
    history = WindowHistory(history_tokens=100, retention_ratio=0.5)
    one = ConversationMemory(SETTINGS, history)
    longest: list[int] = []
    for limit in (100, 30, 100):
        history.set_limit(limit)
        tokens: list[int] = []
        for number in range(10):
            ask(one, 100 * len(longest) + number, "A note of some more words than the others.")
            tokens.append(one.tokens)
        longest.append(max(tokens))
    assert longest[0] == longest[2] > longest[1] + 50


@given(st.lists(st.text(alphabet="word ", max_size=300), max_size=30))
def test_neither_texts_nor_pictures_grow_beyond_their_bounds(answers: list[str]) -> None:
    one = memory()
    deleted: list[str] = []
    for number, answer in enumerate(answers, 1):
        deleted += ask(one, number, answer)
        longest = len(answer) // 4 + 5
        assert one.tokens <= max(SETTINGS.history_tokens, longest) + SPENT_PICTURES * 40
        assert one.pictures < SPENT_PICTURES
    assert len(deleted) == len(set(deleted)), "nothing is deleted twice"
    assert all(len(item_id) <= 32 for item_id in deleted)
