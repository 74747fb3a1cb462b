"""The generated day and its prices: fast checks on an hour; the whole day is ``python -m tests.bench.costs``."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hudd.config.settings import Settings
from hudd.engine.accounting import CACHE_MODES, CacheMode, PromptCache, text_tokens
from hudd.model import Usage
from hudd.protocol.codec import encode
from tests.bench import cost_clients, costs
from tests.bench.day import FRAMES, MOST_CHANGES, PAUSES, Day, gaps, make_day, note_text
from tests.fakes.official_types import check_client_event

PRICES = costs.shipped_prices()


def test_a_day_is_made_from_its_seed() -> None:
    day = make_day(seed=1)
    assert day == make_day(seed=1)
    assert day != make_day(seed=2)
    assert day.frames == FRAMES
    assert 1000 < len(day.changes) <= MOST_CHANGES
    assert [c.at_s for c in day.changes] == sorted(c.at_s for c in day.changes)
    assert not [c for c in day.changes for first, last in PAUSES if first <= c.at_s < last]
    silent = sum(not c.news for c in day.changes) / len(day.changes)
    assert 0.05 < silent < 0.11
    for before, after in zip(day.changes, day.changes[1:], strict=False):
        assert after.news or after.lines == before.lines or after.window != before.window


def test_a_calm_day_has_gaps_in_which_a_cache_forgets() -> None:
    calm = make_day(calm=costs.CALM)
    assert gaps(calm.changes, 300) > len(calm.changes) // 10


def test_an_answer_has_the_tokens_it_should_and_the_words_of_its_frame() -> None:
    change = make_day(frames=600).changes[0]
    text = note_text(change, 60)
    assert text_tokens(text) == 60
    assert change.lines[-1] in text


@pytest.mark.parametrize("mode", CACHE_MODES)
def test_the_short_cache_serves_what_the_whole_one_would(mode: CacheMode, monkeypatch: pytest.MonkeyPatch) -> None:
    day = make_day(frames=1500)
    case = cost_clients.Case(cache=mode)
    short = {name: costs.bill(make(), day, case, PRICES) for name, make in cost_clients.clients(Settings()).items()}
    monkeypatch.setattr(costs, "FastCache", PromptCache)
    assert {n: costs.bill(make(), day, case, PRICES) for n, make in cost_clients.clients(Settings()).items()} == short


@pytest.fixture(scope="module")
def hour() -> Day:
    return make_day(frames=5400)


@pytest.mark.parametrize("mode", CACHE_MODES)
@pytest.mark.parametrize("steered", [True, False])
def test_the_default_settings_stay_within_the_bars(hour: Day, mode: CacheMode, steered: bool) -> None:
    case = cost_clients.Case(cache=mode)
    paid = costs.bill(cost_clients.WindowClient(Settings(), steered=steered), hour, case, PRICES)
    assert paid.per_answer <= costs.BARS[mode] * costs.floor_of(case, PRICES)
    naive = costs.bill(cost_clients.NaiveClient(8_000, 0.8), hour, case, PRICES)
    assert paid.microusd <= 0.4 * naive.microusd


def test_a_longer_history_would_pass_a_bar(hour: Day) -> None:
    settings = Settings()
    longer = replace(settings, session=replace(settings.session, history_tokens=500))
    case = cost_clients.Case(cache="none")
    paid = costs.bill(cost_clients.WindowClient(longer, steered=False), hour, case, PRICES)
    assert paid.per_answer > costs.BARS["none"] * costs.floor_of(case, PRICES)


KINDS = {
    "window": {"response.create"},
    "conversation": {"conversation.item.create", "conversation.item.delete", "response.create"},
    "naive retention": {"conversation.item.create", "response.create"},
    "naive history": {"conversation.item.create", "response.create"},
}


@pytest.mark.parametrize("name", KINDS)
def test_what_each_client_is_billed_for_is_what_the_official_types_allow(hour: Day, name: str) -> None:
    client, case = cost_clients.clients(Settings())[name](), cost_clients.Case(pictures=2)
    usage = Usage(input_tokens=900, text_tokens=500, image_tokens=400, output_tokens=60)
    kinds: set[str] = set()
    for change in hour.changes[:30]:
        client.prompt(change, case)
        sent = [check_client_event(encode(event)) for event in client.sent]
        assert [event["type"] for event in sent].index("response.create") == len(sent) - 1
        assert str(sent).count("'input_image'") == case.pictures
        kinds |= {event["type"] for event in sent}
        client.answered(change, note_text(change, 60), usage)
    assert kinds == KINDS[name]


def test_notes_for_a_dollar(hour: Day) -> None:
    paid = costs.bill(cost_clients.WindowClient(Settings()), hour, cost_clients.Case(), PRICES)
    assert paid.notes * 1_000_000 / paid.microusd >= 240
    mini = cost_clients.Case(model=costs.MINI, reasoning_tokens=costs.REASONING_TOKENS)
    paid = costs.bill(cost_clients.WindowClient(Settings()), hour, mini, PRICES)
    assert paid.microusd / paid.notes * 300 <= 300_000


def test_the_rows_are_complete() -> None:
    rows = costs.cost_rows(quick=True)
    names = [row.name for row in rows]
    assert len(set(names)) == len(names)
    for mode in CACHE_MODES:
        for client in cost_clients.clients(Settings()):
            for image_tokens in costs.IMAGE_TOKENS:
                for pictures in costs.PICTURES:
                    assert f"{client}, {image_tokens} tokens x {pictures}, cache {mode}" in names
    assert {row.unit for row in rows} == {"x floor", "%", "$"}


def test_another_day_can_be_priced(hour: Day) -> None:
    rows = costs.cost_rows(quick=True, day=replace(hour, changes=hour.changes[:7]))
    assert all("7 answers" in row.how for row in rows)


def test_a_day_that_was_seen_in_real_windows_is_priced_when_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], hour: Day
) -> None:
    looked: list[int] = []

    def seen(frames: int) -> Day:
        looked.append(frames)
        return replace(hour, changes=hour.changes[:7])

    monkeypatch.setattr(costs, "_seen", seen)
    costs.main(["--quick", "--seen"])
    assert looked == [900]
    assert "7 answers" in capsys.readouterr().out
