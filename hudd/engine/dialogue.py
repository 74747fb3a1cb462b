"""The server half of the Realtime protocol for one connection. Pure: time, ids and answers are handed in.

Give it what the client sends and what the clock and the answerer say; do what it returns, in order:

    start / receive / receive_binary / tick / add_text / end_text / fail  →  Send | Ask | Forget | Close …

Source: realtime-protocol 2 (session, errors), 3 (items, responses), 4 (pictures), 7.2 (audio buffer), 9 (checklist).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

from hudd.engine import objects
from hudd.engine.accounting import (
    ContextOverflowError,
    PromptCache,
    input_limit,
    items_to_drop,
    text_tokens,
    usage_object,
)
from hudd.engine.audio import AudioBuffer
from hudd.engine.commands import Ask, Close, Command, DialogueOptions, End, Forget
from hudd.engine.conversation import Conversation, Entry, make_entry, newest_question, preamble, with_image_urls
from hudd.engine.faults import Faults
from hudd.engine.objects import JsonObject, Names
from hudd.engine.player import Player
from hudd.engine.responses import WritingResponse, failure_of, make_plan
from hudd.engine.schema import RejectedError, UnusableImageError
from hudd.engine.validation import check_envelope, check_response, check_session, parse_event, read_pictures
from hudd.protocol.vocabulary import CLOSE_EXPIRED

MAX_RESPONSES: Final = 16
LATE_ERROR_S: Final = 0.05
"""How long after the event a picture is found to be unusable; the service tells it asynchronously (4.1)."""
EXPIRED_MESSAGE: Final = "Your session hit the maximum duration of 60 minutes."


class Dialogue:
    """One session.

    Args:
        model: As the client asked for it.
        options: How it behaves.
        cache: Shared by all sessions of a server.
        names: Where ids come from.
    """

    def __init__(self, model: str, options: DialogueOptions, cache: PromptCache, names: Names) -> None:
        self.session: JsonObject = {}
        self._model = model
        self._reasons = objects.reasons(model)
        self._options = options
        self._faults = options.faults
        self._player = Player(options.faults, names)
        self._cache = cache
        self._names = names
        self._conversation = Conversation(names.id("conv"))
        self._audio = AudioBuffer()
        self._responses: dict[str, WritingResponse] = {}
        self._late: list[tuple[float, JsonObject]] = []
        self._out: list[Command] = []
        self._expires_at = math.inf
        self._handlers: dict[str, Callable[[JsonObject, float], None]] = {
            "session.update": self._update_session,
            "conversation.item.create": self._create_item,
            "conversation.item.delete": self._delete_item,
            "conversation.item.retrieve": self._retrieve_item,
            "conversation.item.truncate": self._truncate_item,
            "response.create": self._create_response,
            "response.cancel": self._cancel_response,
            "input_audio_buffer.append": self._append_audio,
            "input_audio_buffer.commit": self._commit_audio,
            "input_audio_buffer.clear": self._clear_audio,
        }

    @property
    def session_id(self) -> str:
        """``sess_…``; '' before :meth:`start`."""
        return str(self.session.get("id", ""))

    @property
    def wake_at(self) -> float:
        """When :meth:`tick` has something to do, monotonic seconds; infinity for never."""
        if self._player.over:
            return math.inf
        times = [self._expires_at, self._player.wake_at, *(due for due, _ in self._late)]
        times.extend(at for r in self._responses.values() if (at := r.wake_at) is not None)
        return min(times)

    def start(self, now: float, wall: float) -> list[Command]:
        """The connection is open.

        Args:
            now: Monotonic seconds.
            wall: Seconds since 1970, for ``expires_at``.
        """
        self._player.at(now)
        self._do(self._player.opened())
        expire = self._faults.get("expire")
        lifetime = self._options.lifetime_s if expire is None else expire.number
        self._expires_at = now + lifetime
        self.session = objects.default_session(self._names.id("sess"), self._model, int(wall + lifetime))
        if "no_created" not in self._faults:
            self._send({"type": "session.created", "session": self.session})
        return self._take()

    def receive(self, frame: str, now: float) -> list[Command]:
        """A text frame came."""
        self._player.at(now)
        event_id: str | None = None
        try:
            event = parse_event(frame)
            named = event.get("event_id")
            event_id = named if isinstance(named, str) else None
            kind = check_envelope(event)
            self._do(self._player.heard(kind))
            if not self._player.over:
                self._handlers[kind](event, now)
        except RejectedError as error:
            self._refuse(error, event_id)
        except UnusableImageError as error:
            event = objects.error_event("invalid_image", error.message, param=error.param)
            self._late.append((now + LATE_ERROR_S, event))
        return self._take()

    def receive_binary(self) -> list[Command]:
        """A binary frame came: refused, the connection stays open (1.3)."""
        message = "Expected a text WebSocket message; binary frames are not supported."
        self._refuse(RejectedError("invalid_event", message), None)
        return self._take()

    def tick(self, now: float) -> list[Command]:
        """The time of :attr:`wake_at` has come; too early is harmless."""
        self._player.at(now)
        self._do(self._player.tick())
        if self._player.over:
            return self._take()
        for due, event in [late for late in self._late if late[0] <= now]:
            self._late.remove((due, event))
            self._send(event)
        for response in list(self._responses.values()):
            self._advance(response, response.step(now), now)
        if now >= self._expires_at:
            self._send(objects.error_event("session_expired", EXPIRED_MESSAGE))
            self._do(self._player.end(Close(CLOSE_EXPIRED, EXPIRED_MESSAGE)))
        return self._take()

    def add_text(self, response_id: str, piece: str, now: float) -> list[Command]:
        """The answerer said a piece."""
        self._player.at(now)
        response = self._responses.get(response_id)
        if response is not None:
            self._advance(response, response.add_text(piece, now), now)
        return self._take()

    def end_text(self, response_id: str, now: float) -> list[Command]:
        """The answerer is done."""
        self._player.at(now)
        response = self._responses.get(response_id)
        if response is not None:
            self._advance(response, response.end_text(now), now)
        return self._take()

    def fail(self, response_id: str, *, kind: str, code: str, message: str, now: float) -> list[Command]:
        """The answerer failed: the response ends as failed, or as an error for a picture that cannot be used (4.1)."""
        self._player.at(now)
        response = self._responses.get(response_id)
        if response is not None:
            if code == "invalid_image":
                self._send(objects.error_event(code, message, kind=kind))
            self._advance(response, response.end("failed", error={"type": kind, "code": code, "message": message}), now)
        return self._take()

    # What the client asks for.

    def _update_session(self, event: JsonObject, now: float) -> None:
        del now
        update = check_session(event["session"], reasons=self._reasons)
        tracing = self.session["tracing"]
        if tracing is not None and update.get("tracing", tracing) != tracing:
            raise RejectedError(
                "invalid_value", "Tracing cannot be changed once it is enabled.", param="session.tracing"
            )
        self.session = objects.merged_session(self.session, update)
        self._send({"type": "session.updated", "session": self.session})

    def _create_item(self, event: JsonObject, now: float) -> None:
        del now
        entry = self._entry(event["item"], "item")
        self._announce(entry, self._conversation.insert(entry, event.get("previous_item_id")))

    def _entry(self, item: JsonObject, path: str) -> Entry:
        return make_entry(item, item.get("id") or self._names.id("item"), read_pictures(item, path))

    def _announce(self, entry: Entry, previous: str | None) -> None:
        item = with_image_urls(entry) if "echo_images" in self._faults else entry.item
        for kind in ("conversation.item.added", "conversation.item.done"):
            self._send({"type": kind, "previous_item_id": previous, "item": item})

    def _delete_item(self, event: JsonObject, now: float) -> None:
        del now
        self._conversation.delete(event["item_id"])
        self._send({"type": "conversation.item.deleted", "item_id": event["item_id"]})

    def _retrieve_item(self, event: JsonObject, now: float) -> None:
        del now
        entry = self._conversation.get(event["item_id"], code="item_retrieve_invalid_item_id", doing="retrieving")
        item = with_image_urls(entry) if "echo_images" in self._faults else entry.item
        self._send({"type": "conversation.item.retrieved", "item": item})

    def _truncate_item(self, event: JsonObject, now: float) -> None:
        del now
        self._conversation.get(event["item_id"], code="item_truncate_invalid_item_id", doing="truncating")
        # The engine never speaks, so there is no item that could be cut (7.3); the service's code is not known.
        message = "Only audio messages of the assistant can be truncated."
        raise RejectedError("invalid_value", message, param="item_id")

    def _append_audio(self, event: JsonObject, now: float) -> None:
        del now
        self._audio.append(event["audio"], self.session["audio"]["input"]["format"])

    def _commit_audio(self, event: JsonObject, now: float) -> None:
        del event, now
        entry = self._audio.commit(self._names.id("item"))
        previous = self._conversation.insert(entry, None)
        committed = {"type": "input_audio_buffer.committed", "item_id": entry.id, "previous_item_id": previous}
        self._send(committed)
        self._announce(entry, previous)

    def _clear_audio(self, event: JsonObject, now: float) -> None:
        del event, now
        self._audio.clear()
        self._send({"type": "input_audio_buffer.cleared"})

    def _create_response(self, event: JsonObject, now: float) -> None:
        wish = check_response(event.get("response"), reasons=self._reasons)
        faults = self._player.next_response()
        refused = faults.get("error")
        if refused is not None:
            raise RejectedError(refused.word, "This request is refused on purpose (fault 'error').")
        in_band = wish.get("conversation", "auto") == "auto"
        self._check_room(wish, in_band=in_band)
        entries = self._context(wish)
        response, ask = self._begin(wish, entries, faults, in_band=in_band, now=now)
        self._responses[response.id] = response
        self._send(response.created())
        failure = failure_of(faults)
        if self._player.over:
            return
        if failure is not None:
            self._advance(response, response.end("failed", error=failure), now)
        else:
            self._out.append(ask)

    def _check_room(self, wish: JsonObject, *, in_band: bool) -> None:
        if wish.get("output_modalities", self.session["output_modalities"]) != ["text"]:
            raise RejectedError(
                "invalid_value",
                "The local engine writes text only; set output_modalities to ['text'].",
                param="response.output_modalities",
            )
        active = next((r for r in self._responses.values() if r.in_conversation), None)
        if in_band and active is not None:
            raise RejectedError(
                "conversation_already_has_active_response",
                f"Conversation already has an active response in progress: {active.id}. "
                "Wait until the response is finished before creating a new one.",
            )
        if len(self._responses) >= MAX_RESPONSES:
            raise RejectedError("rate_limit_exceeded", f"At most {MAX_RESPONSES} responses may run in parallel.")

    def _context(self, wish: JsonObject) -> tuple[Entry, ...]:
        """The items that a response is computed from: its own input, or else the conversation (3.7)."""
        limit = input_limit(reasons=self._reasons)
        try:
            if "input" not in wish:
                return self._conversation.view(self.session["truncation"], limit)
            entries = tuple(self._input_entry(i, item) for i, item in enumerate(cast("list[Any]", wish["input"])))
            # No truncation here: it is the conversation that is cut, an input of its own fits or does not.
            items_to_drop([entry.tokens() for entry in entries], "disabled", limit)
        except ContextOverflowError:
            # The service's code is not known.
            message = f"The input is longer than the {limit} tokens that fit into the model."
            raise RejectedError("context_length_exceeded", message) from None
        return entries

    def _input_entry(self, index: int, item: JsonObject) -> Entry:
        if item["type"] == "item_reference":
            # The service's code is not known.
            return self._conversation.get(item["id"], code="item_reference_invalid_item_id", doing="referencing")
        return self._entry(item, f"response.input[{index}]")

    def _begin(
        self, wish: JsonObject, entries: tuple[Entry, ...], faults: Faults, *, in_band: bool, now: float
    ) -> tuple[WritingResponse, Ask]:
        told = objects.response_object(
            self._names.id("resp"), self.session, wish, self._conversation.id if in_band else None
        )
        instructions = wish.get("instructions") or self.session["instructions"]
        segments = [segment for entry in entries for segment in entry.segments()]
        prompt = (*preamble(instructions, wish.get("tools", self.session["tools"])), *segments)
        most = told["max_output_tokens"]
        cached = self._cache.look_up(self._model, prompt, now)
        plan = make_plan(self._options, self._model, wish, self.session, prompt, cached, most, faults)
        text, pictures = newest_question(entries)
        metadata = cast("Mapping[str, str]", told["metadata"] or {})
        stream = metadata.get("source") or self.session_id
        ask = Ask(told["id"], stream, instructions, text, pictures, plan.most_tokens, metadata)
        return WritingResponse(told, self._names.id("item"), self._conversation.last_id, plan, self._names), ask

    def _cancel_response(self, event: JsonObject, now: float) -> None:
        wanted = event.get("response_id")
        if wanted is None:
            response = next((r for r in self._responses.values() if r.in_conversation), None)
        else:
            response = self._responses.get(wanted)
        if response is None:
            message = "Cancellation failed: no active response found"
            raise RejectedError("response_cancel_not_active", message)
        self._advance(response, response.end("cancelled", reason="client_cancelled"), now)

    # What is sent.

    def _advance(self, response: WritingResponse, events: list[JsonObject], now: float) -> None:
        for event in events:
            if self._player.over:
                return
            kind = event["type"]
            if kind == "conversation.item.added":
                event["previous_item_id"] = self._conversation.insert(response.entry(), None)
            elif kind == "conversation.item.done":
                self._conversation.replace(response.entry())
            elif kind == "response.done":
                self._settle(response, event, now)
                return
            self._send(event)

    def _settle(self, response: WritingResponse, done: JsonObject, now: float) -> None:
        del self._responses[response.id]
        self._out.append(Forget(response.id))
        plan = response.plan
        answered = text_tokens(response.text)
        failed = done["response"]["status"] == "failed"
        if not failed and plan.tells_usage:
            done["response"]["usage"] = usage_object(plan.asked, plan.cached, answered, plan.reasoning_tokens)
        self._send(done)
        if not failed:
            stored = response.prompt_with_answer() if response.in_conversation else plan.prompt
            self._cache.store(self._model, stored, now)
            self._send(objects.rate_limits_event(plan.asked.total + answered))
        elif plan.wait_s is not None:
            self._send(objects.rate_limits_event(objects.RATE_LIMIT_TOKENS, reset_s=plan.wait_s))

    def _refuse(self, error: RejectedError, event_id: str | None) -> None:
        self._send(
            objects.error_event(error.code, error.message, kind=error.kind, param=error.param, client_event_id=event_id)
        )

    def _send(self, event: JsonObject) -> None:
        self._do(self._player.say(event))

    def _do(self, commands: list[Command]) -> None:
        """Take what the player made of it; after an end nothing is asked any more."""
        self._out.extend(command for command in commands if not isinstance(command, End))
        if self._player.over and self._responses:
            self._out.extend(Forget(response_id) for response_id in self._responses)
            self._responses.clear()
        self._out.extend(command for command in commands if isinstance(command, End))

    def _take(self) -> list[Command]:
        commands, self._out = self._out, []
        return commands
