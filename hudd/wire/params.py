"""Checks the parameters of a request against the table. One generic function; no method is named here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, cast

from hudd.wire.messages import parse_time
from hudd.wire.table import COMMON_PARAMS, Method, Param

_ARTICLE: Final = {
    "string": "a string",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "an array",
    "object": "an object",
}


class ParamError(ValueError):
    """Raised when a parameter is missing or has a value that is not allowed; the message names it."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


def check_params(method: Method, given: Mapping[str, Any]) -> dict[str, Any]:
    """Check and convert the parameters of a request.

    ``null`` counts as absent. Whole numbers may be written as ``5.0``. Times come back as seconds since 1970.
    Parameters that the table does not list are left out, so that newer clients work with older daemons.

    Raises:
        ParamError: The first parameter that is missing, of another type, out of range or not among the choices.
    """
    checked: dict[str, Any] = {}
    for param in (*COMMON_PARAMS, *method.params):
        value = given.get(param.name)
        if value is None:
            if param.required:
                raise ParamError(param.name, f"The parameter {param.name} of {method.name} is missing.")
            continue
        checked[param.name] = _checked(param, value)
    return checked


def _checked(param: Param, value: Any) -> Any:
    if param.kind == "time":
        try:
            return parse_time(value)
        except ValueError as error:
            raise ParamError(param.name, f"The parameter {param.name} is wrong: {error}.") from None
    typed = _typed(param, value)
    if param.choices and typed not in param.choices:
        raise ParamError(param.name, f"The parameter {param.name} must be one of {', '.join(param.choices)}.")
    if param.pattern and re.fullmatch(param.pattern, typed) is None:
        raise ParamError(param.name, f"The parameter {param.name} must be {param.form}.")
    _check_bounds(param, typed)
    return typed


def _typed(param: Param, value: Any) -> Any:
    kind = param.kind
    if kind == "integer" and isinstance(value, float) and value.is_integer():
        return int(value)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    right = (
        (kind == "string" and isinstance(value, str))
        or (kind == "integer" and number and isinstance(value, int))
        or (kind == "number" and number)
        or (kind == "boolean" and isinstance(value, bool))
        or (kind == "array" and isinstance(value, list))
        or (kind == "object" and isinstance(value, dict))
    )
    if not right:
        raise ParamError(param.name, f"The parameter {param.name} must be {_ARTICLE[kind]}.")
    return cast("Any", value)


def _check_bounds(param: Param, value: Any) -> None:
    if param.low is None and param.high is None:
        return
    if param.kind == "string":
        size, what = len(value), " characters long"
    elif param.kind in ("integer", "number"):
        size, what = value, ""
    else:
        return
    # Compared as they are: a whole number of thousands of digits does not fit a float.
    if param.low is not None and size < param.low:
        raise ParamError(param.name, f"The parameter {param.name} must be at least {_plain(param.low)}{what}.")
    if param.high is not None and size > param.high:
        raise ParamError(param.name, f"The parameter {param.name} must be at most {_plain(param.high)}{what}.")


def _plain(bound: float) -> str:
    """Every digit of a whole number: a rounded bound would be a wrong one."""
    return str(bound) if isinstance(bound, int) else f"{bound:g}"
