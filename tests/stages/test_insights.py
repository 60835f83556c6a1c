"""The stage of insights: over windows in a row, with tables that are there and that are not."""

from __future__ import annotations

from datetime import date

from stupid_dagster.project import Project
from stupid_dagster.stages.day import make_connections, make_documents, make_vectors
from stupid_dagster.stages.window import make_window_days
from stupid_dagster.stages.words import make_insights
from tests.compute.insights.made import table
from tests.compute.insights.test_actors import anomalies, anomaly, number
from tests.pipeline import write_window_table

DAYS = ("2013-02-07", "2013-02-08")


def test_windows_in_a_row_and_what_is_read_of_them(own_project: Project) -> None:
    project, lake = own_project, own_project.lake
    for day in DAYS:
        for stage in (make_documents, make_connections, make_vectors):
            stage(project, day)
    busiest = lake.scan("activity", DAYS[0]).sort("events", "actor").tail(1).collect()
    actor, events = busiest.select("actor", "events").row(0)
    unusual = anomaly(1, 0.8, actor=actor, features=[number("flights", 9.0, 1.0)])

    make_window_days(project, DAYS[0])
    make_insights(project, DAYS[0])
    assert lake.read("insights", DAYS[0]).is_empty(), "no table of the window is there"

    write_window_table(project, "anomalies", DAYS[0], table("anomalies", unusual))
    (written,) = make_insights(project, DAYS[0])
    first = lake.read("insights", DAYS[0]).row(0, named=True)
    assert (first["insight_id"], first["status"]) == (f"anomaly/{actor}", "new")
    assert first["series"] == [float(events)]
    assert written.details["status_new"] == written.details["severity_critical"] == 1

    make_window_days(project, DAYS[1])
    write_window_table(project, "anomalies", DAYS[1], table("anomalies", unusual))
    make_insights(project, DAYS[1])
    second = lake.read("insights", DAYS[1]).row(0, named=True)
    assert (second["status"], second["since"]) == ("ongoing", date(2013, 2, 7))
    assert len(second["series"]) == 2

    write_window_table(project, "anomalies", DAYS[1], anomalies(0.2))
    (again,) = make_insights(project, DAYS[1])
    assert again.details["status_resolved"] == 1
    same = make_insights(project, DAYS[1])[0]
    assert same.version == again.version, "the same tables give the same bytes"


def test_insights_of_an_older_release_are_no_previous_ones(own_project: Project) -> None:
    for day in DAYS:
        for stage in (make_documents, make_connections, make_vectors):
            stage(own_project, day)
        make_window_days(own_project, day)
    make_insights(own_project, DAYS[0])
    older = own_project.lake.read("insights", DAYS[0]).drop("status", "since", "plan")
    write_window_table(own_project, "insights", DAYS[0], older)
    make_insights(own_project, DAYS[1])
    assert own_project.lake.read("insights", DAYS[1]).is_empty()
