"""Plans run over four days of real flights, against the landing files and plain Python."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections import Counter
from typing import Any

import polars as pl
import pytest

from stupid_dagster.deadline import Stop, Stopped, stoppable
from stupid_dagster.errors import NotFoundError
from stupid_dagster.project import Project
from stupid_dagster.query import SnapshotReader
from stupid_dagster.query.paging import Page
from stupid_dagster.query.plans import PlanResult, StepResult, ops, run_plan, validate_plan
from stupid_dagster.stores.snapshots import open_snapshot
from tests.query.landing import landing

STORM = {"first_day": "2013-02-08", "last_day": "2013-02-08"}


def step(op: str, id: str, **params: Any) -> dict[str, Any]:
    return {"id": id, "op": op, "params": params}


def run(reader: SnapshotReader, *steps: dict[str, Any], **more: Any) -> PlanResult:
    return run_plan(reader, validate_plan(reader, {"steps": [*steps], **more}))


def rows(result: PlanResult, name: str) -> pl.DataFrame:
    one = result.steps[name]
    assert one.status == "ok", one.error
    assert one.rows is not None
    return one.rows


def late(reader: SnapshotReader, **more: Any) -> list[dict[str, Any]]:
    return [
        step("knowledge.read", "who", table="anomalies", sort="rank", limit=40),
        step(
            "documents.scan",
            "flights",
            event_type="Departure",
            actor={"ref": "who", "field": "actor"},
            **more,
        ),
    ]


def test_documents_of_the_actors_of_an_earlier_step(
    reader: SnapshotReader, flights_project: Project
) -> None:
    airports = step(
        "table.aggregate",
        "airports",
        rows={"ref": "flights"},
        by=["origin"],
        measures=[{"op": "count"}, {"op": "max", "field": "dep_delay"}],
    )
    result = run(reader, *late(reader, **STORM), airports)

    actors = set(rows(result, "who")["actor"])
    assert len(actors) == 40
    raw = landing(flights_project, "Departure", "2013-02-08")
    mine = raw.filter(("aircraft:" + pl.col("tailnum")).is_in(list(actors)))
    assert rows(result, "flights").height == mine.height > 0
    assert dict(rows(result, "airports").select("origin", "count").iter_rows()) == Counter(
        mine["origin"]
    )
    assert rows(result, "airports")["dep_delay_max"].max() == mine["dep_delay"].cast(float).max()
    assert result.rendered.id == "airports"


def test_documents_sorted_are_the_first_of_all(
    reader: SnapshotReader, flights_project: Project
) -> None:
    latest = step("documents.scan", "latest", event_type="Departure", sort="-dep_delay", limit=5)
    result = run(reader, latest)

    delays = landing(flights_project, "Departure")["dep_delay"].cast(float)
    assert (
        rows(result, "latest")["dep_delay"].to_list()
        == sorted(delays.drop_nulls(), reverse=True)[:5]
    )
    assert result.steps["latest"].truncated


def test_truncation_is_told_down_the_line(reader: SnapshotReader) -> None:
    count = step("table.aggregate", "count", rows={"ref": "flights"})
    result = run(reader, *late(reader, limit=5), count).steps

    assert [(one.id, one.truncated, one.partial) for one in result.values()] == [
        ("who", True, False),
        ("flights", True, True),
        ("count", False, True),
    ]
    assert result["flights"].notes == [
        "who is truncated to 40 rows: what follows from its others is missing"
    ]
    whole = run(reader, *late(reader), count).steps
    assert [(one.truncated, one.partial) for one in whole.values()] == [
        (True, False),
        (False, True),
        (False, True),
    ]
    assert result["count"].notes == [
        "flights is truncated to 5 rows: what follows from its others is missing"
    ]


def test_references_by_texts_hashes_lists_and_numbers(reader: SnapshotReader) -> None:
    result = run(
        reader,
        step("vectors.search", "texts", text="snow", limit=5),
        step(
            "documents.scan",
            "by_text",
            event_type="WeatherReport",
            filters=[
                {"field": "text_id", "op": "in", "value": {"ref": "texts", "field": "text_id"}}
            ],
        ),
        step("knowledge.read", "communities", table="communities", sort="-size", limit=1),
        step(
            "knowledge.read",
            "members",
            table="community_members",
            filters=[
                {
                    "field": "entity_id",
                    "op": "in",
                    "value": {"ref": "communities", "field": "key_members"},
                }
            ],
        ),
        step(
            "knowledge.read",
            "of_size",
            table="communities",
            filters=[
                {"field": "actors", "op": "in", "value": {"ref": "communities", "field": "size"}}
            ],
        ),
    )

    texts = rows(result, "texts")
    weather = texts.filter(event_type="WeatherReport")
    assert rows(result, "by_text").height == weather["count"].sum()
    assert set(rows(result, "by_text")["text_id"]) == set(weather["text_id"])
    (key_members,) = rows(result, "communities")["key_members"].to_list()
    assert set(rows(result, "members")["entity_id"]) == set(key_members)
    (size,) = rows(result, "communities")["size"]
    assert set(rows(result, "of_size")["actors"]) <= {size}


def test_a_reference_may_have_more_values_than_a_request_could_state(
    reader: SnapshotReader,
) -> None:
    everything = step("knowledge.read", "all", table="pagerank")
    same = step(
        "knowledge.read",
        "same",
        table="pagerank",
        filters=[{"field": "entity_id", "op": "in", "value": {"ref": "all", "field": "entity_id"}}],
    )
    result = run(reader, everything, same)

    assert rows(result, "same").equals(rows(result, "all"))
    assert rows(result, "all").height > 1000


def test_nothing_follows_from_nothing(reader: SnapshotReader) -> None:
    nobody = [{"field": "score", "op": "gt", "value": 9}]
    actor = {"ref": "none", "field": "actor"}
    one_of = [{"field": "actor", "op": "in", "value": actor}]
    result = run(
        reader,
        step("knowledge.read", "none", table="anomalies", filters=nobody),
        step("documents.scan", "documents", event_type="Departure", actor=actor),
        step("knowledge.read", "known", table="features", filters=one_of),
        step("graph.neighbors", "edges", start=actor),
        step("graph.traverse", "walk", start=actor),
        step("table.contrast", "contrast", actors=actor),
        step("table.aggregate", "count", rows={"ref": "documents"}),
    )

    for name in ("none", "documents", "known", "edges", "walk", "contrast"):
        assert rows(result, name).is_empty()
    assert rows(result, "count")["count"].to_list() == [0]


def test_the_graph_by_reference(reader: SnapshotReader) -> None:
    result = run(
        reader,
        step("knowledge.read", "top", table="pagerank", sort="rank", limit=3),
        step("graph.neighbors", "edges", start={"ref": "top", "field": "entity_id"}, limit=20),
        step("graph.traverse", "near", start=["airport:JFK", "airport:nowhere"], limit=50),
        step("graph.path", "path", source="airport:JFK", target="airport:nowhere"),
    )

    assert set(rows(result, "edges")["entity_id"]) <= set(rows(result, "top")["entity_id"])
    assert rows(result, "edges")["weight"].is_sorted(descending=True)
    assert rows(result, "near")["entity_id"][0] == "airport:JFK"
    assert "airport:nowhere" in result.steps["near"].notes[0]
    assert rows(result, "path").is_empty()
    assert "airport:nowhere" in result.steps["path"].notes[0]


def test_a_join_compares_hashes_as_they_are_shown(reader: SnapshotReader) -> None:
    result = run(
        reader,
        step("knowledge.read", "clustered", table="text_clusters"),
        step("documents.scan", "documents", event_type="Departure", **STORM),
        step(
            "table.join",
            "both",
            left={"ref": "documents"},
            right={"ref": "clustered"},
            left_on=["text_id"],
            right_on=["text_id"],
        ),
    )

    documents, clustered = rows(result, "documents"), rows(result, "clustered")
    assert (
        rows(result, "both").height
        == documents.filter(pl.col("text_id").is_in(clustered["text_id"].implode())).height
        > 0
    )


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Ops that searches are replaced by, per text."""
    acts: dict[str, Any] = {}

    def act(params: Any, _: Any) -> Page:
        acts[params.text]()
        return Page(pl.DataFrame({"at": [time.monotonic()]}), 1, False, 1)

    monkeypatch.setitem(ops._OPS, "vectors.search", act)
    return acts


