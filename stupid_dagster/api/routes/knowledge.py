"""What was learnt, table by table: segments, communities, ranks, trends, insights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Response

from stupid_dagster.api.answers import Answers
from stupid_dagster.api.dependencies import FirstDay, LastDay, Limit, Offset, SnapshotAnswers, Sort
from stupid_dagster.api.examples import example
from stupid_dagster.api.models.knowledge import (
    AnomaliesPage,
    ClusterPage,
    CommunityPage,
    CooccurrencePage,
    DegreesPage,
    HistoryPage,
    InsightsPage,
    PagerankPage,
    PatternsPage,
    TablePage,
    TrendsPage,
)
from stupid_dagster.errors import NotFoundError
from stupid_dagster.query import Filter
from stupid_dagster.query.filters import OPERATORS
from stupid_dagster.query.items import parsed_insight
from stupid_dagster.query.knowledge import KNOWLEDGE_TABLES, no_such_table
from stupid_dagster.query.mistakes import Mistakes

router = APIRouter(prefix="/knowledge", tags=["knowledge"])

EntityType = Annotated[
    str | None, Query(description="Only entities of this type.", examples=["Airport"])
]
EntityId = Annotated[str | None, Query(description="Only this entity.", examples=["airport:JFK"])]
Filters = Annotated[
    list[str] | None,
    Query(
        description="`column:operator:value`, all must hold. Operators: "
        f"{', '.join(OPERATORS)}; of a list of texts, `contains` asks for one of them. The values "
        "of `in` are parted by commas, a comma in a value being `\\,`.",
    ),
]

Columns = Annotated[
    str | None,
    Query(description="Columns, parted by commas: rows have these alone. Unset: all."),
]


@dataclass
class Part:
    """What every table can be asked by: which rows, from where on, and what of them."""

    filter: Filters = None
    columns: Columns = None
    limit: Limit = None
    offset: Offset = 0


Asked = Annotated[Part, Depends()]


def page_of_table(
    answers: Answers,
    table: str,
    sort: str | None,
    asked: Part,
    filters: Sequence[Filter] = (),
    any_of: Sequence[Filter] = (),
    known: Mapping[str, Sequence[str | None] | None] | None = None,
    days: tuple[date | None, date | None] = (None, None),
) -> Response:
    """Return a page of a knowledge table's rows that meet all filters.

    Some row must have each of the `known` values of a column; `days` are of the column time.
    """
    reader, mistakes = answers.reader, Mistakes()
    for column, values in (known or {}).items():
        named = [value for value in values or () if value]
        mistakes.attempt(column, partial(reader.check_values, table, column, named), None)
    of_days = mistakes.attempt("first_day", lambda: reader.day_filters("time", *days), [])
    page = reader.knowledge(
        table,
        filters=[*of_days, *filters, *(asked.filter or ())],
        sort=sort,
        limit=asked.limit,
        offset=asked.offset,
        any_of=any_of,
        columns=asked.columns.split(",") if asked.columns else None,
        mistakes=mistakes,
    )
    parts: dict[str, Any] = {}
    if table == "insights":
        parts["rows"] = [parsed_insight(row) for row in page.rows.iter_rows(named=True)]
    return answers.page(page, **parts)


def conditions(**given: tuple[str, Any]) -> list[Filter]:
    """Return the conditions on the columns of those names, the unset ones left out."""
    return [
        Filter.model_validate({"field": field, "op": op, "value": value})
        for field, (op, value) in given.items()
        if value is not None
    ]


@router.get("/clusters", response_model=ClusterPage, responses=example("clusters"))
def clusters(
    answers: SnapshotAnswers,
    asked: Asked,
    sort: Sort = None,
) -> Response:
    """List the segments of actors with their labels, largest first."""
    return page_of_table(answers, "clusters", sort, asked)


@router.get("/communities", response_model=CommunityPage, responses=example("communities"))
def communities(
    answers: SnapshotAnswers,
    asked: Asked,
    min_size: Annotated[
        int | None, Query(ge=0, description="Fewest members.", examples=[10])
    ] = None,
    sort: Sort = None,
) -> Response:
    """List the communities of the graph with their labels, largest first."""
    filters = conditions(size=("ge", min_size))
    return page_of_table(answers, "communities", sort, asked, filters)


@router.get("/pagerank", response_model=PagerankPage, responses=example("pagerank"))
def pagerank(
    answers: SnapshotAnswers,
    asked: Asked,
    type: EntityType = None,
    entity_id: EntityId = None,
    sort: Sort = "rank",
) -> Response:
    """List entities by their PageRank, highest first."""
    filters = conditions(type=("eq", type), entity_id=("eq", entity_id))
    known = {"type": [type]}
    return page_of_table(answers, "pagerank", sort, asked, filters, known=known)


@router.get("/degrees", response_model=DegreesPage, responses=example("degrees"))
def degrees(
    answers: SnapshotAnswers,
    asked: Asked,
    type: EntityType = None,
    entity_id: EntityId = None,
    sort: Sort = "-degree",
) -> Response:
    """List entities by their number of edges, most first."""
    filters = conditions(type=("eq", type), entity_id=("eq", entity_id))
    known = {"type": [type]}
    return page_of_table(answers, "degrees", sort, asked, filters, known=known)


@router.get("/patterns", response_model=PatternsPage, responses=example("patterns"))
def patterns(
    answers: SnapshotAnswers,
    asked: Asked,
    category: Annotated[
        list[str] | None, Query(description="Only these categories.", examples=[["Punctual"]])
    ] = None,
    status: Annotated[
        list[Literal["new", "continued", "vanished"]] | None,
        Query(description="Only these, against the previous window."),
    ] = None,
    symbol: Annotated[
        list[str] | None,
        Query(description="Only those with all of these symbols.", examples=[["departed"]]),
    ] = None,
    min_support: Annotated[
        float | None, Query(ge=0, le=1, description="Least share of the actors.", examples=[0.05])
    ] = None,
    min_lift: Annotated[
        float | None, Query(ge=0, description="Least lift.", examples=[1.2])
    ] = None,
    min_length: Annotated[
        int | None, Query(ge=0, description="Fewest symbols.", examples=[3])
    ] = None,
    sort: Sort = "-actors",
) -> Response:
    """List what actors do one after the other, what most do first."""
    filters = [
        *conditions(
            category=("in", category),
            status=("in", status),
            support=("ge", min_support),
            lift=("ge", min_lift),
            length=("ge", min_length),
        ),
        *(Filter(field="symbols", op="contains", value=one) for one in symbol or ()),
    ]
    known = {"category": category}
    return page_of_table(answers, "patterns", sort, asked, filters, known=known)


@router.get("/cooccurrence", response_model=CooccurrencePage, responses=example("cooccurrence"))
def cooccurrence(
    answers: SnapshotAnswers,
    asked: Asked,
    pair: Annotated[
        str | None,
        Query(description="Only pairs of these entity types.", examples=["Airport x Carrier"]),
    ] = None,
    entity_id: Annotated[
        str | None,
        Query(description="Only pairs with this entity, on either side.", examples=["airport:JFK"]),
    ] = None,
    min_lift: Annotated[float | None, Query(ge=0, description="Least lift.", examples=[2])] = None,
    min_npmi: Annotated[
        float | None,
        Query(ge=-1, le=1, description="Least npmi: -1 never together, 1 always.", examples=[0.1]),
    ] = None,
    min_actors: Annotated[
        int | None, Query(ge=0, description="Fewest actors linked to both.", examples=[10])
    ] = None,
    sort: Sort = None,
) -> Response:
    """List pairs of entities that the same actors are linked to more often than by chance."""
    filters = conditions(
        pair=("eq", pair),
        lift=("ge", min_lift),
        npmi=("ge", min_npmi),
        both_actors=("ge", min_actors),
    )
    either = conditions(left=("eq", entity_id), right=("eq", entity_id))
    known = {"pair": [pair]}
    return page_of_table(answers, "cooccurrence", sort, asked, filters, either, known)


@router.get("/trends", response_model=TrendsPage, responses=example("trends"))
def trends(
    answers: SnapshotAnswers,
    asked: Asked,
    metric: Annotated[
        list[str] | None, Query(description="Only these metrics.", examples=[["cancellations"]])
    ] = None,
    dimension: Annotated[
        str | None,
        Query(description="Only splits by this field; empty: the whole.", examples=["origin"]),
    ] = None,
    member: Annotated[
        str | None, Query(description="Only this value of the field.", examples=["EWR"])
    ] = None,
    severity: Annotated[
        list[Literal["normal", "notable", "significant", "critical"]] | None,
        Query(description="Only these severities.", examples=[["critical"]]),
    ] = None,
    grain: Annotated[Literal["day", "hour"], Query(description="Days or hours.")] = "day",
    direction: Annotated[
        Literal["up", "down", "flat"] | None, Query(description="Only changes this way.")
    ] = None,
    first_day: FirstDay = None,
    last_day: LastDay = None,
    sort: Sort = None,
) -> Response:
    """List each day's (or hour's) metrics against the days before it."""
    filters = conditions(
        grain=("eq", grain),
        metric=("in", metric),
        dimension=("eq", dimension),
        member=("eq", member),
        severity=("in", severity),
        direction=("eq", direction),
    )
    known, days = {"metric": metric}, (first_day, last_day)
    return page_of_table(answers, "trends", sort, asked, filters, known=known, days=days)


@router.get("/insights", response_model=InsightsPage, responses=example("insights"))
def insights(
    answers: SnapshotAnswers,
    asked: Asked,
    kind: Annotated[
        list[str] | None, Query(description="Only these kinds.", examples=[["trend"]])
    ] = None,
    severity: Annotated[
        list[Literal["info", "notable", "significant", "critical"]] | None,
        Query(description="Only these severities.", examples=[["critical"]]),
    ] = None,
    status: Annotated[
        list[Literal["new", "ongoing", "resolved"]] | None,
        Query(description="Only these, against the previous window.", examples=[["new"]]),
    ] = None,
    sort: Sort = "rank",
) -> Response:
    """List what is worth knowing about the window's last days, most important first."""
    filters = conditions(kind=("in", kind), severity=("in", severity), status=("in", status))
    known = {"kind": kind}
    return page_of_table(answers, "insights", sort, asked, filters, known=known)


