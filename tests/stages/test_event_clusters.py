"""Event clusters and bots of a small gaming day, and of a day of flights, by the stage."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest

from stupid_dagster.project import Project
from stupid_dagster.samples.gaming import write_gaming
from stupid_dagster.stages.day import make_connections, make_documents, make_vectors
from stupid_dagster.stages.event_clusters import make_event_clusters
from stupid_dagster.stages.window import make_window_days
from stupid_dagster.stages.written import Written
from stupid_dagster.tables import TABLES

DAY = "2025-03-01"


@pytest.fixture(scope="module")
def gaming(tmp_path_factory: pytest.TempPathFactory) -> Project:
    root = tmp_path_factory.mktemp("gaming")
    write_gaming(root / "landing", date.fromisoformat(DAY), 1, 20_000, seed=11)
    (root / "stupid.toml").write_text(
        'landing = "landing"\ndata_root = "lake"\nevent_model = "gaming"\n'
        f"partitions_start = {DAY}\npartitions_end = {DAY}\n"
    )
    project = Project.load(root)
    for stage in (make_documents, make_connections, make_vectors, make_window_days):
        stage(project, DAY)
    return project


@pytest.fixture(scope="module")
def written(gaming: Project) -> dict[str, Written]:
    return {table.table: table for table in make_event_clusters(gaming, DAY)}


def test_the_planted_bots_and_no_others_are_named(gaming: Project, written) -> None:
    folder = Path(gaming.settings.landing_location)
    truth = json.loads((folder / "truth" / "truth.json").read_text())["bot_groups"]
    planted = {frozenset(f"member:{code}" for code in group["members"]) for group in truth}
    assert len(planted) == 4
    bots = gaming.lake.read("bot_candidates", DAY)
    groups = bots.group_by("group_id").agg("actor")
    assert {frozenset(actors) for actors in groups["actor"]} == planted
    intervals = dict(bots.group_by("group_id").agg(pl.col("interval_seconds").median()).rows())
    assert sorted(round(seconds) for seconds in intervals.values()) == [60, 90, 120, 150]
    assert written["bot_candidates"].details == {"groups": 4, "actors": bots.height}
    assert written["bot_candidates"].previews["groups"]["actors"].sum() == bots.height


def test_examples_are_documents_of_the_actor_with_the_text(gaming: Project, written) -> None:
    bots = gaming.lake.read("bot_candidates", DAY)
    actor, example, text = bots.select("actor", "example", "text").row(0)
    day, event_type, row = example.split("/")
    version = gaming.lake.live("documents", day)
    documents = pl.read_parquet(gaming.lake.version_path(version) / f"{event_type}.parquet")
    document = documents.filter(pl.col("row") == int(row))
    assert document["actor"].to_list() == [actor]
    shown = gaming.lake.read("texts", DAY).filter(pl.col("text") == text)
    assert document["text_id"].to_list() == shown["text_id"].to_list()


def test_tables_agree_with_the_day(gaming: Project, written) -> None:
    lake = gaming.lake
    texts = lake.read("texts", DAY)
    clusters = lake.read("event_clusters", DAY)
    assert clusters["events"].sum() == texts["count"].sum()
    assert lake.read("text_clusters", DAY)["text_id"].equals(texts["text_id"].sort())
    noise = lake.read("actor_noise", DAY)
    assert noise["events"].sum() == lake.read("actor_texts", DAY)["count"].sum()
    for name, made in written.items():
        assert lake.read(name, DAY).schema == TABLES[name].schema
        assert made.version.metadata["days"] == [DAY]
    details = written["event_clusters"].details
    assert (details["day"], details["method"], details["eps"]) == (DAY, "exact", 0.3)
    types = written["event_clusters"].previews["event types"]
    assert types["event_type"].sort().to_list() == texts["event_type"].unique().sort().to_list()
    assert types["events"].sum() == texts["count"].sum()
    assert types["clusters"].sum() == details["clusters"]
    assert types["noise_events"].sum() / texts["count"].sum() == details["noise_share"]
    assert written["event_clusters"].pictures["plot"].startswith(b"\x89PNG")


def test_the_same_day_gives_the_same_bytes(gaming: Project, written) -> None:
    again = {table.table: table for table in make_event_clusters(gaming, DAY)}
    for name, made in written.items():
        assert made.version.files == again[name].version.files


def test_the_lake_keeps_differences_of_rows(gaming: Project) -> None:
    lake = gaming.lake
    version = lake.live("actor_texts", DAY)
    file = lake.version_path(version) / "part.parquet"
    row = pq.ParquetFile(file).metadata.row_group(0).column(3)
    assert row.path_in_schema == "row"
    assert "DELTA_BINARY_PACKED" in row.encodings
    table = lake.read("actor_texts", DAY)
    assert table.schema == TABLES["actor_texts"].schema
    assert version.rows == table.height > 0
    activity = lake.read("activity", DAY).filter(~pl.col("is_test"))
    events = table.group_by("actor").agg(pl.col("count").sum().alias("events")).sort("actor")
    assert events.equals(activity.select("actor", "events").sort("actor"))


def test_no_aircraft_is_a_bot(own_project: Project) -> None:
    for stage in (make_documents, make_connections, make_vectors):
        stage(own_project, "2013-02-08")
    make_window_days(own_project, "2013-02-09")
    # The window's last day isn't complete: the one before it is looked at.
    made = {table.table: table for table in make_event_clusters(own_project, "2013-02-09")}
    assert made["event_clusters"].details["day"] == "2013-02-08"
    assert made["event_clusters"].version.partition == "2013-02-09"
    assert made["event_clusters"].version.rows >= 1
    assert made["bot_candidates"].version.rows == 0
