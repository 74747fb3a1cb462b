from __future__ import annotations

from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from hudd.policy.facts import FACTS_CHANGED, SENTENCES, Facts, Reason, causes_and_remedies, withhold

REASONS: list[Reason] = ["paused", "cap_reached", "price_unknown", "stopping"]
CHANGES = st.lists(st.tuples(st.sampled_from(REASONS), st.booleans()), max_size=40)


def test_at_first_nothing_holds_and_a_picture_may_leave() -> None:
    facts = Facts()
    assert facts.reasons == ()
    assert facts.withheld() == ()
    assert facts.withheld(facts.epoch) == ()


def test_all_reasons_are_told_at_once_in_a_stable_order() -> None:
    facts = Facts()
    facts.set("stopping", True)
    facts.set("cap_reached", True)
    facts.set("paused", True)
    assert facts.reasons == ("cap_reached", "paused", "stopping")
    facts.set("cap_reached", False)
    assert facts.withheld(facts.epoch) == ("paused", "stopping")


def test_what_does_not_change_raises_no_epoch_and_tells_nobody() -> None:
    facts, told = Facts(), list[int]()
    facts.on_change(lambda: told.append(facts.epoch))
    facts.set("paused", False)
    assert told == []
    facts.set("paused", True)
    facts.set("paused", True)
    assert told == [facts.epoch]


def test_listeners_see_the_new_state() -> None:
    facts, seen = Facts(), list[tuple[str, ...]]()
    facts.on_change(lambda: seen.append(facts.reasons))
    facts.on_change(lambda: seen.append(facts.reasons))
    facts.set("paused", True)
    assert seen == [("paused",), ("paused",)]


def test_a_picture_of_an_older_epoch_is_withheld_although_nothing_forbids_sending_now() -> None:
    facts = Facts()
    taken = facts.epoch
    facts.set("paused", True)
    assert facts.withheld(taken) == ("paused", FACTS_CHANGED)
    facts.set("paused", False)
    assert facts.withheld() == ()
    assert facts.withheld(taken) == (FACTS_CHANGED,)
    assert facts.withheld(facts.epoch) == ()


def test_a_picture_that_claims_a_later_epoch_is_withheld_too() -> None:
    assert withhold((), epoch_now=3, epoch_of_shot=4) == (FACTS_CHANGED,)


def test_a_reason_for_automatic_pictures_alone_lets_snaps_pass_and_discards_none_under_way() -> None:
    facts, told = Facts(), list[tuple[str, ...]]()
    facts.on_change(lambda: told.append(facts.automatic_reasons))
    taken = facts.epoch
    facts.set("cap_near", True)
    assert facts.reasons == ()
    assert facts.withheld(taken) == ()
    assert facts.withheld(taken, automatic=True) == ("cap_near",)
    facts.set("paused", True)
    assert facts.withheld(taken) == ("paused", FACTS_CHANGED)
    assert facts.withheld(taken, automatic=True) == ("cap_near", "paused", FACTS_CHANGED)
    assert told == [("cap_near",), ("cap_near", "paused")]


def test_every_reason_has_a_sentence_and_an_unknown_one_stands_for_itself() -> None:
    for reason in (*get_args(Reason), FACTS_CHANGED):
        assert SENTENCES[reason].endswith(".")
    assert causes_and_remedies(("paused", "stopping")) == (
        "hudd is paused. hudd is stopping.",
        "`hudctl resume` ends the pause.",
    )
    assert causes_and_remedies(("moonlight",)) == ("moonlight", "")


@given(CHANGES, st.integers(0, 40))
def test_a_picture_may_leave_only_when_nothing_changed_and_nothing_holds(
    changes: list[tuple[Reason, bool]], taken_after: int
) -> None:
    facts = Facts()
    held: set[str] = set()
    taken, real_changes = facts.epoch, 0
    for number, (reason, holds) in enumerate(changes):
        if number == taken_after:
            taken, real_changes = facts.epoch, 0
        before = facts.epoch
        real = holds != (reason in held)
        (held.add if holds else held.discard)(reason)
        facts.set(reason, holds)
        real_changes += real
        assert (facts.epoch > before) == real
        assert set(facts.reasons) == held
    may_leave = not facts.withheld(taken)
    assert may_leave == (real_changes == 0 and not held)
    assert set(facts.withheld(taken)) >= held
