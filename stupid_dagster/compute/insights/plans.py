"""Query plans that follow an insight up.

A plan has the form of `query/plans/model.py`: steps `{id, op, params, depends_on}`, of which
parameters may refer to earlier steps by `{"ref": "s1"}` (all of its rows) or
`{"ref": "s1", "field": "actor"}` (the distinct values of a column), and `render`, which says what
to show.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from stupid_dagster.event_model import EventModel, measured_event_types
from stupid_dagster.stores.documents import parse_document_id

Plan = dict[str, Any]
Filter = dict[str, Any]
Shown = Literal["table", "line", "bar", "graph"]
MAX_ROWS = 1_000
MAX_EVENT_TYPES = 3
"""Event types of whose documents a plan reads, at most."""


def where(column: str, op: str, value: Any) -> Filter:
    """Return a condition on a column; `op` is one of those of `query/filters.py`."""
    return {"field": column, "op": op, "value": value}


def ref(step: str, column: str | None = None) -> dict[str, str]:
    """Return a reference to a step's rows, or to the values of one of their columns."""
    return {"ref": step} if column is None else {"ref": step, "field": column}


@dataclass
class Steps:
    """The steps of a plan in the making; each method adds one and returns its id.

    What a step depends on follows from the references in its parameters.
    """

    steps: list[dict[str, Any]] = field(default_factory=list)

    def _add(self, op: str, **params: Any) -> str:
        step = f"s{len(self.steps) + 1}"
        given = {name: value for name, value in params.items() if value is not None}
        depends_on = sorted(set(_references(given)), key=lambda name: int(name[1:]))
        self.steps.append({"id": step, "op": op, "params": given, "depends_on": depends_on})
        return step

    def read(
        self,
        table: str,
        *filters: Filter,
        columns: Sequence[str] | None = None,
        sort: str | None = None,
        limit: int | None = MAX_ROWS,
    ) -> str:
        """Add the reading of a knowledge table; `sort` is a column, descending after a `-`.

        `limit` None: as many rows as a step may have.
        """
        return self._add(
            "knowledge.read",
            table=table,
            filters=list(filters),
            columns=columns,
            sort=sort,
            limit=limit,
        )

    def documents(
        self,
        event_type: str,
        first_day: dt.date,
        last_day: dt.date,
        *filters: Filter,
        actor: Any = None,
    ) -> str:
        """Add the reading of an event type's documents, of an actor (or the actors of a `ref`)."""
        return self._add(
            "documents.scan",
            event_type=event_type,
            first_day=first_day.isoformat(),
            last_day=last_day.isoformat(),
            actor=actor,
            filters=list(filters),
            limit=MAX_ROWS,
        )

    def count(self, rows: str, *by: str) -> str:
        """Add the counting of a step's rows by columns."""
        return self._add("table.aggregate", rows=ref(rows), by=list(by), measures=[{"op": "count"}])

    def timeline(self, rows: str, every: str = "1h") -> str:
        """Add the counting of a step's documents by time."""
        return self._add("table.timeline", rows=ref(rows), time="timestamp", every=every)

    def contrast(self, step: str, column: str) -> str:
        """Add what sets the actors in a step's column apart from all others."""
        return self._add("table.contrast", actors=ref(step, column))

    def traverse(self, start: Any, depth: int, *edge_types: str) -> str:
        """Add a walk from an entity (or those of a `ref`) along edges of some types, or all."""
        return self._add(
            "graph.traverse", start=start, depth=depth, edge_types=list(edge_types) or None
        )

    def similar(self, text: str, limit: int = 20) -> str:
        """Add the search for the texts nearest to a text."""
        return self._add("vectors.search", text=text, limit=limit)

    def plan(self, step: str, shown: Shown, title: str, x: str = "", *y: str) -> Plan:
        """Return the plan, which shows the rows of a step; lines and bars column `y` over `x`."""
        render: dict[str, Any] = {"type": shown, "step": step, "title": title}
        return {"steps": self.steps, "render": render | ({"x": x, "y": list(y)} if x else {})}


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "ref" in value:
            yield value["ref"]
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from _references(part)


