"""The catalog of the flights sample, against its landing files."""

from __future__ import annotations

import json
from typing import Any

import polars as pl
import pytest

from stupid_dagster.catalog import summarise
from stupid_dagster.catalog.fields import MOST_VALUES
from stupid_dagster.connect.field_statistics import TOP_VALUES
from stupid_dagster.project import Project
from stupid_dagster.stages.publish import make_catalog, publish_window
from stupid_dagster.stores.snapshots import open_snapshot
from stupid_dagster.tables import TABLES, WINDOW_TABLES
from tests.pipeline import publish_days_as_they_are
from tests.query.landing import DAYS, landing

LAST_DAY = DAYS[-1]


def catalog_of(project: Project) -> dict[str, Any]:
    file = open_snapshot(project.lake).path("catalog") / "catalog.json"
    return json.loads(file.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def catalog(flights_project: Project) -> dict[str, Any]:
    return catalog_of(flights_project)


@pytest.fixture(scope="module")
def flown(flights_project: Project) -> pl.DataFrame:
    """The departures of the landing files, missing values as nulls."""
    rows = landing(flights_project, "Departure")
    return rows.with_columns(pl.when(pl.col(pl.String) != "NA").then(pl.col(pl.String)))


@pytest.mark.parametrize("field", ["carrier", "origin", "dest", "tailnum", "flight", "dest_name"])
def test_texts_are_the_landing_files(
    catalog: dict[str, Any], flown: pl.DataFrame, field: str
) -> None:
    found = catalog["events"]["Departure"]["fields"][field]

    values = flown[field].drop_nulls()
    assert found["missing"] == flown[field].null_count() / flown.height
    assert (found["type"], found["min"], found["max"]) == ("string", values.min(), values.max())
    if found["distinct_is_exact"]:
        assert found["distinct"] == values.n_unique()
    else:
        assert found["distinct"] == pytest.approx(values.n_unique(), rel=5 / 1022**0.5)
    assert found["distinct_is_exact"] == (values.n_unique() < 1024)
    counts = dict(values.value_counts().iter_rows())
    # What isn't among a day's most frequent isn't counted that day.
    by_day = flown.group_by("day", field).len().sort("len", field, descending=[True, False])
    kept = by_day.drop_nulls(field).group_by("day").head(TOP_VALUES)
    expected = kept.group_by(field).agg(pl.col("len").sum())
    best = expected.sort("len", field, descending=[True, False]).head(MOST_VALUES)
    assert [(top["value"], top["at_least"]) for top in found["top_values"]] == best.rows()
    assert all(top["at_least"] <= counts[top["value"]] for top in found["top_values"])
    if values.n_unique() <= TOP_VALUES:
        assert all(top["at_least"] == counts[top["value"]] for top in found["top_values"])


def test_numbers_are_the_landing_files(catalog: dict[str, Any], flown: pl.DataFrame) -> None:
    for field, unit in (("dep_delay", "minutes"), ("distance", "miles"), ("seats", None)):
        found = catalog["events"]["Departure"]["fields"][field]
        values = flown[field].cast(pl.Float64).drop_nulls()
        assert (found["min"], found["max"]) == (values.min(), values.max())
        assert found["distinct"] == values.n_unique()
        assert (found["distinct_is_exact"], found["unit"]) == (True, unit)
        assert {type(top["value"]) for top in found["top_values"]} == {
            int if found["type"] == "integer" else float
        }
    delay = catalog["events"]["Departure"]["fields"]["dep_delay"]
    assert delay["description"] == "Departure delay; negative is early."


def test_event_types_have_their_days(catalog: dict[str, Any], flown: pl.DataFrame) -> None:
    told = catalog["events"]["Departure"]
    assert (told["documents"], told["first_day"], told["last_day"]) == (
        flown.height,
        DAYS[0],
        DAYS[-1],
    )
    assert (catalog["days"], catalog["days_without_statistics"]) == (DAYS, [])


def test_entities_are_the_landing_files(
    catalog: dict[str, Any], flown: pl.DataFrame, flights_project: Project
) -> None:
    both = pl.concat([flown, landing(flights_project, "Cancellation")], how="diagonal_relaxed")
    events = both["carrier"].value_counts().sort("count", "carrier", descending=[True, False])
    carrier = catalog["entities"]["Carrier"]

    assert (carrier["prefix"], carrier["nodes"]) == ("carrier", events.height)
    assert carrier["events"] == both.height
    assert carrier["examples"] == [f"carrier:{key}" for key in events["carrier"].head(5)]
    assert carrier["edges"] == ["OperatedBy", "FliesRoute", "CancelledAt"]
    names = dict(both.select("carrier_name", "carrier").unique().iter_rows())
    told = carrier["properties"]["carrier_name"]
    assert (told["coverage"], told["distinct"]) == (1.0, len(names))
    assert [top["value"] for top in told["top_values"]] == sorted(names)[:MOST_VALUES]


def test_properties_that_not_all_have(catalog: dict[str, Any], flights_project: Project) -> None:
    flights = (
        landing(flights_project, name).select("tailnum", "manufacturer")
        for name in ("Departure", "Cancellation")
    )
    aircraft = pl.concat(flights).filter(pl.col("tailnum") != "NA").unique("tailnum")
    known = aircraft.filter(pl.col("manufacturer") != "NA")["manufacturer"].value_counts()
    told = catalog["entities"]["Aircraft"]["properties"]["manufacturer"]

    assert told["coverage"] == known["count"].sum() / aircraft.height
    assert 0 < told["coverage"] < 1
    best = known.sort("count", "manufacturer", descending=[True, False]).head(MOST_VALUES)
    assert [(top["value"], top["nodes"]) for top in told["top_values"]] == best.rows()


def test_knowledge_tables_are_described(catalog: dict[str, Any], flights_project: Project) -> None:
    told = catalog["knowledge"]
    assert list(told) == [name for name in WINDOW_TABLES if name != "catalog"]
    columns = {column["name"]: column for column in told["pagerank"]["columns"]}
    assert list(columns) == list(TABLES["pagerank"].schema)
    assert columns["rank"] == {
        "name": "rank",
        "type": "integer",
        "description": "1 is the highest of all.",
    }
    types = {
        column["name"]: column["type"]
        for table in ("trends", "text_clusters", "graph_nodes")
        for column in told[table]["columns"]
    }
    assert types["drivers"].startswith("list of struct of (dimension string")
    assert types["time"] == "time"
    assert types["text_id"] == "string", "queries see hexadecimal digits"
    assert types["is_test"] == "boolean"
    features = {column["name"]: column["description"] for column in told["features"]["columns"]}
    assert features.keys() >= flights_project.model.features.columns.keys()
    assert told["search_index"]["columns"] == []
    # What a stage recorded, and not how versions are tied to each other.
    assert told["features"]["parameters"] == {"days": DAYS}
    assert told["clusters"]["parameters"] == {"settings": {"max_clusters": 20, "seed": 7}}
    assert told["window_days"]["parameters"] == {}


def made_again(project: Project) -> dict[str, Any]:
    """Return the catalog of the window with the days as they are now."""
    publish_days_as_they_are(project, LAST_DAY)
    make_catalog(project, LAST_DAY)
    publish_window(project, LAST_DAY)
    return catalog_of(project)


def test_days_of_an_older_release_are_told(flights_copy: Project) -> None:
    lake = flights_copy.lake
    for day in DAYS[:3]:
        lake.drop("field_statistics", day)
    some = made_again(flights_copy)

    assert some["days"] == DAYS
    assert some["days_without_statistics"] == DAYS[:3]
    origin = some["events"]["Departure"]["fields"]["origin"]
    last = landing(flights_copy, "Departure", LAST_DAY)["origin"].value_counts()
    assert {t["value"]: t["at_least"] for t in origin["top_values"]} == dict(last.iter_rows())
    assert (origin["distinct"], origin["distinct_is_exact"]) == (3, False)

    lake.drop("field_statistics", LAST_DAY)
    none = made_again(flights_copy)
    assert none["days_without_statistics"] == none["days"] == DAYS
    origin = none["events"]["Departure"]["fields"]["origin"]
    assert (origin["missing"], origin["distinct"], origin["top_values"]) == (0.0, None, [])
    assert "Departure" in summarise(none)
