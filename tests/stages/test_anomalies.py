"""The stage of anomalies on a small gaming sample, against what was planted in it."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from stupid_dagster.project import Project, days_between
from stupid_dagster.samples.gaming import write_gaming
from stupid_dagster.stages.anomalies import make_anomalies
from stupid_dagster.stages.clusters import make_features
from stupid_dagster.stages.day import make_connections, make_documents, make_vectors
from stupid_dagster.stages.graph import make_graph
from stupid_dagster.stages.window import make_window_days
from stupid_dagster.stages.written import Written
from stupid_dagster.stores.documents import read_day
from stupid_dagster.tables import TABLES, conform
from tests.pipeline import write_window_table

FIRST, DAYS, EVENTS = dt.date(2025, 3, 1), 4, 12_000
LAST = FIRST + dt.timedelta(days=DAYS - 1)
WINDOW = days_between(FIRST, LAST)


def write_actor_texts(project: Project, day: str) -> pl.DataFrame:
    """Write the table `actor_texts` from the day's documents, and return it."""
    version = project.lake.live("documents", day)
    found = pl.concat(
        frame.filter(pl.col("actor").is_not_null())
        .group_by("actor", "text_id")
        .agg(count=pl.len(), row=pl.col("row").min())
        for frame in read_day(project.lake, version, project.model).values()
    )
    table = conform("actor_texts", found.sort("actor", "text_id"))
    with project.lake.write("actor_texts", day) as writer:
        writer.write(table)
        writer.metadata["documents"] = version.name
    return table


