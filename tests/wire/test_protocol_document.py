"""PROTOCOL.md names everything that the table names, with the same numbers."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from hudd.policy.facts import causes_and_remedies
from hudd.wire import table
from hudd.wire.codec import encode_error
from tests.fakes.bus import make_note

TEXT = (Path(table.__file__).parent / "PROTOCOL.md").read_text(encoding="utf-8")
ROWS: dict[str, str] = {}
for _match in re.finditer(r"^\| `([^`]+)` \|.*$", TEXT, re.MULTILINE):
    ROWS.setdefault(_match[1], _match[0])  # the first row of a name; fields of a note come later


@pytest.mark.parametrize("method", table.METHODS, ids=lambda method: method.name)
def test_every_method_has_a_row_with_each_of_its_parameters(method: table.Method) -> None:
    row = ROWS[method.name]
    for param in method.params:
        star = r"\*" if param.required else ""
        assert re.search(rf"`{re.escape(param.name)}`{star} {param.kind}\b", row), param.name
        for choice in param.choices:
            assert f"`{choice}`" in row


@pytest.mark.parametrize("param", table.COMMON_PARAMS, ids=lambda param: param.name)
def test_common_parameters_have_a_row(param: table.Param) -> None:
    assert f"| {param.kind} |" in ROWS[param.name]


@pytest.mark.parametrize("error", table.ERRORS, ids=lambda error: error.code)
def test_every_error_has_a_row_with_its_numbers(error: table.WireError) -> None:
    assert f"| {error.rpc} | {error.exit_code} |" in ROWS[error.code]


@pytest.mark.parametrize("topic", table.TOPICS, ids=lambda topic: topic.pattern)
def test_every_topic_has_a_row(topic: table.Topic) -> None:
    assert topic.pattern in ROWS


def test_nothing_is_documented_that_does_not_exist() -> None:
    codes = set(re.findall(r"\bE_[A-Z_]+\b", TEXT))
    assert codes == set(table.ERROR_BY_CODE)
    topics = {name for name in ROWS if name.endswith("/")}
    assert topics == {topic.pattern for topic in table.TOPICS}


def test_limits_are_the_tables() -> None:
    assert str(table.MAX_FRAME_BYTES) in TEXT
    assert f"up to {table.MAX_ENVELOPE_FRAMES} more" in TEXT
    assert f"{table.REPLY_GRACE_MS} ms after its\n  deadline" in TEXT
    assert f"1 to {table.MAX_DEADLINE_MS}, default {table.DEFAULT_DEADLINE_MS}" in TEXT
    assert f"1 to {table.REPLAY_PAGE}" in TEXT


def test_the_version_of_the_document_and_of_the_protocol() -> None:
    assert re.search(r"^Version \d+\.\d+ of this document", TEXT, re.MULTILINE)
    assert f"`protocol: [{table.PROTOCOL_OLDEST}, {table.PROTOCOL_NEWEST}]`" in TEXT
    assert f'`"v":{table.NOTE_VERSION}`' in TEXT


def test_the_note_in_the_document_has_the_fields_of_a_real_one() -> None:
    start = TEXT.index('{"v":1,"stream"')
    shown = json.loads(TEXT[start : TEXT.index("\n\n", start)])
    real = make_note().to_json()
    assert shown.keys() == real.keys()
    assert shown["snap"].keys() == real["snap"].keys()
    assert shown["snap"]["pictures"][0].keys() == real["snap"]["pictures"][0].keys()
    assert shown["timing_ms"].keys() == real["timing_ms"].keys()


def test_the_error_in_the_document_is_what_a_paused_snap_is_answered() -> None:
    start = TEXT.index('{"jsonrpc":"2.0","id":7,"error"')
    shown = json.loads(TEXT[start : TEXT.index("\n\n", start)])
    cause, remedy = causes_and_remedies(("paused",))
    assert shown == json.loads(encode_error(7, "E_STATE", cause, hint=remedy))
