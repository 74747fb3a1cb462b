"""The vocabulary agrees with the official package."""

from __future__ import annotations

import typing

from openai.types.realtime import realtime_server_event

from hudd.protocol.codec import decode
from hudd.protocol.events import IGNORED_TYPES, ImagePart, Unknown


def official_server_types() -> set[str]:
    union = typing.get_args(realtime_server_event.RealtimeServerEvent)[0]
    return {typing.get_args(event.model_fields["type"].annotation)[0] for event in typing.get_args(union)}


def test_every_official_server_event_is_known() -> None:
    names = official_server_types()
    assert len(names) > 40
    unknown = {name for name in names if isinstance(decode(f'{{"type":"{name}"}}'), Unknown)}
    assert unknown == set()


def test_every_ignored_type_is_official() -> None:
    assert official_server_types() >= IGNORED_TYPES


def test_a_picture_never_shows_in_a_repr() -> None:
    assert "secret" not in repr(ImagePart("image/png", b"secret pixels"))
