from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hudd.config.changes import MASK, Change, plan_of, sentences, value_of
from hudd.config.settings import SECTIONS, Settings
from hudd.config.toml_values import Key, all_keys

KEYS = all_keys()


@dataclass(frozen=True)
class Read:
    settings: Settings
    origins: dict[str, str]
    shadowed: dict[str, Any] = field(default_factory=dict)


def read(settings: Settings, origin: str = "file", **shadowed: Any) -> Read:
    return Read(settings, dict.fromkeys(KEYS, origin), {name.replace("__", "."): v for name, v in shadowed.items()})


def values(key: Key) -> st.SearchStrategy[Any]:
    match key.kind:
        case "switch":
            return st.booleans()
        case "choice":
            return st.sampled_from(key.choices)
        case "integer":
            return st.integers(int(key.low or 0), int(key.high or 10**6))
        case "number":
            return st.floats(key.low or 0.0, key.high or 1e6)
        case "list":
            return st.lists(st.text(max_size=5), max_size=3).map(tuple)
        case _:
            return st.text(max_size=12)


@st.composite
def any_settings(draw: st.DrawFn) -> Settings:
    some = draw(st.sets(st.sampled_from(sorted(KEYS)), max_size=8))
    drawn = {path: draw(values(KEYS[path])) for path in sorted(some)}
    parts = {
        section: replace(
            getattr(Settings(), section),
            **{path.partition(".")[2]: v for path, v in drawn.items() if path.startswith(f"{section}.")},
        )
        for section in SECTIONS
    }
    return Settings(**parts)


@given(any_settings(), any_settings())
def test_what_is_in_force_afterwards_is_the_new_but_for_what_needs_a_restart(old: Settings, new: Settings) -> None:
    plan = plan_of(read(old), read(new))
    for path, key in KEYS.items():
        before, after = value_of(old, key), value_of(new, key)
        assert value_of(plan.settings, key) == (before if key.apply == "restart" else after)
        assert (path in plan.pending) == (key.apply == "restart" and before != after)
    assert [change.key for change in plan.changes] == [
        path for path, key in KEYS.items() if value_of(old, key) != value_of(new, key)
    ]
    # What waits for a restart still waits after another reload; everything else is as it should be.
    again = plan_of(Read(plan.settings, plan.origins), read(new))
    assert again.pending == plan.pending
    assert len(again.changes) == len(again.pending)


@given(any_settings())
def test_the_same_settings_are_no_change(settings: Settings) -> None:
    plan = plan_of(read(settings), read(settings))
    assert (plan.changes, plan.settings, plan.reconnects) == ((), settings, False)
    assert not plan.touches(*(f"{section}." for section in SECTIONS))


def test_secrets_are_masked_everywhere() -> None:
    secret = replace(Settings(), realtime=replace(Settings().realtime, proxy="http://u:hunter2@proxy:1"))
    plan = plan_of(read(Settings()), read(secret))
    assert plan.changes == (Change("realtime.proxy", "", MASK, "live"),)
    assert "hunter2" not in str([change.wire() for change in plan.changes])


def test_a_line_that_the_environment_overrides_is_told_once_it_changes() -> None:
    before = Read(Settings(), dict.fromkeys(KEYS, "HUDD_GATE_LUMA_STEP"), {"gate.luma_step": 5})
    after = replace(before, shadowed={"gate.luma_step": 6})
    assert plan_of(before, after).changes == (Change("gate.luma_step", 5, 6, "fixed", "HUDD_GATE_LUMA_STEP"),)
    assert plan_of(after, after).changes == ()
    flag = replace(before, origins=dict.fromkeys(KEYS, "flag"), shadowed={})
    [change] = plan_of(before, flag).changes
    assert (change.new, change.by) == (16, "--gate-luma-step")
    assert not plan_of(before, after).touches("gate.")


def test_where_a_value_comes_from_is_kept_for_what_is_not_in_force() -> None:
    old = read(Settings(), "default")
    new = read(replace(Settings(), bus=replace(Settings().bus, note_queue=20)))
    plan = plan_of(old, new)
    assert plan.origins["bus.note_queue"] == "default"
    assert plan.origins["gate.luma_step"] == "file"


def test_the_lines_for_the_log_say_what_became_of_it() -> None:
    changes = (
        Change("a", 1, 2, "restart"),
        Change("b", 1, 2, "live"),
        Change("c", 1, 2, "reconnect"),
        Change("d", 1, 2, "fixed", "HUDD_D"),
    )
    assert sentences(changes, str) == [
        "d: 1 -> 2, not in force: HUDD_D goes before the file",
        "b: 1 -> 2, applied",
        "c: 1 -> 2, applied by a new session",
        "a: 1 -> 2, in force after a restart",
    ]


def test_checks_between_settings_lean_on_keys_of_one_kind() -> None:
    """What waits for a restart could otherwise contradict what is in force already."""
    from hudd.config.crosschecks import CHECKS

    for needed, _ in CHECKS:
        waiting = {KEYS[path].apply == "restart" for path in needed}
        assert len(waiting) == 1, needed
