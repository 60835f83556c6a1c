"""Is the process there, and has it a snapshot to answer from?"""

from __future__ import annotations

from fastapi import APIRouter, Response

from stupid_dagster import __version__
from stupid_dagster.api.dependencies import PublishedAnswers
from stupid_dagster.api.models.service import Health, Ready

router = APIRouter(tags=["service"])


@router.get("/health")
async def health() -> Health:
    """Say that the process is there; needs no key."""
    return Health(status="ok", version=__version__)


@router.get("/ready", response_model=Ready)
async def ready(answers: PublishedAnswers) -> Response:
    """Say which snapshot is open; 503 while there is none. Needs no key."""
    return answers.data(status="ready")
