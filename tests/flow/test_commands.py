from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import hudd.wire
from hudd.errors import CaptureError, CommandError, PictureError, StorageError, WithheldError
from hudd.flow.commands import Commands, Identity
from hudd.flow.waiters import Waiters
from hudd.journal.store import Journal
from hudd.model import Question
from hudd.notes.records import WrittenPage
from hudd.policy.facts import Facts
from hudd.wire.codec import WrittenJson
from hudd.wire.installation import Installation
from hudd.wire.messages import Note, parse_time
from hudd.wire.params import check_params
from hudd.wire.table import METHOD_BY_NAME, METHODS, PROTOCOL_NEWEST, PROTOCOL_OLDEST
from tests.fakes.clock import ManualClock, settle
from tests.fakes.journal import make_note
from tests.fakes.keeping import KeepingRoom
from tests.fakes.questions import make_question
from tests.fakes.reload import ReloadRoom

PROTOCOL = (Path(hudd.wire.__path__[0]) / "PROTOCOL.md").read_text(encoding="utf-8")
ULID = "01JD0000000000000000000000"
OTHER = "01JD0000000000000000000001"


class FakeStore:
    """A journal that answers at once, or when told to."""

    stream = "s1"

    def __init__(self) -> None:
        self.log: list[str] = []
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.gates: list[asyncio.Event] = []
        self.failures: list[StorageError] = []
        self.asked: list[dict[str, Any]] = []
        self.paused: dict[str, Any] | None = None
        self.notes: list[Note] = []
        self.oldest = 1

    async def _commit(self, word: str) -> None:
        await (self.gates.pop(0) if self.gates else self.go_on).wait()
        if self.failures:
            raise self.failures.pop(0)
        self.log.append(word)

    async def pause(self, **pause: Any) -> None:
        await self._commit("pause")
        self.paused = pause

    async def resume(self, now: float) -> None:
        await self._commit("resume")
        self.paused = None

    async def written_since(self, seq: int, *, topic_prefix: str = "note/", limit: int = 500) -> WrittenPage:
        self.asked.append({"seq": seq, "topic_prefix": topic_prefix, "limit": limit})
        notes = tuple(n for n in self.notes if n.seq > seq)
        written = WrittenJson(json.dumps([note.to_json() for note in notes[:limit]]))
        return WrittenPage(written, head=9, oldest=self.oldest, more=len(notes) > limit)

    async def search(self, **query: Any) -> list[Note]:
        self.asked.append(query)
        if query["grep"] == "/(/":
            raise ValueError("the expression is invalid: missing ), unterminated subpattern")
        if query["search"] == "off":
            raise ValueError("The full-text index is off; set [journal] search = true, or use a grep.")
        return self.notes

    async def errors(self, **query: Any) -> list[dict[str, Any]]:
        self.asked.append(query)
        return []


