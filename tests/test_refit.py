"""What the table of settings says of a reload is what happens, for every key there is."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hudd.adapters import shipped_text
from hudd.config.toml_values import Key, all_keys
from hudd.errors import CommandError
from hudd.house import LOCAL_MODEL, House
from hudd.ledger.prices import PriceTable
from tests.fakes.house import KEY, Rooms, rooms

KEYS = all_keys()

# Where the value of a live key can be seen in a part of the house, by key or by section. A new live key needs a place
# here: a value that only stands in the settings is not in force.
PLACES: dict[str, Callable[[House, Key], Any]] = {
    "realtime.fallback_models": lambda house, _: house.models._names[1:],
    "realtime.connect_s": lambda house, _: house.endpoint._settings.realtime.connect_s,
    "session.history_tokens": lambda house, _: house.history._limit,
    "session.retention_ratio": lambda house, _: house.history._ratio,
    "session": lambda house, key: getattr(house.conversation._lives._settings, key.name),
    "screen": lambda house, key: getattr(house.capture._settings, key.name),
    "picture": lambda house, key: getattr(house.eyes._pixels._picture, key.name),
    "gate.luma_step": lambda house, _: house.eyes._pixels._luma_step,
    "gate": lambda house, key: getattr(house.eyes._gate_settings, key.name),
    "notes.profile": lambda house, _: (
        "coding" if shipped_text("profiles/coding.txt").strip() in house.instructions else ""
    ),
    "notes.instructions": lambda house, _: house.instructions.rsplit("\n\n", 1)[1],
    "cost.prices_file": lambda house, _: (
        str(house.environ["HUDD_STATE_DIR"] + "/prices.toml") if house.prices.date == "2031-01-01" else ""
    ),
    "cost.cap_day_usd": lambda house, _: house.spending.limits.cap_day_microusd / 1e6,
    "cost.cap_hour_usd": lambda house, _: house.spending.meter._limits.cap_hour_microusd / 1e6,
    "cost.cap_month_usd": lambda house, _: house.spending.limits.cap_month_microusd / 1e6,
    "cost": lambda house, key: getattr(house.spending.limits, key.name),
    "journal": lambda house, key: getattr(house.keeping._rules, key.name),
    "privacy": lambda house, key: getattr(house.guards.settings, key.name),
    "notices.desktop": lambda house, _: house.notices.wanted,
    "log.level": lambda _, __: logging.getLevelName(logging.getLogger("hudd").level).lower(),
}
# Values that are checked against others, or name files.
OTHERS: dict[str, object] = {
    "realtime.url": "wss://other.example/v1/realtime",
    "realtime.proxy": "http://user:secret@proxy.example:3128",
    "realtime.ca_file": "/other.pem",
    "bus.remote": "tcp://127.0.0.1:7433",
    "screen.source": "pictures:/other",
    "screen.interval_s": 1.0,
    "screen.max_interval_s": 5.0,
    "gate.max_settle_s": 4.0,
    "gate.heartbeat_s": 60.0,
    "notes.profile": "coding",
    "session.first_delta_s": 21.0,
    "session.response_done_s": 61.0,
}


def another(key: Key, folder: Path) -> object:
    """A valid value that is not the default."""
    if key.path == "cost.prices_file":
        path = folder / "state" / "prices.toml"
        lines = shipped_text("prices.toml").splitlines()
        path.write_text("\n".join("date = 2031-01-01" if line.startswith("date") else line for line in lines))
        return str(path)
    if key.path == "realtime.key_file":
        path = folder / "other-key"
        path.write_text("sk-other-7654321", encoding="utf-8")
        path.chmod(0o600)
        return str(path)
    if key.path in OTHERS:
        return OTHERS[key.path]
    match key.kind:
        case "switch":
            return not key.default
        case "choice":
            return next(choice for choice in key.choices if choice != key.default)
        case "list" | "words":
            return ("another",)
        case "text":
            return "another"
        case _:
            step = 1 if key.kind == "integer" else 0.5
            room = key.high is None or key.default + step <= key.high
            return key.default + step if room else key.default - step


def place(key: Key) -> Callable[[House, Key], Any]:
    """Where its value can be seen."""
    found = PLACES.get(key.path) or PLACES.get(key.section)
    assert found is not None, f"{key.path} is live: say in PLACES where its value is in force"
    return found


def base(made: Rooms | Path) -> dict[str, object]:
    folder = made if isinstance(made, Path) else made.folder
    return {
        "realtime.use": "service",
        "realtime.key_file": str(folder / "key"),
        "screen.source": "pictures:/somewhere",
    }


@pytest.mark.parametrize("path", sorted(KEYS))
async def test_every_key_does_what_the_table_says(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = KEYS[path]
    async with rooms(tmp_path, monkeypatch, base(tmp_path)) as made:
        old = getattr(getattr(made.house.settings, key.section), key.name)
        new = "local" if path == "realtime.use" else another(key, tmp_path)
        made.write(base(made) | {path: new})

        answer = await made.reload()

        [change] = [row for row in answer["changed"] if row["key"] != "the key"]
        assert (change["key"], change["applied"]) == (path, key.apply)
        assert (change["old"], change["new"]) == ((_plain(key, old)), (_plain(key, new)))
        in_force = getattr(getattr(made.house.settings, key.section), key.name)
        row = next(row for row in made.house.reports.settings()["settings"] if row["name"] == path)
        assert row["apply"] == key.apply
        if key.apply == "restart":
            assert in_force == old
            assert row["pending"] == _plain(key, new)
        else:
            assert in_force == new
            assert "pending" not in row
            assert row["origin"] == "file"
        if key.apply == "live":
            assert place(key)(made.house, key) == new
        assert made.called.count("reconnect") == (key.apply == "reconnect")
        assert ("change_instructions" in made.called) == (key.section == "notes")
        if key.apply == "reconnect":
            assert made.house.endpoint._settings is made.house.settings
            assert made.house.conversation._lives._settings is made.house.settings.session
        else:
            assert made.called[-1] == "resume"

        made.write(base(made))
        [back] = [row for row in (await made.reload())["changed"] if row["key"] != "the key"] or [None]
        assert (back is None) == (key.apply == "restart"), "what waits for a restart was never in force"
        if key.apply == "live":
            assert place(key)(made.house, key) != new
        assert "pending" not in next(r for r in made.house.reports.settings()["settings"] if r["name"] == path)


def _plain(key: Key, value: Any) -> object:
    if key.secret and value:
        return "(hidden)"
    return list(value) if isinstance(value, tuple) else value


async def test_with_the_local_engine_settings_of_the_service_need_no_new_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with rooms(tmp_path, monkeypatch, {}) as made:
        made.write({"realtime.model": "other", "realtime.url": "wss://other.example/v1", "realtime.proxy": "none"})
        answer = await made.reload()
        assert [row["applied"] for row in answer["changed"]] == ["live"] * 3
        assert made.called == ["resume"]
        assert made.house.about.model == "hudd-local"
        made.write({"realtime.ping_timeout_s": 30.0})
        await made.reload()
        assert made.called[-1] == "reconnect"


async def test_in_conversation_memory_the_service_must_be_told_of_another_history(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = base(tmp_path) | {"session.memory": "conversation"}
    async with rooms(tmp_path, monkeypatch, settings) as made:
        made.write(settings | {"session.history_tokens": 500})
        assert [row["applied"] for row in (await made.reload())["changed"]] == ["reconnect"]
        assert made.called == ["reconnect"]


async def test_a_key_that_the_environment_fixes_is_told_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with rooms(tmp_path, monkeypatch, {}, HUDD_GATE_LUMA_STEP="17") as made:
        made.write({"gate.luma_step": 30})
        [row] = (await made.reload())["changed"]
        assert row == {"key": "gate.luma_step", "old": 16, "new": 30, "applied": "fixed", "by": "HUDD_GATE_LUMA_STEP"}
        assert made.house.settings.gate.luma_step == 17
        assert (await made.reload())["changed"] == []


async def test_the_environment_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with rooms(tmp_path, monkeypatch, {}) as made:
        monkeypatch.setenv("HUDD_GATE_LUMA_STEP", "99")
        assert (await made.reload())["changed"] == []
        assert made.house.settings.gate.luma_step == 16


async def test_the_key_file_is_read_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with rooms(tmp_path, monkeypatch, base(tmp_path)) as made:
        made.house.endpoint._key = KEY  # as after a connection
        assert (await made.reload())["changed"] == []
        made.write_key("sk-foxglove-654321")
        answer = await made.reload()
        assert answer["changed"] == [{"key": "the key", "old": "(hidden)", "new": "(hidden)", "applied": "reconnect"}]
        assert made.called == ["resume", "reconnect"]
        made.key_file.unlink()
        answer = await made.reload()
        assert answer["changed"] == []
        assert "does not exist" in answer["notes"][0]


@pytest.mark.parametrize("connection", ["backing_off", "flapping", "needs_attention"])
async def test_without_a_connection_the_next_try_takes_the_settings_and_a_stop_is_lifted(
    connection: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with rooms(tmp_path, monkeypatch, base(tmp_path)) as made:
        made.connection = connection
        made.write(base(made) | {"realtime.model": "gpt-realtime-2"})
        await made.reload()
        assert made.called == ["resume"]
        assert made.house.models.current == made.house.about.model == "gpt-realtime-2"


async def test_a_fallback_model_that_is_named_no_more_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = base(tmp_path) | {"realtime.fallback_models": ("second", "third")}
    async with rooms(tmp_path, monkeypatch, settings) as made:
        made.house.models.give_up()
        made.write(settings | {"realtime.fallback_models": ("second",)})
        await made.reload()
        assert (made.house.models.current, made.called) == ("second", ["resume"])
        made.write(settings | {"realtime.fallback_models": ("third",)})
        await made.reload()
        assert (made.house.models.current, made.called) == ("gpt-realtime-1.5", ["resume", "reconnect"])


async def test_prices_are_those_of_the_session_that_serves_until_one_of_another_model_takes_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = base(tmp_path) | {"realtime.fallback_models": ("gpt-realtime-2.1-mini",)}
    async with rooms(tmp_path, monkeypatch, settings) as made:
        house = made.house
        house.models.give_up()  # a rollover found the first one gone; the session before it still serves
        made.write(settings | {"cost.cap_day_usd": 3.0})
        await made.reload()
        assert house.about.model == house.spending.limits.model == "gpt-realtime-1.5"
        house.relays.use_model("gpt-realtime-2.1-mini")
        assert house.about.model == house.spending.limits.model == "gpt-realtime-2.1-mini"


async def test_the_local_engine_keeps_its_own_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with rooms(tmp_path, monkeypatch, base(tmp_path) | {"realtime.use": "local"}) as made:
        made.house.relays.use_model(made.house.models.current)
        assert made.house.about.model == made.house.spending.limits.model == LOCAL_MODEL


async def test_wrong_settings_change_nothing_and_all_mistakes_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with rooms(tmp_path, monkeypatch, base(tmp_path)) as made:
        before = made.house.settings
        made.write(base(made) | {"gate.settle_s": 99999, "cost.cap_day_usd": "much", "log.level": "debug"})
        with pytest.raises(CommandError) as refused:
            await made.reload()
        assert refused.value.code == "E_ARGS"
        assert len(refused.value.hint.splitlines()) == 2
        assert made.house.settings is before
        assert made.calls == []
        assert made.notify.told == ["reloading", "ready"]
        assert logging.getLogger("hudd").level == logging.INFO


@pytest.mark.parametrize("wrong", [{"notes.profile": "/no/such/file"}, {"cost.prices_file": "/no/such/file"}])
async def test_files_that_the_settings_name_are_checked_first(
    wrong: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with rooms(tmp_path, monkeypatch, base(tmp_path)) as made:
        before = made.house.settings
        made.write(base(made) | {"gate.luma_step": 20} | wrong)
        with pytest.raises(CommandError, match="wrong"):
            await made.reload()
        assert made.house.settings is before
        assert made.house.eyes._gate_settings.luma_step == 16


async def test_a_part_that_fails_leaves_everything_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with rooms(tmp_path, monkeypatch, base(tmp_path)) as made:
        house, before = made.house, made.house.settings
        change = house.keeping.change
        monkeypatch.setattr(house.keeping, "change", lambda rules: change(rules) if not rules.keep_days else 1 / 0)
        made.write(
            base(made)
            | {"journal.keep_days": 5, "gate.luma_step": 20, "cost.cap_day_usd": 7.0, "notes.instructions": "Briefly."}
        )
        with pytest.raises(ZeroDivisionError):
            await made.reload()
        assert house.settings is before
        assert house.eyes._gate_settings.luma_step == 16
        assert house.spending.limits.cap_day_microusd == 1_000_000
        assert house.limits is house.spending.limits
        assert "Briefly" not in house.instructions
        assert not [words for name, words in made.calls if name != "change_instructions" or "Briefly" in words[0]]


async def test_texts_and_prices_are_read_anew_although_their_names_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile, prices = tmp_path / "own.txt", tmp_path / "prices.toml"
    profile.write_text("Be brief.", encoding="utf-8")
    prices.write_text(shipped_text("prices.toml"), encoding="utf-8")
    settings = base(tmp_path) | {"notes.profile": str(profile), "cost.prices_file": str(prices)}
    async with rooms(tmp_path, monkeypatch, settings) as made:
        assert (await made.reload())["notes"] == []
        profile.write_text("Be briefer.", encoding="utf-8")
        text = shipped_text("prices.toml")
        date = PriceTable.from_toml(text).date
        prices.write_text(text.replace(date, "2031-01-01"), encoding="utf-8")
        answer = await made.reload()
        assert answer["changed"] == []
        assert len(answer["notes"]) == 2
        assert made.called == ["resume", "change_instructions", "resume"]
        assert "Be briefer." in made.house.instructions
        assert made.house.spending.meter._prices.date == "2031-01-01"
