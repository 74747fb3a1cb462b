from __future__ import annotations

import dataclasses

import pytest

from hudd.config.settings import SECTIONS, Settings
from hudd.config.toml_values import all_keys


def test_sections_are_one_word_and_keys_are_flat():
    assert all(section.isalpha() and section.islower() for section in SECTIONS)
    names = [key.variable for key in all_keys().values()]
    assert len(set(names)) == len(names)
    assert {key.section for key in all_keys().values()} == set(SECTIONS)


def test_settings_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().log.level = "debug"  # type: ignore[misc]


def test_the_default_engine_is_the_free_one():
    assert Settings().realtime.use == "local"


def test_numbers_with_a_unit_have_it_in_their_name():
    for key in all_keys().values():
        if "Seconds" in key.doc:
            assert key.name.endswith("_s"), key.path
        if "Dollars" in key.doc:
            assert key.name.endswith("_usd"), key.path
