"""What was learnt: segments, communities, ranks, trends, insights."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Response

from stupid_dagster.api.dependencies import FirstDay, LastDay, Limit, Offset, SnapshotAnswers, Sort
from stupid_dagster.api.examples import example
from stupid_dagster.api.models.knowledge import (
    ClusterAnswer,
    ClusterPage,
    CommunityAnswer,
    CommunityPage,
    DegreesPage,
    InsightsPage,
    PagerankPage,
    TrendsPage,
)
from stupid_dagster.query import Filter

router = APIRouter(prefix="/knowledge", tags=["knowledge"])

EntityType = Annotated[
    str | None, Query(description="Only entities of this type.", examples=["Airport"])
]
EntityId = Annotated[str | None, Query(description="Only this entity.", examples=["airport:JFK"])]


@router.get("/clusters", response_model=ClusterPage, responses=example("clusters"))
def clusters(
    answers: SnapshotAnswers, sort: Sort = None, limit: Limit = None, offset: Offset = 0
) -> Response:
    """List the segments of actors with their labels, largest first."""
    page = answers.reader.knowledge("clusters", sort=sort, limit=limit, offset=offset)
    return answers.page(page)


@router.get("/clusters/{cluster_id}", response_model=ClusterAnswer, responses=example("cluster"))
def cluster(
    answers: SnapshotAnswers,
    cluster_id: Annotated[str, Path(description="Segment's id.", examples=["cluster:0"])],
    limit: Limit = None,
    offset: Offset = 0,
) -> Response:
    """Read a segment and its members (`rows`), nearest to its centre first."""
    segment, page = answers.reader.cluster(cluster_id, limit=limit, offset=offset)
    return answers.page(page, cluster=segment)


@router.get("/communities", response_model=CommunityPage, responses=example("communities"))
def communities(
    answers: SnapshotAnswers,
    min_size: Annotated[
        int | None, Query(ge=0, description="Fewest members.", examples=[10])
    ] = None,
    sort: Sort = None,
    limit: Limit = None,
    offset: Offset = 0,
) -> Response:
    """List the communities of the graph with their labels, largest first."""
    filters = _filters(size=("ge", min_size))
    page = answers.reader.knowledge(
        "communities", filters=filters, sort=sort, limit=limit, offset=offset
    )
    return answers.page(page)


@router.get(
    "/communities/{community_id}", response_model=CommunityAnswer, responses=example("community")
)
def community(
    answers: SnapshotAnswers,
    community_id: Annotated[str, Path(description="Community's id.", examples=["community:0"])],
    limit: Limit = None,
    offset: Offset = 0,
) -> Response:
    """Read a community and its members (`rows`), highest PageRank first."""
    found, page = answers.reader.community(community_id, limit=limit, offset=offset)
    return answers.page(page, community=found)


@router.get("/pagerank", response_model=PagerankPage, responses=example("pagerank"))
def pagerank(
    answers: SnapshotAnswers,
    type: EntityType = None,
    entity_id: EntityId = None,
    sort: Sort = "rank",
    limit: Limit = None,
    offset: Offset = 0,
) -> Response:
    """List entities by their PageRank, highest first."""
    filters = _filters(type=("eq", type), entity_id=("eq", entity_id))
    answers.reader.check_values("pagerank", "type", [type] if type else ())
    page = answers.reader.knowledge(
        "pagerank", filters=filters, sort=sort, limit=limit, offset=offset
    )
    return answers.page(page)


@router.get("/degrees", response_model=DegreesPage, responses=example("degrees"))
def degrees(
    answers: SnapshotAnswers,
    type: EntityType = None,
    entity_id: EntityId = None,
    sort: Sort = "-degree",
    limit: Limit = None,
    offset: Offset = 0,
) -> Response:
    """List entities by their number of edges, most first."""
    filters = _filters(type=("eq", type), entity_id=("eq", entity_id))
    answers.reader.check_values("degrees", "type", [type] if type else ())
    page = answers.reader.knowledge(
        "degrees", filters=filters, sort=sort, limit=limit, offset=offset
    )
    return answers.page(page)


@router.get("/trends", response_model=TrendsPage, responses=example("trends"))
def trends(
    answers: SnapshotAnswers,
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
    limit: Limit = None,
    offset: Offset = 0,
) -> Response:
    """List each day's (or hour's) metrics against the days before it."""
    filters = [
        *answers.reader.day_filters("time", first_day, last_day),
        *_filters(
            grain=("eq", grain),
            metric=("in", metric),
            dimension=("eq", dimension),
            member=("eq", member),
            severity=("in", severity),
            direction=("eq", direction),
        ),
    ]
    answers.reader.check_values("trends", "metric", metric or ())
    page = answers.reader.knowledge(
        "trends", filters=filters, sort=sort, limit=limit, offset=offset
    )
    return answers.page(page)


@router.get("/insights", response_model=InsightsPage, responses=example("insights"))
def insights(
    answers: SnapshotAnswers,
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
    limit: Limit = None,
    offset: Offset = 0,
) -> Response:
    """List what is worth knowing about the window's last days, most important first."""
    answers.reader.check_values("insights", "kind", kind or ())
    filters = _filters(kind=("in", kind), severity=("in", severity), status=("in", status))
    page = answers.reader.knowledge(
        "insights", filters=filters, sort=sort, limit=limit, offset=offset
    )
    rows = page.rows.to_dicts()
    for row in rows:
        for name in ("evidence", "plan"):
            row[name] = json.loads(row[name]) if row[name] else None
    return answers.page(page, rows=rows)


def _filters(**conditions: tuple[str, Any]) -> list[Filter]:
    """Return the conditions on the columns of those names, the unset ones left out."""
    return [
        Filter.model_validate({"field": field, "op": op, "value": value})
        for field, (op, value) in conditions.items()
        if value is not None
    ]
