"""What each op does: tables of earlier steps in, a table out; a function each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from stupid_dagster.compute.contrast import CONTRAST_SCHEMA
from stupid_dagster.compute.graph.paths import STEP_SCHEMA
from stupid_dagster.compute.graph.traversal import TRAVERSAL_SCHEMA
from stupid_dagster.errors import NotFoundError
from stupid_dagster.query.contrast import MOST_ACTORS
from stupid_dagster.query.filters import Filter, condition
from stupid_dagster.query.frames import shown_schema
from stupid_dagster.query.paging import Page
from stupid_dagster.query.plans import model, tables
from stupid_dagster.query.reader import SnapshotReader
from stupid_dagster.stores.vectors import RESULT_SCHEMA


@dataclass
class StepRun:
    """What an op works with: the snapshot, and the rows of the steps that it refers to.

    `notes` is what whoever reads the result should know.
    """

    reader: SnapshotReader
    inputs: Mapping[str, pl.DataFrame]
    notes: list[str] = field(default_factory=list)

    def rows(self, ref: model.RowsRef) -> pl.DataFrame:
        """Return the rows that are referred to."""
        return self.inputs[ref.ref]

    def values(self, ref: model.ValuesRef) -> pl.Series:
        """Return the distinct values that are referred to, as many as a step may have rows."""
        values = self.inputs[ref.ref][ref.field]
        if values.dtype == pl.List:
            values = values.explode(empty_as_null=False, keep_nulls=False)
        distinct = values.drop_nulls().unique(maintain_order=True)
        most = self.reader.project.settings.rows_most
        if distinct.len() > most:
            self.notes.append(
                f"{ref.ref}.{ref.field} has {distinct.len()} distinct values, of which the first "
                f"{most} were used"
            )
        return distinct.head(most)

    def entities(self, given: model.Entities) -> list[str]:
        """Return the ids that are given or referred to."""
        if isinstance(given, str):
            return [given]
        return self.values(given).to_list() if isinstance(given, model.ValuesRef) else given

    def known(self, ids: Sequence[str]) -> list[str]:
        """Return those of the ids that the graph has; reads its nodes."""
        wanted = Filter(field="entity_id", op="in", value=pl.Series(ids, dtype=pl.String))
        page = self.reader.knowledge("graph_nodes", filters=[wanted], limit=self.limit(None))
        there = set(page.rows["entity_id"])
        missing = [name for name in ids if name not in there]
        self.notes.append(
            f"the graph lacks {len(missing)} of the entities to start from, such as "
            f"{', '.join(name[:80] for name in missing[:3])}"
        )
        return [name for name in ids if name in there]

    def filters(self, filters: Sequence[model.PlanFilter]) -> list[Filter]:
        """Return conditions whose references are replaced by the values themselves."""
        return [
            Filter(field=one.field, op=one.op, value=self.values(one.value))
            if isinstance(one.value, model.ValuesRef)
            else Filter(field=one.field, op=one.op, value=one.value)
            for one in filters
        ]

    def limit(self, limit: int | None) -> int:
        """Return how many rows a step gives at most."""
        return limit or self.reader.project.settings.rows_most

    def zone(self) -> ZoneInfo:
        """Return the event model's timezone."""
        return ZoneInfo(self.reader.catalog()["timezone"])


def run_op(step: model.Step, run: StepRun) -> Page:
    """Return the rows of a step that was checked. Raises what the stores raise."""
    return _OPS[step.op](step.params, run)


def _documents_scan(p: model.DocumentsScan, run: StepRun) -> Page:
    filters = run.filters(p.filters)
    if isinstance(p.actor, str):
        filters.append(Filter(field="actor", op="eq", value=p.actor))
    elif p.actor is not None:
        actors = pl.Series(run.entities(p.actor), dtype=pl.String)
        filters.append(Filter(field="actor", op="in", value=actors))
    schema = shown_schema(run.reader.document_schema(p.event_type))
    columns = list(schema) if p.columns is None else [c for c in p.columns if c in schema]
    limit = run.limit(p.limit)
    if _met_by_none(filters):
        types = {name: schema[name] for name in dict.fromkeys(columns)}
        return _none({"doc_id": pl.String(), **types}, limit)
    return run.reader.documents(
        p.event_type,
        first_day=p.first_day,
        last_day=p.last_day,
        since=p.since,
        until=p.until,
        filters=filters,
        columns=columns,
        sort=p.sort,
        limit=limit,
    )


