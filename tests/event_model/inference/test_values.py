"""What the values of a sample's columns say: types, times, and which are missing."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl

from stupid_dagster.event_model.inference import infer_model
from tests.event_model.inference.made import ROWS, orders, strings
from tests.gaming import day_documents, land


def test_digits_that_name_something_stay_strings() -> None:
    columns = orders()
    columns["customerId"] = [str(int((v or "")[1:]) + 70_000) for v in columns["customerId"]]
    columns["postcode"] = [f"0{n % 50:04}" for n in range(ROWS)]
    columns["pieces"] = [str(n % 50) for n in range(ROWS)]

    model = infer_model({"Order": strings(columns)}, "x").model

    assert model.field_type("customerId") == "string"
    assert model.field_type("postcode") == "string"
    assert model.field_type("pieces") == "integer"


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


def test_what_a_named_time_lacks_is_taken_from_the_best_of_the_others() -> None:
    born = [f"{2000 + n % 20}-05-05T00:00:00Z" for n in range(ROWS)]
    other = {"birthDate": born, **orders(2)}
    other["doneAt"] = other.pop("time")
    samples = {"Order": strings(orders()), "Refund": strings(other)}

    assert infer_model(samples, "x").timestamp_fields == ["doneAt", "time"]
    assert infer_model(samples, "x", timestamp="time").timestamp_fields == ["time", "doneAt"]


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
