"""What a plan would read, step by step, from manifests and the files' own statistics."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pyarrow.parquet as pq

from stupid_dagster.query.days import day_of, snapshot_days, utc
from stupid_dagster.query.documents import row_count
from stupid_dagster.query.filters import Filter, condition
from stupid_dagster.query.frames import is_hash, reading
from stupid_dagster.query.plans import model
from stupid_dagster.query.plans.model import Plan, Step
from stupid_dagster.query.plans.run import render_of
from stupid_dagster.query.plans.validate import output_schemas
from stupid_dagster.query.reader import SnapshotReader
from stupid_dagster.stores.documents import file_of
from stupid_dagster.stores.lake import LakeFile
from stupid_dagster.stores.version import Version

_STORES = {
    "documents": "Parquet, a file per day and event type",
    "knowledge": "Parquet, a file per table",
    "vectors": "LanceDB",
    "graph": "arrays of edges, mapped into memory",
    "table": "memory",
}
GUESSED = {"eq": 0.1, "ne": 0.9, "contains": 0.1, "starts_with": 0.1}
GUESSED_RANGE = 1 / 3
"""Shares of rows that are guessed to meet a condition which statistics say nothing of.

Those of System R: Selinger et al., Access Path Selection in a Relational Database (1979).
"""


@dataclass
class ExplainedStep:
    """What a step would do. `level` is 1 for steps that run at once, 2 for those after them, ...

    `estimated_rows` is an estimate, None where nothing is known; `most_rows` is certain.
    """

    id: str
    op: str
    level: int
    depends_on: list[str]
    store: str
    files: int = 0
    bytes: int = 0
    stored_rows: int | None = None
    estimated_rows: int | None = None
    most_rows: int = 0
    pushed_down: list[str] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)


@dataclass
class ExplainedPlan:
    """The steps in the plan's order, and which of them would be shown."""

    steps: list[ExplainedStep]
    shown: str

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)


def explain_plan(reader: SnapshotReader, plan: Plan) -> ExplainedPlan:
    """Return what each step of a plan that `validate_plan` returned would read; runs nothing.

    Numbers of rows are estimated from the versions' metadata and the statistics of Parquet row
    groups. Raises SnapshotError for files that are gone.
    """
    done: dict[str, ExplainedStep] = {}
    waiting = list(plan.steps)
    while waiting:
        step = next(s for s in waiting if all(name in done for name in s.depends_on))
        waiting.remove(step)
        done[step.id] = _explained(reader, step, done)
    for name, schema in output_schemas(reader, plan).items():
        done[name].columns = list(schema)
    return ExplainedPlan([done[step.id] for step in plan.steps], render_of(plan).step)


def _explained(
    reader: SnapshotReader, step: Step, done: Mapping[str, ExplainedStep]
) -> ExplainedStep:
    level = 1 + max((done[name].level for name in step.depends_on), default=0)
    kind = step.op.split(".")[0]
    made = ExplainedStep(step.id, step.op, level, step.depends_on, _STORES[kind])
    limit = getattr(step.params, "limit", None)
    made.most_rows = limit or reader.project.settings.rows_most
    match step.params:
        case model.DocumentsScan():
            _documents(made, step.params, reader, done)
        case model.KnowledgeRead():
            _knowledge(made, step.params, reader, done)
        case model.VectorsSearch():
            _table(made, reader, "search_index")
            made.estimated_rows = made.most_rows
            names = ("event_types", "first_day", "last_day")
            made.pushed_down = _given(step.params, names)
        case model.GraphNeighbors() | model.GraphTraverse() | model.GraphPath():
            _table(made, reader, "graph_database")
            made.pushed_down = _given(step.params, ("edge_types", "direction", "limit"))
        case model.TableAggregate() if not step.params.by:
            made.estimated_rows = 1
        case model.TableFilter():
            rows = done[step.params.rows.ref].estimated_rows
            shares = [GUESSED.get(one.op, GUESSED_RANGE) for one in step.params.filters]
            made.estimated_rows = None if rows is None else round(rows * math.prod(shares))
    if made.estimated_rows is not None:
        made.estimated_rows = min(made.estimated_rows, made.most_rows)
    return made


def _given(params: Any, names: Iterable[str]) -> list[str]:
    values = {name: getattr(params, name, None) for name in names}
    return [f"{name} {_shown(value)}" for name, value in values.items() if value is not None]


def _shown(value: Any) -> str:
    if isinstance(value, model.ValuesRef):
        return f"{value.ref}.{value.field}"
    text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _conditions(filters: Iterable[model.PlanFilter]) -> list[str]:
    return [f"{one.field} {one.op} {_shown(one.value)}" for one in filters]


def _table(made: ExplainedStep, reader: SnapshotReader, table: str) -> None:
    version = reader.snapshot.window(table)
    made.files, made.bytes, made.stored_rows = len(version.files), version.bytes, version.rows


