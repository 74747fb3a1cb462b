from __future__ import annotations

from fractions import Fraction
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudd.errors import SettingsError
from hudd.ledger.prices import ModelPrices, PriceTable, model_key
from hudd.model import Usage

SHIPPED = PriceTable.from_toml((files("hudd") / "data" / "prices.toml").read_text("utf-8"))
TOKENS = st.integers(min_value=0, max_value=2_000_000)


def test_the_shipped_table_is_dated_and_knows_the_models_by_their_published_prices() -> None:
    assert SHIPPED.date == "2026-11-01"
    assert set(SHIPPED.models) == {
        "gpt-realtime",
        "gpt-realtime-1.5",
        "gpt-realtime-2",
        "gpt-realtime-2.1",
        "gpt-realtime-mini",
        "gpt-realtime-2.1-mini",
        "gpt-4o-realtime-preview",
    }
    assert SHIPPED.models["gpt-realtime-1.5"] == ModelPrices(
        4_000_000, 400_000, 16_000_000, 32_000_000, 400_000, 64_000_000, 5_000_000, 500_000
    )
    assert SHIPPED.models["gpt-realtime-2.1"].text_out == 24_000_000
    assert SHIPPED.models["gpt-realtime-2.1-mini"].image_in == 800_000


def test_the_shipped_file_warns_that_prices_change() -> None:
    assert "PRICES CHANGE" in (files("hudd") / "data" / "prices.toml").read_text("utf-8")


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("gpt-realtime-1.5", "gpt-realtime-1.5"),
        ("openai/gpt-realtime-1.5", "gpt-realtime-1.5"),
        ("azure/eu/GPT-Realtime-Mini", "gpt-realtime-mini"),
        ("gpt-realtime-2025-08-28", "gpt-realtime"),
        ("openai/gpt-realtime-2.1-mini-2026-07-01", "gpt-realtime-2.1-mini"),
        ("gpt-4o-realtime-preview-20241217", "gpt-4o-realtime-preview"),
    ],
)
def test_prefixed_and_dated_names_find_their_family(model: str, family: str) -> None:
    assert SHIPPED.find(model) is SHIPPED.models[family]


@pytest.mark.parametrize("model", ["", "/", "gpt-realtime-3", "gpt-realtime-1.5-turbo", "my-deployment", "realtime"])
def test_an_unknown_model_has_an_unknown_price_and_never_zero(model: str) -> None:
    assert SHIPPED.find(model) is None
    assert SHIPPED.cost_microusd(Usage(input_tokens=1, text_tokens=1), model) is None
    assert SHIPPED.predicted_microusd(model, 1, 323, 700, 60) is None


def test_a_snapshot_with_an_entry_of_its_own_is_not_priced_as_its_family() -> None:
    own = PriceTable(models={"m": ModelPrices(text_in=1), "m-2026-01-02": ModelPrices(text_in=2)})
    assert own.find("x/m-2026-01-02") == ModelPrices(text_in=2)
    assert own.find("m-2026-01-03") == ModelPrices(text_in=1)


def test_the_worked_example_of_the_protocol_page() -> None:
    # 400 instruction tokens + 300 history + one 16:9 picture, 60 tokens out: $0.0054 cold, $0.0039 with a warm prefix.
    cold = Usage(input_tokens=1023, output_tokens=60, text_tokens=700, image_tokens=323, output_text_tokens=60)
    assert SHIPPED.cost_microusd(cold, "gpt-realtime-1.5") == 2800 + 1615 + 960
    warm = Usage(1023, 60, 700, 323, 0, 400, 0, 0, 60)
    assert SHIPPED.cost_microusd(warm, "gpt-realtime-1.5") == 160 + 1200 + 1615 + 960


def test_reasoning_is_part_of_the_output_and_not_billed_twice() -> None:
    plain = Usage(output_tokens=210, output_text_tokens=210)
    reasoned = Usage(output_tokens=210, output_text_tokens=210, reasoning_tokens=150)
    assert SHIPPED.cost_microusd(plain, "gpt-realtime-2.1-mini") == SHIPPED.cost_microusd(
        reasoned, "gpt-realtime-2.1-mini"
    )


def test_tokens_without_a_split_count_as_text() -> None:
    assert SHIPPED.cost_microusd(Usage(input_tokens=1000, output_tokens=100), "gpt-realtime") == 4000 + 1600


def test_a_price_that_is_missing_makes_the_cost_unknown_only_when_it_is_needed() -> None:
    text = Usage(input_tokens=10, text_tokens=10)
    picture = Usage(input_tokens=333, text_tokens=10, image_tokens=323)
    assert SHIPPED.cost_microusd(text, "gpt-4o-realtime-preview") == 50
    assert SHIPPED.cost_microusd(picture, "gpt-4o-realtime-preview") is None
    assert SHIPPED.predicted_microusd("gpt-4o-realtime-preview", 1, 323, 10, 10) is None


