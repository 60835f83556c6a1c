"""Every mistake of a plan is told, at once, with its place."""

from __future__ import annotations

import time
from typing import Any

import pytest

from stupid_dagster.errors import InvalidPlanError
from stupid_dagster.query import SnapshotReader
from stupid_dagster.query.plans import validate_plan
from stupid_dagster.query.plans.problems import MOST_PROBLEMS

READ = {"id": "read", "op": "knowledge.read", "params": {"table": "clusters"}}
SCAN = {
    "id": "scan",
    "op": "documents.scan",
    "params": {"event_type": "Departure", "first_day": "2013-02-08"},
}


def step(op: str, id: str = "s", **params: Any) -> dict[str, Any]:
    return {"id": id, "op": op, "params": params}


def scan(**params: Any) -> dict[str, Any]:
    return step("documents.scan", **{"event_type": "Departure", **params})


def where(column: str, op: str, value: Any) -> dict[str, Any]:
    return {"field": column, "op": op, "value": value}


def problems(reader: SnapshotReader, *steps: Any, **more: Any) -> dict[str, str]:
    with pytest.raises(InvalidPlanError) as raised:
        validate_plan(reader, {"steps": [*steps], **more})
    assert isinstance(raised.value, InvalidPlanError)
    return dict(raised.value.problems)


