"""Names of columns and event types: odd ones, junk, and spellings of one."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from stupid_dagster import connect
from stupid_dagster.errors import InferenceError
from stupid_dagster.event_model.inference import infer_model
from tests.event_model.inference.made import ROWS, orders, strings
from tests.gaming import day_documents, land


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
