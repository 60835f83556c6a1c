"""The builders on real flights: against the plain ones, and against counts over the CSV."""

from __future__ import annotations

from collections import Counter
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from stupid_dagster import connect
from stupid_dagster.event_model import load_event_model
from stupid_dagster.ingest import build_documents, index_landing
from stupid_dagster.samples import write_flights
from tests.connect import slow
from tests.nycflights import cancelled, departed

DAY = "2013-02-08"
MODEL = load_event_model("flights")


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pl.DataFrame]:
    landing: Path = tmp_path_factory.mktemp("landing")
    day = date.fromisoformat(DAY)
    write_flights(landing, day, day)
    made = build_documents(MODEL, index_landing(MODEL, landing), day, (day, day))
    return dict(made.documents)


@pytest.fixture(scope="module")
def documents(stored: dict[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    return connect.enrich(MODEL, stored)


@pytest.fixture(scope="module")
def plain(stored: dict[str, pl.DataFrame]) -> slow.Documents:
    return slow.events_of(MODEL, stored)


def test_all_tables_are_those_counted_event_by_event(documents, plain) -> None:
    assert connect.build_entities(MODEL, documents).to_dicts() == slow.entities(MODEL, plain)
    assert connect.build_edges(MODEL, documents).to_dicts() == slow.edges(MODEL, plain)
    assert connect.build_texts(MODEL, documents, DAY).to_dicts() == slow.texts(MODEL, plain, DAY)
    assert connect.build_sequences(MODEL, documents).to_dicts() == slow.sequences(MODEL, plain)
    found, wanted = connect.build_metrics(MODEL, documents), slow.metrics(MODEL, plain)
    assert found["value"].to_list() == pytest.approx([row["value"] for row in wanted])
    columns = ("grain", "time", "metric", "dimension", "member", "events", "actors")
    assert found.select(columns).rows() == [tuple(row[c] for c in columns) for row in wanted]


def test_edges_weigh_what_the_csv_says(documents) -> None:
    edges = connect.build_edges(MODEL, documents)
    weights = {
        (source, target, kind): weight
        for source, target, kind, weight in edges.select(
            "source", "target", "type", "weight"
        ).iter_rows()
    }
    both = [*departed(DAY), *cancelled(DAY)]
    carrier_routes = Counter(
        (f"carrier:{r['carrier']}", f"route:{r['origin']}-{r['dest']}", "FliesRoute") for r in both
    )
    cancelled_at = Counter(
        (f"carrier:{r['carrier']}", f"airport:{r['origin']}", "CancelledAt") for r in cancelled(DAY)
    )
    flown_by = Counter(
        (f"flight:{r['carrier']}{r['flight']}", f"aircraft:{r['tailnum']}", "FlownBy")
        for r in departed(DAY)
    )
    for counted in (carrier_routes, cancelled_at, flown_by):
        [kind] = {key[2] for key in counted}
        assert {key: w for key, w in weights.items() if key[2] == kind} == counted


def test_an_airport_s_degree_and_events_are_the_csv_s(documents) -> None:
    edges = connect.build_edges(MODEL, documents)
    arrivals = edges.filter(target="airport:EWR", type="DepartedFrom")
    assert set(arrivals["source"]) == {
        f"aircraft:{r['tailnum']}" for r in departed(DAY) if r["origin"] == "EWR"
    }
    newark = connect.build_entities(MODEL, documents).filter(entity_id="airport:EWR")
    flights = [r for r in [*departed(DAY), *cancelled(DAY)] if "EWR" in (r["origin"], r["dest"])]
    assert newark["events"].item() == len(flights) + 24  # hourly weather


def test_a_text_is_counted_as_often_as_the_csv_has_it(documents) -> None:
    texts = connect.build_texts(MODEL, documents, DAY)
    wanted = "Cancelled United Air Lines Inc. flight from Newark Liberty Intl to Chicago Ohare Intl"
    evening = f"{wanted} in the evening"
    count = sum(
        1
        for r in cancelled(DAY)
        if (r["carrier"], r["origin"], r["dest"]) == ("UA", "EWR", "ORD")
        and 17 <= int(r["sched_dep_time"]) // 100 < 22
    )
    assert count > 1
    assert texts.filter(text=evening)["count"].to_list() == [count]
    assert texts["count"].sum() == 458 + 472 + 72


def test_metrics_are_the_csv_s(documents) -> None:
    metrics = connect.build_metrics(MODEL, documents).filter(grain="day")

    def value(metric: str, dimension: str = "", member: str = "") -> float:
        return metrics.filter(metric=metric, dimension=dimension, member=member)["value"].item()

    assert value("cancellations") == len(cancelled(DAY)) == 472
    assert value("departures") == len(departed(DAY)) == 458
    for origin in ("EWR", "JFK", "LGA"):
        counted = sum(r["origin"] == origin for r in cancelled(DAY))
        assert value("cancellations", "origin", origin) == counted
    delays = [float(r["dep_delay"]) for r in departed(DAY)]
    assert value("mean_delay") == pytest.approx(sum(delays) / len(delays))
    assert value("aircraft") == len({r["tailnum"] for r in departed(DAY)})
    assert metrics["time"].unique().to_list() == [slow.midnight(MODEL, metrics["time"][0])]


def test_an_aircraft_s_activity_is_the_csv_s(documents) -> None:
    activity = connect.build_activity(MODEL, documents)
    tail, flights = Counter(r["tailnum"] for r in departed(DAY)).most_common(1)[0]
    mine = [r for r in departed(DAY) if r["tailnum"] == tail]
    row = activity.filter(actor=f"aircraft:{tail}").to_dicts()[0]
    assert row["flights"] == flights == len(mine)
    assert row["destinations"] == sorted({r["dest"] for r in mine})
    assert row["mean_delay"] == sum(float(r["dep_delay"]) for r in mine)
    assert row["mean_delay__n"] == len(mine)
    assert row["kilometres"] == pytest.approx(sum(float(r["distance"]) * 1.609344 for r in mine))
    assert row["cancellations"] == sum(r["tailnum"] == tail for r in cancelled(DAY))
