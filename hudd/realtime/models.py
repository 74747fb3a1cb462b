"""Which model is asked, and what its name tells about it. Pure.

Names are opaque to us but for their last part: a gateway puts a vendor in front, and an Azure deployment is called as
its owner likes (realtime-protocol 1.6).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

_GENERATION: Final = re.compile(r"gpt-realtime-(\d{1,2})(?:\.\d+)?(?:-.+)?")
"""``gpt-realtime-2.1-mini`` has a generation; in ``gpt-realtime-2025-08-28`` the number is a year."""
_FAMILY: Final = re.compile(r"gpt-(?:4o-(?:mini-)?)?realtime(?:-.+)?")
"""A name that tells which model it is; that of a deployment tells nothing."""
FIRST_WITH_REASONING: Final = 2


def last_part(model: str) -> str:
    """The name without a vendor prefix: ``openai/gpt-realtime-2`` is ``gpt-realtime-2``."""
    return model.rpartition("/")[2]


def takes_reasoning(model: str) -> bool:
    """Whether a model accepts ``reasoning``; others reject the whole update over it (realtime-protocol 2.4)."""
    match = _GENERATION.fullmatch(last_part(model))
    return match is not None and int(match[1]) >= FIRST_WITH_REASONING


def session_takes_reasoning(created: str, asked: str) -> bool:
    """Whether the model of a session accepts ``reasoning``.

    Args:
        created: As ``session.created`` names it: what really answers, when that is a name of the family.
        asked: As the settings name it: what a gateway makes of it, or how an owner calls a deployment, may differ.
    """
    return takes_reasoning(created if _FAMILY.fullmatch(last_part(created)) else asked)


class Models:
    """The model in use, and those that follow when it is gone.

    Args:
        first: ``[realtime] model``.
        fallback: ``[realtime] fallback_models``, tried in this order.
    """

    def __init__(self, first: str, fallback: Sequence[str] = ()) -> None:
        self._names = (first, *(name for name in dict.fromkeys(fallback) if name != first))
        self._at = 0

    @property
    def current(self) -> str:
        """The one to ask now."""
        return self._names[self._at]

    def give_up(self) -> str:
        """The one in use is gone: go on to the next. Returns its name, or '' when there is none left."""
        if self._at + 1 >= len(self._names):
            return ""
        self._at += 1
        return self.current

    def change(self, first: str, fallback: Sequence[str] = ()) -> None:
        """Other settings. The one in use stays so while it is still named and ``first`` is the same."""
        current, same = self.current, first == self._names[0]
        self._names = (first, *(name for name in dict.fromkeys(fallback) if name != first))
        self._at = self._names.index(current) if same and current in self._names else 0

    def reset(self) -> None:
        """Begin with the first again: a person acted."""
        self._at = 0
