"""Answers to kept questions against the raw landing files, by Polars alone.

The SQL beside a question reads the stored tables; here nothing has a part in what is expected that
the pipeline made.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import polars as pl
import pytest

from stupid_dagster.project import Project
from stupid_dagster.query import SnapshotReader
from stupid_dagster.query.plans import run_plan, validate_plan
from tests.query.landing import landing
from tests.questions.asked import asked, plain_rows

KEPT = {(sample, one.question): one for sample in ("flights", "gaming") for one in asked(sample)}


def rows(readers: dict[str, SnapshotReader], sample: str, question: str) -> pl.DataFrame:
    """Return the rows that a kept question's plan shows."""
    reader = readers[sample]
    found = run_plan(reader, validate_plan(reader, KEPT[sample, question].plan)).rendered.rows
    assert found is not None
    return found


def flights(project: Project, event_type: str, *days: str) -> pl.DataFrame:
    """Return the landing rows, "NA" as null, as whoever publishes them means it."""
    raw = landing(project, event_type, *days)
    return raw.with_columns(pl.when(pl.col(pl.String) != "NA").then(pl.col(pl.String)))


def counted(frame: pl.DataFrame, *by: str) -> pl.DataFrame:
    return frame.group_by(*by).len()


Expected = Callable[[Project], pl.DataFrame]
FLIGHTS: dict[str, Expected] = {
    "How many flights departed on 8 February 2013, by airport?": lambda p: counted(
        flights(p, "Departure", "2013-02-08"), "origin"
    ),
    "Which carriers cancelled most flights on 8 February?": lambda p: counted(
        flights(p, "Cancellation", "2013-02-08"), "carrier_name"
    ),
    "How many flights were cancelled altogether?": lambda p: flights(p, "Cancellation").select(
        pl.len()
    ),
    "What was the mean departure delay of each carrier?": lambda p: (
        flights(p, "Departure").group_by("carrier").agg(pl.col("dep_delay").cast(float).mean())
    ),
    "What was the longest flight, in miles, of each carrier?": lambda p: (
        flights(p, "Departure").group_by("carrier").agg(pl.col("distance").cast(float).max())
    ),
    "How many aircraft of Boeing departed from JFK?": lambda p: (
        flights(p, "Departure")
        .filter(pl.col("origin") == "JFK", pl.col("manufacturer") == "BOEING")
        .select(pl.col("tailnum").n_unique())
    ),
    "How many aircraft departed but were never cancelled?": lambda p: (
        flights(p, "Departure")
        .drop_nulls("tailnum")
        .join(flights(p, "Cancellation"), on="tailnum", how="anti")
        .select(pl.col("tailnum").n_unique())
    ),
    "What was the median flying time to Los Angeles and San Francisco?": lambda p: (
        flights(p, "Departure")
        .filter(pl.col("dest").is_in(["LAX", "SFO"]))
        .group_by("dest")
        .agg(pl.col("air_time").cast(float).median())
    ),
    "How much rain or snow fell at each airport?": lambda p: (
        flights(p, "WeatherReport").group_by("origin").agg(pl.col("precip").cast(float).sum())
    ),
}


@pytest.mark.parametrize("question", FLIGHTS)
def test_flights(
    question: str, flights_project: Project, readers: dict[str, SnapshotReader]
) -> None:
    found = rows(readers, "flights", question)
    assert plain_rows(found) == plain_rows(FLIGHTS[question](flights_project))


def test_shares_are_of_all_scheduled_flights(
    flights_project: Project, readers: dict[str, SnapshotReader]
) -> None:
    found = rows(readers, "flights", "What share of flights was cancelled each day?")
    by_day = [
        counted(flights(flights_project, name), "day").rename({"len": name})
        for name in ("Departure", "Cancellation")
    ]
    share = pl.col("Cancellation") / (pl.col("Departure") + pl.col("Cancellation"))
    wanted = by_day[0].join(by_day[1], on="day").sort("day").select(share)
    assert found.sort("time")["value"].to_list() == pytest.approx(wanted.to_series().to_list())


def test_percentiles_are_of_the_times_asked_for(
    flights_project: Project, readers: dict[str, SnapshotReader]
) -> None:
    question = (
        "What was the 95th percentile of the delay at each airport between 12:00 and 18:00 UTC on "
        "7 February?"
    )
    found = rows(readers, "flights", question)
    named = found.columns[1]
    within = flights(flights_project, "Departure").filter(
        pl.col("scheduled_at").is_between(
            pl.lit("2013-02-07T12:00:00.000Z"), pl.lit("2013-02-07T18:00:00.000Z"), closed="left"
        )
    )
    assert set(found["origin"]) == {"EWR", "JFK", "LGA"}
    for origin, p95, count in found.select("origin", named, "count").iter_rows():
        delays = within.filter(pl.col("origin") == origin)["dep_delay"].cast(float)
        assert count == delays.len()
        # Whatever lies between two neighbours is a 95th percentile.
        below = delays.drop_nulls().sort()
        at = 0.95 * (below.len() - 1)
        assert below[int(at)] <= p95 <= below[int(at) + 1]


