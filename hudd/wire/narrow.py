"""Finds the id of a request that is refused unread: at its beginning or at its end, where every client puts it."""

from __future__ import annotations

import re
from typing import Final

WINDOW_BYTES: Final = 1000
"""How far from the beginning, and from the end, it is looked for."""

_SPACE: Final = rb"[ \t\r\n]*"
_STRING: Final = rb'"(?:[^"\\]|\\.)*+"'
_VALUE: Final = _STRING + rb"|-?(?:0|[1-9]\d*+)(?:\.\d++)?(?:[eE][-+]?\d++)?"
# A string is taken to its end, or to that of the window: what stands in it is no bracket and no key.
_TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[][{}]', re.DOTALL)
_FIRST: Final = re.compile(rb"%b:%b(%b)%b[,}]" % (_SPACE, _SPACE, _VALUE, _SPACE), re.DOTALL)
# Behind it only plain fields, none of them an id: so it belongs to the object that the last brace closes.
_PLAIN: Final = rb',%b(?!"id")%b%b:%b(?:%b|true|false|null)%b' % (_SPACE, _STRING, _SPACE, _SPACE, _VALUE, _SPACE)
_LAST: Final = re.compile(
    rb',%b"id"%b:%b(%b)%b(?:%b)*+\}%b\Z' % (_SPACE, _SPACE, _SPACE, _VALUE, _SPACE, _PLAIN, _SPACE), re.DOTALL
)


def find_id(data: bytes) -> bytes | None:
    """The id of an object as it is written: a string or a number.

    Returns:
        None when there is none in the windows, when it is something else, or when the key occurs in both.
    """
    first, last = _in_front(data[:WINDOW_BYTES]), _at_the_end(data)
    if first is not None and last is not None and first != last:
        return None
    found = first or last
    return None if found is None else data[slice(*found)]


def _in_front(head: bytes) -> tuple[int, int] | None:
    """Where the value of the outermost object's first ``id`` stands."""
    if not head.lstrip(b" \t\r\n").startswith(b"{"):
        return None
    depth = 0
    for token in _TOKEN.finditer(head):
        match token[0]:
            case b"{" | b"[":
                depth += 1
            case b"}" | b"]":
                depth -= 1
            case b'"id"' if depth == 1 and (value := _FIRST.match(head, token.end())):
                return value.span(1)
            case _:
                pass
    return None


def _at_the_end(data: bytes) -> tuple[int, int] | None:
    """Where its value stands when no array and no object comes after it in the outermost one."""
    found = _LAST.search(data, max(0, len(data) - WINDOW_BYTES))
    return None if found is None else found.span(1)
