"""Whatever stands in a file of keys is either a list of keys or one sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hudd.wire.remote_keys import ClientKey, KeyFileError, KeyFolder, check_name, read_client_file, write_private

KEY = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"
ENTRY = {"name": "laptop", "role": "notes", "public": KEY, "added": "2026-11-21T10:00:00Z"}

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=50) | st.sampled_from(["notes", "control", KEY, "a"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted({*ENTRY, "keys"})), inner),
    max_leaves=12,
)


def folder_with(tmp_path: Path, text: str) -> KeyFolder:
    folder = KeyFolder(tmp_path)
    with folder.changing():
        write_private(folder.clients_file, text)
    return folder


def test_the_list_comes_back_as_it_was_written(tmp_path: Path) -> None:
    folder = KeyFolder(tmp_path)
    clients = (ClientKey("a", "notes", KEY, "now"), ClientKey("b.c-d_e", "control", KEY[::-1], ""))
    with folder.changing():
        folder.write_clients(clients)
    assert folder.clients() == clients


@pytest.mark.parametrize(
    "keys",
    [
        {},
        [1],
        [{**ENTRY, "role": "root"}],
        [{**ENTRY, "name": "../x"}],
        [{**ENTRY, "public": KEY[1:]}],
        [{**ENTRY, "public": None}],
        [ENTRY, ENTRY],
        [ENTRY, {**ENTRY, "name": "other"}],
        [ENTRY, {**ENTRY, "public": KEY[::-1]}],
    ],
)
def test_a_list_with_one_mistake_is_refused_whole(tmp_path: Path, keys: Any) -> None:
    with pytest.raises(KeyFileError, match="cannot be used"):
        folder_with(tmp_path, json.dumps({"keys": keys})).clients()


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(VALUES.map(json.dumps), st.text(max_size=200), st.just("[" * 100_000)))
def test_whatever_the_file_holds_it_is_read_or_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "keys" / "clients.json"
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    for read in (KeyFolder(tmp_path).clients, lambda: read_client_file(path)):
        try:
            read()
        except KeyFileError as error:
            assert str(path) in str(error)  # noqa: PT017 - either outcome is right


@pytest.mark.parametrize("name", ["", "a b", "../x", "-x", ".x", "x" * 65, "ä", "a\n"])
def test_a_name_that_is_none(name: str) -> None:
    with pytest.raises(KeyFileError):
        check_name(name)
