"""Patterns and co-occurrence of real flights, from the lake and into it."""

from __future__ import annotations

import polars as pl
import pytest

from stupid_dagster.project import Project
from stupid_dagster.stages.day import make_connections, make_documents, make_vectors
from stupid_dagster.stages.graph import make_graph
from stupid_dagster.stages.patterns import make_cooccurrence, make_patterns
from stupid_dagster.stages.window import make_window_days
from stupid_dagster.tables import TABLES

DAYS = [f"2013-02-0{day}" for day in range(4, 10)]


@pytest.fixture(scope="module")
def project(module_project: Project) -> Project:
    """Return a project with its days made, and the graph and patterns of the last."""
    for day in DAYS:
        for stage in (make_documents, make_connections, make_vectors):
            stage(module_project, day)
    for last_day in DAYS[-2:]:
        make_window_days(module_project, last_day)
    make_graph(module_project, DAYS[-1])
    return module_project


def test_patterns_of_two_windows(project: Project) -> None:
    (first,) = make_patterns(project, DAYS[-2])
    (second,) = make_patterns(project, DAYS[-1])

    assert first.details["days"] == 5 and second.details["days"] == 6
    assert second.version.metadata["days"] == DAYS
    for written in (first, second):
        assert written.pictures["plot"].startswith(b"\x89PNG")
        table = project.lake.read("patterns", written.version.partition)
        assert table.schema == TABLES["patterns"].schema
        assert table.height > 0
        actors = written.details["actors"]
        assert table["support"].to_list() == pytest.approx((table["actors"] / actors).to_list())
        for category, preview in written.previews.items():
            assert preview.height <= 20
            assert written.details[category] == table.filter(category=category).height
            assert f"{category}: complete from" in written.details
    table = project.lake.read("patterns", DAYS[-1])
    # The storm of 8 February 2013 cancelled most of its flights.
    assert ["C", "C"] in table.filter(category="Disruption")["symbols"].to_list()
    assert {"new", "continued"} <= set(table["status"])
    continued = table.filter(status="continued")
    before = project.lake.read("patterns", DAYS[-2]).select("pattern_id", "support")
    both = continued.join(before, on="pattern_id", suffix="_before")
    assert both.height and both["previous_support"].equals(both["support_before"])


def test_patterns_again_are_the_same(project: Project) -> None:
    make_patterns(project, DAYS[-1])
    table = project.lake.read("patterns", DAYS[-1])
    make_patterns(project, DAYS[-1])
    assert project.lake.read("patterns", DAYS[-1]).equals(table)


def test_cooccurrence(project: Project) -> None:
    (written,) = make_cooccurrence(project, DAYS[-1])
    table = project.lake.read("cooccurrence", DAYS[-1])
    assert table.schema == TABLES["cooccurrence"].schema
    assert written.pictures["plot"].startswith(b"\x89PNG")
    assert table["pair"].unique(maintain_order=True).to_list() == list(written.previews)
    # Aircraft of a carrier fly from its own airports.
    carriers = table.filter(pair="Airport x Carrier")
    assert carriers.filter(pl.col("pmi_low") > 0).height
    assert written.details["Airport x Carrier: actors"] > 0
