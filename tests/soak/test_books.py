"""The soak's own rules: each of them must be able to fail."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hudd.engine.fault_mix import FATAL
from hudd.engine.faults import parse_fault
from tests.fakes.bus import make_note
from tests.soak.books import Row, Snap, State, check_deltas, check_feed, check_service, check_snaps, memory_slope_kb
from tests.soak.dose import part_of
from tests.soak.drops import EARLY, FULL, LATE, Report, dealt, judge, measure
from tests.soak.service import Life

NOTE = make_note(1)
TEXT = f"Answer to {NOTE.snap_id}: word0"
ROW = Row(1, "note", TEXT, NOTE.snap_id)
HEARD = replace(NOTE, text=TEXT)
SNAP = Snap(NOTE.snap_id, 1.0, HEARD, "", 2.0)
LIFE = Life(0, (), 0.0, 1.0, 9.0, [NOTE.snap_id], {}, [(NOTE.snap_id, "completed", 2.0)])


def test_what_agrees_passes() -> None:
    check_feed([ROW], [HEARD])
    check_snaps([ROW], {SNAP.id: SNAP})
    check_service([ROW], {SNAP.id: SNAP}, [LIFE])


@pytest.mark.parametrize(
    ("rows", "heard"),
    [
        ([ROW], []),
        ([ROW], [HEARD, HEARD]),
        ([], [HEARD]),
        ([replace(ROW, seq=2)], [replace(HEARD, seq=2)]),
        ([ROW], [replace(HEARD, text="else")]),
    ],
)
def test_what_a_subscriber_must_not_see(rows: list[Row], heard: list) -> None:
    with pytest.raises(AssertionError):
        check_feed(rows, heard)


@pytest.mark.parametrize(
    ("rows", "snap"),
    [
        ([ROW], replace(SNAP, ended=0.0)),
        ([ROW], replace(SNAP, note=None)),
        ([ROW], replace(SNAP, error="E_UPSTREAM: no")),
        ([], replace(SNAP, note=None, error="E_DEADLINE: too late")),
        ([ROW], replace(SNAP, note=None, error="E_UPSTREAM: no")),
        ([], SNAP),
        ([replace(ROW, kind="failed")], SNAP),
        ([replace(ROW, text="Answer to somebody else")], replace(SNAP, note=replace(HEARD, text="Answer to somebody else"))),
        ([ROW, replace(ROW, seq=2)], SNAP),
    ],
)  # fmt: skip
def test_how_a_snap_must_not_end(rows: list[Row], snap: Snap) -> None:
    with pytest.raises(AssertionError):
        check_snaps(rows, {snap.id: snap})


def test_two_snaps_may_share_a_note() -> None:
    other = replace(SNAP, id="other")
    check_snaps([ROW], {SNAP.id: SNAP, "other": other})
    with pytest.raises(AssertionError):
        check_snaps([ROW], {"other": other})


def test_a_snap_may_end_in_an_error_and_a_failed_note() -> None:
    check_snaps([replace(ROW, kind="failed", text="")], {SNAP.id: replace(SNAP, note=None, error="E_UPSTREAM: no")})


def test_what_is_paid_for_too_often() -> None:
    check_service([ROW], {SNAP.id: SNAP}, [replace(LIFE, requests=[SNAP.id, SNAP.id])])
    with pytest.raises(AssertionError):
        check_service([ROW], {SNAP.id: SNAP}, [replace(LIFE, requests=[SNAP.id] * 3)])
    with pytest.raises(AssertionError):
        check_service([ROW], {}, [replace(LIFE, requests=[SNAP.id, SNAP.id])])


def test_an_answer_that_arrived_must_be_written() -> None:
    with pytest.raises(AssertionError):
        check_service([], {}, [LIFE])
    check_service([], {}, [replace(LIFE, script=("reset@response.done",))])
    check_service([], {}, [replace(LIFE, ended=2.1)])


def test_memory_that_grows_is_seen() -> None:
    assert memory_slope_kb([90_000, 99_000, *range(100_000, 100_800, 100)]) == pytest.approx(100)
    assert memory_slope_kb([90_000, *[100_000] * 9]) == 0
    assert memory_slope_kb([1, 2]) == 0


def test_what_is_dealt_is_the_same_for_a_seed_and_comes_to_every_phase() -> None:
    assert dealt(1, 100) == dealt(1, 100) != dealt(2, 100)
    turns = dealt(1, FULL)
    assert {phase for phase, _ in turns} == {*EARLY, *LATE, "silent early", "silent late"}
    assert not {fault for _, faults in turns for fault in faults} & set(FATAL)
    for number, (_, faults) in enumerate(turns):
        ends = [parse_fault(fault) for fault in faults]
        assert ends
        if number % 2:
            first = ends[-1].event in ("idle", "rate_limits.updated") or (ends[-1].time or 0) >= 2
            assert first, "an answer comes first"


def life(index: int, opened: float, ready: float | None, ended: float | None, *script: str) -> Life:
    return Life(index, script, opened, ready, ended)


def test_returns_are_measured_from_ready_to_ready() -> None:
    report = Report(1)
    states = [
        State(1.0, "backing_off", 0.4),
        State(1.5, "backing_off", 0.5),
        State(3.0, "backing_off", 0.2),
        State(3.3, "backing_off", 0.9),
        State(4.3, "backing_off", 1.1),
        State(7.5, "backing_off", 0.5),  # the daemon gives a silence up that the service does not see end
        State(10.0, "backing_off", 0.1),
        State(12.1, "backing_off", 6.5),  # likewise, during the opening
    ]
    measure(
        [
            life(0, 0.0, 0.1, 1.0, "reset@idle"),
            life(1, 1.4, None, 1.5, "http:503"),
            life(2, 2.0, 2.1, 3.0, "reset@idle"),  # 1.1 s after the end; the outage was 0.5 s
            life(3, 3.2, None, 3.3, "http:500"),
            life(4, 4.2, None, 4.3, "http:429,1"),
            life(5, 5.6, 5.7, 9.0, "stall@response.create"),  # 1.3 s into the outage; it was to begin at 5.4
            life(6, 8.0, 8.6, 10.0, "reset@idle"),  # 1.1 s after the daemon had given up
            life(7, 10.1, None, None, "half_open@session.created"),
            life(8, 18.7, 18.9, None),  # 2.1 s into the outage; it was to begin at 18.6
        ],
        states,
        report,
    )
    assert report.returns_s == pytest.approx([1.1, 1.1])
    assert report.late_s == pytest.approx([0.3, 0.3])


@pytest.mark.parametrize("pieces", [[(0, "Answer"), (1, "Answer")], [(1, TEXT)], [(0, TEXT[:-1])]])
def test_what_is_streamed_must_be_what_is_written(pieces: list[tuple[int, str]]) -> None:
    check_deltas([ROW], {ROW.snap_id: [(0, TEXT[:5]), (1, TEXT[5:])]})
    with pytest.raises(AssertionError):
        check_deltas([ROW], {ROW.snap_id: pieces})


def test_pieces_that_came_in_another_order_are_still_each_there_once() -> None:
    life = replace(LIFE, script=("reorder",))
    mixed = [(0, TEXT[5:]), (1, TEXT[:5])]
    check_deltas([ROW], {ROW.snap_id: mixed}, [life])
    for pieces, lives in ((mixed, [LIFE]), ([*mixed, (2, "x")], [life])):
        with pytest.raises(AssertionError):
            check_deltas([ROW], {ROW.snap_id: pieces}, lives)


@pytest.mark.parametrize(
    "changed",
    [
        {"returns_s": [4.0] * 10},
        {"late_s": [2.1]},
        {"memory_kb": (70_000, 90_000)},
        {"slope_kb": 9000.0},
        {"descriptors": (20, 30)},
        {"snaps": {"E_UPSTREAM": 500}},
    ],
)
def test_figures_that_are_too_bad(changed: dict) -> None:
    good = Report(1, {"idle": 500}, [0.5] * 10, [0.1], {"note": 500}, (70_000, 71_000), descriptors=(20, 21))
    judge(good)
    with pytest.raises(AssertionError):
        judge(replace(good, **changed))


def test_doses() -> None:
    assert [part_of(1000, dose) for dose in (0.001, 0.05, 1, 2)] == [10, 50, 1000, 2000]
    assert part_of(5, 0.05) == 5
