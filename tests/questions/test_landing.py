"""Answers to kept questions against the raw landing files, by Polars alone.

The SQL beside a question reads the stored tables; here nothing has a part in what is expected that
the pipeline made.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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
    time = pl.col("timestamp")
    raw = flights(flights_project, "Departure", "2013-02-07").with_columns(
        time.cast(pl.String).str.to_datetime(time_zone="UTC", strict=True)
    )
    within = raw.filter(
        pl.col("timestamp").dt.hour() >= 12,
        pl.col("timestamp").dt.hour() < 18,
        pl.col("timestamp").dt.date() == pl.date(2013, 2, 7),
    )
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
        assert all(a[1] == b[0] for a, b in zip(steps, steps[1:], strict=False))
        # Breadth first: as many rounds as the path has edges.
        reached, rounds = {steps[0][0]}, 0
        while steps[-1][1] not in reached:
            reached |= {b for a, b in pairs if a in reached}
            rounds += 1
        assert rounds == len(steps)


def gaming(project: Project, event_type: str) -> pl.DataFrame:
    """Return the landing rows of an event type, whichever file they lie in."""
    folder = project.settings.root / "landing" / event_type
    frames = [
        pl.read_parquet(file) if file.suffix == ".parquet" else pl.read_csv(file)
        for file in sorted(folder.iterdir())
    ]
    return pl.concat(frames, how="diagonal_relaxed")
