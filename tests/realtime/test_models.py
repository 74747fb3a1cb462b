"""Names of models, and the order in which they are tried."""

from __future__ import annotations

import pytest

from hudd.realtime.models import Models, session_takes_reasoning, takes_reasoning


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("gpt-realtime-2", True),
        ("gpt-realtime-2.1", True),
        ("gpt-realtime-2.1-mini", True),
        ("openai/gpt-realtime-2.1-2026-08-01", True),
        ("gpt-realtime-3", True),
        ("gpt-realtime-1.5", False),
        ("gpt-realtime-1.5-2026-02-23", False),
        ("gpt-realtime-2025-08-28", False),
        ("gpt-realtime", False),
        ("gpt-realtime-mini", False),
        ("my-deployment", False),
        ("", False),
    ],
)
def test_which_models_take_reasoning(model: str, expected: bool) -> None:
    assert takes_reasoning(model) is expected


@pytest.mark.parametrize(
    ("created", "asked", "expected"),
    [
        ("gpt-realtime-2", "gpt-realtime-2", True),
        ("gpt-realtime-2", "my-deployment", True),
        ("openai/gpt-realtime-2.1-mini", "gpt-realtime-1.5", True),
        ("gpt-realtime-1.5", "openai/gpt-realtime-2", False),
        ("gpt-realtime-2025-08-28", "gpt-realtime-2", False),
        ("gpt-realtime", "gpt-realtime-2", False),
        ("gpt-4o-mini-realtime-preview", "gpt-realtime-2", False),
        ("my-deployment", "gpt-realtime-2", True),
        ("", "gpt-realtime-2", True),
        ("my-deployment", "my-deployment", False),
        ("", "", False),
    ],
)
def test_what_the_service_names_decides_about_reasoning_before_the_settings(
    created: str, asked: str, expected: bool
) -> None:
    assert session_takes_reasoning(created, asked) is expected


def test_models_are_tried_in_order_once_each() -> None:
    models = Models("a", ("b", "a", "b", "c"))
    assert models.current == "a"
    assert [models.give_up() for _ in range(3)] == ["b", "c", ""]
    assert models.current == "c"
    models.reset()
    assert models.current == "a"
