"""Days and weeks with no data, and the first day of all."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from stupid_dagster.errors import ComputeError
from stupid_dagster.project import Project, days_between
from stupid_dagster.query.reader import SnapshotReader
from stupid_dagster.stages.clusters import make_clusters, make_features
from stupid_dagster.stages.day import make_documents
from stupid_dagster.stages.evict import evict, plan_eviction
from stupid_dagster.stages.graph import make_graph, make_graph_knowledge
from stupid_dagster.stages.publish import publish_window
from stupid_dagster.stages.trends import make_history, make_trends
from stupid_dagster.stages.window import make_window_days
from stupid_dagster.stages.written import Verdict
from stupid_dagster.stores.snapshots import open_snapshot
from stupid_dagster.tables import DAY_TABLES, WINDOW_TABLES
from tests.clocks.logs import calendar_project, land_day, land_rows
from tests.gaming import land
from tests.pipeline import make_day, make_window

BUSY = days_between(date(2013, 2, 1), date(2013, 2, 8))
EMPTY = days_between(date(2013, 2, 9), date(2013, 2, 12))

GROUPS = {
    "cluster_members": ["actor", "cluster_id"],
    "community_members": ["entity_id", "community_id"],
}


def make_groups(project: Project, last_day: str) -> None:
    """Make and publish what of a window follows on the window before it."""
    for stage in (
        *(make_window_days, make_graph, make_graph_knowledge, make_features, make_clusters),
        *(make_trends, make_history),
    ):
        stage(project, last_day)
    publish_window(project, last_day)


def of_day(project: Project, table: str, window: str, day: str) -> pl.DataFrame:
    """Return the rows of `trends` that are of a day as a whole."""
    local = pl.col("time").dt.convert_time_zone(project.model.timezone).dt.date().cast(pl.String)
    rows = project.lake.read(table, window)
    return rows.filter(local == day, pl.col("grain") == "day", pl.col("dimension") == "")


@pytest.fixture(scope="module")
def silent(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Eight busy days, of which one was never made; four days without events in as many ways."""
    project = calendar_project(tmp_path_factory.mktemp("silent") / "project", window_days=12)
    for day in BUSY:
        land_day(project, day)
        if day != BUSY[1]:
            make_day(project, day)
    _, no_rows, rejected, unreadable = EMPTY
    land(
        Path(project.settings.landing_location),
        "Login",
        pl.DataFrame(schema={"@timestamp": pl.String, "memberCode": pl.String}),
        f"{no_rows}.parquet",
    )
    broken = {"@timestamp": "2099-01-01T00:00:00.000Z", "memberCode": "m1"}
    land_rows(project, rejected, [broken] * 5)
    land_rows(project, unreadable, [broken]).write_bytes(b"PAR1 is how it began")
    for day in EMPTY:
        make_day(project, day)
    make_window(project, EMPTY[-1])
    return project


def test_days_without_events_are_whole_and_do_not_move_the_window(silent: Project) -> None:
    for day in EMPTY:
        assert silent.lake.live("documents", day).rows == 0
        assert silent.is_complete(day)
    assert silent.anchor() == date.fromisoformat(BUSY[-1])
    # That of the last busy day can be made while another that ends later is served.
    assert open_snapshot(silent.lake).manifest.days == [BUSY[0], *BUSY[2:], *EMPTY]


def test_silence_is_told_and_what_is_not_known_is_not_taken_for_it(silent: Project) -> None:
    first = of_day(silent, "trends", EMPTY[-1], EMPTY[0])
    logins = first.filter(pl.col("metric") == "logins").row(0, named=True)
    assert (logins["value"], logins["severity"], logins["direction"]) == (0, "critical", "down")
    assert first.filter(pl.col("metric") == "success_rate")["value"].to_list() == [None]
    for day in EMPTY:
        values = of_day(silent, "trends", EMPTY[-1], day).filter(pl.col("metric") == "logins")
        assert values["value"].to_list() == [0]
    # The day that was never made may have had any number of events.
    assert of_day(silent, "trends", EMPTY[-1], BUSY[1]).is_empty()
    insights = silent.lake.read("insights", EMPTY[-1])
    told = insights.filter(pl.col("title").str.starts_with("Logins below usual"))
    assert told["severity"].to_list() == ["critical"]


