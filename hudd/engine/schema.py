"""Strict shapes of JSON values, with the service's own error codes when something does not fit. Pure.

The service refuses a whole event for one unknown or misplaced key (realtime-protocol 2.4); so do these rules.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from hudd.errors import HuddError

Rule = Callable[[Any, str], object]
"""Checks a value that stands at a path such as ``session.audio.input``; raises :class:`RejectedError`. What it returns
is of no matter."""


class RejectedError(HuddError):
    """Raised when a client event is refused; becomes an ``error`` event.

    Attributes:
        code: ``error.code``.
        param: ``error.param``: the path of the offending field, or None.
        kind: ``error.type``.
    """

    def __init__(
        self, code: str, message: str, *, param: str | None = None, kind: str = "invalid_request_error"
    ) -> None:
        super().__init__(message)
        self.code = code
        self.param = param
        self.kind = kind


class UnusableImageError(HuddError):
    """Raised when the bytes of a picture are no PNG or JPEG; the service tells so later and names no event (4.1)."""

    def __init__(self, message: str, *, param: str) -> None:
        super().__init__(message)
        self.param = param


def _kind_of(value: object) -> str:
    """What the service calls the JSON type of a value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int):
        return "an integer"
    if isinstance(value, float):
        return "a decimal"
    if isinstance(value, str):
        return "a string"
    return "an array" if isinstance(value, list) else "an object"


def wrong_type(value: object, path: str, expected: str) -> RejectedError:
    """The refusal of a value of another JSON type."""
    got = _kind_of(value)
    return RejectedError(
        "invalid_type", f"Invalid type for '{path}': expected {expected}, but got {got} instead.", param=path
    )


def wrong_value(value: object, path: str, supported: Sequence[str]) -> RejectedError:
    """The refusal of a string that is none of the supported ones."""
    listed = ", ".join(f"'{s}'" for s in supported)
    shown = str(value)[:100]
    return RejectedError("invalid_value", f"Invalid value: '{shown}'. Supported values are: {listed}.", param=path)


def missing(path: str) -> RejectedError:
    """The refusal of an object without a required key."""
    return RejectedError("missing_required_parameter", f"Missing required parameter: '{path}'.", param=path)


def unknown(path: str) -> RejectedError:
    """The refusal of an unknown or misplaced key."""
    return RejectedError("unknown_parameter", f"Unknown parameter: '{path}'.", param=path)


def text(*, most: int | None = None) -> Rule:
    """A string of at most ``most`` characters."""

    def check(value: Any, path: str) -> None:
        if not isinstance(value, str):
            raise wrong_type(cast("object", value), path, "a string")
        if most is not None and len(value) > most:
            raise RejectedError(
                "string_above_max_length",
                f"Invalid '{path}': string too long. Expected a string with maximum length {most}, "
                f"but got a string with length {len(value)} instead.",
                param=path,
            )

    return check


def choice(*supported: str) -> Rule:
    """One of some strings."""

    def check(value: Any, path: str) -> None:
        if not isinstance(value, str):
            raise wrong_type(cast("object", value), path, "a string")
        if value not in supported:
            raise wrong_value(value, path, supported)

    return check


def number(*, low: float | None = None, high: float | None = None, whole: bool = False) -> Rule:
    """A number within bounds; ``whole`` refuses decimals."""
    noun = "integer" if whole else "decimal"

    def check(value: Any, path: str) -> None:
        fits = isinstance(value, int) if whole else isinstance(value, int | float)
        if isinstance(value, bool) or not fits:
            raise wrong_type(cast("object", value), path, f"{'an' if whole else 'a'} {noun}")
        if low is not None and not value >= low:
            raise RejectedError(
                f"{noun}_below_min_value",
                f"Invalid '{path}': {noun} below minimum value. Expected a value >= {low}, but got {value} instead.",
                param=path,
            )
        if high is not None and not value <= high:
            raise RejectedError(
                f"{noun}_above_max_value",
                f"Invalid '{path}': {noun} above maximum value. Expected a value <= {high}, but got {value} instead.",
                param=path,
            )

    return check


def flag(value: Any, path: str) -> None:
    """True or false."""
    if not isinstance(value, bool):
        raise wrong_type(cast("object", value), path, "a boolean")


def anything(value: Any, path: str) -> None:
    """Any JSON value."""
    del value, path


def nullable(rule: Rule) -> Rule:
    """The rule, or null."""

    def check(value: Any, path: str) -> None:
        if value is not None:
            rule(value, path)

    return check


def items(rule: Rule, *, most: int | None = None) -> Rule:
    """A list whose members all follow a rule."""

    def check(value: Any, path: str) -> None:
        if not isinstance(value, list):
            raise wrong_type(cast("object", value), path, "an array")
        members = cast("list[Any]", value)
        if most is not None and len(members) > most:
            raise RejectedError(
                "array_above_max_length",
                f"Invalid '{path}': array too long. Expected an array with maximum length {most}, "
                f"but got an array with length {len(members)} instead.",
                param=path,
            )
        for index, member in enumerate(members):
            rule(member, f"{path}[{index}]")

    return check


def record(keys: Mapping[str, Rule], *, required: Sequence[str] = ()) -> Rule:
    """An object with these keys and no other. Unknown keys are told before missing ones, as the service does."""

    def check(value: Any, path: str) -> None:
        members = as_object(value, path)
        for key in members:
            if key not in keys:
                raise unknown(f"{path}.{key}" if path else key)
        for key in required:
            if key not in members:
                raise missing(f"{path}.{key}" if path else key)
        for key, member in members.items():
            keys[key](member, f"{path}.{key}" if path else key)

    return check


def tagged(kinds: Mapping[str, Rule], *, key: str = "type") -> Rule:
    """An object whose ``key`` says which rule it follows."""

    def check(value: Any, path: str) -> None:
        members = as_object(value, path)
        if key not in members:
            raise missing(f"{path}.{key}")
        kind = members[key]
        if not isinstance(kind, str):
            raise wrong_type(kind, f"{path}.{key}", "a string")
        if kind not in kinds:
            raise wrong_value(kind, f"{path}.{key}", tuple(kinds))
        kinds[kind](members, path)

    return check


def word_or(words: Sequence[str], other: Rule, *, expected: type | tuple[type, ...] = dict) -> Rule:
    """One of some words, or a value of another JSON type that follows a rule."""

    def check(value: Any, path: str) -> None:
        if isinstance(value, str):
            if value not in words:
                raise wrong_value(value, path, words)
            return
        if not isinstance(value, expected):
            raise wrong_type(cast("object", value), path, "one of " + ", ".join(f"'{w}'" for w in words))
        other(value, path)

    return check


def as_object(value: Any, path: str) -> dict[str, Any]:
    """The value as an object.

    Raises:
        RejectedError: It is none.
    """
    if not isinstance(value, dict):
        raise wrong_type(cast("object", value), path, "an object")
    return cast("dict[str, Any]", value)
