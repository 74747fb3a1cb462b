"""One dialogue of the engine, in memory: responses, and what they count."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.engine import Talk, data_url, error_of, image, png, types, user, words

SHOT = data_url(png(1280, 720))

IN_CONVERSATION = [
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    "response.output_text.delta",
    "response.output_text.delta",
    "response.output_text.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
    "rate_limits.updated",
]
OUT_OF_BAND = [kind for kind in IN_CONVERSATION if not kind.startswith("conversation.")]


# ------------------------------------------------------------------------------------------------ responses


def test_a_response_in_the_conversation_has_the_recorded_order() -> None:
    talk = Talk()
    added, _ = talk.item("What is there?")
    (created,) = talk.respond()
    assert created["response"]["status"] == "in_progress"
    assert created["response"]["conversation_id"].startswith("conv_")
    events = talk.answer("Hello there!")
    assert types(events) == IN_CONVERSATION
    assert events[1]["previous_item_id"] == added["item"]["id"]
    assert [e["delta"] for e in events if "delta" in e] == ["Hello", " there!"]
    done = events[-2]["response"]
    assert done["status"] == "completed"
    assert done["output"][0]["content"] == [{"type": "output_text", "text": "Hello there!"}]
    assert len({e["event_id"] for e in talk.seen}) == len(talk.seen)


def test_out_of_band_leaves_the_conversation_alone_and_echoes_metadata() -> None:
    talk = Talk()
    (created,) = talk.out_of_band(words("now"), image(SHOT), metadata={"snap": "1", "source": "eDP-1"})
    assert created["response"]["conversation_id"] is None
    assert created["response"]["metadata"] == {"snap": "1", "source": "eDP-1"}
    assert talk.asked[0].stream == "eDP-1"
    assert talk.asked[0].pictures[0].width == 1280
    events = talk.answer("An editor.")
    assert types(events) == OUT_OF_BAND
    assert events[-2]["response"]["metadata"] == {"snap": "1", "source": "eDP-1"}
    talk.respond()
    assert talk.asked[1].text == ""
    assert talk.asked[1].stream == talk.dialogue.session_id


def test_an_input_replaces_the_conversation_and_may_refer_to_its_items() -> None:
    talk = Talk()
    talk.item("context", id="ctx")
    talk.item("not this")
    talk.respond(conversation="none", input=[{"type": "item_reference", "id": "ctx"}, user("and this")])
    assert talk.asked[0].text == "context\nand this"
    missing = talk.respond(conversation="none", input=[{"type": "item_reference", "id": "gone"}])
    assert error_of(missing)["code"] == "item_reference_invalid_item_id"


def test_only_what_follows_the_last_answer_is_asked() -> None:
    talk = Talk()
    talk.say({"type": "conversation.item.create", "item": {**user(""), "content": [image(SHOT)]}})
    talk.respond()
    talk.answer("A screen.")
    talk.item("And now?")
    talk.respond()
    assert talk.asked[1].text == "And now?"
    assert talk.asked[1].pictures == ()


def test_one_response_writes_to_the_conversation_others_run_beside_it() -> None:
    talk = Talk()
    talk.item("x")
    (first,) = talk.respond()
    error = error_of(talk.respond())
    assert error["code"] == "conversation_already_has_active_response"
    assert first["response"]["id"] in error["message"]
    assert error["event_id"] == "rc_1"
    assert types(talk.out_of_band(words("a"))) == ["response.created"]
    assert types(talk.out_of_band(words("b"))) == ["response.created"]
    for index in (2, 0, 1):
        assert talk.answer("ok", index)[-2]["response"]["status"] == "completed"
    assert types(talk.respond()) == ["response.created"]


def test_parallel_responses_are_bounded() -> None:
    talk = Talk()
    for _ in range(16):
        assert types(talk.out_of_band(words("a"))) == ["response.created"]
    assert error_of(talk.out_of_band(words("a")))["code"] == "rate_limit_exceeded"


def test_cancel_ends_the_response_of_the_conversation_with_what_was_said() -> None:
    talk = Talk(pace_s=1.0)
    talk.item("x")
    talk.respond()
    talk.take(talk.dialogue.add_text(talk.asked[0].response_id, "one two three four", talk.now))
    talk.wait(2)
    events = talk.say({"type": "response.cancel"})
    done = events[-2]["response"]
    assert done["status"] == "cancelled"
    assert done["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
    assert done["output"][0]["content"][0]["text"] == "one two"
    assert done["output"][0]["status"] == "incomplete"
    assert done["usage"]["output_tokens"] == 2
    assert talk.forgotten == [talk.asked[0].response_id]
    assert talk.answer("late") == []


def test_out_of_band_is_cancelled_by_id_only() -> None:
    talk = Talk()
    (created,) = talk.out_of_band(words("a"))
    error = error_of(talk.say({"type": "response.cancel", "event_id": "c1"}))
    assert (error["code"], error["event_id"]) == ("response_cancel_not_active", "c1")
    events = talk.say({"type": "response.cancel", "response_id": created["response"]["id"]})
    assert types(events) == ["response.done", "rate_limits.updated"]
    assert events[0]["response"]["output"] == []
    again = talk.say({"type": "response.cancel", "response_id": created["response"]["id"]})
    assert error_of(again)["code"] == "response_cancel_not_active"


def test_the_answer_is_cut_at_max_output_tokens() -> None:
    talk = Talk()
    talk.out_of_band(words("a"), max_output_tokens=3)
    assert talk.asked[0].most_tokens == 3
    done = talk.answer("one two three four five")[-2]["response"]
    assert done["status"] == "incomplete"
    assert done["status_details"] == {"type": "incomplete", "reason": "max_output_tokens"}
    assert done["output"][0]["content"][0]["text"] == "one two"
    assert done["usage"]["output_tokens"] == 2
    assert talk.forgotten == [talk.asked[0].response_id]


def test_a_failed_answer_is_a_failed_response() -> None:
    talk = Talk()
    talk.out_of_band(image(SHOT))
    fail = talk.dialogue.fail
    events = talk.take(
        fail(talk.asked[0].response_id, kind="server_error", code="server_error", message="no", now=talk.now)
    )
    assert types(events) == ["response.done"]
    assert events[0]["response"]["status_details"]["error"]["code"] == "server_error"
    assert events[0]["response"]["usage"] is None


def test_a_picture_that_cannot_be_read_is_also_an_error() -> None:
    talk = Talk()
    talk.out_of_band(image(SHOT))
    events = talk.take(
        talk.dialogue.fail(
            talk.asked[0].response_id,
            kind="invalid_request_error",
            code="invalid_image",
            message="damaged",
            now=talk.now,
        )
    )
    assert types(events) == ["error", "response.done"]
    assert events[0]["error"]["event_id"] is None


def test_a_session_that_speaks_gets_no_response() -> None:
    talk = Talk(update=False)
    error = error_of(talk.out_of_band(words("a")))
    assert error["param"] == "response.output_modalities"
    assert types(talk.out_of_band(words("a"), output_modalities=["text"])) == ["response.created"]


def test_words_come_at_the_pace() -> None:
    talk = Talk(pace_s=0.5)
    talk.out_of_band(words("a"))
    assert talk.answer("one two three") == []
    assert [e["delta"] for e in talk.wait(1.2) if "delta" in e] == ["one", " two"]
    assert talk.wait(0.4)[-1]["type"] == "rate_limits.updated"


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=12), max_size=12))
def test_the_deltas_join_to_the_answer(pieces: list[str]) -> None:
    talk = Talk()
    talk.out_of_band(words("a"), max_output_tokens="inf")
    response_id = talk.asked[0].response_id
    for piece in pieces:
        talk.take(talk.dialogue.add_text(response_id, piece, talk.now))
    talk.take(talk.dialogue.end_text(response_id, talk.now))
    deltas = "".join(e["delta"] for e in talk.seen if e["type"] == "response.output_text.delta")
    (done,) = [e for e in talk.seen if e["type"] == "response.done"]
    assert deltas == "".join(pieces)
    assert done["response"]["output"][0]["content"][0]["text"] == deltas
    assert talk.dialogue.wake_at > talk.now + 100


# ------------------------------------------------------------------------------------------------ counting


def test_usage_counts_text_pictures_and_the_cached_beginning() -> None:
    talk = Talk()
    talk.say({"type": "session.update", "session": {"type": "realtime", "instructions": "i" * 400}})
    for turn, cached in enumerate((0, 64)):
        talk.out_of_band(words("x" * 10), image(data_url(png(1280, 720, turn))))
        usage = talk.answer("y" * 9)[-2]["response"]["usage"]
        assert usage["input_token_details"]["image_tokens"] == 323
        assert usage["input_token_details"]["text_tokens"] == 103
        assert usage["input_tokens"] == 426
        assert usage["output_tokens"] == 3
        assert usage["total_tokens"] == 429
        assert usage["input_token_details"]["cached_tokens"] == cached
        assert "reasoning_tokens" not in usage["output_token_details"]


def test_an_answer_in_the_conversation_is_cached_for_the_next() -> None:
    talk = Talk()
    talk.item("q" * 400)
    talk.respond()
    talk.answer("a" * 400)
    talk.item("next")
    talk.respond()
    usage = talk.answer("b")[-2]["response"]["usage"]
    # 7 of instructions, 100 and 100: 207, rounded down to 64s
    assert usage["input_token_details"]["cached_tokens"] == 192


def test_a_reasoning_model_tells_phase_and_reasoning_tokens() -> None:
    talk = Talk(model="gpt-realtime-2.1", reasoning_tokens=150)
    talk.out_of_band(words("a"))
    events = talk.answer("done")
    done = events[-2]["response"]
    assert done["output"][0]["phase"] == "final_answer"
    assert done["usage"]["output_token_details"] == {"text_tokens": 151, "audio_tokens": 0, "reasoning_tokens": 150}


def test_reasoning_counts_against_the_longest_answer() -> None:
    talk = Talk(model="gpt-realtime-2.1-mini", reasoning_tokens=150)
    talk.out_of_band(words("a"), max_output_tokens=100)
    done = talk.answer("done")[-2]["response"]
    assert done["status"] == "incomplete"
    assert done["output"] == []


def test_truncation_drops_the_oldest_items_from_view() -> None:
    talk = Talk()
    limits = {"type": "retention_ratio", "retention_ratio": 0.5, "token_limits": {"post_instructions": 100}}
    talk.say({"type": "session.update", "session": {"type": "realtime", "truncation": limits}})
    for index in range(5):
        talk.item("x" * 100, id=f"m{index}")
    talk.respond()
    usage = talk.answer("ok")[-2]["response"]["usage"]
    assert usage["input_token_details"]["text_tokens"] == 7 + 50
    (kept,) = talk.say({"type": "conversation.item.retrieve", "item_id": "m0"})
    assert kept["item"]["id"] == "m0"


def test_an_input_that_does_not_fit_is_an_error() -> None:
    talk = Talk()
    assert error_of(talk.out_of_band(words("x" * 4 * 28_225)))["code"] == "context_length_exceeded"