def test_every_store_answers_for_a_window_whose_last_day_is_empty(silent: Project) -> None:
    for table in WINDOW_TABLES:
        assert silent.lake.find(table, EMPTY[-1]), table
    assert silent.lake.read("anomalies", EMPTY[-1]).is_empty()
    with SnapshotReader(silent, open_snapshot(silent.lake)) as reader:
        assert reader.documents("Login").total == 7 * 200
        for day in map(date.fromisoformat, EMPTY):
            assert reader.documents("Login", first_day=day, last_day=day).rows.is_empty()
        assert reader.search("Login on the web", limit=1).height == 1
        assert reader.node("member:m1")["entity_id"] == "member:m1"
        last = date.fromisoformat(EMPTY[-1])
        assert reader.search("Login", first_day=last, last_day=last).is_empty()


def test_a_check_tells_of_a_day_without_documents(silent: Project) -> None:
    def verdict(day: str) -> Verdict:
        found = [v for written in make_documents(silent, day) for v in written.verdicts]
        return next(v for v in found if v.check == "has_events")

    assert verdict(BUSY[0]).passed
    told = {day: verdict(day) for day in EMPTY}
    assert not any(v.passed or v.is_error for v in told.values())
    no_file, no_rows, rejected, unreadable = (v.description for v in told.values())
    assert no_file == "no document: no landing file has rows of 2013-02-09"
    assert no_rows == "no document: the landing files that touch 2013-02-10 (1) have no rows of it"
    assert rejected == (
        "no document: of the landing files that touch 2013-02-11 (1), 5 rows were rejected"
    )
    assert unreadable == (
        "no document: of the landing files that touch 2013-02-12 (1), 1 could not be used"
    )


def test_groups_keep_their_ids_over_a_gap_longer_than_the_window(tmp_path: Path) -> None:
    project = calendar_project(tmp_path / "project", window_days=3, garbage_minutes=0)
    before, after = ["2013-02-01", "2013-02-02"], ["2013-03-20", "2013-03-21"]
    for day in (*before, *after):
        land_day(project, day)
    for day in before:
        make_day(project, day)
    make_groups(project, before[-1])
    make_day(project, after[0])
    make_groups(project, after[0])

    def ids(window: str) -> dict[str, dict[str, str]]:
        """Return the group of every member, by table."""
        return {
            table: dict(project.lake.read(table, window).select(columns).sort(columns).iter_rows())
            for table, columns in GROUPS.items()
        }

    first, second = ids(before[-1]), ids(after[0])
    for table in GROUPS:
        # Small windows differ; that groups are the same at all is what the ids are for.
        assert set(first[table].values()) & set(second[table].values())
    # Events of one day say nothing of a trend over the gap.
    trends = project.lake.read("trends", after[0])
    assert trends.filter(pl.col("grain") == "hour", pl.col("z").is_not_null()).is_empty()
    assert set(trends.filter(pl.col("grain") == "day")["severity"]) == {"normal"}

    eviction = plan_eviction(project)
    assert eviction is not None and eviction.partitions == before
    evict(project, eviction)
    assert {*DAY_TABLES, *GROUPS} < {*project.lake.tables()}
    for table in project.lake.tables():
        assert project.lake.partitions(table) == [after[0]], table

    # The window before is gone: its place is taken by what this one was.
    make_groups(project, after[0])
    assert ids(after[0]) == second
    make_day(project, after[1])
    make_groups(project, after[1])
    third = ids(after[1])
    for table in GROUPS:
        stayed = [e for e, group in second[table].items() if third[table].get(e) == group]
        assert len(stayed) > len(second[table]) / 2
    # What the days counted outlives them.
    history = project.lake.read("history", after[1])
    assert {*before, *after} <= {str(day) for day in history["day"]}


def test_the_first_day_of_all(tmp_path: Path) -> None:
    day = "2013-02-05"
    project = calendar_project(
        tmp_path / "project",
        window_days=1,
        kept_windows=1,
        garbage_minutes=0,
        partitions_start=date(2013, 2, 5),
    )
    assert (project.anchor(), plan_eviction(project)) == (None, None)
    with pytest.raises(ComputeError, match="materialise days first"):
        make_window_days(project, day)
    land_day(project, day)
    make_day(project, day)
    manifest = make_window(project, day)
    assert (manifest.first_day, manifest.last_day, manifest.days) == (day, day, [day])
    eviction = plan_eviction(project)
    assert eviction is not None and eviction.partitions == []
    assert evict(project, eviction).versions == 0
    assert project.lake.read("history", day)["day"].unique().to_list() == [date(2013, 2, 5)]
    assert project.lake.read("trends", day)["z"].null_count() == (
        project.lake.read("trends", day).height
    )

    # The next day takes its place once it is published.
    following = date(2013, 2, 6)
    land_day(project, str(following))
    make_day(project, str(following))
    for anchor, goes in ((None, []), (following, [day])):
        eviction = plan_eviction(project, anchor)
        assert eviction is not None and eviction.stale.get("documents", []) == goes