def search(name: str, *depends_on: str) -> dict[str, Any]:
    return step("vectors.search", name, text=name) | {"depends_on": [*depends_on]}


def test_what_fails_skips_what_depends_on_it_alone(
    reader: SnapshotReader, slow: dict[str, Any]
) -> None:
    def fail() -> None:
        raise NotFoundError("it isn't there")

    def break_down() -> None:
        raise ZeroDivisionError

    slow |= {"bad": fail, "worse": break_down, "good": int, "after": int, "last": int, "free": int}
    ended: list[StepResult] = []
    plan = validate_plan(
        reader,
        {
            "steps": [
                search("bad"),
                search("worse"),
                search("after", "good", "bad"),
                search("last", "after"),
                search("good"),
                search("free", "good"),
            ]
        },
    )
    result = run_plan(reader, plan, on_step=ended.append)

    assert {name: one.status for name, one in result.steps.items()} == {
        "bad": "failed",
        "worse": "failed",
        "after": "skipped",
        "last": "skipped",
        "good": "ok",
        "free": "ok",
    }
    assert result.steps["bad"].error == "it isn't there"
    assert "unexpectedly" in str(result.steps["worse"].error)
    assert "bad" in str(result.steps["after"].error)
    assert {one.id for one in ended} == set(result.steps)
    assert [*result.steps] == [one.id for one in plan.steps]