def test_paths_are_shortest_and_of_edges_that_are_there(
    readers: dict[str, SnapshotReader],
) -> None:
    for sample, question in (
        ("flights", "How are JetBlue and Delta connected?"),
        ("gaming", "How are affiliate aff3000 and the platform web-android connected?"),
    ):
        found = rows(readers, sample, question)
        stored = readers[sample].snapshot.scan("graph_edges").select("source", "target").collect()
        pairs = {(a, b) for a, b in stored.iter_rows()} | {(b, a) for a, b in stored.iter_rows()}
        steps = [*found.select("near", "far").iter_rows()]
        assert all(step in pairs for step in steps)
        assert all(a[1] == b[0] for a, b in pairwise(steps))
        # Breadth first: as many rounds as the path has edges.
        reached, rounds = {steps[0][0]}, 0
        while steps[-1][1] not in reached:
            reached |= {b for a, b in pairs if a in reached}
            rounds += 1
        assert rounds == len(steps)


def gaming(project: Project, event_type: str, *columns: str) -> pl.DataFrame:
    """Return columns of the landing rows, in lower case, and null for what only says so.

    Events of a folder whose name differs in case are the type's too; an event sent twice counts
    once; those after the last partition's day are none of the window's.
    """
    folders = (project.settings.root / "landing").iterdir()
    files = [
        file
        for folder in folders
        if folder.name.lower() == event_type.lower()
        for file in sorted(folder.glob("*.parquet"))
    ]
    sent = pl.concat([pl.read_parquet(file) for file in files], how="diagonal").unique()
    raw = sent.filter(pl.col("@timestamp") < "2025-03-04").select(columns)
    said = pl.col(pl.String).str.strip_chars().str.to_lowercase()
    return raw.select(pl.when(~said.is_in(["", "none", "null", "undefined"])).then(said))


GAMING: dict[str, Expected] = {
    "How many logins failed?": lambda p: (
        gaming(p, "Login", "success").filter(pl.col("success") == "false").select(pl.len())
    ),
    "How many different members logged in per currency?": lambda p: (
        gaming(p, "Login", "currency", "memberCode")
        .group_by(pl.col("currency").str.to_uppercase())
        .agg(pl.col("memberCode").drop_nulls().n_unique())
    ),
    "Which stages do errors happen in?": lambda p: counted(
        gaming(p, "API Error", "stage"), "stage"
    ),
    "How many popups were left open for over a minute?": lambda p: (
        gaming(p, "PopupModule", "displayTime")
        .filter(pl.col("displayTime").cast(float) > 60_000)
        .select(pl.len())
    ),
    "How long were popups of each type shown?": lambda p: (
        gaming(p, "PopupModule", "popupType", "displayTime")
        .group_by("popupType")
        .agg(
            pl.col("displayTime").cast(float).mean(),
            pl.col("displayTime").cast(float).max().alias("max"),
        )
    ),
    "Which popups did members open themselves?": lambda p: counted(
        gaming(p, "PopupModule", "popupType", "isManual").filter(pl.col("isManual") == "true"),
        "popupType",
    ),
}


@pytest.mark.parametrize("question", GAMING)
def test_gaming(question: str, gaming_project: Project, readers: dict[str, SnapshotReader]) -> None:
    found = rows(readers, "gaming", question)
    assert plain_rows(found) == plain_rows(GAMING[question](gaming_project))


@pytest.mark.parametrize(
    ("sample", "question"),
    [
        ("flights", "What sets the aircraft of the smaller segment apart?"),
        ("gaming", "What sets the first segment apart?"),
    ],
)
def test_contrasts_are_of_the_means_inside_and_outside(
    sample: str, question: str, readers: dict[str, SnapshotReader]
) -> None:
    reader = readers[sample]
    cluster = KEPT[sample, question].plan["steps"][0]["params"]["filters"][0]["value"]
    members = reader.snapshot.scan("cluster_members").filter(pl.col("cluster_id") == cluster)
    inside = pl.col("actor").is_in(members.collect()["actor"].implode())
    features = reader.snapshot.scan("features").collect()
    found = rows(readers, sample, question)
    told = found.filter(pl.col("kind") == "feature")
    assert told.height
    for name, group, rest in told.select("name", "set", "rest").iter_rows():
        assert group == pytest.approx(features.filter(inside)[name].mean(), rel=1e-9)
        assert rest == pytest.approx(features.filter(~inside)[name].mean(), rel=1e-9)
