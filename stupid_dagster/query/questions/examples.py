"""Questions with their plans, built from the event model and the snapshot: never of one domain.

Each shows ops in the roles that the model gives its parts: the busiest event type, a field that
metrics are split by, a number, the actor and what it is linked to.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from stupid_dagster.event_model import EventModel, measured_event_types
from stupid_dagster.query.filters import Filter
from stupid_dagster.query.reader import SnapshotReader

Example = tuple[str, dict[str, Any]]


def plan_examples(reader: SnapshotReader) -> list[Example]:
    """Return questions and plans that are valid for the snapshot, the commonest ops first."""
    model, catalog = reader.project.model, reader.catalog()
    busiest = max(model.events, key=lambda name: catalog["events"][name]["documents"])
    return [
        *_counted(model, reader.manifest.last_day),
        *_averaged(model),
        *_followed(model),
        *_anomalous(model),
        *_linked(reader),
        *_missing(model),
        _searched(busiest),
        _by_hour(busiest, reader.manifest.last_day),
    ]


def _step(name: str, op: str, **params: Any) -> dict[str, Any]:
    return {"id": name, "op": op, "params": params}


def _plan(title: str, *steps: dict[str, Any], shown: str = "table", **axes: Any) -> dict[str, Any]:
    render = {"type": shown, "step": steps[-1]["id"], "title": title, **axes}
    return {"steps": [*steps], "render": render}


def _rows(step: str) -> dict[str, str]:
    return {"ref": step}


def _values(step: str, column: str) -> dict[str, str]:
    return {"ref": step, "field": column}


def _where(column: str, op: str, value: Any) -> dict[str, Any]:
    return {"field": column, "op": op, "value": value}


def _split(model: EventModel) -> Iterator[tuple[str, str, str]]:
    """Yield metrics with a stored field that they are split by, and the event type of both."""
    for name, metric in model.metrics.items():
        if metric.kind == "ratio":
            continue
        for event_type in measured_event_types(model, metric):
            for field in metric.by:
                if field in model.events[event_type].fields:
                    yield name, field, event_type


def _counted(model: EventModel, day: str) -> Iterator[Example]:
    for _, field, event_type in [*_split(model)][:1]:
        scan = _step(
            "s1",
            "documents.scan",
            event_type=event_type,
            first_day=day,
            last_day=day,
            columns=[field],
        )
        count = _step("s2", "table.aggregate", rows=_rows("s1"), by=[field])
        title = f"{event_type} on {day} by {field}"
        yield f"How many {event_type} were there on {day} by {field}?", _plan(title, scan, count)


def _averaged(model: EventModel) -> Iterator[Example]:
    found = (
        (event_type, field, by)
        for _, by, event_type in _split(model)
        for field in model.events[event_type].fields
        if model.field_type(field) in ("integer", "float")
    )
    for event_type, field, by in [*found][:1]:
        scan = _step("s1", "documents.scan", event_type=event_type, columns=[field, by])
        measures = [{"op": "mean", "field": field, "name": "mean"}, {"op": "count"}]
        means = _step(
            "s2", "table.aggregate", rows=_rows("s1"), by=[by], measures=measures, sort="-mean"
        )
        title = f"Mean {field} by {by}"
        yield (
            f"Which {by} has the highest mean {field}?",
            _plan(title, scan, means, shown="bar", x=by, y=["mean"]),
        )


def _followed(model: EventModel) -> Iterator[Example]:
    for metric in [*model.metrics][:1]:
        whole = [
            _where("metric", "eq", metric),
            _where("grain", "eq", "day"),
            _where("dimension", "eq", ""),
        ]
        read = _step("s1", "knowledge.read", table="trends", filters=whole, sort="time")
        yield (
            f"How did {metric} develop from day to day?",
            _plan(f"{metric} by day", read, shown="line", x="time", y=["value"]),
        )


def _anomalous(model: EventModel) -> Iterator[Example]:
    read = _step("s1", "knowledge.read", table="anomalies", sort="rank", limit=20)
    apart = _step("s2", "table.contrast", actors=_values("s1", "actor"))
    yield (
        f"What sets the 20 most anomalous {model.actor} apart from the rest?",
        _plan("What sets them apart", read, apart),
    )


def _linked(reader: SnapshotReader) -> Iterator[Example]:
    """Yield what is done with the graph, about entities that are there."""
    model = reader.project.model
    for name, edge in model.edges.items():
        source, target = edge.ends
        if source != model.actor or target == model.actor:
            continue
        of_type = [Filter(field="type", op="eq", value=target)]
        top = reader.knowledge("pagerank", filters=of_type, sort="rank", limit=2)
        ids = top.rows["entity_id"].to_list()
        if len(ids) < 2:
            continue
        actors = _step(
            "s1", "graph.neighbors", start=ids[0], edge_types=[name], direction="in", limit=1000
        )
        scored = _step(
            "s2",
            "knowledge.read",
            table="anomalies",
            filters=[_where("actor", "in", _values("s1", "neighbor"))],
            sort="-score",
        )
        yield (
            f"Which {source} with an edge {name} to {ids[0]} are anomalous?",
            _plan("Anomalous ones", actors, scored),
        )
        path = _step("s1", "graph.path", source=ids[0], target=ids[1])
        yield f"How are {ids[0]} and {ids[1]} connected?", _plan("The path", path, shown="graph")
        return


def _missing(model: EventModel) -> Iterator[Example]:
    spoken = [name for name, event in model.events.items() if model.actor in event.entities]
    for one, other in [*pairwise(spoken)][:1]:
        did = _step("s1", "documents.scan", event_type=one, columns=["actor"])
        also = _step("s2", "documents.scan", event_type=other, columns=["actor"])
        alone = _step(
            "s3",
            "table.join",
            left=_rows("s1"),
            right=_rows("s2"),
            left_on=["actor"],
            right_on=["actor"],
            how="anti",
        )
        count = _step(
            "s4",
            "table.aggregate",
            rows=_rows("s3"),
            measures=[{"op": "count_distinct", "field": "actor", "name": "actors"}],
        )
        yield (
            f"How many {model.actor} had {one} but never {other}?",
            _plan(f"{one} but no {other}", did, also, alone, count),
        )


def _searched(event_type: str) -> Example:
    find = _step(
        "s1", "vectors.search", text="something went wrong", event_types=[event_type], limit=10
    )
    return (
        f"Find {event_type} that sound as if something went wrong.",
        _plan("Nearest texts", find),
    )


def _by_hour(event_type: str, day: str) -> Example:
    scan = _step(
        "s1",
        "documents.scan",
        event_type=event_type,
        first_day=day,
        last_day=day,
        columns=["timestamp"],
    )
    hours = _step("s2", "table.timeline", rows=_rows("s1"), every="1h")
    return (
        f"When on {day} were there most {event_type}?",
        _plan(f"{event_type} by hour", scan, hours, shown="line", x="timestamp", y=["count"]),
    )