def trend_plan(
    model: EventModel,
    metric: str,
    peak: dict[str, Any],
    members: Sequence[str],
    title: str,
) -> Plan:
    """Return the plan for a metric: its course, and the documents behind its peak by driver.

    `peak` is a row of the table `trends` with its local `day`; `members` are those of its
    dimension that are off.
    """
    steps = Steps()
    grain, dimension = peak["grain"], peak["dimension"]
    same = [where("grain", "eq", grain), where("metric", "eq", metric)]
    of_dimension = where("dimension", "eq", dimension)
    of_members = [where("member", "in", list(members))] if dimension else []
    course = steps.read("trends", *same, of_dimension, *of_members, sort="time")
    for event_type in _event_types(model, metric):
        known = model.events[event_type].fields
        wanted = [
            where(name, "in", values)
            for name, values in _conditions(model, metric).items()
            if name in known
        ]
        if dimension in known:
            wanted.append(where(dimension, "in", list(members)))
        if grain == "hour":
            end = peak["time"] + dt.timedelta(hours=1)
            wanted += [
                where("timestamp", "ge", peak["time"].isoformat()),
                where("timestamp", "lt", end.isoformat()),
            ]
        documents = steps.documents(event_type, peak["day"], peak["day"], *wanted)
        drivers = [driver["dimension"] for driver in peak["drivers"] or []]
        if by := [name for name in dict.fromkeys(drivers) if name in known][:1]:
            steps.count(documents, *by)
    return steps.plan(course, "line", title, "time", "value")


def new_actors_plan(model: EventModel, peak: dict[str, Any], metric: str, title: str) -> Plan:
    """Return the plan for a day of many or few new actors: who they are, what sets them apart."""
    steps = Steps()
    course = steps.read("trends", where("metric", "eq", metric), sort="time")
    new = steps.read(
        "graph_nodes",
        where("type", "eq", model.actor),
        where("first_seen", "ge", peak["time"].isoformat()),
        where("first_seen", "lt", (peak["time"] + dt.timedelta(days=1)).isoformat()),
        limit=None,
    )
    steps.contrast(new, "entity_id")
    return steps.plan(course, "line", title, "time", "value")


def sizes_plan(kind: str, groups: Sequence[str], title: str) -> Plan:
    """Return the plan for groups of unusual size: what happened to them, and their course."""
    steps = Steps()
    changes = steps.read(f"{kind}_changes", where("group_id", "in", list(groups)))
    steps.read("history", where("kind", "eq", kind), where("name", "in", list(groups)), sort="day")
    return steps.plan(changes, "table", title)


def actor_plan(actor: str, documents: Iterable[str], relations: Sequence[str], title: str) -> Plan:
    """Return the plan for an anomalous actor: its scores, documents of the day, and links."""
    steps = Steps()
    scores = steps.read("anomalies", where("actor", "eq", actor))
    _timelines(steps, documents, ref(scores, "actor"))
    steps.traverse(ref(scores, "actor"), 1, *relations)
    return steps.plan(scores, "table", title)


def actors_plan(least_score: float, title: str) -> Plan:
    """Return the plan for all anomalous actors: what sets them apart, and what they share."""
    steps = Steps()
    actors = steps.read("anomalies", where("score", "ge", least_score), sort="rank")
    steps.contrast(actors, "actor")
    steps.read("anomaly_causes", sort="p_value")
    return steps.plan(actors, "table", title)


def cause_plan(entity: str, relation: str, title: str) -> Plan:
    """Return the plan for what anomalous actors share: all who are linked, and their scores."""
    steps = Steps()
    linked = steps.traverse(entity, 1, relation)
    scores = steps.read("anomalies", where("actor", "in", ref(linked, "entity_id")), sort="-score")
    steps.contrast(scores, "actor")
    return steps.plan(scores, "table", title)


