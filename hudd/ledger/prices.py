"""Usage → micro-dollars, by a dated table. Pure; whole numbers only.

    cost = Σ over text, audio, image of (in - cached) · price_in + cached · price_cached + out · price_out

(realtime-protocol 6.2; ``cached`` is contained in the input, reasoning in the text output.)
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import date, datetime
from typing import Any, Final, cast

from hudd.errors import SettingsError
from hudd.model import Usage

PER: Final = 1_000_000
"""Prices are micro-dollars for so many tokens."""

_SNAPSHOT = re.compile(r"-\d{4}-?\d{2}-?\d{2}$")


@dataclass(frozen=True, slots=True)
class ModelPrices:
    """Micro-dollars per one million tokens; None where the price is unknown."""

    text_in: int | None = None
    text_cached: int | None = None
    text_out: int | None = None
    audio_in: int | None = None
    audio_cached: int | None = None
    audio_out: int | None = None
    image_in: int | None = None
    image_cached: int | None = None


_KEYS: Final = tuple(f.name for f in fields(ModelPrices))


def model_key(model: str) -> str:
    """The name that prices are looked up by: the last path part of a prefixed name, in lower case."""
    return model.strip().rstrip("/").rpartition("/")[2].strip().lower()


@dataclass(frozen=True, slots=True)
class PriceTable:
    """Prices by model, with the date they were true.

    Attributes:
        date: ``2026-11-01``; '' for an empty table.
        models: Prices by ``model_key``.
    """

    date: str = ""
    models: Mapping[str, ModelPrices] = field(default_factory=dict[str, ModelPrices])

    @classmethod
    def from_toml(cls, text: str, *, name: str = "prices.toml") -> PriceTable:
        """Read a table.

        Args:
            text: The TOML text.
            name: What to call it in sentences about mistakes.

        Raises:
            SettingsError: With every mistake in it, one sentence each.
        """
        try:
            document = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise SettingsError([f"{name} is no TOML: {error}."]) from error
        problems = [
            f"{name}: unknown key {key!r}; only date and models are known."
            for key in document
            if key not in {"date", "models"}
        ]
        day = _read_date(document.get("date"), name, problems)
        models: dict[str, ModelPrices] = {}
        tables = document.get("models", {})
        if isinstance(tables, dict):
            for model, table in cast("dict[str, Any]", tables).items():
                models[model_key(model)] = _read_model(model, table, name, problems)
        else:
            problems.append(f'{name}: models must be tables like [models."gpt-realtime-1.5"].')
        if problems:
            raise SettingsError(problems)
        return cls(date=day, models=models)

    def merged(self, other: PriceTable) -> PriceTable:
        """This table with the models of ``other`` put in place or added, and the date of ``other``."""
        return replace(self, date=other.date, models={**self.models, **other.models})

    def find(self, model: str) -> ModelPrices | None:
        """The prices of a model, or of the family a dated snapshot belongs to; None when neither is known."""
        key = model_key(model)
        return self.models.get(key) or self.models.get(_SNAPSHOT.sub("", key))

    def cost_microusd(self, usage: Usage, model: str) -> int | None:
        """What a response cost, rounded half up once at the end.

        Tokens that the service did not split by kind count as text (realtime-protocol 6.2).

        Returns:
            Micro-dollars, or None when a price that is needed is unknown.
        """
        prices = self.find(model)
        if prices is None:
            return None
        parts = _parts(usage, prices)
        total = 0
        for tokens, price in parts:
            if tokens and price is None:
                return None
            total += tokens * (price or 0)
        return (total + PER // 2) // PER

    def predicted_microusd(
        self, model: str, pictures: int, image_tokens: int, text_tokens: int, max_output_tokens: int
    ) -> int | None:
        """The most that a question can cost when nothing is cached, rounded up.

        Args:
            model: Model name as configured.
            pictures: How many pictures it carries.
            image_tokens: Tokens of one picture.
            text_tokens: Tokens of instructions, history and question.
            max_output_tokens: The longest answer.

        Returns:
            Micro-dollars, or None when a price that is needed is unknown.
        """
        prices = self.find(model)
        if prices is None:
            return None
        total = 0
        for tokens, price in (
            (pictures * image_tokens, prices.image_in),
            (text_tokens, prices.text_in),
            (max_output_tokens, prices.text_out),
        ):
            if tokens and price is None:
                return None
            total += tokens * (price or 0)
        return -(-total // PER)


def _parts(usage: Usage, prices: ModelPrices) -> tuple[tuple[int, int | None], ...]:
    unsplit_in = max(0, usage.input_tokens - usage.text_tokens - usage.image_tokens - usage.audio_tokens)
    unsplit_out = max(0, usage.output_tokens - usage.output_text_tokens - usage.output_audio_tokens)
    text_in = usage.text_tokens + unsplit_in
    # A cached figure above its own kind would make the rest negative: never credit more than was there.
    cached_text = min(usage.cached_text_tokens, text_in)
    cached_image = min(usage.cached_image_tokens, usage.image_tokens)
    cached_audio = min(usage.cached_audio_tokens, usage.audio_tokens)
    return (
        (text_in - cached_text, prices.text_in),
        (cached_text, prices.text_cached),
        (usage.image_tokens - cached_image, prices.image_in),
        (cached_image, prices.image_cached),
        (usage.audio_tokens - cached_audio, prices.audio_in),
        (cached_audio, prices.audio_cached),
        (usage.output_text_tokens + unsplit_out, prices.text_out),
        (usage.output_audio_tokens, prices.audio_out),
    )


def _read_date(value: object, name: str, problems: list[str]) -> str:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value.isoformat()
    problems.append(f"{name}: date must say when the prices were true, for instance date = 2026-11-01.")
    return ""


def _read_model(model: str, table: object, name: str, problems: list[str]) -> ModelPrices:
    if not isinstance(table, dict):
        problems.append(f"{name}: models.{model!r} must be a table of prices.")
        return ModelPrices()
    prices: dict[str, int] = {}
    for key, value in cast("dict[str, Any]", table).items():
        if key not in _KEYS:
            problems.append(f"{name}: {model} has the unknown key {key!r}; known are {', '.join(_KEYS)}.")
        elif isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= PER * PER:
            problems.append(
                f"{name}: {model}.{key} must be whole micro-dollars per 1M tokens, for instance 4_000_000 for $4.00."
            )
        else:
            prices[key] = value
    return ModelPrices(**prices)
