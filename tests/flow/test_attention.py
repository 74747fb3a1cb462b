from __future__ import annotations

from dataclasses import dataclass

from hudd.flow.attention import OVER, Attention


@dataclass
class Connection:
    connection: str = "connecting"
    sentence: str = ""


def test_it_is_told_once_and_so_is_its_end() -> None:
    now, told = Connection(), list[tuple[str, bool]]()
    attention = Attention(lambda: now, lambda sentence, *, urgent: told.append((sentence, urgent)))
    attention.look()
    now.connection, now.sentence = "needs_attention", "The key is wrong; give another."
    attention.look()
    attention.look()
    assert told == [("The key is wrong; give another.", True)]
    for word in ("connecting", "configuring", "backing_off"):
        now.connection = word
        attention.look()
    assert len(told) == 1
    now.connection, now.sentence = "needs_attention", "The account has no money left; add some."
    attention.look()
    now.connection = "ready"
    attention.look()
    attention.look()
    assert told[1:] == [("The account has no money left; add some.", True), (OVER, False)]
