"""The bundled samples, drafted with no hint, and run through the engine."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from stupid_dagster import connect
from stupid_dagster.event_model.inference import Draft, infer_model
from stupid_dagster.ingest import build_documents, index_landing
from stupid_dagster.samples.flights import write_flights
from stupid_dagster.samples.gaming import write_gaming


def read(landing: Path) -> dict[str, pl.DataFrame]:
    """Return the rows of a landing folder, by event type."""
    samples: dict[str, pl.DataFrame] = {}
    for folder in sorted(path for path in landing.iterdir() if path.is_dir()):
        if frames := [pl.read_parquet(file) for file in sorted(folder.glob("*.parquet"))]:
            samples[folder.name] = pl.concat(frames, how="diagonal_relaxed")
    return samples


@pytest.fixture(scope="module")
def gaming_landing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gaming")
    write_gaming(folder, date(2025, 3, 1), days=2, events_per_day=20_000)
    return folder


@pytest.fixture(scope="module")
def gaming(gaming_landing: Path) -> Draft:
    return infer_model(read(gaming_landing), "games")


@pytest.fixture(scope="module")
def flights_landing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("flights")
    write_flights(folder, date(2013, 2, 5), date(2013, 2, 9))
    return folder


@pytest.fixture(scope="module")
def flights(flights_landing: Path) -> Draft:
    return infer_model(read(flights_landing), "flights")


def test_folders_name_the_event_types_of_both(gaming: Draft, flights: Draft) -> None:
    assert gaming.event_type_column is None
    assert flights.event_type_column is None
    assert not any("--event-type" in check for check in [*gaming.checks, *flights.checks])


def test_pop_ups_alone_are_not_parted_by_their_type(gaming_landing: Path) -> None:
    draft = infer_model({"PopupModule": read(gaming_landing)["PopupModule"]}, "pop-ups")

    assert draft.event_type_column is None


def test_gaming_roles_and_spellings_are_found(gaming: Draft) -> None:
    assert gaming.timestamp_fields == ["@timestamp"]
    assert gaming.entities[gaming.actor] == ["memberCode"]
    assert gaming.event_types == {
        "API Error": [],
        "GameOpened": [],
        "GridClick": [],
        "Login": [],
        "PopupModule": ["PopUpModule"],
    }
    assert gaming.aliases == {"affiliateId": ["affiliateID", "affiliateid"]}
    assert gaming.model.test_flag == "isTestAccount"
    assert gaming.junk_columns
    assert all("<" in column or len(column) > 120 for column in gaming.junk_columns)
    assert gaming.model.junk_columns.containing == ["<"]
    assert {"None", "null", "undefined"} <= set(gaming.nulls)


def test_gaming_entity_types_are_found(gaming: Draft) -> None:
    keys = {key[0] for key in gaming.entities.values()}
    wanted = {
        "memberCode",
        "fingerprint",
        "gameUid",
        "affiliateId",
        "currency",
        "rGroup",
        "error",
        "platform",
        "componentId",
        "gameTrackingProvider",
    }

    assert wanted - keys == set()
    assert len(keys) <= 15
    by_key = {key[0]: gaming.model.entities[name] for name, key in gaming.entities.items()}
    assert by_key["gameUid"].key == ["gameUid", "game"]
    assert by_key["error"].normalise == "hash"
    assert "error" in by_key["error"].properties
    assert {"currency", "rGroup"} <= set(by_key["memberCode"].properties)


def test_a_game_has_a_provider_and_a_device_no_currency(gaming: Draft) -> None:
    edges = {(edge.source, edge.target) for edge in gaming.model.edges.values()}
    of_key = {key[0]: name for name, key in gaming.entities.items()}

    assert (of_key["gameUid"], of_key["gameTrackingProvider"]) in edges
    # A device has its owner's currency; that is told by the edge of the owner.
    assert (of_key["fingerprint"], of_key["currency"]) not in edges
    for key, name in of_key.items():
        assert (gaming.actor, name) in edges or key == "memberCode"


def test_what_changes_with_each_event_or_visit_is_left_out(gaming: Draft) -> None:
    for event_type, event in gaming.model.events.items():
        assert not {"requestId", "sessionId", "ipAddress", "env"} & set(event.fields)
        assert gaming.dropped_columns[event_type]["requestId"] == "a value of its own each event"
        assert "memberCode" not in event.text
        assert "fingerprint" not in event.text
    assert "success" in gaming.model.events["Login"].fields
    symbol = gaming.model.events["Login"].symbol
    assert symbol is not None
    assert symbol.field == "success"


def test_each_decision_has_its_reason_in_the_file(gaming: Draft) -> None:
    lines = gaming.yaml.splitlines()
    for name in gaming.entities:
        place = next(n for n, line in enumerate(lines) if line.startswith(f"  {name}:"))
        assert lines[place - 1].startswith("  #")
    (reason,) = gaming.reasons["entities", gaming.actor][:1]
    assert "distinct in" in reason
    assert "also in" in reason


def test_gaming_draft_runs(gaming: Draft, gaming_landing: Path) -> None:
    landing = index_landing(gaming.model, gaming_landing)
    day = date.fromisoformat(landing.days()[0])
    made = build_documents(gaming.model, landing, day, (day, day))
    events = connect.enrich(gaming.model, made.documents)

    kinds = set(connect.build_entities(gaming.model, events)["type"])
    assert kinds == set(gaming.entities)


def test_flights_roles_and_entity_types_are_found(flights: Draft) -> None:
    keys = {key[0] for key in flights.entities.values()}

    assert flights.timestamp_fields == ["scheduled_at"]
    assert flights.entities[flights.actor] == ["tailnum"]
    assert {"origin", "dest", "carrier"} <= keys
    assert "NA" in flights.nulls
    assert flights.model.field_type("dep_delay") == "integer"
    assert flights.model.field_type("temp") == "float"
    assert flights.model.features.columns["mean_dep_delay"].mean == "dep_delay"
    assert flights.dropped_columns["Departure"]["dep_time"] == "hours and minutes without a date"
    by_key = {key[0]: flights.model.entities[name] for name, key in flights.entities.items()}
    assert by_key["dest"].properties == ["dest_name"]


def test_flights_draft_runs(flights: Draft, flights_landing: Path) -> None:
    model, day = flights.model, date(2013, 2, 7)
    made = build_documents(model, index_landing(model, flights_landing), day, (day, day))
    events = connect.enrich(model, made.documents)
    landed = read(flights_landing)["Departure"]
    departures = landed.filter(pl.col("scheduled_at").str.starts_with("2013-02-07"))

    assert made.documents["Departure"].height == departures.height
    entities = connect.build_entities(model, events)
    aircraft = entities.filter(pl.col("type") == flights.actor)["key"]
    flown = departures.filter(pl.col("tailnum") != "NA")["tailnum"]
    assert set(flown) <= set(aircraft)
    edges = connect.build_edges(model, events)
    assert set(edges["type"]) == set(model.edges)
    texts = connect.build_texts(model, events, day.isoformat())
    assert 0 < texts.height < sum(frame.height for frame in made.documents.values()) / 2
    assert connect.build_activity(model, events).height == aircraft.len()
    metrics = connect.build_metrics(model, events)
    assert set(metrics["metric"]) == set(model.metrics)
