"""Which pictures with something private are forgiven."""

from __future__ import annotations

import pytest

from tests.soak.private_report import Report, Span, is_too_early, judge

SPANS = (Span("window", 10.0, 11.0, 12.0), Span("pause", 20.0, 21.0, 22.0))


@pytest.mark.parametrize(
    ("taken", "left", "early"),
    [
        (10.2, 10.8, True),
        (10.2, 11.0, False),
        (10.2, 11.5, False),
        (11.2, 11.5, False),
        (11.9, 12.5, False),
        (10.5, 13.0, False),
        (12.5, 12.8, False),
        (9.0, 9.5, False),
        (20.1, 20.9, True),
        (11.5, 20.9, False),
    ],
)
def test_only_what_left_before_an_event_was_read_is_forgiven(taken: float, left: float, early: bool) -> None:
    assert is_too_early(SPANS, taken, left) is early


def test_a_picture_that_is_not_forgiven_ends_the_run() -> None:
    report = Report(1, masked=False, frames=100, pictures=50, snaps=5, too_early=3, allowed=1)
    report.events["window"] = 5
    judge(report)
    report.with_secret = 1
    with pytest.raises(AssertionError, match="1 pictures showed something private"):
        judge(report)


def test_a_run_in_which_the_colour_would_not_have_been_seen_proves_nothing() -> None:
    report = Report(1, masked=False, frames=100, pictures=50, snaps=5)
    report.events["window"] = 5
    with pytest.raises(AssertionError, match="did not see it even while nothing forbade it"):
        judge(report)
