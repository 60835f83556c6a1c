"""Knowledge tables as they are asked for: filtered, sorted, paged, with their words."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from stupid_dagster.errors import InvalidQueryError, MissingVersionError, NotFoundError
from stupid_dagster.project import Project
from stupid_dagster.query import Filter, SnapshotReader, parse_filter
from stupid_dagster.query.frames import hex_ids
from stupid_dagster.query.knowledge import KNOWLEDGE_TABLES
from stupid_dagster.stores.snapshots import open_snapshot
from stupid_dagster.tables import WINDOW_TABLES
from tests.query.landing import DAYS, landing

LAST_DAY = "2013-02-09"


def stored(project: Project, table: str) -> pl.DataFrame:
    lake = project.lake
    return pl.read_parquet(lake.version_path(lake.live(table, LAST_DAY)) / "*.parquet")


@pytest.mark.parametrize("table", KNOWLEDGE_TABLES)
def test_every_table_is_given_as_it_is_stored(
    reader: SnapshotReader, flights_project: Project, table: str
) -> None:
    expected = stored(flights_project, table)

    page = reader.knowledge(table)

    assert page.rows.select(expected.columns).equals(hex_ids(expected))
    assert (page.total, page.truncated) == (expected.height, False)


def test_the_tables_are_the_windows_but_the_stores() -> None:
    others = {"search_index", "graph_database", "catalog"}
    assert set(KNOWLEDGE_TABLES) == set(WINDOW_TABLES) - others


def test_filters_and_order(reader: SnapshotReader, flights_project: Project) -> None:
    page = reader.knowledge(
        "pagerank", filters=[parse_filter("type:eq:Airport")], sort="-score", limit=5, offset=2
    )

    airports = stored(flights_project, "pagerank").filter(type="Airport")
    best = airports.sort("score", descending=True)
    assert page.rows.equals(best.slice(2, 5))
    assert (page.total, page.truncated) == (airports.height, True)
    last = reader.knowledge(
        "pagerank", filters=[parse_filter("type:eq:Airport")], offset=airports.height - 1
    )
    assert (last.rows.height, last.truncated) == (1, False)
    assert reader.knowledge("pagerank", offset=10**6).rows.height == 0


def test_missing_values_are_last_in_either_order(reader: SnapshotReader) -> None:
    for sort in ("z", "-z"):
        z = reader.knowledge("trends", sort=sort).rows["z"]
        known = z.drop_nulls()
        assert z.null_count() > 0
        assert z.head(known.len()).equals(known)
        assert known.is_sorted(descending=sort == "-z")


def test_segments_come_with_their_words(reader: SnapshotReader, flights_project: Project) -> None:
    labels = {
        (row["kind"], row["subject"]): row["label"]
        for row in stored(flights_project, "labels").iter_rows(named=True)
    }
    for table, key, kind in (
        ("clusters", "cluster_id", "cluster"),
        ("communities", "community_id", "community"),
    ):
        rows = reader.knowledge(table).rows
        found = {(kind, row[key]): row["label"] for row in rows.iter_rows(named=True)}
        named = {subject: label for subject, label in found.items() if label is not None}
        assert named == {s: label for s, label in labels.items() if s[0] == kind}
        assert rows["description"].null_count() == rows["label"].null_count()


def test_a_segment_and_its_members(reader: SnapshotReader, flights_project: Project) -> None:
    members = stored(flights_project, "cluster_members")
    for cluster in reader.knowledge("clusters").rows.iter_rows(named=True):
        found, page = reader.cluster(cluster["cluster_id"])
        assert found == cluster
        mine = members.filter(cluster_id=cluster["cluster_id"])
        assert page.total == cluster["size"] == mine.height
        assert set(page.rows["actor"]) == set(mine["actor"])
        assert page.rows["distance"].is_sorted()


def test_a_community_and_its_members(reader: SnapshotReader, flights_project: Project) -> None:
    ranks = stored(flights_project, "pagerank")
    found, page = reader.community("community:0", limit=7, offset=1)

    members = stored(flights_project, "community_members").filter(community_id="community:0")
    best = members.join(ranks, on="entity_id").sort("rank")
    assert page.rows["entity_id"].to_list() == best["entity_id"].slice(1, 7).to_list()
    assert page.rows["score"].to_list() == best["score"].slice(1, 7).to_list()
    assert (page.total, page.truncated) == (members.height, True)
    assert found["size"] == members.height
    assert found["key_members"][0] == best["entity_id"][0]


def test_segments_without_words_are_segments_still(flights_copy: Project) -> None:
    lake = flights_copy.lake
    snapshot = open_snapshot(lake)
    versions = {t: v for t, v in snapshot.manifest.versions.items() if t not in ("labels",)}
    object.__setattr__(snapshot.manifest, "versions", versions)
    with SnapshotReader(flights_copy, snapshot) as reader:
        rows = reader.knowledge("clusters").rows
        assert rows["label"].null_count() == rows.height > 0
        with pytest.raises(MissingVersionError, match="no table labels"):
            reader.knowledge("labels")


def test_the_days_metrics_are_the_landing_files(
    reader: SnapshotReader, flights_project: Project
) -> None:
    rows = reader.knowledge(
        "trends",
        filters=[
            Filter(field="grain", op="eq", value="day"),
            Filter(field="metric", op="eq", value="cancellations"),
            Filter(field="dimension", op="eq", value=""),
        ],
    ).rows

    raw = landing(flights_project, "Cancellation").group_by("day").len().sort("day")
    assert rows["value"].to_list() == raw["len"].to_list()
    local = rows["time"].dt.convert_time_zone("America/New_York")
    assert local.dt.date().cast(pl.String).to_list() == DAYS


def test_days_are_the_models(reader: SnapshotReader) -> None:
    for first, last, days in (
        (date(2013, 2, 8), date(2013, 2, 8), ["2013-02-08"]),
        (date(2013, 2, 8), None, ["2013-02-08", "2013-02-09"]),
        (None, date(2013, 2, 6), ["2013-02-06"]),
    ):
        filters = reader.day_filters("time", first, last)
        times = reader.knowledge("trends", filters=filters).rows["time"]
        local = times.dt.convert_time_zone("America/New_York").dt.date().cast(pl.String)
        assert sorted(local.unique()) == days
    assert reader.day_filters("time", None, None) == []
    with pytest.raises(InvalidQueryError, match="isn't within the window"):
        reader.day_filters("time", date(2012, 1, 1), None)


def test_questions_that_make_no_sense(reader: SnapshotReader) -> None:
    with pytest.raises(InvalidQueryError, match="did you mean 'clusters'"):
        reader.knowledge("cluster")
    with pytest.raises(InvalidQueryError, match="no knowledge table"):
        reader.knowledge("../../etc/passwd")
    with pytest.raises(InvalidQueryError, match="did you mean 'score'"):
        reader.knowledge("pagerank", sort="scor")
    with pytest.raises(InvalidQueryError, match="no column to sort by"):
        reader.knowledge("clusters", sort="features")
    for offset in (-1, 2**40):
        with pytest.raises(InvalidQueryError, match="offset"):
            reader.knowledge("pagerank", offset=offset)
        with pytest.raises(InvalidQueryError, match="offset"):
            reader.community("community:0", offset=offset)
    with pytest.raises(NotFoundError, match=r"'cluster:0'|cluster:99"):
        reader.cluster("cluster:99")
    with pytest.raises(NotFoundError, match="have no"):
        reader.community("'; --")
    with pytest.raises(InvalidQueryError, match="did you mean 'cancellations'"):
        reader.check_values("trends", "metric", ["departures", "cancelations"])


def test_the_catalog_is_the_published_one(reader: SnapshotReader, flights_project: Project) -> None:
    catalog = reader.catalog()

    flown = landing(flights_project, "Departure")
    assert catalog["events"]["Departure"]["documents"] == flown.height
    assert reader.event_type("Departure") == catalog["events"]["Departure"]
    assert list(catalog["events"]) == list(flights_project.model.events)
    with pytest.raises(NotFoundError, match="did you mean 'Departure'"):
        reader.event_type("departure")


def test_an_unknown_id_says_which_are_near_or_what_one_looks_like(reader: SnapshotReader) -> None:
    for cluster_id, message in [
        ("custer:1", r"did you mean 'cluster:1'\?"),
        ("0", r"one is 'cluster:0'"),
    ]:
        with pytest.raises(NotFoundError, match=message):
            reader.cluster(cluster_id)
        with pytest.raises(NotFoundError, match=message):
            reader.contrast_group("clusters", cluster_id)


def test_actors_are_contrasted_however_they_are_given(reader: SnapshotReader) -> None:
    of_cluster = reader.contrast_group("clusters", "cluster:1", limit=1000)
    mine = [Filter(field="cluster_id", op="eq", value="cluster:1")]
    found = reader.contrast_found("cluster_members", mine, limit=1000)
    members = reader.knowledge("cluster_members", filters=mine, limit=1000).rows["actor"]
    listed = reader.contrast([*members, "aircraft:none", members[0]], limit=1000)

    assert found.rows.equals(of_cluster.rows) and listed.rows.equals(of_cluster.rows)
    assert found.actors == listed.actors == of_cluster.actors == len(members)
    assert listed.asked == len(members) + 1
    assert of_cluster.rows["z"].abs().is_sorted(descending=True)
    features = reader.snapshot.scan("features").collect()
    inside = features.filter(pl.col("actor").is_in(members.implode()))
    row = of_cluster.rows.row(by_predicate=pl.col("name") == "flights", named=True)
    assert row["set"] == pytest.approx(inside["flights"].mean())
    for actors in ([], ["airport:JFK"]):
        with pytest.raises((InvalidQueryError, NotFoundError)):
            reader.contrast(actors)