ONE = {"ref": "read"}
DOCUMENTS = {"ref": "scan"}
MISTAKES: list[tuple[dict[str, Any], str, str]] = [
    # Form.
    ({**SCAN, "id": "s", "op": "documents.scn"}, "op", "did you mean 'documents.scan'?"),
    ({"id": "s", "params": {}}, "op", "is missing"),
    ({"op": "knowledge.read", "params": {"table": "clusters"}}, "id", "is missing"),
    ({"id": "s", "op": "knowledge.read"}, "params", "is missing"),
    ({**READ, "id": "s", "dependson": []}, "dependson", "did you mean 'depends_on'?"),
    (step("knowledge.read"), "params.table", "is missing"),
    (scan(frist_day="2013-02-08"), "params.frist_day", "did you mean 'first_day'?"),
    (scan(first_day="8 February"), "params.first_day", "should be a day, such as"),
    (scan(filters=[where("origin", "is", "JFK")]), "params.filters[0].op", "none of eq, ne"),
    (scan(actor=[3]), "params.actor", "should be an id, a list of ids, or a reference"),
    (scan(limit="many"), "params.limit", "should be a whole number"),
    # References.
    ({**READ, "id": "s", "depends_on": ["raed"]}, "depends_on[0]", "did you mean 'read'?"),
    (step("table.filter", rows={"ref": "rd"}), "params.rows.ref", "did you mean 'read'?"),
    (step("table.filter", rows={"ref": "s"}), "depends_on", "in a circle: s on s"),
    ({**READ}, "id", "steps[0] has the same id"),
    # Documents.
    (scan(event_type="Departur"), "params.event_type", "did you mean 'Departure'?"),
    (scan(first_day="2013-01-01"), "params.first_day", "isn't within the window"),
    (scan(since="2013-02-20T00:00:00Z"), "params.since", "isn't within the window"),
    (scan(since="2013-02-08", until="2013-02-08"), "params.since", "must be before until"),
    (scan(since="0001-01-01"), "params.since", "out of range"),
    (scan(actor="N328AA"), "params.actor", "would begin with aircraft:"),
    (scan(actor="aircraft N328AA"), "params.actor", "did you mean 'aircraft:N328AA'?"),
    (scan(actor="Aircraft:N328AA"), "params.actor", "did you mean 'aircraft:N328AA'?"),
    (scan(actor=["aircraft:N328AA", "carrier:B6"]), "params.actor[1]", "'carrier:B6' is no id"),
    (scan(actor={"ref": "read", "field": "size"}), "params.actor.field", "holds numbers, not ids"),
    (scan(actor={"ref": "read", "field": "siz"}), "params.actor.field", "did you mean 'size'?"),
    (scan(actor={"ref": "read", "field": "features"}), "params.actor.field", "holds objects"),
    (scan(columns=["orign"]), "params.columns[0]", "did you mean 'origin'?"),
    (scan(sort="-dely"), "params.sort", "there is no column"),
    (scan(limit=0), "params.limit", "from 1 to 100000"),
    (scan(limit=100_001), "params.limit", "from 1 to 100000"),
    # Conditions.
    (scan(filters=[where("orign", "eq", "JFK")]), "params.filters[0].field", "mean 'origin'?"),
    (scan(filters=[where("dep_delay", "gt", "late")]), "params.filters[0]", "is no number"),
    (scan(filters=[where("dep_delay", "contains", "1")]), "params.filters[0]", "texts only"),
    (scan(filters=[where("text_id", "lt", "00" * 8)]), "params.filters[0]", "no order"),
    (scan(filters=[where("origin", "in", [])]), "params.filters[0]", "from 1 to 1000 values"),
    (
        scan(filters=[where("origin", "eq", {"ref": "read", "field": "label"})]),
        "params.filters[0].op",
        "use in",
    ),
    (
        scan(filters=[where("dep_delay", "in", {"ref": "read", "field": "label"})]),
        "params.filters[0].value.field",
        "holds texts",
    ),
    (
        scan(filters=[where("origin", "in", {"ref": "rd", "field": "label"})]),
        "params.filters[0].value.ref",
        "no step",
    ),
    (
        scan(filters=[where("origin", "in", {"ref": "read"})]),
        "params.filters[0].value",
        "reference",
    ),
    (scan(filters=[where("origin", "in", [["JFK"]])]), "params.filters[0].value", "reference"),
    # Texts, the graph, knowledge.
    (step("vectors.search"), "params.text", "either a text or a document"),
    (step("vectors.search", text=" "), "params.text", "give from 1 to"),
    (
        step("vectors.search", text="x", event_types=["Dep"]),
        "params.event_types[0]",
        "no event type",
    ),
    (
        step("vectors.search", document="2013-02-08/Departure/100000"),
        "params.document",
        "no document",
    ),
    (step("vectors.search", document="17"), "params.document", "is no document id"),
    (step("graph.neighbors", start="JFK"), "params.start", "would begin with"),
    (step("graph.neighbors", start=[]), "params.start", "give from 1 to"),
    (step("graph.traverse", start="airport:JFK", depth=6), "params.depth", "from 1 to 5"),
    (
        step("graph.traverse", start="airport:JFK", edge_types=["StartAt"]),
        "params.edge_types[0]",
        "StartsAt",
    ),
    (step("graph.path", source="airport:JFK", target="B6"), "params.target", "would begin with"),
    (step("knowledge.read", table="cluster"), "params.table", "did you mean 'clusters'?"),
    (step("knowledge.read", table="catalog"), "params.table", "no knowledge table"),
    (step("knowledge.read", table="clusters", sort="features"), "params.sort", "lists or objects"),
    # Tables.
    (step("table.filter", rows=ONE, columns=[]), "params.columns", "one column or more"),
    (
        step("table.filter", rows=ONE, filters=[where("sise", "gt", 1)]),
        "params.filters[0].field",
        "size",
    ),
    (
        step("table.join", left=ONE, right=DOCUMENTS, left_on=["size"], right_on=[]),
        "params.left_on",
        "as many",
    ),
    (
        step("table.join", left=ONE, right=DOCUMENTS, left_on=["size"], right_on=["origin"]),
        "params.left_on[0]",
        "holds numbers",
    ),
    (
        step("table.join", left=ONE, right=DOCUMENTS, left_on=["size"], right_on=["orign"]),
        "params.right_on[0]",
        "origin",
    ),
    (step("table.aggregate", rows=ONE, by=["sise"]), "params.by[0]", "did you mean 'size'?"),
    (step("table.aggregate", rows=ONE, by=["features"]), "params.by[0]", "lists or objects"),
    (step("table.aggregate", rows=ONE, measures=[]), "params.measures", "name one or more"),
    (
        step("table.aggregate", rows=ONE, measures=[{"op": "mean", "field": "label"}]),
        "params.measures[0].field",
        "mean needs numbers",
    ),
    (
        step("table.aggregate", rows=ONE, measures=[{"op": "sum"}]),
        "params.measures[0].field",
        "is missing",
    ),
    (
        step("table.aggregate", rows=ONE, by=["size"], measures=[{"op": "count", "name": "size"}]),
        "params.measures[0].name",
        "already",
    ),
    (
        step("table.aggregate", rows=ONE, by=["size"], sort="-sum"),
        "params.sort",
        "there are size, count",
    ),
    (step("table.timeline", rows=ONE), "params.time", "no column 'timestamp'"),
    (step("table.timeline", rows=ONE, time="label"), "params.time", "holds texts, not times"),
    (step("table.timeline", rows=DOCUMENTS, every="2h"), "params.every", "is none of 1m, 5m"),
    (step("table.contrast", actors=["carrier:B6"]), "params.actors[0]", "begin with aircraft:"),
    (
        step("table.contrast", actors={"ref": "read", "field": "size"}),
        "params.actors.field",
        "not ids",
    ),
]


