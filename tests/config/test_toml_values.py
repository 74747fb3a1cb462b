from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from hudd.config.toml_values import ValueProblem, all_keys, did_you_mean, fit, from_text, show, to_toml

KEYS = all_keys()
NUMBER, INTEGER, SWITCH = KEYS["gate.settle_s"], KEYS["picture.quality"], KEYS["screen.cursor"]
CHOICE, TEXT, LIST = KEYS["log.level"], KEYS["realtime.model"], KEYS["screen.monitors"]

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.datetimes() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def test_every_key_has_a_kind_a_reason_and_a_default_that_fits():
    assert len(KEYS) > 30
    for key in KEYS.values():
        assert key.doc.endswith("."), key.path
        assert fit(key, key.default) == key.default, key.path
        assert key.variable == key.variable.upper()


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        (NUMBER, 1, 1.0),
        (NUMBER, 0.5, 0.5),
        (INTEGER, 30, 30),
        (SWITCH, True, True),
        (CHOICE, "debug", "debug"),
        (TEXT, "a/b", "a/b"),
        (LIST, ["a", "b"], ("a", "b")),
    ],
)
def test_values_of_the_right_type_fit(key, value, wanted):
    found = fit(key, value)
    assert found == wanted
    assert type(found) is type(wanted)


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        (NUMBER, True, "must be a number from 0 to 60"),
        (NUMBER, "1", "must be a number from 0 to 60"),
        (NUMBER, -0.1, "must be a number from 0 to 60"),
        (NUMBER, 60.5, "must be a number from 0 to 60"),
        (NUMBER, float("nan"), "must be a number"),
        (NUMBER, float("inf"), "must be a number"),
        (NUMBER, 10**500, "must be a number"),
        (INTEGER, 75.0, "whole number from 30 to 95, without a fraction"),
        (INTEGER, False, "whole number from 30 to 95"),
        (KEYS["cost.token_cap_day"], 2**63, "must be a whole number of at least 0"),
        (SWITCH, 1, "must be true or false"),
        (CHOICE, "debgu", 'must be one of "debug", "info", "warning", "error"; did you mean debug?'),
        (CHOICE, 3, 'must be one of "debug"'),
        (TEXT, 3, "must be a text in quotes"),
        (TEXT, "x" * 10_001, "at most 10000 characters"),
        (TEXT, "a\0", "without zero characters"),
        (TEXT, "\udc80", "UTF-8 text"),
        (LIST, "a", "must be a list of texts"),
        (LIST, ["a", 1], "must be a list of texts"),
        (LIST, ["a"] * 101, "at most 100 entries"),
    ],
)
def test_values_that_do_not_fit_are_told(key, value, why):
    with pytest.raises(ValueProblem) as caught:
        fit(key, value)
    assert why in str(caught.value)


@pytest.mark.parametrize(
    ("key", "text", "wanted"),
    [
        (NUMBER, "1", 1.0),
        (NUMBER, "2.5", 2.5),
        (INTEGER, "0x20", 32),
        (SWITCH, "false", False),
        (CHOICE, "error", "error"),
        (CHOICE, '"error"', "error"),
        (TEXT, "5", "5"),
        (TEXT, "true", "true"),
        (TEXT, "'quoted'", "quoted"),
        (TEXT, "", ""),
        (TEXT, 'x"\ny = 3', 'x"\ny = 3'),
        (LIST, "", ()),
        (LIST, "eDP-1", ("eDP-1",)),
        (LIST, "eDP-1, DP-2", ("eDP-1", "DP-2")),
        (LIST, '["a,b"]', ("a,b",)),
        (LIST, '"a,b"', ("a", "b")),
    ],
)
def test_texts_are_literals_or_plain_strings(key, text, wanted):
    assert from_text(key, text) == wanted


@pytest.mark.parametrize(
    ("key", "text"),
    [(NUMBER, ""), (NUMBER, "1\nother = 2"), (SWITCH, "yes"), (INTEGER, "1.5"), (LIST, "[1]"), (NUMBER, "[" * 5000)],
)
def test_texts_that_do_not_fit_are_refused(key, text):
    with pytest.raises(ValueProblem):
        from_text(key, text)


@examples(deadline=None)
@given(st.sampled_from(sorted(KEYS)), JSON)
def test_any_value_fits_or_gives_a_sentence(path, value):
    key = KEYS[path]
    assert "\n" not in show(value)
    assert len(show(value)) <= 60
    try:
        found = fit(key, value)
    except ValueProblem as problem:
        sentence = str(problem)
    else:
        sentence = "must fit" if fit(key, found) == found else "does not fit twice"
    assert sentence.startswith("must ")


@examples(deadline=None)
@given(st.sampled_from(sorted(KEYS)), st.text())
def test_any_text_fits_or_gives_a_sentence(path, text):
    try:
        found = from_text(KEYS[path], text)
    except ValueProblem as problem:
        sentence = str(problem)
    else:
        sentence = "must fit" if fit(KEYS[path], found) == found else "does not fit twice"
    assert sentence.startswith("must ")


SCALARS = (
    st.text(st.characters(exclude_categories=["Cs"]))
    | st.booleans()
    | st.floats(allow_nan=False)
    | st.integers(-(2**63), 2**63 - 1)
)


@examples(deadline=None)
@given(SCALARS | st.lists(SCALARS))
def test_what_is_written_reads_back(value):
    found = tomllib.loads(f"value = {to_toml(value)}")["value"]
    assert found == value
    assert type(found) is type(value)


def test_large_numbers_can_be_shown():
    assert show(16**5000) == "a number of more than 64 bits"
    assert show([16**5000, "a"]) == '[a number of more than 64 bits, "a"]'


def test_suggestions():
    assert did_you_mean("modle", ["model", "url"]) == "; did you mean model?"
    assert did_you_mean("xyzzy", ["model", "url"]) == ""