class House:
    """The commands and everything they call."""

    first_use = "It costs money."

    def sentence(self) -> str:
        return self.first_use

    async def read(self) -> None:
        self.first_use = ""

    def __init__(self, store: Any = None) -> None:
        self.clock = ManualClock()
        self.store = store or FakeStore()
        self.facts = Facts()
        self.waiters = Waiters(self.clock)
        self.connection = "ready"
        self.snap_error: BaseException | None = None
        self.shared_with = ""
        self.snapped: list[tuple[str | None, str]] = []
        self.put: list[Question] = []
        self.put_error: CommandError | None = None
        self.clients: list[tuple[int, int]] = []
        self.calls: list[str] = []
        self.asked_cost: list[tuple[float | None, float | None]] = []
        self.changed = asyncio.Event()
        self.noted = asyncio.Event()
        self.commands = Commands(
            first_use=self,
            identity=Identity("0.1.0", "i1", 4711),
            store=self.store,
            eyes=self,
            put=self._put,
            nudge=lambda: self.calls.append("nudge"),
            waiters=self.waiters,
            facts=self.facts,
            pause_changed=self._pause_changed,
            rearm=lambda: self.calls.append("rearm"),
            status=self._status,
            cost=self._cost,
            settings=lambda: {"schema": 1, "file": None, "settings": []},
            connection=lambda: self.connection,
            state_changed=self._state_changed,
            next_note=self._next_note,
            clock=self.clock,
        )

    async def snap(self, monitor: str | None, snap_id: str) -> Question:
        self.snapped.append((monitor, snap_id))
        await asyncio.sleep(0)
        if self.snap_error is not None:
            raise self.snap_error
        question = make_question(trigger="manual")
        return Question(self.shared_with or snap_id, "manual", question.pictures, question.asked_at)

    def watch_client(self, pid: int, window: int) -> None:
        self.clients.append((pid, window))

    def _put(self, question: Question) -> None:
        if self.put_error is not None:
            raise self.put_error
        self.put.append(question)

    def _pause_changed(self) -> None:
        self.calls.append("pause changed")
        self.facts.set("paused", self.store.paused is not None)

    async def _status(self) -> dict[str, Any]:
        return {"schema": 1}

    async def _cost(
        self, since: float | None, until: float | None, by: Sequence[str] = (), *, estimate: bool = False
    ) -> dict[str, Any]:
        self.asked_cost.append((since, until))
        keys = ("schema", "since", "until", "rows", "total", "cap_microusd", "if_service", "prices_date")
        return dict.fromkeys(keys)

    async def _state_changed(self) -> None:
        await self.changed.wait()

    async def _next_note(self) -> None:
        await self.noted.wait()

    def tell(self, connection: str) -> None:
        self.connection = connection
        changed, self.changed = self.changed, asyncio.Event()
        changed.set()

    async def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Ask as the command server does: parameters checked by the table first."""
        checked = check_params(METHOD_BY_NAME[method], params)
        async with asyncio.timeout(10):
            return await self.commands.handlers()[method](SimpleNamespace(params=checked))


async def refused(house: House, method: str, **params: Any) -> CommandError:
    with pytest.raises(CommandError) as told:
        await house.ask(method, **params)
    return told.value


def documented(method: str) -> set[str]:
    """The top-level keys that PROTOCOL.md promises for a method's result."""
    (row,) = re.findall(rf"^\| `{re.escape(method)}` \|.*\| ([^|]*) \|$", PROTOCOL, re.MULTILINE)
    found = re.search(r"\{(.*)\}", row)
    if found is None:
        return set()
    flat = found[1]
    while (flatter := re.sub(r"[{\[][^{}\[\]]*[}\]]", "", flat)) != flat:
        flat = flatter
    return {part.split(":")[0].strip() for part in flat.split(",")}


# ------------------------------------------------------------------------------------------------ the table


async def test_there_is_a_function_for_every_method_of_the_table_and_none_besides() -> None:
    own, more = set(House().commands.handlers()), set(KeepingRoom().keeping.handlers())
    reload = set(ReloadRoom().reload.handlers())
    assert own | more | reload == {method.name for method in METHODS}
    assert not own & more


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("hello", {}),
        ("pause", {"for_s": 60}),
        ("resume", {}),
        ("wait", {}),
        ("notes.search", {}),
        ("errors", {}),
        ("config", {}),
    ],
)
async def test_each_result_has_the_keys_of_the_document(method: str, params: dict[str, Any]) -> None:
    promised = documented(method)
    assert promised
    assert promised <= set(await House().ask(method, **params))


async def test_a_page_of_replay_has_the_keys_of_the_document() -> None:
    assert set(await House().ask("notes.since", seq=0)) == {"stream", "notes", "more", "oldest", "head", "fresh"}


# ------------------------------------------------------------------------------------------------ hello


async def test_hello_tells_who_answers_and_what_it_can() -> None:
    house = House()
    answer = await house.ask("hello", client="hudctl 0.1.0", protocol=[PROTOCOL_OLDEST, PROTOCOL_NEWEST + 3])
    assert answer["protocol"] == [PROTOCOL_OLDEST, PROTOCOL_NEWEST]
    assert (answer["pid"], answer["instance"], answer["stream"]) == (4711, "i1", "s1")
    assert answer["capabilities"] == sorted(house.commands.handlers())


