from __future__ import annotations

import math
from typing import Any

import polars as pl
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from stupid_dagster.event_model.checked import FieldType
from stupid_dagster.event_model.expressions import (
    cleaned,
    distinct_hashes,
    entity_id,
    hashed_text,
    matches,
    rendered,
    text_of,
    typed,
    typed_values,
    with_derived,
)
from stupid_dagster.event_model.schema import FieldRule
from tests.gaming import gaming_model


def column(values: list, expression: pl.Expr, dtype: Any = pl.String) -> list:
    return (
        pl.DataFrame({"x": pl.Series(values, dtype=dtype)}).select(expression).to_series().to_list()
    )


def test_white_space_and_null_spellings_go() -> None:
    nulls = ["", "None", "null", "undefined"]
    values = [" a b ", "", " \t\n", "None", " null ", "NULL", "undefined", "\u00a0é\u3000", None]
    wanted = ["a b", None, None, None, None, "NULL", None, "é", None]
    assert column(values, cleaned("x", nulls)) == wanted
    assert column(["NA", ""], cleaned("x", ["NA"])) == [None, ""]


@pytest.mark.parametrize(
    ("kind", "values", "wanted"),
    [
        ("string", ["a", "1", None], ["a", "1", None]),
        ("boolean", ["true", "YES", "1", "T", "y"], [True] * 5),
        ("boolean", ["false", "No", "0", "F", "n"], [False] * 5),
        ("boolean", ["2", "maybe", "1.0", None], [None] * 4),
        (
            "integer",
            ["1", "-0", "+5", "1.0", "1e3", "9007199254740993", "9007199254740991.0"],
            [1, 0, 5, 1, 1000, 2**53 + 1, 2**53 - 1],
        ),
        ("integer", ["1.5", "1e30", "nan", "inf", "0x1", "1_0", "\u0661", "", None], [None] * 9),
        # Each would become another number.
        (
            "integer",
            ["-9223372036854775809", "9223372036854775808", "9007199254740993.0", "-1e16"],
            [None] * 4,
        ),
        ("integer", ["-9223372036854775808", "9223372036854775807"], [-(2**63), 2**63 - 1]),
        ("float", ["1", "-2.5", "1e3", ".5", "-0"], [1.0, -2.5, 1000.0, 0.5, 0.0]),
        ("float", ["nan", "inf", "-inf", "1e400", "1,5", "abc", "", None], [None] * 8),
    ],
)
def test_types(kind: FieldType, values: list[str | None], wanted: list) -> None:
    assert column(values, typed("x", FieldRule(type=kind))) == wanted


def test_there_is_one_zero() -> None:
    for value in column(["-0", "0", "-0.0", "-1e-400"], typed("x", FieldRule(type="float"))):
        assert math.copysign(1, value) == 1


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**62), 2**62)))
def test_numbers_come_back(numbers: list[float | int]) -> None:
    texts = [repr(number) for number in numbers]
    assert column(texts, typed("x", FieldRule(type="float"))) == [
        float(number) for number in numbers
    ]
    # Floats from 2**53 on stand for several integers.
    whole = [n if isinstance(n, int) or abs(n) < 2**53 else None for n in numbers if n == int(n)]
    texts = [repr(n) for n in numbers if n == int(n)]
    assert column(texts, typed("x", FieldRule(type="integer"))) == whole


@given(st.lists(st.none() | st.text(max_size=20), max_size=8))
def test_no_text_raises_whatever_its_field_s_type(values: list[str | None]) -> None:
    kinds: list[FieldType] = ["string", "boolean", "integer", "float"]
    for kind in kinds:
        assert len(column(values, typed("x", FieldRule(type=kind)))) == len(values)


def test_chunks_with_a_missing_field_go_or_make_the_whole_null() -> None:
    frame = pl.DataFrame({"a": ["1", None], "b": [True, False], "c": ["x" * 200, None]})
    text = frame.select(rendered("T a:{a}! b:{b} {c:.3}")).to_series().to_list()
    assert text == ["T a:1! b:true xxx", "T b:false"]
    whole = rendered("{a}-{b}", drop_empty_chunks=False)
    assert frame.select(whole).to_series().to_list() == ["1-true", None]
    assert frame.select(rendered("{a} {c}")).to_series().to_list()[1] == ""


def test_texts_are_cut_by_characters_not_bytes() -> None:
    assert column(["雪山の冒険"], rendered("{x:.2}")) == ["雪山"]


def test_bands_maps_and_scales() -> None:
    model = gaming_model()
    base = {"timestamp": [0] * 5, "bet": [-1.0, 10.0, 99.5, 100.0, None]}
    frame = pl.DataFrame(base).with_columns(
        pl.col("timestamp").cast(pl.Datetime("ms", "UTC")),
        *(pl.lit(None, dtype=pl.String).alias(f) for f in ("platform", "currency")),
    )
    found = with_derived(frame, model, model.events["GameOpened"])
    assert found["bet_band"].to_list() == ["small", "large", "large", "huge", None]
    assert found["bet_cents"].to_list() == [-100.0, 1000.0, 9950.0, 10_000.0, None]
    assert found["local_hour"].to_list() == [7] * 5, "Bangkok"
    login = frame.with_columns(rGroup=pl.Series(["VIPB", "VIPS", "VIPX", None, "vipb"]))
    tiers = with_derived(login, model, model.events["Login"])["tier"].to_list()
    assert tiers == ["bronze", "silver", "other", None, "other"]