def test_a_plan_that_nobody_awaits_ends_amid_a_step(
    reader: SnapshotReader, slow: dict[str, Any]
) -> None:
    stop, begun, over = Stop(), threading.Event(), threading.Event()
    slow |= {"a": lambda: begun.set() or over.wait(20), "b": int}
    threading.Thread(target=lambda: begun.wait(10) and stop.stop()).start()
    started = time.monotonic()
    with stoppable(stop), pytest.raises(Stopped):
        run(reader, search("a"), search("b", "a"))
    assert time.monotonic() - started < 5
    over.set()


def test_independent_steps_run_side_by_side(reader: SnapshotReader, slow: dict[str, Any]) -> None:
    together = threading.Barrier(3)
    slow |= {name: lambda: together.wait(5) for name in "abc"} | {"d": int}

    result = run(reader, search("a"), search("b"), search("c"), search("d", "a", "b"))

    assert [one.status for one in result.steps.values()] == ["ok"] * 4


def test_a_step_starts_as_soon_as_those_before_it_are_done(
    reader: SnapshotReader, slow: dict[str, Any]
) -> None:
    begun = threading.Event()
    # `slow` ends when `next` has begun, so that it can't wait for `slow`.
    slow |= {"slow": lambda: begun.wait(5), "first": int, "next": begun.set}

    result = run(reader, search("slow"), search("first"), search("next", "first"))

    assert result.steps["slow"].seconds < 5


def test_a_step_that_takes_too_long_is_given_up_and_the_others_go_on(
    flights_project: Project, slow: dict[str, Any]
) -> None:
    settings = dataclasses.replace(flights_project.settings, step_seconds=0.2)
    over = threading.Event()
    slow |= {"stuck": lambda: over.wait(20), "good": int, "after": int}
    with SnapshotReader(Project(settings), open_snapshot(flights_project.lake)) as reader:
        started = time.monotonic()
        result = run(reader, search("stuck"), search("good"), search("after", "stuck"))
        took = time.monotonic() - started
    over.set()

    assert {name: one.status for name, one in result.steps.items()} == {
        "stuck": "failed",
        "good": "ok",
        "after": "skipped",
    }
    assert "step_seconds" in str(result.steps["stuck"].error)
    assert took < 5


def test_a_caller_that_gives_up_ends_the_run(reader: SnapshotReader, slow: dict[str, Any]) -> None:
    def gone(_: StepResult) -> None:
        raise ConnectionResetError

    slow |= {"a": int, "b": lambda: pytest.fail("must not run")}
    plan = validate_plan(reader, {"steps": [search("a"), search("b", "a")]})
    with pytest.raises(ConnectionResetError):
        run_plan(reader, plan, on_step=gone)


def test_only_steps_over_their_time_are_given_up(
    flights_project: Project, slow: dict[str, Any]
) -> None:
    """One that began later has its own time, though an earlier one's is over."""
    settings = dataclasses.replace(flights_project.settings, step_seconds=0.6)
    over = threading.Event()
    slow |= {"stuck": lambda: over.wait(20), "first": lambda: time.sleep(0.4)}
    slow |= {"late": lambda: time.sleep(1.4)}  # Longer than its time, within its grace.
    with SnapshotReader(Project(settings), open_snapshot(flights_project.lake)) as reader:
        result = run(reader, search("stuck"), search("first"), search("late", "first"))
    over.set()

    statuses = {name: one.status for name, one in result.steps.items()}
    assert statuses == {"stuck": "failed", "first": "ok", "late": "ok"}


def test_a_plan_has_its_time_as_a_whole(flights_project: Project, slow: dict[str, Any]) -> None:
    settings = dataclasses.replace(flights_project.settings, plan_seconds=1)
    over = threading.Event()
    slow |= {"stuck": lambda: over.wait(20), "good": int, "after": int, "free": int}
    slow |= {name: lambda: time.sleep(0.6) for name in "ab"}
    with SnapshotReader(Project(settings), open_snapshot(flights_project.lake)) as reader:
        steps = [search("stuck"), search("a"), search("b", "a"), search("free", "b")]
        started = time.monotonic()
        result = run(reader, *steps, search("after", "stuck"), search("good"))
        took = time.monotonic() - started
    over.set()

    assert took < 3
    statuses = {name: one.status for name, one in result.steps.items()}
    statuses.pop("b")  # It has a grace; on a busy machine it may not even have begun.
    assert statuses == {
        **{"stuck": "failed", "a": "ok", "good": "ok"},
        **{"free": "skipped", "after": "skipped"},
    }
    assert "plan_seconds" in str(result.steps["stuck"].error)
    assert "plan_seconds" in str(result.steps["free"].error)
