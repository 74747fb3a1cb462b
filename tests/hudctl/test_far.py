"""The way to another machine: both variables or none, a private key file, and a sentence for whatever is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import zmq

from hudctl import Client, Feed, NotRunningError, RefusedError, UsageError
from hudctl.far import FarDaemon
from hudd.wire.remote_keys import ClientFile, write_private


@pytest.fixture
def key(tmp_path: Path) -> Path:
    public, secret = (half.decode() for half in zmq.curve_keypair())
    path = tmp_path / "laptop.key"
    write_private(path, json.dumps(ClientFile("laptop", "control", public, secret, public).to_json()))
    return path


def test_without_variables_it_is_this_machine() -> None:
    assert FarDaemon.find({}) is None


def test_notes_are_on_the_next_port(key: Path) -> None:
    far = FarDaemon.find({"HUDD_REMOTE": "tcp://192.0.2.7:7433", "HUDD_REMOTE_KEY": str(key)})
    assert far is not None
    assert (far.control, far.notes) == ("tcp://192.0.2.7:7433", "tcp://192.0.2.7:7434")
    assert far.key.secret not in repr(far)


@pytest.mark.parametrize(
    ("address", "says"),
    [("", "HUDD_REMOTE is not set"), ("192.0.2.7", "no address"), ("tcp://a:65535", "next one"), ("tcp://:1", "no a")],
)
def test_an_address_that_is_none(key: Path, address: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        FarDaemon.find({"HUDD_REMOTE": address, "HUDD_REMOTE_KEY": str(key)})


def test_an_address_without_a_key() -> None:
    with pytest.raises(UsageError, match="HUDD_REMOTE_KEY is not set"):
        FarDaemon.find({"HUDD_REMOTE": "tcp://192.0.2.7:7433"})


@pytest.mark.parametrize("spoilt", ["open", "absent", "folder", "no key", "no json", "long"])
def test_a_key_file_that_is_none(key: Path, spoilt: str) -> None:
    if spoilt == "open":
        key.chmod(0o644)
    elif spoilt in ("absent", "folder"):
        key.unlink()
        if spoilt == "folder":
            key.mkdir()
    else:
        key.write_text({"no key": "{}", "no json": "{", "long": " " * 300_000}[spoilt])
    with pytest.raises(RefusedError, match="key file"):
        FarDaemon.of("tcp://192.0.2.7:7433", key)


def test_where_nobody_listens_client_and_feed_say_so(key: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUDD_REMOTE", "tcp://127.0.0.1:1")
    monkeypatch.setenv("HUDD_REMOTE_KEY", str(key))
    with pytest.raises(NotRunningError, match=r"cannot be reached at tcp://127\.0\.0\.1:1: Connection refused"):
        Client().status()
    with pytest.raises(NotRunningError):
        Feed()


def test_a_runtime_folder_that_is_asked_for_goes_before(
    key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUDD_REMOTE", "tcp://127.0.0.1:1")
    monkeypatch.setenv("HUDD_REMOTE_KEY", str(key))
    with pytest.raises(NotRunningError, match="hudd is not running"):
        Client(runtime_dir=tmp_path / "run").status()
