"""What each op demands of its parameters, and which columns its rows have: a function each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from stupid_dagster.compute.contrast import CONTRAST_SCHEMA
from stupid_dagster.compute.graph.paths import STEP_SCHEMA
from stupid_dagster.compute.graph.traversal import TRAVERSAL_SCHEMA
from stupid_dagster.errors import MissingVersionError, NotFoundError
from stupid_dagster.query.days import day_of, snapshot_days, utc
from stupid_dagster.query.documents import row_count
from stupid_dagster.query.frames import shown_schema
from stupid_dagster.query.knowledge import KNOWLEDGE_TABLES
from stupid_dagster.query.paths import MOST_DEPTH
from stupid_dagster.query.plans import model
from stupid_dagster.query.plans.context import Schema, StepContext, fit, instance, meaning
from stupid_dagster.query.plans.problems import quoted, unknown
from stupid_dagster.query.plans.tables import aggregate, join_rows, joined_names, timeline
from stupid_dagster.query.search import MOST_TEXT
from stupid_dagster.stores.documents import parse_document_id
from stupid_dagster.stores.graph.reader import NEIGHBOR_SCHEMA
from stupid_dagster.stores.vectors import RESULT_SCHEMA


def checked_schema(step: model.Step, context: StepContext) -> Schema | None:
    """Check a step's parameters; return the columns of its rows, None where they aren't known."""
    return _CHECKS[step.op](step.params, context)


def _documents_scan(p: model.DocumentsScan, c: StepContext) -> Schema | None:
    _days(p.first_day, p.last_day, c)
    _times(p, c)
    c.limit(p.limit)
    if p.actor is not None:
        c.ids("actor", p.actor, [c.catalog["actor"]])
    if p.event_type not in c.catalog["events"]:
        c.add("event_type", unknown("event type", p.event_type, c.catalog["events"]))
        return None
    schema = c.reader.document_schema(p.event_type)
    c.filters(p.filters, schema)
    c.sort(p.sort, schema)
    shown = {"doc_id": pl.String(), **shown_schema(schema)}
    return {"doc_id": pl.String(), **c.columns("columns", p.columns, shown)}


def _days(first: date | None, last: date | None, c: StepContext) -> None:
    c.attempt(
        "first_day" if first else "last_day", lambda: snapshot_days(c.reader.manifest, first, last)
    )


def _times(p: model.DocumentsScan, c: StepContext) -> None:
    zone = ZoneInfo(c.catalog["timezone"])
    since = c.attempt("since", lambda: p.since and utc(p.since, "since"))
    until = c.attempt("until", lambda: p.until and utc(p.until, "until"))
    if since and until and since >= until:
        c.add("since", "must be before until")
        return
    # The last moment that is included is just before `until`.
    ends = {"since": since, "until": until and until - timedelta(milliseconds=1)}
    first, last = c.reader.manifest.first_day, c.reader.manifest.last_day
    for part, moment in ends.items():
        if moment and not first <= day_of(moment, zone) <= last:
            c.add(part, f"{moment.isoformat()} isn't within the window, {first} to {last}")


def _vectors_search(p: model.VectorsSearch, c: StepContext) -> Schema:
    if (p.text is None) == (p.document is None):
        c.add("text", "give either a text or a document")
    if p.text is not None and (not p.text.strip() or len(p.text) > MOST_TEXT):
        c.add("text", f"it has {len(p.text)} characters; give from 1 to {MOST_TEXT}")
    if p.document is not None:
        _document(p.document, c)
        if p.mode != "vector":
            c.add("mode", f"{p.mode} needs a text; a document's is known by its meaning only")
    for index, name in enumerate(p.event_types or ()):
        if name not in c.catalog["events"]:
            place = c.place("event_types", index)
            c.add(f"event_types[{place}]", unknown("event type", name, c.catalog["events"]))
    _days(p.first_day, p.last_day, c)
    c.limit(p.limit)
    return shown_schema(RESULT_SCHEMA)


def _document(doc_id: str, c: StepContext) -> None:
    try:
        day, event_type, row = parse_document_id(doc_id[:400])
    except NotFoundError as error:
        c.add("document", str(error))
        return
    version = c.reader.snapshot.day("documents", day)
    if version is None or row >= row_count(version, event_type):
        c.add("document", f"the snapshot has no document {quoted(doc_id)}")


def _edges(edge_types: Sequence[str] | None, c: StepContext) -> None:
    for index, name in enumerate(edge_types or ()):
        if name not in c.catalog["edges"]:
            place = f"edge_types[{c.place('edge_types', index)}]"
            c.add(place, unknown("edge type", name, c.catalog["edges"]))


def _graph_neighbors(p: model.GraphNeighbors, c: StepContext) -> Schema:
    c.ids("start", p.start, c.catalog["entities"])
    _edges(p.edge_types, c)
    c.limit(p.limit)
    return {"entity_id": pl.String(), **NEIGHBOR_SCHEMA}


def _graph_traverse(p: model.GraphTraverse, c: StepContext) -> Schema:
    c.ids("start", p.start, c.catalog["entities"])
    _edges(p.edge_types, c)
    if not 1 <= p.depth <= MOST_DEPTH:
        c.add("depth", f"{p.depth}: a walk goes from 1 to {MOST_DEPTH} steps")
    c.limit(p.limit)
    return TRAVERSAL_SCHEMA


def _graph_path(p: model.GraphPath, c: StepContext) -> Schema:
    c.ids("source", p.source, c.catalog["entities"])
    c.ids("target", p.target, c.catalog["entities"])
    _edges(p.edge_types, c)
    return STEP_SCHEMA


def _knowledge_read(p: model.KnowledgeRead, c: StepContext) -> Schema | None:
    c.limit(p.limit)
    if p.table not in KNOWLEDGE_TABLES:
        c.add("table", unknown("knowledge table", p.table, KNOWLEDGE_TABLES))
        return None
    try:
        schema = c.reader.knowledge_schema(p.table)
    except MissingVersionError as error:
        c.add("table", str(error))
        return None
    c.filters(p.filters, schema)
    c.sort(p.sort, schema)
    return c.columns("columns", p.columns, shown_schema(schema))


def _table_filter(p: model.TableFilter, c: StepContext) -> Schema | None:
    c.limit(p.limit)
    schema = c.rows(p.rows)
    if schema is None:
        return None
    c.filters(p.filters, schema)
    c.sort(p.sort, schema)
    return c.columns("columns", p.columns, schema)


def _table_join(p: model.TableJoin, c: StepContext) -> Schema | None:
    c.limit(p.limit)
    left, right = c.rows(p.left), c.rows(p.right)
    good = len(p.left_on) == len(p.right_on) > 0
    if not good:
        c.add("left_on", "left_on and right_on name as many columns each, one or more")
    for part, schema, names in (("left_on", left, p.left_on), ("right_on", right, p.right_on)):
        for index, name in enumerate(names if schema else ()):
            assert schema is not None
            good &= c.column(f"{part}[{c.place(part, index)}]", name, schema, flat=True)
    if not good or left is None or right is None:
        return None
    for index, (a, b) in enumerate(zip(p.left_on, p.right_on, strict=True)):
        if not fit(left[a], right[b]):
            words = f"holds {meaning(left[a])}, and {quoted(b)} of the right {meaning(right[b])}"
            c.add(f"left_on[{c.place('left_on', index)}]", f"{quoted(a)} {words}")
            good = False
    if p.how in ("inner", "left") and good:
        names = [*left, *joined_names(list(left), list(right), p.left_on, p.right_on).values()]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            both = ", ".join(sorted(twice))
            c.add("right", f"both sides would give {quoted(both)}: choose other columns before")
            good = False
    if not good:
        return None
    return join_rows(_empty(left), _empty(right), p.left_on, p.right_on, p.how, 1).rows.schema


def _table_aggregate(p: model.TableAggregate, c: StepContext) -> Schema | None:
    c.limit(p.limit)
    schema = c.rows(p.rows)
    if schema is None or not c.groups(p.by, p.measures, schema):
        return None
    made = aggregate(_empty(schema), p.by, p.measures, None, 1).rows.schema
    c.sort(p.sort, made)
    return made


def _table_timeline(p: model.TableTimeline, c: StepContext) -> Schema | None:
    c.limit(p.limit)
    schema = c.rows(p.rows)
    if schema is None:
        return None
    good = c.column("time", p.time, schema)
    if good and schema[p.time] not in (pl.Datetime, pl.Date):
        c.add("time", f"{quoted(p.time)} holds {meaning(schema[p.time])}, not times")
        good = False
    # By its own begin it is grouped anyway.
    if not c.groups([p.time, *p.by] if good else p.by, p.measures, schema) or not good:
        return None
    if p.time in p.by:
        c.add("by", f"{quoted(p.time)} is the time itself")
        return None
    zone = ZoneInfo(c.catalog["timezone"])
    return timeline(_empty(schema), p.time, p.every, zone, p.by, p.measures, 1).rows.schema


def _table_contrast(p: model.TableContrast, c: StepContext) -> Schema | None:
    c.ids("actors", p.actors, [c.catalog["actor"]])
    c.limit(p.limit)
    return {name: instance(dtype) for name, dtype in CONTRAST_SCHEMA.items()}


def _empty(schema: Schema) -> pl.DataFrame:
    return pl.DataFrame(schema=dict(schema))


_CHECKS: dict[str, Callable[[Any, StepContext], Schema | None]] = {
    "documents.scan": _documents_scan,
    "vectors.search": _vectors_search,
    "graph.neighbors": _graph_neighbors,
    "graph.traverse": _graph_traverse,
    "graph.path": _graph_path,
    "knowledge.read": _knowledge_read,
    "table.filter": _table_filter,
    "table.join": _table_join,
    "table.aggregate": _table_aggregate,
    "table.timeline": _table_timeline,
    "table.contrast": _table_contrast,
}