@pytest.mark.parametrize(("wrong", "place", "what"), MISTAKES)
def test_a_mistake_is_told_with_its_place(
    reader: SnapshotReader, wrong: dict[str, Any], place: str, what: str
) -> None:
    found = problems(reader, READ, SCAN, wrong)

    assert [*found] == [f"steps[2].{place}"]
    assert what in found[f"steps[2].{place}"]


def test_names_that_are_no_texts_are_told(reader: SnapshotReader) -> None:
    """As YAML reads `on: [actor]`, which one guesses for a join."""
    joined = step("table.join", left=ONE, right=DOCUMENTS)
    joined["params"] |= {True: ["actor"]}
    found = problems(reader, READ, SCAN, joined, {**READ, "id": "t", 7: "x"})

    assert {*found} == {"steps[3]", "steps[2].params"}
    assert "isn't: 7" in found["steps[3]"]
    assert "True (YAML reads on, off, yes and no so: quote them)" in found["steps[2].params"]


def test_all_mistakes_of_all_steps_are_told_at_once(reader: SnapshotReader) -> None:
    wrong = [one for one, _, _ in MISTAKES if one.get("id") == "s" and one is not READ]
    steps = [{**one, "id": f"s{n}"} for n, one in enumerate(wrong[:8])]

    found = problems(
        reader, READ, *steps, render={"type": "pie", "step": "read", "colour": 1}, more=1
    )

    for n in range(len(steps)):
        assert any(place.startswith(f"steps[{n + 1}].") for place in found), steps[n]
    assert {"render.type", "render.colour", "more"} <= set(found)


def test_one_mistake_of_a_step_hides_no_other(reader: SnapshotReader) -> None:
    wrong = scan(
        event_tpe=1,
        limit=-1,
        filters=[
            where("origin", "is", "JFK"),
            {"field": "dest"},
            where("dset", "eq", "JFK"),
            where("dep_delay", "gt", "x"),
        ],
        columns=[3, "orign"],
    )

    assert set(problems(reader, wrong)) == {
        "steps[0].params.event_tpe",
        "steps[0].params.limit",
        "steps[0].params.filters[0].op",
        "steps[0].params.filters[1].op",
        "steps[0].params.filters[1].value",
        "steps[0].params.filters[2].field",
        "steps[0].params.filters[3]",
        "steps[0].params.columns[0]",
        "steps[0].params.columns[1]",
    }


def test_a_misspelt_op_hides_no_other_mistake(reader: SnapshotReader) -> None:
    wrong = {**scan(event_type="Departur", limit=0), "op": "document.scan", "dependson": []}
    count = step("table.aggregate", "count", rows={"ref": "s"}, by=["orign"])

    found = problems(reader, wrong, count)

    assert set(found) == {
        "steps[0].op",
        "steps[0].params.event_type",
        "steps[0].params.limit",
        "steps[0].dependson",
    }
    assert "did you mean 'documents.scan'?" in found["steps[0].op"]
    good = {**scan(columns=["origin"]), "op": "document.scan"}
    assert set(problems(reader, good, count)) == {"steps[0].op", "steps[1].params.by[0]"}


