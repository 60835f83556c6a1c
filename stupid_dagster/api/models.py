"""Shapes of the answers, for the OpenAPI page; those of tables are made from `tables.TABLES`."""

from __future__ import annotations

from datetime import date, datetime
from types import GenericAlias
from typing import Any

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, create_model

from stupid_dagster.tables import TABLES


class Shape(BaseModel):
    """A part of an answer; nothing else is in it."""

    model_config = ConfigDict(extra="forbid")


class Window(Shape):
    """The days that the snapshot's knowledge is drawn from."""

    first_day: date = Field(examples=["2013-01-11"])
    last_day: date = Field(examples=["2013-02-09"])
    days: int = Field(description="Days of it that have documents.", examples=[30])


class Answer(Shape):
    """What every answer states."""

    snapshot: str = Field(description="Id of the snapshot that answered.")
    window: Window


class Page(Answer):
    """What every answer of many rows states."""

    total: int | None = Field(description="Rows there are; null where counting them is dear.")
    limit: int = Field(description="Most rows that this answer could have.")
    truncated: bool = Field(description="There are more rows than these.")


def _type_of(dtype: Any, name: str) -> Any:
    match dtype:
        case pl.List():
            return GenericAlias(list, (_type_of(dtype.inner, name),))
        case pl.Struct():
            fields: dict[str, Any] = {f.name: (_type_of(f.dtype, name), ...) for f in dtype.fields}
            return create_model(name, __base__=Shape, **fields)
    if dtype == pl.Datetime:
        return datetime | None
    if dtype == pl.Date:
        return date | None
    if dtype == pl.Boolean:
        return bool | None
    if dtype == pl.String:
        return str | None
    return (float if dtype.is_float() else int) | None


def _row_of(table: str, **more: Any) -> Any:
    """Return the shape of a table's rows, with more columns than the table stores, a model."""
    name = "".join(word.title() for word in table.split("_"))
    columns: dict[str, Any] = {
        column.name: (
            _type_of(column.dtype, f"{name}{column.name.title()}"),
            Field(description=column.description),
        )
        for column in TABLES[table].columns
    }
    return create_model(
        f"{name}Row", __base__=Shape, __doc__=TABLES[table].description, **(columns | more)
    )


def _page_of(row: Any, **more: Any) -> Any:
    """Return the shape of a page of such rows, with more beside them."""
    name = f"{row.__name__.removesuffix('Row')}Page"
    fields: dict[str, Any] = more | {"rows": (GenericAlias(list, (row,)), ...)}
    return create_model(name, __base__=Page, **fields)


_WORDS: dict[str, Any] = {
    column.name: (_type_of(column.dtype, "") | None, Field(description=column.description))
    for column in TABLES["labels"].columns
    if column.name in ("label", "description", "distinguishing")
}
_EVIDENCE: Any = (dict[str, Any] | None, Field(description="Tables, rows, parameters behind it."))

Cluster = _row_of("clusters", **_WORDS)
Community = _row_of("communities", **_WORDS)
CommunityMember = _row_of(
    "community_members",
    score=(float | None, Field(description="Its PageRank.")),
    rank=(int | None, Field(description="Its rank by PageRank, 1 is the highest.")),
)

ClusterPage = _page_of(Cluster)
CommunityPage = _page_of(Community)
PagerankPage = _page_of(_row_of("pagerank"))
DegreesPage = _page_of(_row_of("degrees"))
TrendsPage = _page_of(_row_of("trends"))
_PLAN: Any = (dict[str, Any] | None, Field(description="The query plan that follows it up."))
InsightsPage = _page_of(_row_of("insights", evidence=_EVIDENCE, plan=_PLAN))
ClusterAnswer = _page_of(_row_of("cluster_members"), cluster=(Cluster, ...))
CommunityAnswer = _page_of(CommunityMember, community=(Community, ...))


class Health(Shape):
    """The process is there."""

    status: str = Field(examples=["ok"])
    version: str = Field(examples=["0.1.0"])


