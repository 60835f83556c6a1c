"""Random plans that are right by construction, and what may happen to one."""

from __future__ import annotations

import copy
from typing import Any

import polars as pl
from hypothesis import strategies as st

from stupid_dagster.query import SnapshotReader
from stupid_dagster.query.frames import is_hash
from stupid_dagster.query.knowledge import KNOWLEDGE_TABLES
from stupid_dagster.query.plans.context import Schema
from stupid_dagster.query.plans.form import OPS
from stupid_dagster.query.plans.validate import output_schemas, validate_plan

Draw = Any
SOURCES = [op for op in OPS if not op.startswith("table.")]
WORDS = ["JFK", "EWR", "aircraft:N328AA", "airport:JFK", "carrier:B6", "cluster:0", "departures"]
DAYS = ["2013-02-06", "2013-02-08", "2013-02-09"]
TABLES = [
    *("anomalies", "clusters", "cluster_members", "trends", "graph_nodes", "graph_edges"),
    *("text_clusters", "patterns", "history", "insights", "pagerank"),
]
_VALUES: dict[Any, Any] = {
    pl.String: st.sampled_from(WORDS) | st.text(max_size=3),
    pl.Boolean: st.booleans(),
    pl.Date: st.sampled_from(DAYS),
    pl.Datetime: st.sampled_from([f"{day}T12:00:00Z" for day in DAYS]),
}


@st.composite
def plans(draw: Draw, reader: SnapshotReader, most: int = 5) -> dict[str, Any]:
    """Return a plan of a few steps, of which later ones rest on earlier ones."""
    steps: list[dict[str, Any]] = []
    for number in range(draw(st.integers(1, most))):
        schemas = {}
        if steps:
            schemas = output_schemas(reader, validate_plan(reader, {"steps": steps}))
        op = draw(st.sampled_from(OPS if steps else SOURCES))
        step = _Step(draw, reader, schemas)
        if (op == "table.join" and not step.pairs()) or (
            op == "table.timeline" and not step.timed()
        ):
            op = "table.filter"
        params = getattr(step, op.replace(".", "_"))()
        steps.append({"id": f"s{number}", "op": op, "params": params})
    return {"steps": draw(st.permutations(steps))}