def _met_by_none(filters: Sequence[Filter]) -> bool:
    return any(isinstance(one.value, pl.Series) and not one.value.len() for one in filters)


def _none(schema: Mapping[str, Any], limit: int) -> Page:
    return Page(pl.DataFrame(schema=dict(schema)), limit, False, 0)


def _vectors_search(p: model.VectorsSearch, run: StepRun) -> Page:
    try:
        found = run.reader.search(
            p.text,
            document=p.document,
            mode=p.mode,
            event_types=p.event_types,
            first_day=p.first_day,
            last_day=p.last_day,
            limit=p.limit,
        )
    except NotFoundError as error:
        run.notes.append(str(error))
        return _none(shown_schema(RESULT_SCHEMA), p.limit)
    # There's always a next nearest text: what was left out is no part of the answer.
    return Page(found, p.limit, False)


def _graph_neighbors(p: model.GraphNeighbors, run: StepRun) -> Page:
    return run.reader.neighbors(
        run.entities(p.start),
        edge_types=p.edge_types,
        direction=p.direction,
        limit=run.limit(p.limit),
    )


def _graph_traverse(p: model.GraphTraverse, run: StepRun) -> Page:
    starts = run.entities(p.start)
    if starts:
        try:
            return _walk(starts, p, run)
        except NotFoundError:
            # Documents tell of more than the graph holds.
            starts = run.known(starts)
    return _walk(starts, p, run) if starts else _none(TRAVERSAL_SCHEMA, run.limit(p.limit))


def _walk(starts: Sequence[str], p: model.GraphTraverse, run: StepRun) -> Page:
    return run.reader.traverse(
        starts,
        edge_types=p.edge_types,
        direction=p.direction,
        depth=p.depth,
        limit=run.limit(p.limit),
    )


def _graph_path(p: model.GraphPath, run: StepRun) -> Page:
    limit = run.limit(None)
    try:
        found = run.reader.path(
            p.source,
            p.target,
            edge_types=p.edge_types,
            direction=p.direction,
            weighted=p.weighted,
        )
    except NotFoundError as error:
        run.notes.append(str(error))
        return _none(STEP_SCHEMA, limit)
    if found is None:
        run.notes.append(f"there is no path from {p.source} to {p.target}")
        return _none(STEP_SCHEMA, limit)
    if not found.path.exact:
        run.notes.append("the search was ended: a shorter path may exist")
    return tables.cut(found.edges, limit)


def _knowledge_read(p: model.KnowledgeRead, run: StepRun) -> Page:
    filters, limit = run.filters(p.filters), run.limit(p.limit)
    if _met_by_none(filters):
        schema = shown_schema(run.reader.knowledge_schema(p.table))
        return _none({name: schema[name] for name in p.columns or schema}, limit)
    return run.reader.knowledge(
        p.table, filters=filters, sort=p.sort, limit=limit, columns=p.columns
    )


def _table_filter(p: model.TableFilter, run: StepRun) -> Page:
    rows = run.rows(p.rows)
    wanted = condition(run.filters(p.filters), rows.schema)
    return tables.filter_rows(rows, wanted, p.columns, p.sort, run.limit(p.limit))


def _table_join(p: model.TableJoin, run: StepRun) -> Page:
    left, right = run.rows(p.left), run.rows(p.right)
    return tables.join_rows(left, right, p.left_on, p.right_on, p.how, run.limit(p.limit))


def _table_aggregate(p: model.TableAggregate, run: StepRun) -> Page:
    return tables.aggregate(run.rows(p.rows), p.by, p.measures, p.sort, run.limit(p.limit))


def _table_timeline(p: model.TableTimeline, run: StepRun) -> Page:
    return tables.timeline(
        run.rows(p.rows), p.time, p.every, run.zone(), p.by, p.measures, run.limit(p.limit)
    )


def _table_contrast(p: model.TableContrast, run: StepRun) -> Page:
    actors = run.entities(p.actors)
    if len(actors) > MOST_ACTORS:
        run.notes.append(f"the first {MOST_ACTORS} of {len(actors)} actors were compared")
    try:
        if actors:
            return run.reader.contrast(actors[:MOST_ACTORS], limit=p.limit)
        run.notes.append("there are no actors to compare")
    except NotFoundError as error:
        run.notes.append(str(error))
    return _none(CONTRAST_SCHEMA, p.limit)


_OPS: dict[str, Callable[[Any, StepRun], Page]] = {
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