def _documents(
    made: ExplainedStep,
    p: model.DocumentsScan,
    reader: SnapshotReader,
    done: Mapping[str, ExplainedStep],
) -> None:
    schema = reader.document_schema(p.event_type)
    wanted = [*p.filters]
    for op, moment in (("ge", p.since), ("lt", p.until)):
        if moment:
            wanted.append(
                model.PlanFilter(field="timestamp", op=op, value=moment.isoformat())  # type: ignore[arg-type]
            )
    made.pushed_down = _given(p, ("first_day", "last_day", "actor")) + _conditions(wanted)
    if p.columns:
        made.pushed_down.append(f"columns {_shown(', '.join(p.columns))}")
    lake, versions = reader.project.lake, _versions(p, reader)
    found = [(v, file) for v in versions if (file := file_of(lake, v, p.event_type))]
    files = [file for _, file in found]
    made.files = len(files)
    made.bytes = sum(version.files[file.name].size for version, file in found)
    made.stored_rows = sum(row_count(version, p.event_type) for version, _ in found)
    expected = _estimated(files, wanted, schema, done)
    if p.actor is not None:
        # All have as many documents as each other, as far as is known.
        actors = reader.catalog()["entities"][reader.catalog()["actor"]]["nodes"]
        expected *= min(1.0, _count(p.actor, done) / max(1, actors))
    made.estimated_rows = round(expected)


def _count(given: model.Entities, done: Mapping[str, ExplainedStep]) -> int:
    if isinstance(given, model.ValuesRef):
        rows = done[given.ref]
        return rows.most_rows if rows.estimated_rows is None else rows.estimated_rows
    return 1 if isinstance(given, str) else len(given)


def _versions(p: model.DocumentsScan, reader: SnapshotReader) -> list[Version]:
    days = snapshot_days(reader.manifest, p.first_day, p.last_day)
    zone = ZoneInfo(reader.catalog()["timezone"])
    first = day_of(utc(p.since, "since"), zone) if p.since else days[0] if days else ""
    last = day_of(utc(p.until, "until"), zone) if p.until else days[-1] if days else ""
    found = (reader.snapshot.day("documents", day) for day in days if first <= day <= last)
    return [version for version in found if version]


def _knowledge(
    made: ExplainedStep,
    p: model.KnowledgeRead,
    reader: SnapshotReader,
    done: Mapping[str, ExplainedStep],
) -> None:
    _table(made, reader, p.table)
    made.pushed_down = _conditions(p.filters)
    version = reader.snapshot.window(p.table)
    parquet = [name for name in version.files if name.endswith(".parquet")]
    files = [reader.project.lake.file(version, name) for name in parquet]
    schema = reader.knowledge_schema(p.table)
    made.estimated_rows = round(_estimated(files, p.filters, schema, done))


def _estimated(
    files: Iterable[LakeFile],
    filters: Sequence[model.PlanFilter],
    schema: Mapping[str, pl.DataType],
    done: Mapping[str, ExplainedStep],
) -> float:
    """Return how many rows of Parquet files are expected to meet all conditions.

    Row groups whose smallest and largest values can't meet one have none. Of others the missing
    values are known, and the rest is guessed; conditions count as independent of each other.
    """
    rows = 0.0
    for file in files:
        with reading():
            metadata = file.footer()
        places = {metadata.schema.column(n).path: n for n in range(metadata.num_columns)}
        for index in range(metadata.num_row_groups):
            group = metadata.row_group(index)
            expected = float(group.num_rows)
            for one in filters:
                place = places.get(one.field)
                statistics = group.column(place).statistics if place is not None else None
                expected *= _share(one, group.num_rows, statistics, schema[one.field], done)
            rows += expected
    return rows


def _share(
    one: model.PlanFilter,
    rows: int,
    statistics: pq.Statistics | None,
    dtype: pl.DataType,
    done: Mapping[str, ExplainedStep],
) -> float:
    """Return the share of a row group's rows that is expected to meet a condition."""
    nulls = statistics.null_count / rows if statistics and statistics.has_null_count else 0.0
    if one.op == "is_null":
        return nulls if one.value in (True, "true") else 1 - nulls
    if isinstance(one.value, model.ValuesRef):
        count: int | None = done[one.value.ref].estimated_rows
    else:
        count = len(one.value) if isinstance(one.value, list) else 1
        if statistics and statistics.has_min_max and not _can_meet(one, statistics, dtype):
            return 0.0
    guess = GUESSED.get(one.op, GUESSED_RANGE)
    if one.op == "in" and count is not None:
        guess = min(1.0, count * GUESSED["eq"])
    return guess * (1 - nulls)


def _can_meet(one: model.PlanFilter, statistics: pq.Statistics, dtype: pl.DataType) -> bool:
    """Return whether a row group with these smallest and largest values may have a row."""
    bounds = {"lt": ["min"], "le": ["min"], "gt": ["max"], "ge": ["max"]}.get(one.op)
    tests = [(side, one) for side in bounds or ()]
    if one.op == "eq" and not is_hash(one.field, dtype) and dtype != pl.Boolean:
        ends = (("min", "le"), ("max", "ge"))
        tests = [(side, one.model_copy(update={"op": op})) for side, op in ends]
    for side, test in tests:
        wanted = condition(
            [Filter(field=test.field, op=test.op, value=test.value)], {test.field: dtype}
        )
        end = pl.Series(test.field, [getattr(statistics, side)]).cast(dtype)
        if wanted is not None and not end.to_frame().select(wanted).item():
            return False
    return True