class Ready(Answer):
    """A snapshot is open."""

    status: str = Field(examples=["ready"])


class StoredTable(Shape):
    """What the snapshot has of a table."""

    grain: str = Field(description="day or window: what a partition is.")
    partitions: int
    rows: int
    bytes: int
    description: str


class KeptWindow(Shape):
    """A window that can be asked for with `as_of`."""

    last_day: date = Field(examples=["2013-02-09"])
    snapshot: str = Field(description="Id of the snapshot that answers.")
    published: bool = Field(description="It is what answers without `as_of`.")


class SnapshotAnswer(Answer):
    """Where the snapshot comes from, what it consists of, and which others there are."""

    windows: list[KeptWindow] = Field(description="What `as_of` can ask for, oldest first.")
    created: datetime
    days: list[date] = Field(description="Days of the window that have documents.")
    event_model: str = Field(examples=["flights"])
    event_model_hash: str
    embedder_id: str
    code_version: str
    tables: dict[str, StoredTable]


class CatalogAnswer(Answer):
    """What there is to ask for."""

    catalog: dict[str, Any] = Field(
        description="Event types with their fields, entity and edge types, knowledge tables."
    )


class EventTypeAnswer(Answer):
    """An event type, and its fields."""

    event_type: str = Field(examples=["Departure"])
    description: str
    documents: int
    first_day: date | None
    last_day: date | None
    fields: dict[str, dict[str, Any]] = Field(
        description="Per field: type, unit, share of documents that miss it."
    )


class DocumentPage(Page):
    """Documents; their columns are the event type's, or those that were asked for."""

    next_cursor: str | None = Field(description="`cursor` of the next page.")
    rows: list[dict[str, Any]]


class DocumentAnswer(Answer):
    """One document."""

    document: dict[str, Any] = Field(description="Its columns.")
    text: str | None = Field(description="Its text, as it is embedded and searched.")


class Text(Shape):
    """A distinct text of the window."""

    text_id: str = Field(examples=["00c6f1d5a4a0b3f2"])
    event_type: str = Field(examples=["Cancellation"])
    text: str
    count: int = Field(description="Events of the window with this text.")
    days: list[date] = Field(description="Days of the window on which it occurred.")
    example: str = Field(
        description="Id of a document with this text.", examples=["2013-02-08/Cancellation/17"]
    )
    score: float = Field(
        description="vector: cosine similarity; text: BM25; hybrid: reciprocal rank fusion."
    )


class SearchAnswer(Answer):
    """The nearest texts, best first."""

    limit: int
    truncated: bool = Field(description="There are as many as were asked for: there may be more.")
    rows: list[Text]


class Node(Shape):
    """An entity of the window."""

    entity_id: str = Field(examples=["airport:JFK"])
    type: str = Field(examples=["Airport"])
    key: str = Field(examples=["JFK"])
    properties: dict[str, str]
    events: int = Field(description="Events that speak of it.")
    days: int = Field(description="Days on which it was seen.")
    first_seen: datetime
    last_seen: datetime
    is_test: bool


class NodeAnswer(Answer):
    """One entity."""

    node: Node


class Neighbor(Shape):
    """An edge, and the entity at its other end."""

    neighbor: str = Field(examples=["route:JFK-LAX"])
    neighbor_type: str = Field(examples=["Route"])
    edge_type: str = Field(examples=["StartsAt"])
    direction: str = Field(description="out: from the entity asked for; in: to it.")
    weight: int = Field(description="Events that show it.")
    days: int = Field(description="Days on which it was seen.")
    first_seen: datetime
    last_seen: datetime


class NeighborsPage(Page):
    """Edges at an entity, heaviest first."""

    entity_id: str
    rows: list[Neighbor]


class Statistic(Shape):
    """A number about the graph."""

    statistic: str = Field(examples=["edges"])
    type: str = Field(description="Entity or edge type; empty for the whole graph.")
    value: float | None


class StatisticsAnswer(Answer):
    """Counts, density and components of the graph."""

    rows: list[Statistic]
