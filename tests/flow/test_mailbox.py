from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudd.errors import CommandError
from hudd.flow.mailbox import MANUAL_LANE, Mailbox
from hudd.model import Question
from tests.fakes.questions import make_question


def automatic(number: int, source: str = "eDP-1") -> Question:
    return make_question(number, "change", source=source, asked_at=1000.0 + number)


def test_the_newest_automatic_question_of_a_source_wins() -> None:
    mailbox = Mailbox()
    for number in (1, 2, 3):
        mailbox.put(automatic(number))
    assert len(mailbox) == 1
    assert mailbox.replaced == 2
    assert mailbox.take_nowait() == automatic(3)
    assert mailbox.take_nowait() is None


def test_each_source_has_a_slot_of_its_own() -> None:
    mailbox = Mailbox()
    mailbox.put(automatic(1, "left"))
    mailbox.put(automatic(2, "right"))
    assert mailbox.replaced == 0
    assert [mailbox.take_nowait(), mailbox.take_nowait()] == [automatic(1, "left"), automatic(2, "right")]


def test_snaps_come_first_in_their_order_and_are_never_replaced() -> None:
    mailbox = Mailbox()
    mailbox.put(automatic(1))
    mailbox.put(make_question(2))
    mailbox.put(make_question(3))
    mailbox.put(automatic(4))
    assert [mailbox.take_nowait() for _ in range(3)] == [make_question(2), make_question(3), automatic(4)]


def test_automatic_questions_stay_when_only_snaps_may_be_taken() -> None:
    mailbox = Mailbox()
    mailbox.put(automatic(1))
    assert mailbox.take_nowait(allow_automatic=False) is None
    mailbox.put(make_question(2))
    assert mailbox.take_nowait(allow_automatic=False) == make_question(2)
    assert mailbox.take_nowait() == automatic(1)


def test_the_lane_of_snaps_is_bounded_and_says_when_to_try_again() -> None:
    mailbox = Mailbox()
    for number in range(MANUAL_LANE):
        mailbox.put(make_question(number))
    with pytest.raises(CommandError) as refused:
        mailbox.put(make_question(99))
    assert refused.value.code == "E_BUSY"
    assert refused.value.retry_after_ms
    assert len(mailbox) == MANUAL_LANE
    mailbox.put(automatic(1))
    assert len(mailbox) == MANUAL_LANE + 1


def test_in_a_full_lane_snaps_that_nobody_waits_for_give_way_the_oldest_first() -> None:
    awaited, given_up = set[str](), list[Question]()
    mailbox = Mailbox(awaited=awaited.__contains__, on_given_up=given_up.append)
    snaps = [make_question(number) for number in range(MANUAL_LANE)]
    for snap in snaps:
        mailbox.put(snap)
    assert given_up == []  # while there is room each has its turn
    awaited |= {snap.id for snap in snaps} - {snaps[4].id, snaps[9].id}
    for number in (50, 51):
        mailbox.put(make_question(number))
        awaited.add(make_question(number).id)
    assert given_up == [snaps[4], snaps[9]]
    with pytest.raises(CommandError) as refused:
        mailbox.put(make_question(52))
    assert refused.value.code == "E_BUSY"
    taken = [mailbox.take_nowait() for _ in range(MANUAL_LANE)]
    assert taken == [*(snap for snap in snaps if snap not in given_up), make_question(50), make_question(51)]


def test_a_source_that_never_rests_does_not_starve_behind_another() -> None:
    mailbox = Mailbox()
    served: list[str] = []
    for number in range(20):
        mailbox.put(automatic(2 * number, "calm"))
        mailbox.put(automatic(2 * number + 1, "busy"))
        question = mailbox.take_nowait()
        assert question is not None
        served.append(question.source.name)
    assert served.count("busy") == served.count("calm") == 10


def test_dropping_gives_back_the_automatic_ones_and_keeps_the_snaps() -> None:
    mailbox = Mailbox()
    mailbox.put(make_question(1))
    mailbox.put(automatic(2, "left"))
    mailbox.put(automatic(3, "right"))
    assert mailbox.drop_automatic() == [automatic(2, "left"), automatic(3, "right")]
    assert mailbox.drop_automatic() == []
    assert mailbox.take_nowait() == make_question(1)


def test_every_put_wakes_whoever_takes() -> None:
    mailbox = Mailbox()
    for question in (automatic(1), automatic(1), make_question(2)):
        mailbox.wakeup.clear()
        mailbox.put(question)
        assert mailbox.wakeup.is_set()


@dataclass(frozen=True)
class Step:
    what: Literal["snap", "auto", "take", "take snaps", "drop"]
    source: str = "a"


STEPS = st.lists(
    st.builds(Step, st.sampled_from(["snap", "auto", "take", "take snaps", "drop"]), st.sampled_from("abc")),
    max_size=120,
)


@given(STEPS)
def test_no_snap_is_ever_lost_and_a_source_has_at_most_one_automatic_question(steps: list[Step]) -> None:
    mailbox = Mailbox()
    snaps: list[str] = []
    newest: dict[str, str] = {}
    replaced = 0
    for number, step in enumerate(steps):
        if step.what == "snap":
            question = make_question(number, source=step.source)
            if len(snaps) < MANUAL_LANE:
                mailbox.put(question)
                snaps.append(question.id)
            else:
                with pytest.raises(CommandError):
                    mailbox.put(question)
        elif step.what == "auto":
            question = automatic(number, step.source)
            mailbox.put(question)
            replaced += step.source in newest
            newest[step.source] = question.id
        elif step.what == "drop":
            assert {q.id for q in mailbox.drop_automatic()} == set(newest.values())
            newest.clear()
        else:
            taken = mailbox.take_nowait(allow_automatic=step.what == "take")
            if snaps:
                assert taken is not None
                assert taken.id == snaps.pop(0)
            elif step.what == "take" and newest:
                assert taken is not None
                assert taken.id == newest.pop(taken.source.name)
            else:
                assert taken is None
        assert len(mailbox) == len(snaps) + len(newest)
        assert mailbox.replaced == replaced
