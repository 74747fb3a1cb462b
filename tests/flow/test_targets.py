from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudd.errors import CommandError
from hudd.flow.targets import snap_target
from hudd.model import Source, Target

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=5),
    max_leaves=6,
)


@pytest.mark.parametrize(
    ("params", "target"),
    [
        ({}, None),
        ({"monitor": "eDP-1", "region": None, "window": None}, "eDP-1"),
        ({"region": [-5, 0, 10, 20]}, Target(region=(-5, 0, 10, 20))),
        ({"window": ""}, Target(window="")),
        ({"window": " Mail "}, Target(window="Mail")),
    ],
)
def test_what_is_meant(params: dict[str, Any], target: str | Target | None) -> None:
    assert snap_target(params) == target


@pytest.mark.parametrize(
    "region",
    [[], [1, 2, 3], [0, 0, 0, 5], [0, 0, 5, -1], [0, 0, 5, True], [0, 0, 5.5, 5], ["0", 0, 5, 5], [0, 0, 5, 10**7]],
)
def test_what_is_no_region_is_refused(region: list[Any]) -> None:
    with pytest.raises(CommandError, match=r"region is \[left, top, width, height\]"):
        snap_target({"region": region})


def test_only_one_may_be_named() -> None:
    with pytest.raises(CommandError, match="monitor and window exclude each other") as caught:
        snap_target({"monitor": "eDP-1", "window": ""})
    assert caught.value.code == "E_ARGS"


@given(ANYTHING)
def test_any_region_is_a_target_or_refused(value: Any) -> None:
    try:
        target = snap_target({"region": value})
    except CommandError:
        return
    if value is None:
        assert target is None
    else:
        assert isinstance(target, Target)
        assert target.region is not None
        assert min(target.region[2:]) > 0


def test_the_same_can_be_asked_for_again() -> None:
    assert Target.of(Source("monitor", "eDP-1", (0, 0, 5, 5))) == "eDP-1"
    assert Target.of(Source("window", "window", (1, 2, 5, 5))) == Target(region=(1, 2, 5, 5))
