from __future__ import annotations

from hudd.flow.mailbox import Mailbox
from hudd.flow.paced import PacedMailbox
from tests.fakes.journal import make_question


def test_automatic_questions_wait_and_snaps_do_not() -> None:
    may_ask = False
    mailbox = Mailbox()
    paced = PacedMailbox(mailbox, lambda: may_ask)
    mailbox.put(make_question(id="old"))
    mailbox.put(make_question(id="snap", trigger="manual"))
    taken = paced.take_nowait()
    assert taken is not None
    assert taken.id == "snap"
    assert paced.take_nowait() is None
    mailbox.put(make_question(id="new"))  # what waits is replaced by what is newer
    may_ask = True
    assert paced.take_nowait(allow_automatic=False) is None
    taken = paced.take_nowait()
    assert taken is not None
    assert taken.id == "new"
    assert paced.wakeup is mailbox.wakeup