@router.get("/anomalies", response_model=AnomaliesPage, responses=example("anomalies"))
def anomalies(
    answers: SnapshotAnswers,
    asked: Asked,
    severity: Annotated[
        list[Literal["normal", "notable", "significant", "critical"]] | None,
        Query(description="Only these severities.", examples=[["critical"]]),
    ] = None,
    min_score: Annotated[
        float | None, Query(ge=0, le=1, description="Least score.", examples=[0.3])
    ] = None,
    signal: Annotated[
        list[Literal["statistical", "noise", "behaviour", "graph"]] | None,
        Query(description="Only where all of these make the score.", examples=[["graph"]]),
    ] = None,
    shared: Annotated[
        str | None, Query(description="Only those linked to this cause.", examples=["airport:JFK"])
    ] = None,
    actor: Annotated[
        str | None, Query(description="Only this actor.", examples=["aircraft:N328AA"])
    ] = None,
    sort: Sort = "rank",
) -> Response:
    """List the last day's actors, the most unusual first, and why they are."""
    filters = [
        *conditions(
            severity=("in", severity),
            score=("ge", min_score),
            actor=("eq", actor),
            shared=("contains", shared),
        ),
        *(Filter(field="signals", op="contains", value=one) for one in signal or ()),
    ]
    return page_of_table(answers, "anomalies", sort, asked, filters)