@pytest.mark.parametrize("asked", [[PROTOCOL_NEWEST + 1, PROTOCOL_NEWEST + 2], [0, PROTOCOL_OLDEST - 1]])
async def test_versions_that_do_not_meet_are_refused_with_the_fix(asked: list[int]) -> None:
    error = await refused(House(), "hello", protocol=asked)
    assert error.code == "E_VERSION"
    older = asked[1] < PROTOCOL_OLDEST
    assert error.hint == (
        "The client is older; bring it up to date."
        if older
        else f"hudd is older: bring it up to date with: {Installation.find().upgrade()}, then restart it."
    )


@pytest.mark.parametrize("asked", [[1], [1, 2, 3], ["1", "2"], [2, 1], [-1, 1], [1.5, 2]])
async def test_a_protocol_that_is_no_pair_is_a_wrong_argument(asked: list[Any]) -> None:
    assert (await refused(House(), "hello", protocol=asked)).code == "E_ARGS"


async def test_only_a_streaming_client_that_tells_pid_and_window_has_its_window_ignored() -> None:
    house = House()
    await house.ask("hello", pid=7, window=99, streaming=True)
    await house.ask("hello", pid=8, window=99)
    await house.ask("hello", pid=8, streaming=True)
    await house.ask("hello", window=99, streaming=True)
    await house.ask("hello", pid=0, window=99, streaming=True)
    assert house.clients == [(7, 99)]


async def test_a_refused_client_has_no_window() -> None:
    house = House()
    await refused(house, "hello", protocol=[90, 91], pid=7, window=99, streaming=True)
    assert house.clients == []


# ------------------------------------------------------------------------------------------------ snap


async def test_a_snap_is_put_nudges_the_connection_and_answers_with_its_note() -> None:
    house = House()
    asking = asyncio.create_task(house.ask("snap", snap_id=ULID, monitor="HDMI-1"))
    await settle()
    assert house.snapped == [("HDMI-1", ULID)]
    assert [q.id for q in house.put] == [ULID]
    assert house.calls == ["nudge"]
    assert not asking.done()
    house.waiters.end(ULID, {"seq": 1})
    assert await asking == {"seq": 1}


async def test_the_same_id_again_takes_no_second_picture_and_ends_as_the_first() -> None:
    house = House()
    asking = [asyncio.create_task(house.ask("snap", snap_id=ULID)) for _ in range(3)]
    await settle()
    house.waiters.end(ULID, {"seq": 1})
    assert await asyncio.gather(*asking) == [{"seq": 1}] * 3
    assert await house.ask("snap", snap_id=ULID) == {"seq": 1}
    assert len(house.snapped) == len(house.put) == 1


async def test_a_snap_that_shares_a_grab_ends_with_the_other_and_puts_nothing() -> None:
    house = House()
    first = asyncio.create_task(house.ask("snap", snap_id=ULID))
    await settle()
    house.shared_with = ULID
    second = asyncio.create_task(house.ask("snap", snap_id=OTHER))
    await settle()
    assert len(house.put) == 1
    house.waiters.end(ULID, {"seq": 1})
    assert await first == await second == {"seq": 1}


async def test_a_client_that_leaves_cancels_nothing() -> None:
    house = House()
    asking = asyncio.create_task(house.ask("snap", snap_id=ULID))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.wait([asking])
    await settle()
    assert [q.id for q in house.put] == [ULID]
    again = asyncio.create_task(house.ask("snap", snap_id=ULID))
    await settle()
    house.waiters.end(ULID, {"seq": 1})
    assert await again == {"seq": 1}


async def test_a_snap_while_a_reason_holds_ends_in_all_the_reasons_and_takes_no_picture() -> None:
    house = House()
    house.facts.set("paused", True)
    house.facts.set("stopping", True)
    error = await refused(house, "snap", snap_id=ULID)
    assert error.code == "E_STATE"
    assert (error.message, error.hint) == ("hudd is paused. hudd is stopping.", "`hudctl resume` ends the pause.")
    assert house.snapped == []