def write_window_inputs(project: Project, last_day: str, day: str) -> None:
    """Write what the stage needs of the window; texts of a single event stand for noise."""
    make_window_days(project, last_day)
    make_graph(project, last_day)
    make_features(project, last_day)
    single = project.lake.read("texts", day).filter(pl.col("count") == 1)["text_id"]
    noise = pl.col("count").filter(pl.col("text_id").is_in(single.implode())).sum()
    actor_noise = (
        project.lake.read("actor_texts", day)
        .group_by("actor")
        .agg(events=pl.col("count").sum(), texts=pl.len(), noise_events=noise)
        .with_columns(noise_ratio=pl.col("noise_events") / pl.col("events"))
    )
    nodes = project.lake.read("graph_nodes", last_day)
    # Entities in communities by chance: that item is to stay quiet.
    community = (pl.col("entity_id").hash(1) % 12).cast(pl.String)
    members = nodes.select("entity_id", "type", community_id=community).with_columns(
        pl.lit(0, dtype=pl.UInt32).alias(name)
        for name in ("louvain", "leiden", "label_propagation")
    )
    for name, frame in (("actor_noise", actor_noise), ("community_members", members)):
        write_window_table(project, name, last_day, conform(name, frame))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A gaming project with the days of a window and all that anomalies are made of."""
    root = tmp_path_factory.mktemp("gaming")
    write_gaming(root / "landing", FIRST, DAYS, EVENTS)
    (root / "stupid.toml").write_text(
        'landing = "landing"\ndata_root = "lake"\nevent_model = "gaming"\n'
        f"partitions_start = {FIRST}\npartitions_end = {LAST}\n"
    )
    project = Project.load(root)
    landing = project.landing_index()
    for day in WINDOW:
        make_documents(project, day, landing)
        for stage in (make_connections, make_vectors, write_actor_texts):
            stage(project, day)
    write_window_inputs(project, WINDOW[-1], WINDOW[-1])
    return project


@pytest.fixture(scope="module")
def written(project: Project) -> dict[str, Written]:
    return {written.table: written for written in make_anomalies(project, WINDOW[-1])}


@pytest.fixture(scope="module")
def anomalies(project: Project, written: dict[str, Written]) -> pl.DataFrame:
    return project.lake.read("anomalies", WINDOW[-1])


@pytest.fixture(scope="module")
def truth(project: Project) -> dict[str, Any]:
    landing = Path(project.settings.landing_location)
    return json.loads((landing / "truth" / "truth.json").read_text())


def test_shared_accounts_are_the_most_unusual(
    anomalies: pl.DataFrame, truth: dict[str, Any]
) -> None:
    planted = {f"member:{account['memberCode']}" for account in truth["shared_accounts"]}
    top = set(anomalies.head(len(planted))["actor"])
    assert len(top & planted) >= 0.8 * len(planted)
    theirs = anomalies.filter(pl.col("actor").is_in(planted))["graph"].to_numpy()
    assert len(theirs) == len(planted) and theirs.min() > 0.5


def test_nearly_nobody_else_is_notable(anomalies: pl.DataFrame, truth: dict[str, Any]) -> None:
    planted = {f"member:{account['memberCode']}" for account in truth["shared_accounts"]}
    others = anomalies.filter(~pl.col("actor").is_in(planted))
    assert np.mean(others["severity"].to_numpy() != "normal") < 0.01
    assert np.median(others["score"].to_numpy()) < 0.05


def test_shared_devices_are_causes(
    project: Project, written: dict[str, Written], anomalies: pl.DataFrame, truth: dict[str, Any]
) -> None:
    causes = project.lake.read("anomaly_causes", WINDOW[-1])
    planted = {f"device:{device['fingerprint']}" for device in truth["shared_devices"]}
    found = causes.filter(pl.col("relation") == "LoggedInFrom")
    assert set(found["entity_id"]) == planted
    assert (found["type"] == "Device").all()
    device = found.row(0, named=True)
    linked = anomalies.filter(pl.col("shared").list.contains(device["entity_id"]))
    assert len(linked) == device["anomalous"] >= 8


def test_all_actors_of_the_day_but_test_accounts_are_judged(
    project: Project, anomalies: pl.DataFrame
) -> None:
    assert dict(anomalies.schema) == TABLES["anomalies"].schema
    activity = project.lake.read("activity", WINDOW[-1])
    assert activity["is_test"].any()
    assert set(anomalies["actor"]) == set(activity.filter(~pl.col("is_test"))["actor"])
    assert anomalies["actor"].is_unique().all()


def test_documents_are_the_actors_own(project: Project, anomalies: pl.DataFrame) -> None:
    version = project.lake.live("documents", WINDOW[-1])
    documents = read_day(project.lake, version, project.model)
    notable = anomalies.filter(pl.col("severity") != "normal")
    assert (notable["documents"].list.len() >= 1).all()
    for actor, ids in notable.select("actor", "documents").iter_rows():
        for document in ids:
            day, event_type, row = document.split("/")
            assert day == WINDOW[-1]
            assert documents[event_type].filter(pl.col("row") == int(row))["actor"][0] == actor


def test_what_is_reported(written: dict[str, Written], anomalies: pl.DataFrame) -> None:
    details = written["anomalies"].details
    counts = dict(anomalies.group_by("severity").len().iter_rows())
    assert {name: details[name] for name in counts} == counts
    assert details["day"] == WINDOW[-1]
    assert written["anomalies"].pictures["plot"].startswith(b"\x89PNG")
    assert written["anomalies"].previews["most unusual"].height == 10
    assert not written["anomaly_causes"].previews["least likely by chance"].is_empty()


def test_the_same_window_gives_the_same_bytes(
    project: Project, written: dict[str, Written]
) -> None:
    for again in make_anomalies(project, WINDOW[-1]):
        assert again.version.name == written[again.table].version.name


def test_the_first_day_has_no_own_usual(project: Project) -> None:
    day = WINDOW[0]
    write_window_inputs(project, day, day)
    make_anomalies(project, day)
    anomalies = project.lake.read("anomalies", day)
    assert anomalies.height > 100
    assert not anomalies["behaviour"].to_numpy().any()


def test_a_window_without_events_has_no_anomalies(tmp_path: Path, project: Project) -> None:
    config = (project.settings.root / "stupid.toml").read_text()
    (tmp_path / "stupid.toml").write_text(config)
    (tmp_path / "landing").mkdir()
    empty = Project.load(tmp_path)
    for stage in (make_documents, make_connections, make_vectors):
        stage(empty, WINDOW[0])
    with empty.lake.write("actor_texts", WINDOW[0]) as writer:
        writer.write(TABLES["actor_texts"].empty())
        writer.metadata["documents"] = empty.lake.live("documents", WINDOW[0]).name
    write_window_inputs(empty, WINDOW[0], WINDOW[0])
    for made in make_anomalies(empty, WINDOW[0]):
        assert empty.lake.read(made.table, WINDOW[0]).is_empty()