@router.get("/history", response_model=HistoryPage, responses=example("history"))
def history(
    answers: SnapshotAnswers,
    asked: Asked,
    kind: Annotated[
        list[str] | None, Query(description="Only these kinds.", examples=[["metric"]])
    ] = None,
    name: Annotated[
        list[str] | None, Query(description="Only these names.", examples=[["departures"]])
    ] = None,
    first_day: FirstDay = None,
    last_day: LastDay = None,
    sort: Sort = "day",
) -> Response:
    """List what is kept of days, those before the window too: metrics, counts, measures."""
    filters = conditions(
        kind=("in", kind),
        name=("in", name),
    )
    # Its days may lie before the window's.
    filters += conditions(day=("ge", first_day and first_day.isoformat()))
    filters += conditions(day=("le", last_day and last_day.isoformat()))
    known = {"kind": kind}
    return page_of_table(answers, "history", sort, asked, filters, known=known)


@router.get("/tables/{table}", response_model=TablePage, responses=example("table"))
def table(
    answers: SnapshotAnswers,
    asked: Asked,
    table: Annotated[
        str,
        Path(
            description=f"Name of a knowledge table: {', '.join(KNOWLEDGE_TABLES)}.",
            examples=["cluster_entities"],
        ),
    ],
    sort: Sort = None,
) -> Response:
    """List any knowledge table's rows, in their own order; `/catalog` describes the columns."""
    if table not in KNOWLEDGE_TABLES:
        raise NotFoundError(no_such_table(table))
    return page_of_table(answers, table, sort, asked)
