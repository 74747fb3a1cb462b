from __future__ import annotations

import argparse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudctl.cli import build_parser
from hudctl.errors import UsageError
from hudctl.regions import region


@pytest.mark.parametrize(
    ("text", "rect"),
    [
        ("100,50,640x480", (100, 50, 640, 480)),
        ("-10,-5,1x2", (-10, -5, 1, 2)),
        ("100,50 640x480", (100, 50, 640, 480)),
    ],
)
def test_a_region_is_typed_or_comes_from_slurp(text: str, rect: tuple[int, int, int, int]) -> None:
    assert region(text) == rect


@pytest.mark.parametrize("text", ["", "1,2,3", "1,2,3,4", "1,2,0x5", "1,2,5x00", "a,b,1x1", "1,2,3x", "1.5,2,3x4"])
def test_what_is_no_region_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="100,50,640x480"):
        region(text)


@given(st.text(max_size=30))
def test_any_text_is_a_region_or_refused(text: str) -> None:
    try:
        _, _, width, height = region(text)
    except argparse.ArgumentTypeError:
        return
    assert width > 0
    assert height > 0


def test_the_options_exclude_each_other() -> None:
    parser = build_parser()
    assert parser.parse_args(["snap", "--window"]).window == ""
    assert parser.parse_args(["snap", "--window", "Mail"]).window == "Mail"
    assert parser.parse_args(["snap"]).window is None
    assert parser.parse_args(["snap", "--region=-1,2,3x4"]).region == (-1, 2, 3, 4)
    with pytest.raises(UsageError, match="not allowed with"):
        parser.parse_args(["snap", "--window", "--monitor", "eDP-1"])
