from __future__ import annotations

import pytest

from hudd.engine.admission import Admitted, Refused, Rejected, admit

PATH = "/v1/realtime?model=gpt-realtime-1.5"


def decide(target: str = PATH, token: str | None = "right", **headers: str) -> object:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return admit(target, named.get, token=token)


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer right"},
        {"authorization": "bearer  right"},
        {"api_key": "right"},
        {"sec_websocket_protocol": "realtime, openai-insecure-api-key.right"},
    ],
)
def test_ways_to_bring_the_key(headers: dict[str, str]) -> None:
    assert decide(**headers) == Admitted("gpt-realtime-1.5")


@pytest.mark.parametrize("target", ["/v1/realtime?model=m-realtime", "/openai/v1/realtime/?model=m-realtime"])
def test_paths(target: str) -> None:
    assert decide(target, authorization="Bearer right") == Admitted("m-realtime")


@pytest.mark.parametrize("target", ["/", "//[", "/v1/realtimes?model=gpt-realtime", "/v1/chat"])
def test_other_paths_are_not_found(target: str) -> None:
    answer = decide(target, authorization="Bearer right")
    assert isinstance(answer, Refused)
    assert answer.status == 404


@pytest.mark.parametrize("header", [{}, {"authorization": "Bearer "}, {"authorization": "Basic right"}])
def test_no_key_is_401(header: dict[str, str]) -> None:
    answer = decide(**header)
    assert isinstance(answer, Refused)
    assert answer.status == 401


def test_a_key_that_is_no_text_is_wrong() -> None:
    answer = decide(authorization="Bearer \udcff\udc80")
    assert isinstance(answer, Rejected)
    assert answer.close_code == 3000


def test_any_key_is_admitted_without_a_token() -> None:
    assert decide(token=None, authorization="Bearer x") == Admitted("gpt-realtime-1.5")


@pytest.mark.parametrize(
    ("target", "more", "code", "close"),
    [
        (PATH, {"authorization": "Bearer wröng"}, "invalid_api_key", 3000),
        (PATH, {"openai_beta": "realtime=v1"}, "beta_api_shape_disabled", 4000),
        ("/v1/realtime", {}, "missing_model", 4000),
        ("/v1/realtime?model=gpt-5", {}, "invalid_model", 4000),
        ("/v1/realtime?model=gpt-realtime-whisper", {}, "invalid_model", 4000),
        ("/v1/realtime?model=gpt-4o-realtime-preview", {}, "model_not_found", 4004),
        ("/v1/realtime?intent=transcription", {}, "invalid_value", 4000),
        ("/v1/realtime?call_id=rtc_1", {}, "invalid_value", 4000),
    ],
)
def test_what_is_rejected_after_the_upgrade(target: str, more: dict[str, str], code: str, close: int) -> None:
    answer = decide(target, **{"authorization": "Bearer right", **more})
    assert isinstance(answer, Rejected)
    assert answer.event["error"]["code"] == code
    assert (answer.close_code, answer.close_reason) == (close, f"invalid_request_error.{code}")


def test_a_vendor_prefix_is_part_of_the_name() -> None:
    answer = decide("/v1/realtime?model=openai%2Fgpt-realtime-2.1", authorization="Bearer right")
    assert answer == Admitted("openai/gpt-realtime-2.1")
    assert decide("/v1/realtime?model=openai/gpt-realtime-2.1", authorization="Bearer right") == answer