def bots_plan(groups: list[str], text: str, examples: Iterable[str], title: str) -> Plan:
    """Return the plan for bot candidates: their beat, what sets them apart, and who is alike."""
    steps = Steps()
    actors = steps.read("bot_candidates", where("group_id", "in", groups))
    _timelines(steps, examples, ref(actors, "actor"))
    steps.contrast(actors, "actor")
    steps.similar(text)
    return steps.plan(actors, "table", title)


def pattern_plan(
    pattern: str, event_types: Sequence[str], first_day: dt.date, last_day: dt.date, title: str
) -> Plan:
    """Return the plan for a pattern: its numbers, and what those did who show it."""
    steps = Steps()
    found = steps.read("patterns", where("pattern_id", "eq", pattern))
    for event_type in list(dict.fromkeys(event_types))[:MAX_EVENT_TYPES]:
        steps.documents(event_type, first_day, last_day, actor=ref(found, "examples"))
    return steps.plan(found, "table", title)


def cluster_plan(cluster: str, title: str) -> Plan:
    """Return the plan for a segment: its members, what sets them apart, what they are linked to."""
    steps = Steps()
    mine = where("cluster_id", "eq", cluster)
    members = steps.read("cluster_members", mine, sort="distance", limit=None)
    apart = steps.contrast(members, "actor")
    steps.read("cluster_entities", mine, sort="lift_rank", limit=50)
    return steps.plan(apart, "bar", title, "name", "z")


def community_plan(model: EventModel, community: str, key_members: list[str], title: str) -> Plan:
    """Return the plan for a community: its actors, what sets them apart, and its centre."""
    steps = Steps()
    actors = steps.read(
        "community_members",
        where("community_id", "eq", community),
        where("type", "eq", model.actor),
        limit=None,
    )
    steps.contrast(actors, "entity_id")
    if not key_members:
        return steps.plan(actors, "table", title)
    return steps.plan(steps.traverse(key_members[0], 1), "graph", title)


def moves_plan(kind: str, from_id: str, to_ids: Sequence[str], title: str) -> Plan:
    """Return the plan for members that left a group: where they went."""
    steps = Steps()
    moves = steps.read(f"{kind}_moves", where("from_id", "eq", from_id), sort="-members")
    if to_ids:
        steps.read(f"{kind}_changes", where("group_id", "in", [from_id, *to_ids]))
    return steps.plan(moves, "bar", title, "to_id", "members")


def resolved_plan(kind: str, subjects: list[str], title: str) -> Plan:
    """Return the plan for what has ceased: how its subjects are now."""
    steps = Steps()
    subjects = subjects[:MAX_ROWS]
    match kind:
        case "trend":
            now = steps.read("trends", where("metric", "in", subjects[:1]), sort="time")
        case "cause":
            now = steps.read("graph_nodes", where("entity_id", "in", subjects[:1]))
        case _:
            now = steps.read("anomalies", where("actor", "in", subjects), sort="rank")
    return steps.plan(now, "table", title)


def _timelines(steps: Steps, documents: Iterable[str], actor: Any) -> None:
    """Add the actors' documents of the example documents' types and days, and their timelines."""
    told = {parse_document_id(document)[:2] for document in documents}
    for day, event_type in sorted(told)[:MAX_EVENT_TYPES]:
        on = dt.date.fromisoformat(day)
        steps.timeline(steps.documents(event_type, on, on, actor=actor))


def _event_types(model: EventModel, metric: str) -> list[str]:
    rule = model.metrics[_counted(model, metric)]
    return measured_event_types(model, rule)[:MAX_EVENT_TYPES]


def _conditions(model: EventModel, metric: str) -> dict[str, list[str]]:
    return model.metrics[_counted(model, metric)].where


def _counted(model: EventModel, metric: str) -> str:
    """Return the metric itself, of a ratio its numerator."""
    ratio = model.metrics[metric].ratio
    return ratio.numerator if ratio else metric
