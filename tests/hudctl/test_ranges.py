"""Times back from now are reckoned from the daemon's present: it may be on another machine, whose clock is wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Self

import pytest

from hudctl import follow, keeping, verbs
from hudctl.cli import main

THERE = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)


class Elsewhere:
    """A client of a daemon whose clock stands at ``THERE``; keeps what it was asked for."""

    greeting: dict[str, Any]
    asked: dict[str, Any]

    def __init__(self, *_: object, **__: object) -> None:
        self.may_command = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def hello(self) -> dict[str, Any]:
        return self.greeting

    def _ask(self, answer: Any, params: dict[str, Any]) -> Any:
        type(self).asked = params
        return answer

    def notes(self, **params: Any) -> list[Any]:
        return self._ask([], params)

    def errors(self, **params: Any) -> list[Any]:
        return self._ask([], params)

    def export(self, **params: Any) -> list[Any]:
        return self._ask([], params)

    def cost(self, **params: Any) -> dict[str, Any]:
        return self._ask({"schema": 1, "rows": []}, params)

    def seq_before(self, moment: float) -> int:
        return self._ask(7, {"since": moment})


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> type[Elsewhere]:
    Elsewhere.greeting, Elsewhere.asked = {"time": "2026-11-21T10:00:00.000Z"}, {}
    for module in (verbs, keeping, follow):
        monkeypatch.setattr(module, "Client", Elsewhere)
    return Elsewhere


@pytest.mark.parametrize("verb", ["notes", "errors --json", "cost --json", "export"])
def test_back_from_the_daemons_present(verb: str) -> None:
    assert main([*verb.split(), "--since", "2h", "--until", "30m"]) == 0
    assert Elsewhere.asked["since"] == (THERE - timedelta(hours=2)).timestamp()
    assert Elsewhere.asked["until"] == (THERE - timedelta(minutes=30)).timestamp()


def test_follow_begins_back_from_the_daemons_present(monkeypatch: pytest.MonkeyPatch) -> None:
    class Ended(Exception):  # noqa: N818 - it only ends the verb
        pass

    def feed(*_: object, after: int | None, **__: object) -> None:
        assert after == 7
        raise Ended

    monkeypatch.setattr(follow, "Feed", feed)
    with pytest.raises(Ended):
        main(["follow", "--since", "2h"])
    assert Elsewhere.asked["since"] == (THERE - timedelta(hours=2)).timestamp()


def test_the_day_of_a_cost_is_the_daemons() -> None:
    assert main(["cost", "--json"]) == 0
    midnight = THERE.astimezone().replace(hour=0, minute=0)
    assert (Elsewhere.asked["since"], Elsewhere.asked["until"]) == (midnight.timestamp(), None)


def test_without_a_range_nothing_is_reckoned() -> None:
    assert main(["notes"]) == 0
    assert (Elsewhere.asked["since"], Elsewhere.asked["until"]) == (None, None)


def test_an_older_daemon_tells_no_time(capsys: pytest.CaptureFixture[str]) -> None:
    Elsewhere.greeting = {}
    assert main(["notes", "--since", "2h"]) == 0
    assert abs(Elsewhere.asked["since"] - (datetime.now(UTC) - timedelta(hours=2)).timestamp()) < 60
    capsys.readouterr()


@pytest.mark.parametrize("verb", ["notes", "errors", "cost", "export", "follow"])
def test_a_mistake_is_told_before_a_daemon_is_asked(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, "--since", "soon"]) == 2
    assert "'soon' is no time" in capsys.readouterr().err
    assert Elsewhere.asked == {}
