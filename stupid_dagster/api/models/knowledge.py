"""Shapes of the answers about what was learnt."""

from __future__ import annotations

from types import GenericAlias
from typing import Any, ClassVar

from pydantic import Field, create_model

from stupid_dagster.api.models.shapes import Answer, Page, Shape, page_of, row_of, type_of
from stupid_dagster.query import Filter
from stupid_dagster.tables import TABLES

_WORDS: dict[str, Any] = {
    column.name: (type_of(column.dtype, "") | None, Field(description=column.description))
    for column in TABLES["labels"].columns
    if column.name in ("label", "description", "distinguishing")
}
_EVIDENCE: Any = (dict[str, Any] | None, Field(description="Tables, rows, parameters behind it."))

Cluster = row_of("clusters", **_WORDS)
Community = row_of("communities", **_WORDS)
CommunityMember = row_of(
    "community_members",
    score=(float | None, Field(description="Its PageRank.")),
    rank=(int | None, Field(description="Its rank by PageRank, 1 is the highest.")),
)

ClusterPage = page_of(Cluster)
CommunityPage = page_of(Community)
PagerankPage = page_of(row_of("pagerank"))
DegreesPage = page_of(row_of("degrees"))
Trend = row_of("trends")
TrendsPage = page_of(Trend)
Pattern = row_of("patterns", **_WORDS)
PatternsPage = page_of(Pattern)
CooccurrencePage = page_of(row_of("cooccurrence"))
Anomaly = row_of("anomalies")
AnomaliesPage = page_of(Anomaly)
HistoryPage = page_of(row_of("history"))
_PLAN: Any = (dict[str, Any] | None, Field(description="The query plan that follows it up."))
Insight = row_of("insights", evidence=_EVIDENCE, plan=_PLAN)
InsightsPage = page_of(Insight)


class TablePage(Page):
    """Rows of any knowledge table, as `/catalog` describes them."""

    rows: list[dict[str, Any]]


class Made(Shape):
    """How a table was made, as the lake recorded it."""

    table: str
    description: str = Field(description="What the table holds.")
    version: str
    created: str = Field(description="When the version was made.")
    event_model: str
    event_model_hash: str
    code_version: str
    parameters: dict[str, Any] = Field(
        description="What was recorded with the version: days, settings, thresholds."
    )
    chosen: dict[str, Any] | None = Field(
        default=None,
        description="The number of segments or the algorithm that was taken, and its measures.",
    )


_MADE: Any = (Made, ...)
Member = row_of("cluster_members")
ClusterAnswer = page_of(Member, cluster=(Cluster, ...), made=_MADE)
CommunityAnswer = page_of(CommunityMember, community=(Community, ...), made=_MADE)


class ShownDocument(Shape):
    """A document and its text."""

    document: dict[str, Any]
    text: str | None


def _item(row: Any, **parts: Any) -> Any:
    """Return the shape of an answer about one row, and the rows (by name) that show it."""
    name = f"{row.__name__.removesuffix('Row')}Item"
    fields: dict[str, Any] = {part: (GenericAlias(list, (of,)), ...) for part, of in parts.items()}
    return create_model(name, __base__=Answer, item=(row, ...), made=_MADE, **fields)


PatternAnswer = _item(Pattern, segments=Member, anomalies=Anomaly)
AnomalyAnswer = _item(
    Anomaly,
    documents=ShownDocument,
    causes=row_of("anomaly_causes"),
    segments=Member,
    bots=row_of("bot_candidates"),
)
InsightAnswer = _item(Insight)
TrendAnswer = _item(Trend, series=Trend)
_INSIGHTS: Any = GenericAlias(list, (Insight,))
DigestAnswer = create_model(
    "DigestAnswer",
    __base__=Answer,
    __doc__="The insights in one paragraph, and those that it names.",
    digest=(row_of("digest"), ...),
    insights=(_INSIGHTS, ...),
    made=_MADE,
)


class Difference(Shape):
    """How actors differ from the others in a feature, a property or a linked entity."""

    kind: str = Field(description="feature, property or entity.")
    name: str = Field(description="Feature, property, or edge type; `:in` where it comes in.")
    value: str | None = Field(description="Value of the property, or the entity.")
    set: float = Field(description="Mean of these actors; of all but features, their share.")
    rest: float = Field(description="The same of all others.")
    z: float = Field(description="(set - rest) over the standard deviation of all actors.")
    lift: float | None = Field(description="Share of these actors over that of all.")
    actors: int = Field(description="These actors who have it; of a feature, any value.")


class ContrastAnswer(Page):
    """What sets actors apart from all others, strongest first by |z|."""

    asked: int = Field(description="Different ids that were given.")
    actors: int = Field(description="Of them, actors of the window.")
    rest: int = Field(description="All other actors.")
    rows: list[Difference]


class ContrastQuestion(Shape):
    """Which actors to contrast; one of the ways."""

    WAYS: ClassVar = ("actors", "cluster", "community", "table")
    actors: list[str] | None = Field(
        default=None, description="Ids.", examples=[["aircraft:N328AA", "aircraft:N328JB"]]
    )
    cluster: str | None = Field(default=None, description="A segment.")
    community: str | None = Field(default=None, description="A community.")
    table: str | None = Field(
        default=None, description="A knowledge table with a column actor or entity_id."
    )
    filters: list[Filter | str] = Field(
        default=[],
        description="What the table's rows must meet; a text is `column:operator:value`.",
    )
