from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudd.engine.faults import KINDS, Fault, FaultError, Faults, parse_fault


@pytest.mark.parametrize(
    ("written", "fault"),
    [
        ("expire:90", Fault("expire", 90.0)),
        ("expire:0.5", Fault("expire", 0.5)),
        ("close:1011@response.created", Fault("close", 1011.0, event="response.created")),
        ("close:1006@response.created*2", Fault("close", 1006.0, event="response.created", times=2)),
        ("http:503*1", Fault("http", 503.0, times=1)),
        ("fail:insufficient_quota", Fault("fail", word="insufficient_quota")),
        ("stall@response.output_text.delta", Fault("stall", event="response.output_text.delta")),
        ("garbage", Fault("garbage")),
        ("slow:0.25", Fault("slow", 0.25)),
    ],
)
def test_faults_that_are_written_well(written: str, fault: Fault) -> None:
    assert parse_fault(written) == fault


@pytest.mark.parametrize(
    "written",
    ["", "explode", "expire", "expire:soon", "expire:-1", "close:1011", "close:99@error", "close:1011.5@error",
     "http:200", "garbage:1", "garbage@error", "stall", "fail", "fail:two words", "no_created*x", "slow:1e3"],
)  # fmt: skip
def test_faults_that_are_written_wrongly(written: str) -> None:
    with pytest.raises(FaultError) as caught:
        parse_fault(written)
    assert caught.value.message.endswith(".")
    assert caught.value.exit_code == 64


def test_every_fault_of_the_table_can_be_written() -> None:
    examples = {"SECONDS": "1", "NUMBER": "1000", "CODE": "x", "EVENT": "error"}
    for kind in KINDS:
        written = kind.usage
        for word, example in examples.items():
            written = written.replace(word, "404" if kind.name == "http" and word == "NUMBER" else example)
        assert parse_fault(written).name == kind.name


@given(st.text(max_size=40))
def test_anything_is_a_fault_or_refused(written: str) -> None:
    try:
        fault = parse_fault(written)
    except FaultError:
        return
    assert fault.name in written


def test_faults_of_the_first_connections_only() -> None:
    faults = [parse_fault("garbage*2"), parse_fault("missing_usage")]
    assert "garbage" in Faults.for_connection(faults, 1)
    assert "garbage" not in Faults.for_connection(faults, 2)
    assert "missing_usage" in Faults.for_connection(faults, 2)
