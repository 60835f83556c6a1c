"""The form of a query plan: what a client, an insight or a language model may ask for at once.

    {"steps": [
        {"id": "s1", "op": "knowledge.read",
         "params": {"table": "anomalies",
                    "filters": [{"field": "score", "op": "ge", "value": 0.5}]}},
        {"id": "s2", "op": "documents.scan", "depends_on": ["s1"],
         "params": {"event_type": "Login", "actor": {"ref": "s1", "field": "actor"}}}],
     "render": {"type": "table", "step": "s2", "title": "What anomalous members logged in from"}}

A reference is `{"ref": step}`, all rows of a step, or `{"ref": step, "field": column}`, the
distinct values of one of their columns. Referring to a step is depending on it.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from stupid_dagster.query.filters import Operator

MeasureOp = Literal["count", "count_distinct", "sum", "mean", "median", "min", "max", "p95"]
Shown = Literal["table", "line", "bar", "graph"]


class PlanPart(BaseModel):
    """A part of a plan; nothing else may be in it."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class RowsRef(PlanPart):
    """All rows of an earlier step."""

    ref: str = Field(description="Id of the step.")


class ValuesRef(PlanPart):
    """The distinct values, nulls left out, of a column of an earlier step."""

    ref: str = Field(description="Id of the step.")
    field: str = Field(description="Column of its rows.")


Entities = str | list[str] | ValuesRef
"""An id, several, or those in a column of an earlier step."""


class PlanFilter(PlanPart):
    """A condition on a column. A missing value meets no condition but `is_null`."""

    field: str
    op: Operator
    value: ValuesRef | Any = Field(
        description="A list or a reference for `in`, true or false for `is_null`."
    )


class DocumentsScan(PlanPart):
    """Documents of an event type: doc_id, then `columns` or all."""

    event_type: str
    first_day: date | None = None
    last_day: date | None = None
    since: datetime | None = Field(default=None, description="UTC unless it says.")
    until: datetime | None = Field(default=None, description="Excluded.")
    actor: Entities | None = None
    filters: list[PlanFilter] = []
    columns: list[str] | None = None
    sort: str | None = Field(default=None, description="`column`, or `-column` for descending.")
    limit: int | None = None


class VectorsSearch(PlanPart):
    """The window's distinct texts nearest to a text, or to a document's text."""

    text: str | None = None
    document: str | None = Field(default=None, description="Id of a document, instead of a text.")
    mode: Literal["vector", "text", "hybrid"] = "vector"
    event_types: list[str] | None = None
    first_day: date | None = None
    last_day: date | None = None
    limit: int = 10


class GraphNeighbors(PlanPart):
    """The edges at entities with their weights and other ends, heaviest first."""

    start: Entities
    edge_types: list[str] | None = None
    direction: Literal["both", "out", "in"] = "both"
    limit: int | None = None


class GraphTraverse(PlanPart):
    """The entities within `depth` steps of the start, which come first themselves."""

    start: Entities
    depth: int = 1
    edge_types: list[str] | None = None
    direction: Literal["both", "out", "in"] = "both"
    limit: int | None = None


class GraphPath(PlanPart):
    """The edges along a shortest path between two entities."""

    source: str
    target: str
    edge_types: list[str] | None = None
    direction: Literal["both", "out", "in"] = "both"
    weighted: bool = False


class KnowledgeRead(PlanPart):
    """Rows of a knowledge table."""

    table: str
    filters: list[PlanFilter] = []
    columns: list[str] | None = None
    sort: str | None = None
    limit: int | None = None


class TableFilter(PlanPart):
    """Those rows of a step that meet all conditions; sorted and cut."""

    rows: RowsRef
    filters: list[PlanFilter] = []
    columns: list[str] | None = None
    sort: str | None = None
    limit: int | None = None


class TableJoin(PlanPart):
    """Two steps' rows joined; columns of the right one that the left has too end on `_right`."""

    left: RowsRef
    right: RowsRef
    left_on: list[str]
    right_on: list[str]
    how: Literal["inner", "left", "semi", "anti"] = "inner"
    limit: int | None = None


class Measure(PlanPart):
    """A number made of a group's rows."""

    op: MeasureOp
    field: str | None = Field(default=None, description="Column; none for `count`.")
    name: str | None = Field(default=None, description="Its column; default: op, or field_op.")


class TableAggregate(PlanPart):
    """A row per combination of the `by` columns' values; without any, one row."""

    rows: RowsRef
    by: list[str] = []
    measures: list[Measure] = [Measure(op="count")]
    sort: str | None = Field(default=None, description="Default: the first measure, descending.")
    limit: int | None = None


class TableTimeline(PlanPart):
    """A row per span of time (in the model's timezone) and combination of the `by` columns."""

    rows: RowsRef
    time: str = "timestamp"
    every: Literal["1m", "5m", "15m", "1h", "6h", "1d"] = "1h"
    by: list[str] = []
    measures: list[Measure] = [Measure(op="count")]
    limit: int | None = None


class TableContrast(PlanPart):
    """What sets actors apart from all others: features and properties, strongest first."""

    actors: list[str] | ValuesRef
    limit: int = 50


class PlanStep(PlanPart):
    """What all steps have."""

    id: str = Field(min_length=1, max_length=64)
    depends_on: list[str] = []


class DocumentsScanStep(PlanStep):
    op: Literal["documents.scan"]
    params: DocumentsScan


class VectorsSearchStep(PlanStep):
    op: Literal["vectors.search"]
    params: VectorsSearch


class GraphNeighborsStep(PlanStep):
    op: Literal["graph.neighbors"]
    params: GraphNeighbors


class GraphTraverseStep(PlanStep):
    op: Literal["graph.traverse"]
    params: GraphTraverse


class GraphPathStep(PlanStep):
    op: Literal["graph.path"]
    params: GraphPath


class KnowledgeReadStep(PlanStep):
    op: Literal["knowledge.read"]
    params: KnowledgeRead


class TableFilterStep(PlanStep):
    op: Literal["table.filter"]
    params: TableFilter


class TableJoinStep(PlanStep):
    op: Literal["table.join"]
    params: TableJoin


class TableAggregateStep(PlanStep):
    op: Literal["table.aggregate"]
    params: TableAggregate


class TableTimelineStep(PlanStep):
    op: Literal["table.timeline"]
    params: TableTimeline


class TableContrastStep(PlanStep):
    op: Literal["table.contrast"]
    params: TableContrast


Step = Annotated[
    DocumentsScanStep
    | VectorsSearchStep
    | GraphNeighborsStep
    | GraphTraverseStep
    | GraphPathStep
    | KnowledgeReadStep
    | TableFilterStep
    | TableJoinStep
    | TableAggregateStep
    | TableTimelineStep
    | TableContrastStep,
    Field(discriminator="op"),
]


class Render(PlanPart):
    """What to show of a plan's results, and how."""

    type: Shown = "table"
    step: str = Field(description="The step whose rows are shown.")
    title: str = ""
    x: str | None = Field(default=None, description="Column along the axis, of lines and bars.")
    y: list[str] = Field(default=[], description="Columns drawn, of lines and bars.")


class Plan(PlanPart):
    """Steps, each of which gives a table, and what to show."""

    steps: list[Step] = Field(min_length=1)
    render: Render | None = Field(default=None, description="Default: the last step's table.")
