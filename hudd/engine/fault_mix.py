"""Faults by the phase of a connection in which they strike, and a seeded draw from them. Pure.

``hudd engine --fault random:SEED`` plays the draw; the soak test deals the same table out phase by phase.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final, Literal

Phase = Literal["connecting", "configuring", "idle", "streaming"]

PHASES: Final[Mapping[Phase, tuple[str, ...]]] = {
    "connecting": (
        "http:503",
        "http:500",
        "http:429,1",
        "hang:0.2",
        "close:{code}@open",
        "reset@open",
        "refuse:server_error@open",
        "garbage:utf8@session.created",
    ),
    "configuring": (
        "close:{code}@session.created",
        "close:{code}@session.update",
        "reset@session.created",
        "reset@session.update",
        "refuse:rate_limit_exceeded@session.update",
        "garbage:utf8@session.updated",
        "close:{code}@session.updated",
    ),
    "idle": (
        "close:{code}@idle",
        "reset@idle",
        "refuse:session_expired@idle",
        "garbage:utf8@idle",
        "close:{code}@rate_limits.updated#{n}",
    ),
    "streaming": (
        "close:{code}@response.create#{n}",
        "close:{code}@response.created#{n}",
        "close:{code}@response.output_item.added#{n}",
        "close:{code}@response.output_text.delta#{n}",
        "close:{code}@response.output_text.done#{n}",
        "close:{code}@response.done#{n}",
        "reset@response.create#{n}",
        "reset@response.created#{n}",
        "reset@response.output_text.delta#{n}",
        "reset@response.done#{n}",
        "refuse:server_error@response.created#{n}",
        "garbage:utf8@response.output_text.delta#{n}",
    ),
}
"""Each of them ends the connection, and each may be tried again."""

SILENCES: Final = (
    "stall@open",
    "stall@session.update",
    "stall@response.create",
    "stall@response.created",
    "stall@response.output_text.delta",
    "half_open@session.created",
    "half_open@response.create",
    "half_open@response.output_text.delta",
)
"""The connection stays and nothing comes any more; only a client's own time limits end it."""

ANSWERS: Final = (
    "",
    "fail:server_error#{n}",
    "rate_limit:1#{n}",
    "incomplete#{n}",
    "cancelled#{n}",
    "missing_usage#{n}",
    "slow:0.01#{n}",
    "error:server_error#{n}",
    "unknown_events",
    "foreign",
    "duplicate",
    "duplicate@response.done",
    "reorder@response.created",
    "reorder@response.output_text.delta",
    "reorder@response.output_text.done",
    "stall:0.3@response.created",
    "stall:0.3@response.output_text.delta",
    "garbage:json",
    "garbage:binary",
    "garbage:array",
    "garbage:no_type",
    "garbage:deep",
    "garbage:numbers",
    "echo_images",
)
"""None of them ends the connection. Twenty megabytes are left out: they are a test of their own."""

FATAL: Final = (
    "http:401",
    "http:403",
    "http:404",
    "refuse:invalid_api_key",
    "refuse:missing_model",
    "refuse:invalid_model",
    "refuse:model_not_found",
    "refuse:beta_api_shape_disabled",
    "refuse:insufficient_quota@session.update",
    "quota:insufficient_quota",
    "quota:credit_balance_exhausted",
    "quota:billing_hard_limit_reached",
    "quota:account_deactivated",
    "close:3000@session.created",
    "close:4000@session.created",
    "close:4004@session.created",
)
"""After these a client must stop until a person acts, so a random mix leaves them out."""

CLOSE_CODES: Final = (1000, 1001, 1005, 1006, 1011, 1012, 1013)
CLEAN_OF_TEN: Final = 4
"""So many of ten connections of a random mix end by nothing but the client; else no client would ever be at rest."""


class Draw:
    """Numbers that depend on nothing but the words they were made from, in every version of Python.

    Args:
        words: For instance a seed and the index of a connection.
    """

    def __init__(self, *words: object) -> None:
        self._words = "/".join(map(str, words))
        self._drawn = 0

    def below(self, limit: int) -> int:
        """The next number, from 0 to ``limit`` - 1."""
        self._drawn += 1
        digest = hashlib.sha256(f"{self._words}/{self._drawn}".encode()).digest()
        return int.from_bytes(digest[:8], "big") % limit

    def fault(self, templates: tuple[str, ...], *, most_times: int = 3) -> str:
        """One of the faults of a table, with its close code and its number filled in."""
        template = templates[self.below(len(templates))]
        return template.format(code=CLOSE_CODES[self.below(len(CLOSE_CODES))], n=1 + self.below(most_times))


def drawn_faults(seed: int, index: int) -> tuple[str, ...]:
    """What a random mix plays in a connection, as it is written: none, or up to two faults.

    Args:
        seed: The mix.
        index: The connection, counted from 0.
    """
    draw = Draw(seed, index)
    answers = draw.fault(ANSWERS)
    ends = ""
    if draw.below(10) >= CLEAN_OF_TEN:
        tables = (*PHASES.values(), SILENCES)
        ends = draw.fault(tables[draw.below(len(tables))])
    return tuple(fault for fault in (answers, ends) if fault)
