"""Which input means something in which state of a connection, and what state follows. Pure data.

What is not in ``TABLE`` changes nothing (``Session.step`` decides that); the only other way is ``Session._close``,
which leads from any open state to CLOSING. Nothing that costs money is sent before ``session.updated``
(realtime-protocol 2.1), because ``Ask`` has a row for READY only.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final

from hudd.protocol.events import (
    ErrorEvent,
    OutputItemAdded,
    OutputItemDone,
    RateLimitsUpdated,
    ResponseCreated,
    ResponseDone,
    SessionCreated,
    SessionUpdated,
    TextDelta,
    TextDone,
)
from hudd.realtime.session_words import (
    Ask,
    Closed,
    Learn,
    Opened,
    Placed,
    Reinstruct,
    Retire,
    Sent,
    Shut,
    Tick,
    Withdrawn,
)


class State(Enum):
    """Where a connection stands."""

    OPENING = "opening"
    AWAIT_CREATED = "await_created"
    CONFIGURING = "configuring"
    READY = "ready"
    RETIRING = "retiring"
    CLOSING = "closing"
    CLOSED = "closed"


OPEN_STATES: Final = (State.AWAIT_CREATED, State.CONFIGURING, State.READY, State.RETIRING)

TABLE: Final[Mapping[tuple[State, type], State]] = {
    (State.OPENING, Opened): State.AWAIT_CREATED,
    (State.OPENING, Shut): State.CLOSING,
    (State.OPENING, Reinstruct): State.OPENING,
    (State.OPENING, Closed): State.CLOSED,
    (State.AWAIT_CREATED, SessionCreated): State.CONFIGURING,
    (State.AWAIT_CREATED, ErrorEvent): State.AWAIT_CREATED,
    (State.AWAIT_CREATED, Tick): State.AWAIT_CREATED,
    (State.AWAIT_CREATED, Shut): State.CLOSING,
    (State.AWAIT_CREATED, Reinstruct): State.AWAIT_CREATED,
    (State.AWAIT_CREATED, Closed): State.CLOSED,
    (State.CONFIGURING, SessionUpdated): State.READY,
    (State.CONFIGURING, ErrorEvent): State.CONFIGURING,
    (State.CONFIGURING, Tick): State.CONFIGURING,
    (State.CONFIGURING, Shut): State.CLOSING,
    (State.CONFIGURING, Reinstruct): State.CONFIGURING,
    (State.CONFIGURING, Closed): State.CLOSED,
    (State.READY, Ask): State.READY,
    (State.READY, Placed): State.READY,
    (State.READY, Learn): State.READY,
    (State.READY, Reinstruct): State.READY,
    (State.READY, RateLimitsUpdated): State.READY,
    (State.READY, Retire): State.RETIRING,
    (State.READY, Sent): State.READY,
    (State.READY, Withdrawn): State.READY,
    (State.READY, ResponseCreated): State.READY,
    (State.READY, OutputItemAdded): State.READY,
    (State.READY, OutputItemDone): State.READY,
    (State.READY, TextDelta): State.READY,
    (State.READY, TextDone): State.READY,
    (State.READY, ResponseDone): State.READY,
    (State.READY, ErrorEvent): State.READY,
    (State.READY, Tick): State.READY,
    (State.READY, Shut): State.CLOSING,
    (State.READY, Closed): State.CLOSED,
    # As in READY, but nothing new is asked; with the last answer it closes.
    (State.RETIRING, Placed): State.RETIRING,
    (State.RETIRING, Sent): State.RETIRING,
    (State.RETIRING, Withdrawn): State.RETIRING,
    (State.RETIRING, ResponseCreated): State.RETIRING,
    (State.RETIRING, OutputItemAdded): State.RETIRING,
    (State.RETIRING, OutputItemDone): State.RETIRING,
    (State.RETIRING, TextDelta): State.RETIRING,
    (State.RETIRING, TextDone): State.RETIRING,
    (State.RETIRING, ResponseDone): State.RETIRING,
    (State.RETIRING, ErrorEvent): State.RETIRING,
    (State.RETIRING, Tick): State.RETIRING,
    (State.RETIRING, Shut): State.CLOSING,
    (State.RETIRING, Closed): State.CLOSED,
    # The writer may be at a question when the connection is given up; it tells how that went in any case.
    (State.CLOSING, Sent): State.CLOSING,
    (State.CLOSING, Withdrawn): State.CLOSING,
    (State.CLOSING, Closed): State.CLOSED,
    (State.CLOSED, Withdrawn): State.CLOSED,
}