@pytest.mark.parametrize(
    ("raised", "code", "words"),
    [
        (CaptureError("There is no monitor 'x'; there are: eDP-1."), "E_CAPTURE", "there are: eDP-1"),
        (PictureError("The picture does not fit.", hint="Raise [picture] max_bytes."), "E_CAPTURE", "does not fit"),
        (WithheldError(("paused", "facts_changed")), "E_STATE", "hudctl resume"),
        (CommandError("E_BUSY", "Too many snaps wait."), "E_BUSY", "Too many"),
    ],
)
async def test_a_snap_that_fails_says_why(raised: BaseException, code: str, words: str) -> None:
    house = House()
    house.snap_error = raised
    error = await refused(house, "snap", snap_id=ULID)
    assert error.code == code
    assert words in str(error)
    assert house.put == []
    house.snap_error = None
    assert (await refused(house, "snap", snap_id=ULID)).code == code


async def test_a_full_lane_is_told_with_when_to_try_again() -> None:
    house = House()
    house.put_error = CommandError("E_BUSY", "Too many snaps wait for an answer.", retry_after_ms=2000)
    error = await refused(house, "snap", snap_id=ULID)
    assert (error.code, error.retry_after_ms) == ("E_BUSY", 2000)


async def test_a_mistake_of_ours_ends_the_snap_too() -> None:
    house = House()
    house.snap_error = asyncio.CancelledError()
    error = await refused(house, "snap", snap_id=ULID)
    assert error.code == "E_INTERNAL"


# ------------------------------------------------------------------------------------------------ pause, resume


async def test_a_pause_is_committed_before_it_is_answered_and_nothing_leaves_meanwhile() -> None:
    house = House()
    house.store.go_on.clear()
    asking = asyncio.create_task(house.ask("pause", for_s=600, why="lunch"))
    await settle()
    assert not asking.done()
    assert house.facts.reasons == ("paused",)
    assert house.store.paused is None
    house.store.go_on.set()
    now = house.clock.wall()
    answer = await asking
    assert house.store.paused == {"until": now + 600, "why": "lunch", "now": now}
    assert answer["paused"] is True
    assert parse_time(answer["until"]) == pytest.approx(now + 600, abs=0.001)
    assert house.calls == ["pause changed"]


async def test_a_pause_without_an_end_says_so() -> None:
    house = House()
    assert await house.ask("pause") == {"paused": True, "until": None}
    assert house.store.paused is not None
    assert house.store.paused["until"] is None


async def test_a_pause_that_cannot_be_committed_is_not_in_force_and_not_answered() -> None:
    house = House()
    house.store.failures = [StorageError("The journal is full.")]
    with pytest.raises(StorageError):
        await house.ask("pause")
    assert house.facts.reasons == ()
    await house.ask("pause")
    house.store.failures = [StorageError("The journal is full.")]
    with pytest.raises(StorageError):
        await house.ask("pause", for_s=60)
    assert house.facts.reasons == ("paused",)


async def test_two_pauses_of_which_one_fails_leave_what_the_journal_says() -> None:
    for failing in (0, 1):
        house = House()
        house.store.go_on.clear()
        asking = [asyncio.create_task(house.ask("pause")) for _ in range(2)]
        await settle()
        assert house.facts.reasons == ("paused",)
        house.store.failures = [StorageError("The journal is full.")] if failing == 0 else []
        house.store.go_on.set()
        await asyncio.gather(*asking, return_exceptions=True)
        assert house.facts.reasons == ("paused",)
    house = House()
    house.store.failures = [StorageError("The journal is full."), StorageError("The journal is full.")]
    await asyncio.gather(house.ask("pause"), house.ask("pause"), return_exceptions=True)
    assert house.facts.reasons == ()


async def test_a_pause_that_fails_opens_no_gap_while_another_is_being_committed() -> None:
    house = House()
    first, second = house.store.gates = [asyncio.Event(), asyncio.Event()]
    house.store.failures = [StorageError("The journal is full.")]
    asking = [asyncio.create_task(house.ask("pause")) for _ in range(2)]
    await settle()
    seen: list[tuple[str, ...]] = []
    house.facts.on_change(lambda: seen.append(house.facts.reasons))
    first.set()
    await settle()
    second.set()
    await asyncio.gather(*asking, return_exceptions=True)
    assert seen == []
    assert house.facts.reasons == ("paused",)


