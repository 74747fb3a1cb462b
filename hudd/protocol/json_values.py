"""Values out of somebody else's JSON: what has the wrong type is read as empty, never raised about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias, cast

Json: TypeAlias = Mapping[str, Any]


def object_of(value: object) -> Json:
    """A JSON object, or an empty one."""
    return cast("Json", value) if isinstance(value, dict) else {}


def list_of(value: object) -> list[Any]:
    """A JSON array, or an empty one."""
    return cast("list[Any]", value) if isinstance(value, list) else []


def text_of(value: object) -> str:
    """A text, or ''. Half of a surrogate pair, which neither the journal nor a socket can take, becomes ``?``."""
    if not isinstance(value, str):
        return ""
    return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")
