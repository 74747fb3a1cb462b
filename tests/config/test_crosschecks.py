from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudd.config.crosschecks import CHECKS, is_loopback, problems
from hudd.config.settings import Settings
from hudd.config.toml_values import all_keys


def changed(**values: Any) -> Settings:
    settings = Settings()
    for path, value in values.items():
        section, name = path.split("__")
        settings = replace(settings, **{section: replace(getattr(settings, section), **{name: value})})
    return settings


def test_the_defaults_are_fine_and_every_check_names_real_keys():
    assert problems(Settings(), frozenset()) == []
    assert {name for needed, _ in CHECKS for name in needed} <= set(all_keys())


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"screen__max_interval_s": 0.1}, "max_interval_s must be at least interval_s."),
        ({"gate__settle_s": 5.0}, "max_settle_s must be at least settle_s."),
        ({"gate__heartbeat_s": 0.5}, "heartbeat_s must be 0 or at least min_interval_s."),
        ({"session__response_done_s": 5.0}, "response_done_s must be at least first_delta_s."),
        ({"session__retention_ratio": 0.001}, "keeps nothing at a cut; raise retention_ratio"),
        ({"bus__remote": "tcp://*:7433"}, "no number of a network interface"),
        ({"bus__remote": "tcp://host.example:7433"}, "no number of a network interface"),
        ({"bus__remote": "tcp://0.0.0.0:7433"}, "every interface or none"),
        ({"bus__remote": "tcp://[::]:7433"}, "every interface or none"),
        ({"bus__remote": "tcp://224.0.0.1:7433"}, "every interface or none"),
        ({"bus__remote": "tcp://::1:7433"}, "IPv6 address in brackets"),
        ({"bus__remote": "tcp://[192.0.2.7]:7433"}, "IPv6 address in brackets"),
        ({"bus__remote": "192.0.2.7:7433"}, "no tcp:// address with a port"),
        ({"bus__remote": "tcp://192.0.2.7"}, "no tcp:// address with a port"),
        ({"bus__remote": "tcp://192.0.2.7:0"}, "notes take the next one"),
        ({"bus__remote": "tcp://192.0.2.7:65535"}, "notes take the next one"),
        ({"realtime__model": ""}, "write the name of a model"),
        ({"realtime__model": "a b"}, "write the name of a model"),
        ({"realtime__url": "ftp://api.openai.com/v1/realtime"}, "it must start with wss://"),
        ({"realtime__url": "api.openai.com"}, "has no scheme; it must start with wss://"),
        ({"realtime__url": ""}, "has no scheme"),
        ({"realtime__url": "wss:///v1"}, "names no host"),
        ({"realtime__url": "wss://host:0/"}, "no usable port"),
        ({"realtime__url": "wss://host:99999/"}, "is no address"),
        ({"realtime__url": "wss://[::1/"}, "is no address"),
        ({"realtime__url": "wss://host/v1?api-key=x"}, "holds a key in its query"),
        ({"realtime__url": "wss://r.openai.azure.com/openai/realtime?api-version=1&deployment=d"}, "retired interface"),
        ({"realtime__url": "http://host.example/v1"}, "unencrypted"),
        ({"realtime__url": "wss://host/v1#x"}, "holds a fragment"),
        ({"realtime__fallback_models": ("good", "two words")}, "names of models, without spaces"),
        ({"realtime__organization": "org\r\nX-Evil: 1"}, "one word of plain characters"),
        ({"realtime__safety_identifier": "grüße"}, "one word of plain characters"),
        ({"realtime__proxy": "proxy.example:3128"}, "write it like http://proxy.example:3128"),
        ({"notes__profile": "codin"}, "did you mean coding?"),
        ({"realtime__url": "wss://host/ v1"}, "has a space or a control character"),
        ({"realtime__url": "ws://example.com/v1"}, 'to "example.com" unencrypted; use wss://'),
        ({"realtime__url": "ws://localhost.example.com/v1"}, "unencrypted"),
        ({"screen__source": "pictures"}, 'write it like "pictures:/home/me/shots"'),
        ({"screen__source": "pictures:"}, "names no folder"),
        ({"screen__source": "picture:/x"}, "did you mean pictures:DIR?"),
        ({"screen__source": "msss"}, "did you mean mss?"),
        ({"screen__source": ""}, 'it must be "auto"'),
        ({"screen__monitors": ("a", "a")}, "names one monitor twice"),
        ({"screen__monitors": ("a", " ")}, "has an empty name"),
    ],
)
def test_each_mistake_gives_one_sentence(values: dict[str, Any], sentence: str):
    found = problems(changed(**values), frozenset())
    assert len(found) == 1
    assert sentence in found[0]
    names = frozenset(name.replace("__", ".") for name in values)
    assert problems(changed(**values), names) == [], "a key that is wrong by itself is not reported twice"


@pytest.mark.parametrize(
    "url",
    [
        "ws://127.0.0.1:8080/v1/realtime",
        "ws://[::1]:80/x",
        "ws://localhost/x",
        "WSS://Host.example/v1",
        "wss://h:443",
        "https://gw.example/v1",
        "http://127.0.0.1:1/v1",
        "wss://h/x?tenant=a&model=b",
    ],
)
def test_good_addresses(url: str):
    assert problems(changed(realtime__url=url), frozenset()) == []


@pytest.mark.parametrize("address", ["", "tcp://192.0.2.7:7433", "tcp://127.0.0.1:1", "tcp://[2001:db8::7]:65534"])
def test_good_places_for_other_machines(address: str):
    assert problems(changed(bus__remote=address), frozenset()) == []


def test_no_history_needs_no_retention():
    assert problems(changed(session__history_tokens=0, session__retention_ratio=0.0), frozenset()) == []


def test_secrets_in_the_wrong_place_are_refused_and_not_repeated():
    (key,) = problems(changed(realtime__key_file="sk-proj-abcdef123456"), frozenset())
    assert "looks like a key" in key
    (url,) = problems(changed(realtime__url="wss://me:hunter22@host/v1"), frozenset())
    assert "holds a user or password" in url
    assert "abcdef" not in key
    assert "hunter" not in url


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("LOCALHOST.", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("10.0.0.1", False),
        ("127.0.0.1.evil.com", False),
        ("", False),
    ],
)
def test_loopback(host: str, loopback: bool):
    assert is_loopback(host) is loopback


@given(url=st.text() | st.from_regex(r"wss?://[^\s]*", fullmatch=True), source=st.text())
def test_any_text_is_fine_or_gives_a_sentence(url: str, source: str):
    for sentence in problems(changed(realtime__url=url, screen__source=source), frozenset()):
        assert sentence.endswith((".", "?"))
        assert "\n" not in sentence


def test_a_value_of_the_environment_or_a_flag_is_named_by_its_place():
    settings = changed(gate__settle_s=5.0, realtime__url="http://host.example/v1", session__retention_ratio=0.001)
    places = {
        "gate.settle_s": "HUDD_GATE_SETTLE_S",
        "realtime.url": "HUDD_REALTIME_URL",
        "session.retention_ratio": "--session-retention-ratio",
    }
    url, retention, settling = problems(settings, frozenset(), places)
    assert url.startswith("HUDD_REALTIME_URL would send")
    assert retention.startswith("--session-retention-ratio 0.001 of history_tokens")
    assert settling.startswith("[gate] max_settle_s is 3 and HUDD_GATE_SETTLE_S is 5;")