def test_letters_are_put_into_one_case() -> None:
    values = ["Web-iOS", None, "É"]
    assert column(values, typed("x", FieldRule(case="lower"))) == ["web-ios", None, "é"]
    assert column(values, typed("x", FieldRule(case="upper"))) == ["WEB-IOS", None, "É"]


@pytest.mark.parametrize("others", [0, 2000])
def test_a_null_spelling_that_casing_makes_is_none_too(others: int) -> None:
    """With `others`, there are too many values to read each distinct one once."""
    values = ["NULL", " Null ", "Web", "null", "", "None"]
    texts = pl.Series("x", values + [f"V{n}" for n in range(others)])
    nulls = ["", "null", "NONE"]
    made, unread = typed_values(texts, nulls, FieldRule(case="lower"))
    wanted = [None, None, "web", None, None, "none"]
    assert made.to_list() == wanted + [f"v{n}" for n in range(others)]
    assert made.name == "x"
    assert unread.is_empty()
    made, unread = typed_values(texts, nulls, FieldRule(case="upper"))
    assert made.to_list()[:6] == ["NULL", "NULL", "WEB", None, None, None]
    assert unread.is_empty()


def test_integers_that_cannot_be_kept_are_told() -> None:
    texts = pl.Series("x", ["7", "9007199254740993.0", "-9223372036854775809"])
    made, unread = typed_values(texts, [], FieldRule(type="integer"))
    assert made.to_list() == [7, None, None]
    assert set(unread) == set(texts[1:])


def test_one_of_some_values_is_true_of_them_alone() -> None:
    model = gaming_model()
    platforms = pl.Series(["ios", "web", None, "android"], dtype=pl.String)
    frame = pl.DataFrame({"timestamp": [0] * 4, "platform": platforms}).with_columns(
        pl.col("timestamp").cast(pl.Datetime("ms", "UTC"))
    )
    found = with_derived(frame, model, model.events["API Error"])["on_phone"]
    assert found.to_list() == [True, False, None, True]
    assert model.field_type("on_phone") == "boolean"


def test_values_without_a_band_or_an_entry_have_none() -> None:
    model = gaming_model()
    derived = dict(model.derived)
    derived["bet_band"] = derived["bet_band"].model_copy(update={"bands": {"small": 10.0}})
    derived["tier"] = derived["tier"].model_copy(update={"otherwise": None, "map": {}})
    model = model.model_copy(update={"derived": derived})
    frame = pl.DataFrame({"timestamp": [0], "bet": [11.0], "rGroup": ["VIPB"]}).with_columns(
        pl.col("timestamp").cast(pl.Datetime("ms", "UTC")), platform=None, currency=None
    )
    assert with_derived(frame, model, model.events["GameOpened"])["bet_band"].to_list() == [None]
    assert with_derived(frame, model, model.events["Login"])["tier"].to_list() == [None]


def test_an_entity_s_id_takes_the_first_key_that_there_is() -> None:
    model = gaming_model()
    frame = pl.DataFrame({"gameUid": ["A:1", None, None], "game": ["x", "Y", None]})
    ids = frame.select(entity_id(model, "Game", frame.columns)).to_series().to_list()
    assert ids == ["game:a:1", "game:y", None]
    alone = frame.select("game")
    assert alone.select(entity_id(model, "Game", alone.columns)).to_series()[0] == "game:x"


@given(st.lists(st.none() | st.text(max_size=5), max_size=10))
def test_hashes_are_xxh64_of_the_text(texts: list[str | None]) -> None:
    series = pl.Series("texts", texts, dtype=pl.String)
    wanted = [None if t is None else xxhash.xxh64_hexdigest(t.encode()) for t in texts]
    assert hashed_text(series).to_list() == wanted
    hashes = dict(distinct_hashes(series).iter_rows())
    assert hashes == {t: xxhash.xxh64_intdigest(t.encode()) for t in texts if t is not None}


def test_hashes_are_the_same_for_ever() -> None:
    """They are ids that are stored: a change of the function would part old from new."""
    assert hashed_text(pl.Series(["boom"])).item() == "e52f2eeb82f65c0f"


def test_filters_compare_texts_and_need_every_field() -> None:
    frame = pl.DataFrame({"ok": [True, False, None, True], "n": [1.0, 1.0, 1.0, 2.0]})
    assert frame.select(matches({"ok": ["true"], "n": ["1.0"]})).to_series().to_list()[:2] == [
        True,
        False,
    ]
    assert frame.filter(matches({"ok": ["true", "false"]})).height == 3
    assert frame.filter(matches({})).height == 4
    assert column([1, None], text_of(pl.col("x")), pl.Int64) == ["1", None]
