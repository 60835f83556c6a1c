"""One thing that was learnt and the rows that show it; what sets actors apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from stupid_dagster.api.answers import Answers
from stupid_dagster.api.dependencies import Limit, Offset, SnapshotAnswers
from stupid_dagster.api.examples import example
from stupid_dagster.api.models.knowledge import (
    AnomalyAnswer,
    ClusterAnswer,
    CommunityAnswer,
    ContrastAnswer,
    ContrastQuestion,
    DigestAnswer,
    InsightAnswer,
    PatternAnswer,
    TrendAnswer,
)
from stupid_dagster.errors import InvalidQueryError
from stupid_dagster.query import parse_filter
from stupid_dagster.query.contrast import ContrastPage
from stupid_dagster.query.items import find_digest, find_item, how_made

router = APIRouter(prefix="/knowledge", tags=["knowledge"])


@router.get("/clusters/{cluster_id}", response_model=ClusterAnswer, responses=example("cluster"))
def cluster(
    answers: SnapshotAnswers,
    cluster_id: Annotated[str, Path(description="Segment's id.", examples=["cluster:0"])],
    limit: Limit = None,
    offset: Offset = 0,
) -> Response:
    """Read a segment, how it was made, and its members (`rows`), nearest to its centre first."""
    segment, page = answers.reader.cluster(cluster_id, limit=limit, offset=offset)
    return answers.page(page, cluster=segment, made=how_made(answers.reader, "clusters"))


@router.get(
    "/communities/{community_id}", response_model=CommunityAnswer, responses=example("community")
)
def community(
    answers: SnapshotAnswers,
    community_id: Annotated[str, Path(description="Community's id.", examples=["community:0"])],
    limit: Limit = None,
    offset: Offset = 0,
) -> Response:
    """Read a community, how it was made, and its members (`rows`), highest PageRank first."""
    found, page = answers.reader.community(community_id, limit=limit, offset=offset)
    return answers.page(page, community=found, made=how_made(answers.reader, "communities"))


@router.get("/patterns/{pattern_id}", response_model=PatternAnswer, responses=example("pattern"))
def pattern(
    answers: SnapshotAnswers,
    pattern_id: Annotated[
        str, Path(description="Pattern's id.", examples=["pattern:958864288ff44ef8"])
    ],
) -> Response:
    """Read a pattern, how it was made, and what else is known of its example actors."""
    return answers.data(**find_item(answers.reader, "patterns", pattern_id))


@router.get("/anomalies/{actor:path}", response_model=AnomalyAnswer, responses=example("anomaly"))
def anomaly(
    answers: SnapshotAnswers,
    actor: Annotated[str, Path(description="The actor.", examples=["aircraft:N909EV"])],
) -> Response:
    """Read how unusual an actor was on the last day, and the documents and causes behind it."""
    return answers.data(**find_item(answers.reader, "anomalies", actor))


@router.get("/insights/digest", response_model=DigestAnswer, responses=example("digest"))
def digest(answers: SnapshotAnswers) -> Response:
    """Read the window's insights in one paragraph, and the insights that show what it says.

    `[3]` in its text is the insight of rank 3. By rule, or by a language model (`provenance`), each
    of whose numbers and names was checked against the insights that its sentence names.
    """
    return answers.data(**find_digest(answers.reader))


@router.get(
    "/insights/{insight_id:path}", response_model=InsightAnswer, responses=example("insight")
)
def insight(
    answers: SnapshotAnswers,
    insight_id: Annotated[
        str, Path(description="Insight's id.", examples=["trend/cancellations/up/hour"])
    ],
) -> Response:
    """Read an insight with its evidence, and the plan that follows it up."""
    return answers.data(**find_item(answers.reader, "insights", insight_id))


@router.get("/trends/{trend:path}", response_model=TrendAnswer, responses=example("trend"))
def trend(
    answers: SnapshotAnswers,
    trend: Annotated[
        str,
        Path(
            description="`<grain>/<time>/<metric>`; of a part of it, `/<dimension>/<member>` more.",
            examples=["day/2013-02-08T05:00:00Z/cancellations/origin/EWR"],
        ),
    ],
) -> Response:
    """Read a metric at one time, and the series that it stands in."""
    return answers.data(**find_item(answers.reader, "trends", trend))


@router.get("/contrast", response_model=ContrastAnswer, responses=example("contrast"))
def contrast(
    answers: SnapshotAnswers,
    actor: Annotated[
        list[str] | None,
        Query(description="These actors, such as `aircraft:N328AA`."),
    ] = None,
    cluster: Annotated[
        str | None, Query(description="The members of this segment.", examples=["cluster:0"])
    ] = None,
    community: Annotated[
        str | None,
        Query(description="The actors of this community, such as `community:0`."),
    ] = None,
    limit: Limit = None,
) -> Response:
    """Say what sets actors apart from all others, strongest first; give one of the three.

    POST takes longer lists, and conditions on any knowledge table.
    """
    given = {"actor": actor, "cluster": cluster, "community": community}
    _check_one(given)
    question = ContrastQuestion(actors=actor, cluster=cluster, community=community)
    return _contrasted(answers, question, limit)


@router.post("/contrast", response_model=ContrastAnswer, responses=example("contrast"))
def contrast_with(
    answers: SnapshotAnswers, question: ContrastQuestion, limit: Limit = None
) -> Response:
    """Say what sets actors apart from all others, strongest first.

    The features, properties and linked entities that differ most. The actors are given by one of:
    `actors`, `cluster`, `community`, or `table` with `filters`: those in the rows of a knowledge
    table. At most 100,000, but for a whole cluster or community.
    """
    return _contrasted(answers, question, limit)


def _contrasted(answers: Answers, question: ContrastQuestion, limit: int | None) -> Response:
    page = _contrast(answers, question, limit)
    return answers.page(page, asked=page.asked, actors=page.actors, rest=page.rest)


def _check_one(ways: Mapping[str, object]) -> None:
    given = [name for name, value in ways.items() if value is not None]
    if len(given) != 1:
        raise InvalidQueryError(
            f"give one of {', '.join(ways)}; {' and '.join(given) or 'none'} was given"
        )


def _contrast(answers: Answers, question: ContrastQuestion, limit: int | None) -> ContrastPage:
    reader = answers.reader
    _check_one({name: getattr(question, name) for name in question.WAYS})
    if question.cluster is not None:
        return reader.contrast_group("clusters", question.cluster, limit=limit)
    if question.community is not None:
        return reader.contrast_group("communities", question.community, limit=limit)
    if question.table is not None:
        filters = [parse_filter(one) if isinstance(one, str) else one for one in question.filters]
        return reader.contrast_found(question.table, filters, limit=limit)
    return reader.contrast(question.actors or [], limit=limit)
