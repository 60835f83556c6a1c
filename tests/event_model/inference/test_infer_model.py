"""Drafts from small and odd samples."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stupid_dagster import connect
from stupid_dagster.errors import InferenceError, StupidError
from stupid_dagster.event_model import parse_event_model
from stupid_dagster.event_model.inference import infer_model
from tests.gaming import day_documents, land

ROWS = 2000
Columns = dict[str, list[str | None]]


def strings(columns: Mapping[str, Sequence[str | None]]) -> pl.DataFrame:
    return pl.DataFrame({name: pl.Series(v, dtype=pl.String) for name, v in columns.items()})


def orders(seed: int = 1, rows: int = ROWS) -> Columns:
    """Return events of a shop: customers with a city each, products with a brand each."""
    chance = random.Random(seed)
    customers = [chance.randrange(60) for _ in range(rows)]
    products = [chance.randrange(80) for _ in range(rows)]
    return {
        "time": [f"2025-03-01T{n % 24:02}:{n % 60:02}:00Z" for n in range(rows)],
        "customerId": [f"c{n:04}" for n in customers],
        "city": [("Oslo", "Rome", "Bonn", "Lima")[n % 4] for n in customers],
        "product": [f"p-{n}" for n in products],
        "brand": [f"brand {n % 7}" for n in products],
        "amount": [f"{chance.random() * 100:.2f}" for _ in range(rows)],
        "requestId": [f"{chance.getrandbits(64):016x}" for _ in range(rows)],
        "isTest": [("false", "true")[n == 7] for n in customers],
        "shop": ["main"] * rows,
        "comment": [None] * rows,
    }


def test_one_event_type_is_enough() -> None:
    draft = infer_model({"Order": strings(orders())}, "My shop!")

    model = draft.model
    assert model.name == "my_shop"
    assert draft.entities[draft.actor] == ["customerId"]
    assert draft.timestamp_fields == ["time"]
    assert {key[0] for key in draft.entities.values()} == {"customerId", "city", "product", "brand"}
    assert model.edges["ProductToBrand"].target == "Brand"
    assert "ProductToCity" not in model.edges
    assert model.field_type("amount") == "float"
    assert model.test_flag == "isTest"
    assert draft.dropped_columns["Order"] == {
        "requestId": "a value of its own each event",
        "shop": "always the same",
        "comment": "always empty",
    }
    assert model.events["Order"].text == "Order city:{city} product:{product} brand:{brand}"
    assert model.features.columns["mean_amount"].mean == "amount"
    assert model.metrics["active_customer"].distinct == "customerId"


def test_a_few_codes_that_go_with_nothing_are_no_entity_type() -> None:
    columns = orders()
    columns["warehouseCode"] = [str(n % 3) for n in range(ROWS)]  # Goes with nothing.

    draft = infer_model({"Order": strings(columns)}, "x")

    assert ["warehouseCode"] not in draft.entities.values()
    assert "warehouseCode" in draft.model.events["Order"].fields


def test_digits_that_name_something_stay_strings() -> None:
    columns = orders()
    columns["customerId"] = [str(int((v or "")[1:]) + 70_000) for v in columns["customerId"]]
    columns["postcode"] = [f"0{n % 50:04}" for n in range(ROWS)]
    columns["pieces"] = [str(n % 50) for n in range(ROWS)]

    model = infer_model({"Order": strings(columns)}, "x").model

    assert model.field_type("customerId") == "string"
    assert model.field_type("postcode") == "string"
    assert model.field_type("pieces") == "integer"


def test_spellings_of_a_column_are_one_unless_they_disagree() -> None:
    one, other = orders(1), orders(2)
    other["customer_id"] = other.pop("customerId")
    one["brand_"] = [f"another {n % 9}" for n in range(ROWS)]

    draft = infer_model({"Order": strings(one), "Refund": strings(other)}, "x")

    assert draft.aliases == {"customerId": ["customer_id"]}
    assert draft.model.events["Refund"].fields.count("customerId") == 1


def test_event_types_that_differ_in_case_only_are_one() -> None:
    samples = {"PopUp": strings(orders(1)), "Popup": strings(orders(2, rows=ROWS + 1))}

    draft = infer_model(samples, "x")

    assert draft.event_types == {"Popup": ["PopUp"]}
    assert any("PopUp" in check for check in draft.checks)


def test_null_spellings_are_those_that_cannot_be_values() -> None:
    columns = orders()
    columns["continent"] = [("EU", "NA", "AS")[n % 3] for n in range(ROWS)]
    columns["colour"] = [("n/a", "red", "green", "-")[n % 4] for n in range(ROWS)]

    draft = infer_model({"Order": strings(columns)}, "x")

    assert draft.nulls["n/a"] == draft.nulls["-"] == ROWS / 4
    assert "NA" not in draft.nulls
    assert "'-' is taken for a missing value, in all columns; found in colour" in draft.checks


def test_what_is_a_value_in_one_column_is_missing_in_none(tmp_path: Path) -> None:
    columns = orders()
    columns["continent"] = [("EU", "NA", "AS", "AF")[n % 4] for n in range(ROWS)]
    columns["score"] = ["NA" if n % 5 == 0 else str(n % 90) for n in range(ROWS)]

    draft = infer_model({"Order": strings(columns)}, "x")

    assert "NA" not in draft.nulls
    [check] = [check for check in draft.checks if "'NA'" in check]
    assert check.index("continent") < check.index("may mean a missing one in score")
    assert f"CHECK {check}" in " ".join(draft.yaml.replace("#", " ").split())
    land(tmp_path, "Order", strings(columns), "2025-03-01.parquet")
    made = day_documents(draft.model, tmp_path, date(2025, 3, 1)).documents["Order"]
    assert made["continent"].value_counts().sort("continent")["count"].to_list() == [ROWS // 4] * 4


def test_a_value_of_one_event_type_is_one_in_all() -> None:
    one, other = orders(1), orders(2)
    one["continent"] = [("EU", "AS")[n % 2] for n in range(ROWS)]
    other["continent"] = ["NA"] * ROWS

    draft = infer_model({"Order": strings(one), "Refund": strings(other)}, "x")

    assert "NA" not in draft.nulls


def test_dates_alone_are_times_without_hours() -> None:
    columns = orders()
    columns["day"] = [(value or "")[:10] for value in columns["time"]]
    assert infer_model({"Order": strings(columns)}, "x").timestamp_fields == ["time"]
    del columns["time"]

    draft = infer_model({"Order": strings(columns)}, "x")

    assert draft.timestamp_fields == ["day"]
    assert draft.model.timestamp.formats == []
    assert any("dates but no hours" in check for check in draft.checks)


def test_decimals_are_times_only_where_the_name_says_so() -> None:
    columns = orders()
    seconds = [f"{1_740_787_200 + 60 * n}.{n % 1000:03}" for n in range(ROWS)]
    columns["weight"] = [*seconds]
    assert infer_model({"Order": strings(columns)}, "x").model.field_type("weight") == "float"
    columns["ts"] = [*seconds]
    del columns["time"], columns["weight"]

    draft = infer_model({"Order": strings(columns)}, "x")

    assert draft.timestamp_fields == ["ts"]
    assert "epoch seconds" in draft.yaml


def test_junk_columns_are_set_aside_by_their_names() -> None:
    columns = orders()
    junk = ["<html><body>502</body></html>", "x" * 200, "two\nlines"]
    columns |= {name: ["1", "2"] * (ROWS // 2) for name in junk}

    draft = infer_model({"Order": strings(columns)}, "x")

    assert draft.junk_columns == junk
    rule = draft.model.junk_columns
    assert all(
        len(name) > rule.longer_than or any(part in name for part in rule.containing)
        for name in junk
    )


def test_web_server_lines() -> None:
    chance = random.Random(3)
    hosts = [chance.randrange(40) for _ in range(ROWS)]
    columns = {
        "remote host": [f"10.0.0.{n}" for n in hosts],
        "user": ["-"] * ROWS,
        "time.local": [f"12/Mar/2025:{n % 24:02}:00:{n % 60:02} +0100" for n in range(ROWS)],
        "request": [f"GET /page/{n % 9}?q={n} HTTP/1.1" for n in range(ROWS)],
        "status": [("200", "404", "500")[n % 3] for n in range(ROWS)],
        "bytes": [str(chance.randrange(9000)) for _ in range(ROWS)],
    }

    draft = infer_model({"access": strings(columns)}, "web")

    assert draft.entities[draft.actor] == ["remote host"]
    assert draft.timestamp_fields == ["time.local"]
    assert draft.model.timestamp.formats == ["%d/%b/%Y:%H:%M:%S %z"]
    assert "status" in draft.model.events["access"].text
    assert "-" in draft.nulls
    assert draft.checks  # Nothing but its values says that a host acts.


def test_names_of_columns_may_be_odd(tmp_path: Path) -> None:
    renamed = {
        "customerId": "клиент id",
        "time": "when: {utc}",
        "city": "timestamp",
        "product": ":row",
        "brand": "row",
        "amount": " amount\u2028 ",
        "isTest": '"test" #1',
    }
    columns = {renamed.get(name, name): values for name, values in orders().items()}
    name = "Orders: été {x}"

    draft = infer_model({name: strings(columns)}, "né")

    model = draft.model
    assert model.timestamp.fields == ["when: {utc}"]
    assert draft.entities[draft.actor] == ["клиент id"]
    assert draft.aliases["source_timestamp"] == ["timestamp"]
    assert draft.aliases["source_row"] == ["row"]
    assert {"row", ":row", "timestamp"}.isdisjoint(model.events[name].fields)
    land(tmp_path, name, strings(columns), "2025-03-01.parquet")
    made = day_documents(model, tmp_path, date(2025, 3, 1))
    events = connect.enrich(model, made.documents)
    landed = strings(columns)
    assert made.rows_rejected == 0
    assert made.documents[name]["source_row"].sort().equals(landed["row"].sort())
    assert set(connect.build_entities(model, events)["type"]) == set(draft.entities)


def test_a_time_may_have_a_name_of_the_engines(tmp_path: Path) -> None:
    columns = orders()
    columns["timestamp"] = columns.pop("time")

    draft = infer_model({"Order": strings(columns)}, "x")

    assert draft.timestamp_fields == ["timestamp"]
    land(tmp_path, "Order", strings(columns), "2025-03-01.parquet")
    made = day_documents(draft.model, tmp_path, date(2025, 3, 1))
    assert not made.documents["Order"]["timestamp_missing"].any()


def test_an_event_type_whose_name_is_too_long_for_a_key_is_told() -> None:
    with pytest.raises(InferenceError, match="too long for a key"):
        infer_model({"x" * 1100: strings(orders())}, "x")


def test_times_are_told_from_other_dates() -> None:
    columns = orders()
    columns["birthDate"] = [f"{2000 + n % 20}-05-05T00:00:00Z" for n in range(ROWS)]
    columns["epoch_ms"] = [str(1_740_787_200_000 + n) for n in range(ROWS)]
    del columns["time"]
    columns["loggedAt"] = [str(1_740_787_200 + 60 * n) for n in range(ROWS)]

    draft = infer_model({"Order": strings(columns)}, "x")

    assert draft.timestamp_fields == ["loggedAt"]
    assert infer_model(
        {"Order": strings(columns)}, "x", timestamp="birthDate"
    ).timestamp_fields == ["birthDate"]


def test_an_event_type_with_another_time_adds_it() -> None:
    other = orders(2)
    other["doneAt"] = other.pop("time")

    draft = infer_model({"Order": strings(orders()), "Refund": strings(other)}, "x")

    assert sorted(draft.timestamp_fields) == ["doneAt", "time"]


def test_a_session_is_not_the_actor() -> None:
    columns = orders()
    del columns["product"]
    columns["sessionId"] = [f"s{c}-{n % 3}" for n, c in enumerate(columns["customerId"])]
    named = infer_model({"Order": strings(columns)}, "x")
    columns["zyx"] = columns.pop("customerId")
    columns["wvu"] = columns.pop("sessionId")
    unnamed = infer_model({"Order": strings(columns)}, "x")

    assert named.entities[named.actor] == ["customerId"]
    assert unnamed.entities[unnamed.actor] == ["zyx"]


@pytest.mark.parametrize("actor", ["amount", "isTest", "time", "requestId", "shop"])
def test_any_column_may_be_asked_for_as_the_actor(actor: str) -> None:
    draft = infer_model({"Order": strings(orders())}, "x", actor=actor)

    assert draft.entities[draft.actor] == [actor]
    assert draft.model.field_type(actor) == "string"


def test_the_actor_can_be_named() -> None:
    draft = infer_model({"Order": strings(orders())}, "x", actor="product")

    assert draft.entities[draft.actor] == ["product"]
    with pytest.raises(InferenceError, match="did you mean 'product'"):
        infer_model({"Order": strings(orders())}, "x", actor="prodct")


@pytest.mark.parametrize(
    ("kept", "message"),
    [
        (["time", "amount", "requestId"], r"who acts.*--actor COLUMN"),
        (["customerId", "product"], r"events' times.*ISO 8601.*by hand"),
        (["amount"], r"events' times"),
        ([], r"none of 1 event types has rows"),
    ],
)
def test_what_is_missing_is_told(kept: list[str], message: str) -> None:
    frame = strings({name: values for name, values in orders().items() if name in kept})

    with pytest.raises(InferenceError, match=message):
        infer_model({"Order": frame}, "x")


def test_event_types_without_rows_are_left_out_and_told() -> None:
    empty = strings({name: [] for name in orders()})
    draft = infer_model({"Order": strings(orders()), "Nothing": empty}, "x")

    assert draft.event_types == {"Order": []}
    assert "Nothing had no rows and was left out" in draft.checks


def test_the_draft_is_the_same_each_time() -> None:
    frame = strings(orders())

    assert infer_model({"a": frame}, "x").yaml == infer_model({"a": frame.clone()}, "x").yaml


_NAMES = st.one_of(
    st.sampled_from(
        [
            "id",
            "user id",
            "event",
            "^id$",
            "*",
            "time",
            "timestamp",
            "day",
            "row",
            "error",
            "isTest",
            "<b>",
            "null",
            "a:b",
        ]
    ),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
)
_VALUES = st.one_of(
    st.none(),
    st.sampled_from(["a", "b", "A", "None", "true", "no", "1", "007", "-", "10.0.0.1", "y: {z}"]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    st.datetimes().map(lambda time: f"{time.isoformat()}Z"),
)


def frames(fewest_rows: int) -> st.SearchStrategy[Columns]:
    return st.integers(fewest_rows, 12).flatmap(
        lambda rows: st.dictionaries(
            _NAMES, st.lists(_VALUES, min_size=rows, max_size=rows), max_size=6
        )
    )


@settings(max_examples=40)
@given(
    st.dictionaries(_NAMES, frames(0), max_size=3),
    st.sampled_from([None, "user id", "id", "error"]),
    st.text(max_size=5),
)
def test_any_strings_give_a_model_or_the_one_error(
    columns: dict[str, Columns], actor: str | None, name: str
) -> None:
    samples = {event_type: strings(frame) for event_type, frame in columns.items()}
    try:
        draft = infer_model(samples, name, actor=actor)
    except InferenceError as error:
        assert isinstance(error, StupidError)
        assert "with mistakes" not in str(error)
    else:
        assert parse_event_model(draft.yaml) == draft.model


@settings(max_examples=50)
@given(st.dictionaries(_NAMES.filter(str.strip), frames(1), min_size=1, max_size=2), st.text())
def test_any_columns_beside_an_actor_and_a_time_give_a_model(
    columns: dict[str, Columns], name: str
) -> None:
    samples = {}
    for event_type, frame in columns.items():
        # Rows recur, so that columns may determine others and name things.
        rows = pl.concat([strings(frame).drop("time", "user id", strict=False)] * 6)
        height = rows.height or 6
        roles = {
            "time": [f"2025-03-01T00:00:{n % 60:02}Z" for n in range(height)],
            "user id": [f"u{n % 5}" for n in range(height)],
        }
        samples[event_type] = rows.hstack(strings(roles)) if rows.width else strings(roles)

    draft = infer_model(samples, name, actor="user id", timestamp="time")

    assert parse_event_model(draft.yaml) == draft.model
    assert draft.entities[draft.actor][0] == "user id"


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_string_survives_yaml(text: str) -> None:
    import yaml

    from stupid_dagster.event_model.inference.yaml_text import scalar

    assert yaml.safe_load(f"k: {scalar(text)}") == {"k": text}
    assert yaml.safe_load(f"[{scalar(text)}]") == [text]


def test_amounts_of_money_are_measures_though_a_few_cells_hold_words() -> None:
    rows = 200
    frame = pl.DataFrame(
        {
            "time": [f"2025-03-02T01:{n // 60:02}:{n % 60:02}Z" for n in range(rows)],
            "customerId": [f"c{n % 40}" for n in range(rows)],
            "amount": ["lots" if n % 50 == 7 else f"{n * 1.37:.2f}" for n in range(rows)],
        }
    )
    draft = infer_model({"Purchase": frame}, "shop")
    assert "amount" in draft.model.events["Purchase"].fields
    assert draft.model.fields["amount"].type == "float"
    assert any("amount" in (m.sum, m.mean) for m in draft.model.metrics.values())
