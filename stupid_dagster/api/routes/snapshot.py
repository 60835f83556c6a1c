"""The snapshot itself, and which others are kept."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from stupid_dagster.api.dependencies import LiveAnswers, SnapshotAnswers, kept_snapshots
from stupid_dagster.api.examples import example
from stupid_dagster.api.models.service import SegmentPage, SnapshotAnswer
from stupid_dagster.query import Page
from stupid_dagster.tables import TABLES

router = APIRouter(tags=["snapshot"])


@router.get("/snapshot", response_model=SnapshotAnswer)
def snapshot(request: Request, answers: LiveAnswers) -> Response:
    """Say when the snapshot was made, what made it, how large its tables are.

    `windows` lists what can be asked for with `as_of`.
    """
    manifest = answers.reader.manifest
    tables = {
        name: {
            "grain": TABLES[name].grain,
            "partitions": len(versions),
            "rows": sum(version.rows for version in versions.values()),
            "bytes": sum(version.bytes for version in versions.values()),
            "description": TABLES[name].description,
        }
        for name, versions in manifest.versions.items()
        if name in TABLES
    }
    return answers.data(
        windows=[window._asdict() for window in kept_snapshots(request).windows()],
        created=manifest.created,
        days=manifest.days,
        event_model=manifest.event_model,
        event_model_hash=manifest.event_model_hash,
        embedder_id=manifest.embedder_id,
        code_version=manifest.code_version,
        tables=tables,
    )


@router.get("/segments", response_model=SegmentPage, responses=example("segments"))
def segments(answers: SnapshotAnswers) -> Response:
    """Say what the window consists of: each day's documents by event type, oldest day first."""
    return answers.page(Page.whole(answers.reader.segments()))
