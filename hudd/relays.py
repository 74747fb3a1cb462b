"""What the parts of the house tell one another. Composition, like ``house``.

Each method is called by one part and tells others, which know nothing of the first.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from hudd.desktop.portal import ENDED
from hudd.errors import HuddError
from hudd.model import NoticeTopic, Question, UpstreamError
from hudd.notes.keeping import Span
from hudd.redaction import redacts
from hudd.wire.messages import delta_topic, parse_time

if TYPE_CHECKING:
    from hudd.house import House  # the house hands itself over; at run time this module does not know it

log = logging.getLogger("hudd")


class Relays:
    """Passes on what happens.

    Args:
        house: All parts; they need not be built before the first call.
    """

    def __init__(self, house: House) -> None:
        self._house = house

    def sent(self, question: Question) -> None:
        """A question's bytes are with the socket."""
        self._house.counters.sent += 1
        self._house.spending.sent(question)

    def delta(self, question: Question, number: int, text: str) -> None:
        """A piece of an answer came. A secret may be spread over pieces, so with redact only the note is told."""
        if redacts(self._house.settings):
            return
        body = {"snap_id": question.id, "n": number, "text": text}
        self._house.publisher.publish(delta_topic(question.source.name), body)
        if self._house.publisher.listening("delta/"):
            self._house.capture.published(question.id)

    def words_out(self, snap_id: str) -> None:
        """A note was published: when nobody listens, nobody prints it on the screen."""
        if self._house.publisher.listening("note/"):
            self._house.capture.published(snap_id)

    def use_model(self, model: str) -> None:
        """A session took over that asks this model: its prices apply, and the status names it."""
        if self._house.local or model == self._house.about.model:  # the local engine has a name of its own
            return
        self._house.about = replace(self._house.about, model=model)
        self._house.spending.use_model(model)

    def renew(self) -> None:
        """The service's session knows what was said in it; another one begins with nothing."""
        self._house.conversation.renew()

    def try_again(self) -> None:
        """A person says that what stopped the connection is mended, maybe the key, or that hudd shall look again."""
        self._house.refused.discard(ENDED)
        self._house.endpoint.look_again()
        self._house.conversation.resume()

    def drop_words(self, span: Span) -> None:
        """What was forgotten may have gone into all of the history; its notes carry no time."""
        self._house.history.forget()
        self._house.delivery.forget()
        self._house.waiters.forget(lambda note: span.holds(parse_time(note["time"]), note["seq"]))

    def connection_changed(self) -> None:
        """The connection's state is another one."""
        self._house.announcer.state()
        self._house.attention.look()

    def attention(self, sentence: str, *, urgent: bool) -> None:
        """The connection needs a person, or no longer does; the log and the status have it already."""
        self._house.notices.tell("attention", sentence, urgent=urgent)

    def notify_person(self, topic: NoticeTopic, sentence: str) -> None:
        """Something about money that a person should know soon; the meter has written it to the log."""
        self._house.notices.tell(topic, sentence, urgent=topic == "alarm")

    def eye_trouble(self, error: HuddError) -> None:
        """The screen, or one of its sources, cannot be looked at."""
        self._house.announcer.error(UpstreamError(sentence=str(error), code=error.wire_code))
