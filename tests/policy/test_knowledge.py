"""What follows from sources of facts that are silent."""

from __future__ import annotations

import pytest

from hudd.policy.facts import Facts
from hudd.policy.knowledge import STRICT_NEEDS, AnyOf, AnyTells, Knowledge


def test_a_source_that_fails_withholds_and_one_that_is_not_there_does_not() -> None:
    facts, told = Facts(), list[int]()
    knowledge = Knowledge(facts, lambda: told.append(1))
    knowledge.tell("lock", "not_available", "There is no logind here.")
    assert facts.reasons == ()
    knowledge.tell("screensaver", "failing", "It does not answer.")
    assert facts.reasons == ("facts_unknown",)
    assert facts.explain(facts.reasons)[0] == "It does not answer."
    knowledge.tell("screensaver", "failing", "It does not answer.")
    assert len(told) == 2
    knowledge.tell("screensaver", "known")
    assert facts.reasons == ()


@pytest.mark.parametrize("source", ["lock", "windows", "idle", "screensaver", "session", "sleep"])
def test_strict_needs_lock_and_windows(source: str) -> None:
    facts = Facts()
    knowledge = Knowledge(facts)
    knowledge.tell(source, "not_available", "It is not there.")
    knowledge.strict = True
    assert (facts.reasons == ("not_strict_enough",)) is (source in STRICT_NEEDS)
    knowledge.strict = False
    assert facts.reasons == ()


def test_strict_misses_what_a_source_cannot_tell_now() -> None:
    facts = Facts()
    knowledge = Knowledge(facts)
    knowledge.strict = True
    knowledge.tell("windows", "partly", "Pop-ups are hidden.")
    assert facts.reasons == ()
    knowledge.lack("windows", "No window has the focus; click into one.")
    assert facts.reasons == ("not_strict_enough",)
    assert facts.explain(facts.reasons)[0].endswith("No window has the focus.")
    epoch = facts.epoch
    knowledge.lack("windows", "No window has the focus; click into one.")
    assert facts.epoch == epoch
    knowledge.lack("windows", "")
    assert facts.reasons == ()
    knowledge.lack("windows", "No window has the focus.")
    knowledge.drop("windows")
    assert facts.reasons == ()


def test_a_fact_of_two_tellers_holds_while_one_says_so() -> None:
    facts = Facts()
    saved = AnyOf(facts, "screensaver")
    saved.set("bus", held=True)
    saved.set("x11", held=True)
    saved.set("bus", held=False)
    assert facts.reasons == ("screensaver",)
    saved.set("x11", held=False)
    assert facts.reasons == ()


def test_a_source_of_two_tellers_fails_with_either_and_else_tells_as_well_as_its_best() -> None:
    facts = Facts()
    knowledge = Knowledge(facts)
    savers = AnyTells(knowledge, "screensaver")

    def told() -> tuple[str, str]:
        known = knowledge.of("screensaver")
        return ("", "") if known is None else (known.state, known.sentence)

    savers.tell("x11", "not_available")
    savers.tell("bus", "not_available", "No desktop's is there.")
    assert told() == ("not_available", "No desktop's is there.")
    savers.tell("x11", "partly", "Only the X server's.")
    assert told() == ("partly", "Only the X server's.")
    savers.tell("bus", "known")
    assert told() == ("known", "")
    savers.tell("bus", "failing", "It does not answer.")
    assert (told(), facts.reasons) == (("failing", "It does not answer."), ("facts_unknown",))
    savers.tell("x11", "failing", "Nor does the display.")
    assert told() == ("failing", "Nor does the display. It does not answer.")
    savers.tell("bus", "not_available", "No desktop's is there.")
    assert facts.reasons == ("facts_unknown",)
    savers.tell("x11", "partly", "Only the X server's.")
    assert (told(), facts.reasons) == (("partly", "Only the X server's."), ())