@pytest.mark.parametrize("method", ["pause", "resume"])
async def test_a_command_whose_deadline_passes_while_it_is_committed_takes_effect_all_the_same(method: str) -> None:
    house = House()
    if method == "resume":
        await house.ask("pause")
        house.calls.clear()
    house.store.go_on.clear()
    asking = asyncio.create_task(house.ask(method))
    await settle()
    asking.cancel()
    await asyncio.wait([asking])
    house.store.go_on.set()
    await settle()
    assert (house.store.paused is not None) == (method == "pause")
    assert house.facts.reasons == (("paused",) if method == "pause" else ())
    assert "pause changed" in house.calls


async def test_a_failure_that_nobody_waits_for_any_more_stands_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    for method in ("pause", "resume"):
        house = House()
        house.store.go_on.clear()
        house.store.failures = [StorageError(f"The journal is full at {method}.")]
        asking = asyncio.create_task(house.ask(method))
        await settle()
        asking.cancel()
        await asyncio.wait([asking])
        house.store.go_on.set()
        await settle()
        assert f"full at {method}" in caplog.text


@pytest.mark.parametrize("for_s", [1e11, 1e300])
async def test_a_pause_beyond_the_calendar_is_refused(for_s: float) -> None:
    house = House()
    assert (await refused(house, "pause", for_s=for_s)).code == "E_ARGS"
    assert house.store.log == []
    assert house.facts.reasons == ()


async def test_resume_ends_the_pause_tries_the_connection_and_says_what_still_holds() -> None:
    house = House()
    await house.ask("pause")
    house.facts.set("cap_reached", True)
    answer = await house.ask("resume")
    assert answer["paused"] is False
    assert answer["sending"]["allowed"] is False
    assert answer["sending"]["reasons"] == ["cap_reached"]
    assert house.calls[-2:] == ["pause changed", "rearm"]


async def test_a_resume_that_cannot_be_committed_ends_no_pause() -> None:
    house = House()
    await house.ask("pause")
    house.store.failures = [StorageError("The journal is full.")]
    with pytest.raises(StorageError):
        await house.ask("resume")
    assert house.facts.reasons == ("paused",)
    assert "rearm" not in house.calls


async def test_with_the_real_journal_a_pause_holds_over_a_restart(tmp_path: Path) -> None:
    clock = ManualClock()
    journal = Journal.open(tmp_path / "journal.db", clock=clock)
    house = House(journal)
    house._pause_changed = lambda: None
    house.commands._pause_changed = lambda: None
    await house.ask("pause", why="lunch")
    await journal.close()
    journal = Journal.open(tmp_path / "journal.db", clock=clock)
    state = journal.pause_state()
    assert state is not None
    assert (state.why, state.until) == ("lunch", None)
    await journal.close()


# ------------------------------------------------------------------------------------------------ wait


@pytest.mark.parametrize("goal", ["ready", "connected"])
async def test_wait_answers_at_once_when_the_state_is_reached(goal: str) -> None:
    answer = await House().ask("wait", **{"for": goal})
    assert answer["reached"] == goal


async def test_ready_means_connected_and_free_to_send() -> None:
    house = House()
    house.connection = "connecting"
    house.facts.set("paused", True)
    ready = asyncio.create_task(house.ask("wait"))
    connected = asyncio.create_task(house.ask("wait", **{"for": "connected"}))
    await settle()
    house.tell("configuring")
    await settle()
    assert not connected.done()
    house.tell("ready")
    assert (await connected)["connection"] == "ready"
    assert not ready.done()
    house.facts.set("paused", False)
    house.tell("ready")
    assert (await ready)["reached"] == "ready"


async def test_wait_for_a_note_waits_for_the_next_one() -> None:
    house = House()
    waiting = asyncio.create_task(house.ask("wait", **{"for": "note"}))
    await settle()
    assert not waiting.done()
    house.noted.set()
    assert await waiting == {"reached": "note"}


# ------------------------------------------------------------------------------------------------ notes, errors, cost