@pytest.mark.parametrize(("price", "cost"), [(499_999, 0), (500_000, 1), (1_499_999, 1), (1_500_000, 2)])
def test_half_a_micro_dollar_is_rounded_up(price: int, cost: int) -> None:
    table = PriceTable(models={"m": ModelPrices(text_in=price)})
    assert table.cost_microusd(Usage(input_tokens=1, text_tokens=1), "m") == cost


def test_rounding_happens_once_at_the_end() -> None:
    table = PriceTable(models={"m": ModelPrices(text_in=400_000, image_in=400_000, text_out=400_000)})
    usage = Usage(input_tokens=2, output_tokens=1, text_tokens=1, image_tokens=1, output_text_tokens=1)
    assert table.cost_microusd(usage, "m") == 1  # 1.2, where rounding each part would give 0


@given(
    text=TOKENS, image=TOKENS, audio=TOKENS, out=TOKENS, cached=st.tuples(TOKENS, TOKENS, TOKENS),
    model=st.sampled_from(sorted(set(SHIPPED.models) - {"gpt-4o-realtime-preview"})),
)  # fmt: skip
def test_the_cost_is_the_formula_to_half_a_micro_dollar(
    text: int, image: int, audio: int, out: int, cached: tuple[int, int, int], model: str
) -> None:
    hit = (min(cached[0], text), min(cached[1], image), min(cached[2], audio))
    usage = Usage(text + image + audio, out, text, image, audio, *hit, out)
    p = SHIPPED.models[model]
    exact = Fraction(
        (text - hit[0]) * (p.text_in or 0)
        + hit[0] * (p.text_cached or 0)
        + (image - hit[1]) * (p.image_in or 0)
        + hit[1] * (p.image_cached or 0)
        + (audio - hit[2]) * (p.audio_in or 0)
        + hit[2] * (p.audio_cached or 0)
        + out * (p.text_out or 0),
        1_000_000,
    )
    cost = SHIPPED.cost_microusd(usage, model)
    assert isinstance(cost, int)
    assert -Fraction(1, 2) < cost - exact <= Fraction(1, 2)


@given(numbers=st.lists(TOKENS, min_size=11, max_size=11), model=st.sampled_from(sorted(SHIPPED.models)))
def test_any_figures_of_a_server_cost_nothing_below_zero(numbers: list[int], model: str) -> None:
    cost = SHIPPED.cost_microusd(Usage(*numbers), model)
    assert cost is None or cost >= 0


@given(
    pictures=st.integers(0, 4), image=st.integers(0, 2000), text=st.integers(0, 5000), out=st.integers(0, 4096),
    cached=st.integers(0, 5000), told=st.integers(0, 4096),
)  # fmt: skip
def test_a_prediction_is_never_below_what_the_answer_then_costs(
    pictures: int, image: int, text: int, out: int, cached: int, told: int
) -> None:
    predicted = SHIPPED.predicted_microusd("gpt-realtime-1.5", pictures, image, text, out)
    said = min(told, out)
    usage = Usage(pictures * image + text, said, text, pictures * image, 0, min(cached, text), 0, 0, said)
    cost = SHIPPED.cost_microusd(usage, "gpt-realtime-1.5")
    assert predicted is not None
    assert cost is not None
    assert cost <= predicted


def test_a_table_of_the_user_replaces_models_and_adds_others() -> None:
    own = PriceTable.from_toml(
        'date = 2027-01-01\n[models."corp/gpt-realtime"]\ntext_in = 7\n[models.new]\ntext_in = 1'
    )
    merged = SHIPPED.merged(own)
    assert merged.date == "2027-01-01"
    assert merged.models["gpt-realtime"] == ModelPrices(text_in=7)
    assert merged.models["new"] == ModelPrices(text_in=1)
    assert merged.models["gpt-realtime-1.5"] == SHIPPED.models["gpt-realtime-1.5"]


def test_every_mistake_of_a_table_is_told_at_once() -> None:
    text = "dte = 1\n[models.m]\ntext_in = 4.0\ntext_out = true\nimage_out = 5\nimage_in = -1\n[models]\nn = 5"
    with pytest.raises(SettingsError) as caught:
        PriceTable.from_toml(text, name="mine.toml")
    told = "\n".join(caught.value.problems)
    for word in ("dte", "date must", "m.text_in", "m.text_out", "image_out", "m.image_in", "'n'"):
        assert word in told
    assert all(problem.startswith("mine.toml") for problem in caught.value.problems)


@pytest.mark.parametrize("text", ["= 1", "date = 2026-01-01T00:00:00Z", "date = 2026-01-01\nmodels = 3"])
def test_a_broken_table_is_a_sentence(text: str) -> None:
    with pytest.raises(SettingsError):
        PriceTable.from_toml(text)


@given(st.text())
def test_any_text_is_a_table_or_a_settings_error(text: str) -> None:
    problems: tuple[str, ...] = ()
    table = PriceTable()
    try:
        table = PriceTable.from_toml(text)
    except SettingsError as error:
        problems = error.problems
    assert bool(table.date) != bool(problems)


@given(st.text())
def test_a_model_key_is_stable(model: str) -> None:
    assert model_key(model_key(model)) == model_key(model)