class _Step:
    def __init__(self, draw: Draw, reader: SnapshotReader, schemas: dict[str, Schema]) -> None:
        self.draw = draw
        self.reader = reader
        self.schemas = schemas

    def one(self, choices: Any) -> Any:
        return self.draw(st.sampled_from(list(choices)))

    def maybe(self, **parts: Any) -> dict[str, Any]:
        return {name: value() for name, value in parts.items() if self.draw(st.booleans())}

    def limit(self) -> int:
        return self.one([1, 3, 20, 5000])

    def documents_scan(self) -> dict[str, Any]:
        event_type = self.one(self.reader.catalog()["events"])
        schema = self.reader.document_schema(event_type)
        return {"event_type": event_type} | self.maybe(
            first_day=lambda: DAYS[0],
            last_day=lambda: DAYS[-1],
            since=lambda: "2013-02-07T10:00:00Z",
            until=lambda: "2013-02-09T10:00:00-05:00",
            actor=lambda: self.entities(["aircraft:N328AA", "aircraft:"]),
            **self.narrowed(schema, {"doc_id": pl.String(), **schema}),
        )

    def knowledge_read(self) -> dict[str, Any]:
        table = self.one(TABLES)
        schema = self.reader.knowledge_schema(table)
        return {"table": table} | self.maybe(**self.narrowed(schema, schema))

    def narrowed(self, schema: Schema, shown: Schema) -> dict[str, Any]:
        return {
            "filters": lambda: [self.filter(schema) for _ in range(self.one([1, 2]))],
            "columns": lambda: [self.one(shown) for _ in range(3)],
            "sort": lambda: self.one(["", "-"]) + self.one(self.flat(schema)),
            "limit": self.limit,
        }

    def flat(self, schema: Schema) -> list[str]:
        return [name for name, dtype in schema.items() if not dtype.is_nested()]

    def filter(self, schema: Schema) -> dict[str, Any]:
        name = self.one(self.flat(schema))
        dtype = schema[name]
        if self.draw(st.booleans()) and dtype == pl.String and (texts := self.texts()):
            return {"field": name, "op": "in", "value": self.one(texts)}
        if is_hash(name, dtype):
            return {"field": name, "op": self.one(["eq", "ne"]), "value": "00" * 8}
        ops = ["eq", "ne", "in"]
        if dtype != pl.Boolean:
            ops += ["lt", "ge"]
        if dtype == pl.String:
            ops += ["contains", "starts_with"]
        values = _VALUES.get(dtype.base_type(), st.integers(0, 200))
        op = self.one([*ops, "is_null"])
        if op == "is_null":
            return {"field": name, "op": op, "value": self.draw(st.booleans())}
        value = self.draw(values)
        return {"field": name, "op": op, "value": [value] if op == "in" else value}

    def texts(self) -> list[dict[str, str]]:
        """Return references to texts."""
        return [
            {"ref": step, "field": name}
            for step, schema in self.schemas.items()
            for name, dtype in schema.items()
            if dtype in (pl.String, pl.List(pl.String))
        ]

    def entities(self, some: list[str]) -> Any:
        return self.one([some[0], some, *self.texts()])

    def vectors_search(self) -> dict[str, Any]:
        document = {"document": "2013-02-08/Departure/17", "mode": "vector"}
        modes = [{"text": "snow", "mode": mode} for mode in ("vector", "text", "hybrid")]
        return self.one([document, *modes]) | self.maybe(
            event_types=lambda: ["Departure"],
            first_day=lambda: DAYS[0],
            limit=lambda: 5,
        )

    def walked(self) -> dict[str, Any]:
        return self.maybe(
            edge_types=lambda: [self.one(self.reader.catalog()["edges"])],
            direction=lambda: self.one(["both", "out", "in"]),
        )

    def graph_neighbors(self) -> dict[str, Any]:
        start = self.entities(["airport:JFK", "carrier:B6", "carrier:none"])
        return {"start": start} | self.walked() | self.maybe(limit=self.limit)

    def graph_traverse(self) -> dict[str, Any]:
        depth = self.maybe(depth=lambda: self.one([1, 2]))
        return self.graph_neighbors() | depth

    def graph_path(self) -> dict[str, Any]:
        ends = {"source": "airport:JFK", "target": self.one(["carrier:B6", "airport:nowhere"])}
        return ends | self.walked() | self.maybe(weighted=lambda: True)

    def source(self) -> tuple[dict[str, str], Schema]:
        name = self.one(self.schemas)
        return {"ref": name}, self.schemas[name]

    def table_filter(self) -> dict[str, Any]:
        rows, schema = self.source()
        parts = self.narrowed(schema, schema) if self.flat(schema) else {"limit": self.limit}
        return {"rows": rows} | self.maybe(**parts)

    def pairs(self) -> list[tuple[str, str, str, str]]:
        """Return what can be joined: two steps, and a column of each."""
        return [
            (left, right, a, b)
            for left, first in self.schemas.items()
            for right, second in self.schemas.items()
            for a in self.flat(first)
            for b in self.flat(second)
            if first[a] == second[b]
            and not any(f"{column}_right" in (*first, *second) for column in (*first, *second))
        ]

    def table_join(self) -> dict[str, Any]:
        left, right, a, b = self.one(self.pairs())
        how = self.one(["inner", "left", "semi", "anti"])
        refs = {"left": {"ref": left}, "right": {"ref": right}}
        return {**refs, "left_on": [a], "right_on": [b], "how": how}

    def measures(self, schema: Schema) -> list[dict[str, Any]]:
        numeric = [name for name, dtype in schema.items() if dtype.is_numeric()]
        found: list[dict[str, Any]] = [{"op": "count", "name": "\u2116"}]
        if numeric:
            op = self.one(["sum", "mean", "median", "min", "max", "p95", "count_distinct"])
            found.append({"op": op, "field": self.one(numeric), "name": "made"})
        return found

    def table_aggregate(self) -> dict[str, Any]:
        rows, schema = self.source()
        known = [name for name in self.flat(schema) if name not in ("\u2116", "made")]
        by = list(dict.fromkeys(self.one(known) for _ in range(self.one([0, 1, 2])) if known))
        return {"rows": rows, "by": by, "measures": self.measures(schema)}

    def timed(self) -> list[tuple[str, str]]:
        """Return the steps and their columns that hold times."""
        return [
            (step, name)
            for step, schema in self.schemas.items()
            for name, dtype in schema.items()
            if dtype in (pl.Datetime, pl.Date)
        ]

    def table_timeline(self) -> dict[str, Any]:
        step, name = self.one(self.timed())
        every = self.one(["1m", "15m", "1h", "6h", "1d"])
        measures = self.measures(self.schemas[step])
        return {"rows": {"ref": step}, "time": name, "every": every, "measures": measures}

    def table_contrast(self) -> dict[str, Any]:
        actors = self.one([["aircraft:N328AA"], *self.texts()])
        return {"actors": actors} | self.maybe(limit=self.limit)


ODD: Any = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["\ud800", "x" * 20_000, 10**30, -1, "s0", "s9", "2013-02-08", b"x"]),
    st.sampled_from([[], {}, [[]], {"ref": "s0"}, {"ref": "s0", "field": "actor"}, {"ref": []}]),
    st.recursive(
        st.none() | st.text(max_size=3),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
        max_leaves=10,
    ),
)


@st.composite
def mutated(draw: Draw, reader: SnapshotReader) -> Any:
    """Return a plan to which a few things have happened."""
    plan = copy.deepcopy(draw(plans(reader, most=3)))
    for _ in range(draw(st.integers(1, 3))):
        container: Any = plan
        for _ in range(draw(st.integers(0, 6))):
            inner = container.values() if isinstance(container, dict) else container
            deeper = [value for value in inner if isinstance(value, dict | list) and value]
            if not deeper:
                break
            container = deeper[draw(st.integers(0, len(deeper) - 1))]
        places = list(container) if isinstance(container, dict) else range(len(container))
        place = draw(st.sampled_from(list(places)))
        match draw(st.sampled_from(["replace", "remove", "add"])):
            case "replace":
                container[place] = copy.deepcopy(draw(ODD))
            case "remove":
                del container[place]
            case _ if isinstance(container, dict):
                container[draw(st.text(max_size=8))] = copy.deepcopy(draw(ODD))
            case _:
                container.append(
                    copy.deepcopy(draw(st.sampled_from(container)) if container else 1)
                )
        if not plan:
            break
    return plan


assert set(TABLES) <= set(KNOWLEDGE_TABLES)
