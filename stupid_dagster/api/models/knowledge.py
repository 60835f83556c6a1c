"""Shapes of the answers about what was learnt."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from stupid_dagster.api.models.shapes import page_of, row_of, type_of
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
TrendsPage = page_of(row_of("trends"))
_PLAN: Any = (dict[str, Any] | None, Field(description="The query plan that follows it up."))
InsightsPage = page_of(row_of("insights", evidence=_EVIDENCE, plan=_PLAN))
ClusterAnswer = page_of(row_of("cluster_members"), cluster=(Cluster, ...))
CommunityAnswer = page_of(CommunityMember, community=(Community, ...))