@pytest.mark.parametrize("op", [{"op": "frobnicate"}, {"op": 7}, {}])
def test_of_an_unknown_op_what_all_steps_have_is_checked(
    reader: SnapshotReader, op: dict[str, Any]
) -> None:
    params = {"rows": {"ref": "raed"}, "more": [{"value": {"ref": "read", "field": "x"}}, READ]}
    wrong = {**op, "id": "read", "params": params, "depends_on": ["red"], "parms": {}}
    empty = {**op, "id": "", "depends_on": "x"}

    found = problems(reader, READ, wrong, empty)

    assert set(found) == {
        "steps[1].op",
        "steps[1].id",
        "steps[1].params.rows.ref",
        "steps[1].depends_on[0]",
        "steps[1].parms",
        "steps[2].op",
        "steps[2].id",
        "steps[2].params",
        "steps[2].depends_on",
    }
    assert "did you mean 'read'?" in found["steps[1].params.rows.ref"]
    assert "did you mean 'params'?" in found["steps[1].parms"]


@pytest.mark.parametrize(
    ("render", "place"),
    [
        ({"step": "raed"}, "render.step"),
        ({"step": "read", "x": "sise"}, "render.x"),
        ({"step": "read", "y": ["size", "sise"]}, "render.y[1]"),
        ({"step": "read", "type": "bar", "y": ["label"]}, "render.y[0]"),
    ],
)
def test_what_is_shown_must_be_there(
    reader: SnapshotReader, render: dict[str, Any], place: str
) -> None:
    assert [*problems(reader, READ, render=render)] == [place]


def test_columns_that_steps_will_give_are_known_before_they_run(reader: SnapshotReader) -> None:
    steps = [
        SCAN,
        step("table.timeline", "hours", rows=DOCUMENTS, by=["origin"]),
        step(
            "table.join",
            "joined",
            left={"ref": "hours"},
            right=DOCUMENTS,
            left_on=["origin"],
            right_on=["dest"],
        ),
    ]
    good = step("table.aggregate", rows={"ref": "joined"}, by=["timestamp_right"], sort="-count")
    validate_plan(reader, {"steps": [*steps, good]})

    bad = step("table.aggregate", rows={"ref": "joined"}, by=["count_right"])
    assert [*problems(reader, *steps, bad)] == ["steps[3].params.by[0]"]


def test_what_is_referred_to_is_depended_on(reader: SnapshotReader) -> None:
    actors = {"ref": "who", "field": "actor"}
    who = step("knowledge.read", "who", table="anomalies")
    late = scan(actor=actors, filters=[where("origin", "in", {"ref": "read", "field": "label"})])

    plan = validate_plan(reader, {"steps": [late, who, {**READ, "depends_on": ["who"]}]})

    assert [one.depends_on for one in plan.steps] == [["who", "read"], [], ["who"]]


def nested(depth: int) -> Any:
    value: Any = "x"
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "steps",
    [
        [READ] * 100_000,
        [scan(filters=[where("origin", "eq", nested(100_000))])],
        [scan(filters=[where("x" * 10_000_000, "eq", 1)])],
        [scan(filters=[where("origin", "in", ["x"] * 1_000_000)])],
        [scan(filters=[where("orign" + "n" * 9_000, "eq", "x")] * 5_000)],
        [scan(actor=["x" * 9_000] * 20_000)],
        [scan(columns=["x" * 9_000] * 20_000)],
        [scan(columns=[1] * 20_000)],
        [{**scan(columns=[1] * 1_000), "id": f"s{n}"} for n in range(20)],
        [scan(limit=10**5000)],
        [scan(filters=[where("dep_delay", "gt", 10**5000)])],
        [scan(filters=[where("origin", "eq", "\ud800")])],
        [scan(actor={"ref": "s0" * 5_000, "field": "\x00"})],
        [{f"x{n}": 1 for n in range(20_000)}],
        [{"id": "s", "op": "y", "params": {f"x{n}": {"ref": f"s{n}"} for n in range(15_000)}}],
        [{"id": f"s{n}", "op": "documents.scan" * 500, "params": {}} for n in range(20)],
        [step("table.filter", f"s{n}", rows={"ref": f"s{(n + 1) % 20}"}) for n in range(20)],
    ],
)
def test_hostile_plans_take_no_time(reader: SnapshotReader, steps: list[Any]) -> None:
    started = time.process_time()

    found = problems(reader, *steps)

    # Quadratic work on the largest would take minutes.
    assert time.process_time() - started < 5
    assert 1 <= len(found) <= MOST_PROBLEMS
    assert sum(map(len, [*found, *found.values()])) < 200_000
