"""What is known of each source of facts, and what follows from a source that is silent. Pure.

A source that exists but fails withholds everything; one that does not exist here is told of, and withholds only under
``[privacy] strict``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from hudd.policy.facts import Facts, Reason

SourceState = Literal["known", "partly", "failing", "not_available"]

STRICT_NEEDS: Final = frozenset({"lock", "windows"})
"""Without these, strict lets nothing leave. The others tell the same by another way, or less."""


@dataclass(frozen=True, slots=True)
class Known:
    """One source: how well it tells, and the sentence for a person."""

    state: SourceState
    sentence: str = ""


class AnyOf:
    """One fact that several sources tell; it holds while any of them says so.

    Args:
        facts: Told.
        reason: The fact.
    """

    def __init__(self, facts: Facts, reason: Reason) -> None:
        self._facts = facts
        self._reason: Reason = reason
        self._held: set[str] = set()

    def set(self, source: str, *, held: bool) -> None:
        """What one source says now."""
        if held:
            self._held.add(source)
        else:
            self._held.discard(source)
        self._facts.set(self._reason, bool(self._held))


class AnyTells:
    """One source that has several tellers, each of which may fail or not be there.

    It fails while any of them fails, since what that one would say is not known; else it tells as well as its best.

    Args:
        knowledge: Told.
        source: Its name there.
    """

    def __init__(self, knowledge: Knowledge, source: str) -> None:
        self._knowledge = knowledge
        self._source = source
        self._known: dict[str, Known] = {}

    def tell(self, teller: str, state: SourceState, sentence: str = "") -> None:
        """Note how well one of them tells from now on; the sentence is for a person."""
        self._known[teller] = Known(state, sentence)
        self._conclude()

    def of(self, teller: str) -> Known | None:
        """What is known of one of them."""
        return self._known.get(teller)

    def _conclude(self) -> None:
        for state in ("failing", "known", "partly"):
            held = [known for known in self._known.values() if known.state == state]
            if held:
                sentences = " ".join(known.sentence for known in held if known.sentence)
                self._knowledge.tell(self._source, state, sentences)
                return
        sentences = " ".join(known.sentence for known in self._known.values() if known.sentence)
        self._knowledge.tell(self._source, "not_available", sentences)


class Knowledge:
    """Keeps what is known of the sources, and the two facts that follow.

    Args:
        facts: Told.
        on_change: Called when a source tells better or worse than before.
    """

    def __init__(self, facts: Facts, on_change: Callable[[], None] = lambda: None) -> None:
        self._facts = facts
        self._on_change = on_change
        self._known: dict[str, Known] = {}
        self._lacking: dict[str, str] = {}
        self._strict = False

    @property
    def strict(self) -> bool:
        """Whether what cannot be known withholds."""
        return self._strict

    @strict.setter
    def strict(self, wanted: bool) -> None:
        self._strict = wanted
        self._conclude()

    def tell(self, source: str, state: SourceState, sentence: str = "") -> None:
        """Note how well a source tells from now on.

        Args:
            source: ``lock``, ``session``, ``sleep``, ``screensaver``, ``idle`` or ``windows``.
            state: How well.
            sentence: What a person should know: why not, or what it cannot tell.
        """
        known = Known(state, sentence)
        if self._known.get(source) == known:
            return
        self._known[source] = known
        self._conclude()
        self._on_change()

    def lack(self, source: str, sentence: str) -> None:
        """Note what strict misses now of a source that tells, in one sentence; '' when nothing."""
        if self._lacking.get(source, "") != sentence:
            self._lacking[source] = sentence
            self._conclude()

    def drop(self, source: str) -> None:
        """A source is not asked any more, because no setting needs it."""
        self._lacking.pop(source, None)
        if self._known.pop(source, None) is not None:
            self._conclude()
            self._on_change()

    def of(self, source: str) -> Known | None:
        """What is known of one source."""
        return self._known.get(source)

    def status(self) -> Mapping[str, Any]:
        """``privacy`` of the status."""
        return {
            "strict": self._strict,
            "facts": [
                {"name": name, "state": known.state, "sentence": known.sentence}
                for name, known in sorted(self._known.items())
            ],
        }

    def _conclude(self) -> None:
        failing = [known.sentence for _, known in sorted(self._known.items()) if known.state == "failing"]
        missing = [
            known.sentence
            for name, known in sorted(self._known.items())
            if known.state == "not_available" and name in STRICT_NEEDS
        ]
        missing += [sentence for _, sentence in sorted(self._lacking.items()) if sentence]
        self._facts.set("facts_unknown", bool(failing), " ".join(failing))
        sentence = f"[privacy] strict lets nothing leave here: {' '.join(missing)}"
        self._facts.set("not_strict_enough", self._strict and bool(missing), sentence)
