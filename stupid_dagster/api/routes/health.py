"""Is the process there, and has it a snapshot to answer from?"""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST

from stupid_dagster import __version__
from stupid_dagster.api.dependencies import PublishedAnswers, check_parameters, check_scraper
from stupid_dagster.api.metrics import metrics_of
from stupid_dagster.api.models.service import Health, Ready

router = APIRouter(tags=["service"])


@router.get("/health", dependencies=[Depends(check_parameters)])
async def health() -> Health:
    """Say that the process is there; needs no key."""
    return Health(status="ok", version=__version__)


@router.get("/ready", response_model=Ready, dependencies=[Depends(check_parameters)])
async def ready(answers: PublishedAnswers) -> Response:
    """Say which snapshot is open; 503 while there is none. Needs no key."""
    return answers.data(status="ready")


@router.get("/metrics", response_class=PlainTextResponse, dependencies=[Depends(check_scraper)])
async def metrics(request: Request) -> Response:
    """Tell Prometheus of requests, rows, and the snapshot that is served.

    Needs no key on a loopback address; elsewhere as `X-API-Key` or as a bearer token.
    """
    return Response(metrics_of(request.app).text(), media_type=CONTENT_TYPE_LATEST)