async def test_a_page_continues_from_the_number_in_the_present_stream() -> None:
    house = House()
    house.store.notes = [make_note(seq=n) for n in (5, 6, 7)]
    for stream in ("s1", ""):
        page = await house.ask("notes.since", stream=stream, seq=5, topic_prefix="note/eDP-1/", limit=1)
        assert [n["seq"] for n in json.loads(page["notes"].text)] == [6]
        assert (page["fresh"], page["more"], page["head"], page["oldest"]) == (False, True, 9, 1)
        assert house.store.asked[-1] == {"seq": 5, "topic_prefix": "note/eDP-1/", "limit": 1}


async def test_a_number_of_another_journal_begins_at_the_first_note() -> None:
    house = House()
    house.store.notes = [make_note(seq=n) for n in (1, 2)]
    page = await house.ask("notes.since", stream="other", seq=99)
    assert page["fresh"] is True
    assert page["stream"] == "s1"
    assert [n["seq"] for n in json.loads(page["notes"].text)] == [1, 2]


@pytest.mark.parametrize(("seq", "fresh"), [(0, False), (1, True), (40, True), (41, False), (99, False)])
async def test_a_number_with_pruned_notes_above_it_is_fresh(seq: int, fresh: bool) -> None:
    house = House()
    house.store.oldest = 42
    assert (await house.ask("notes.since", seq=seq))["fresh"] is fresh


async def test_a_number_above_the_head_of_one_topic_is_not_fresh() -> None:
    # The consumer's number is of all topics, the head of those it asks for.
    page = await House().ask("notes.since", seq=500, topic_prefix="note/HDMI-1/")
    assert page["fresh"] is False
    assert page["notes"] == WrittenJson("[]")


async def test_a_search_is_handed_on_and_times_are_read() -> None:
    house = House()
    await house.ask("notes.search", since="2026-11-21T10:00:00+01:00", until=1_800_000_000, grep="larkspur", before=7)
    assert house.store.asked == [
        {
            "since": 1_795_251_600.0,
            "until": 1_800_000_000.0,
            "search": None,
            "grep": "larkspur",
            "before": 7,
            "limit": 50,
            "reverse": False,
        }
    ]


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"search": "a", "grep": "b"}, "exclude each other"),
        ({"grep": "/(/"}, "expression is invalid"),
        ({"search": "off"}, "index is off"),
        ({"since": -1e11 + 1}, "out of range"),
    ],
)
async def test_a_search_that_makes_no_sense_is_a_wrong_argument_in_one_sentence(
    params: dict[str, Any], words: str
) -> None:
    error = await refused(House(), "notes.search", **params)
    assert error.code == "E_ARGS"
    assert words in error.message
    assert error.message.endswith(".")
    assert not error.message.endswith("..")


@given(st.one_of(st.floats(), st.text(max_size=30), st.none(), st.booleans(), st.integers()))
async def test_any_time_is_a_moment_or_a_wrong_argument(value: Any) -> None:
    house = House()
    for method in (house.commands.errors, house.commands.cost):
        try:
            answer = await method(SimpleNamespace(params={"since": value}))
        except CommandError as error:
            assert error.code == "E_ARGS"  # noqa: PT017 - most values may do either
        else:
            assert answer


async def test_errors_and_cost_hand_on_their_range() -> None:
    house = House()
    assert await house.ask("errors", since=1, until=2, limit=3) == {"schema": 1, "errors": []}
    assert house.store.asked == [{"since": 1.0, "until": 2.0, "limit": 3}]
    await house.ask("cost", since=1)
    assert house.asked_cost == [(1.0, None)]


async def test_status_and_config_are_handed_through() -> None:
    house = House()
    assert await house.ask("status") == {"schema": 1}
    assert (await house.ask("config"))["settings"] == []


async def test_hello_carries_what_a_person_has_to_read_until_somebody_says_that_it_was_read() -> None:
    house = House()
    assert (await house.ask("hello"))["first_use"] == "It costs money."
    await house.ask("status")
    assert (await house.ask("hello"))["first_use"] == "It costs money."
    await house.ask("status", first_use_told=True)
    assert (await house.ask("hello"))["first_use"] == ""
