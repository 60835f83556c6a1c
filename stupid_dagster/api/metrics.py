"""What Prometheus is told: requests, rows, and the snapshot that is served.

Labels have few values: a route is its template, never a path.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime

from fastapi import FastAPI
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import Scope

from stupid_dagster.api.sending import cut_offs, unread_bytes
from stupid_dagster.errors import StupidError
from stupid_dagster.llm.spending import SPENT, spending
from stupid_dagster.project import Project
from stupid_dagster.query import KeptSnapshots
from stupid_dagster.query.frames import abandoned
from stupid_dagster.stores.snapshots import Manifest
from stupid_dagster.tables import TABLES

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
# From a point read's milliseconds to the longest that a step may take. Each makes a line for
# every route.
_BUCKETS = (0.005, 0.02, 0.05, 0.1, 0.5, 2.0, 10.0, 30.0)
# A line for each counter, saying when it was first counted, which nobody asks for.
disable_created_metrics()


class Metrics:
    """The metrics of one app; others of its parts add theirs to `registry`."""

    def __init__(self, snapshots: KeptSnapshots) -> None:
        self.registry = registry = CollectorRegistry()
        labels = ["route", "method", "status"]
        self.requests = Counter("stupid_requests", "Requests answered.", labels, registry=registry)
        self.seconds = Histogram(
            "stupid_request_seconds",
            "Seconds from a request to the end of its answer.",
            ["route"],
            buckets=_BUCKETS,
            registry=registry,
        )
        self.in_flight = Gauge(
            "stupid_requests_in_flight", "Requests that are being answered.", registry=registry
        )
        self.streams = Counter(
            "stupid_streams", "Streams and WebSockets begun.", ["route"], registry=registry
        )
        self.open_streams = Gauge(
            "stupid_streams_open", "Streams and WebSockets open.", ["route"], registry=registry
        )
        self.timeouts = Counter(
            "stupid_request_timeouts", "Requests cut off at their limit (504).", registry=registry
        )
        self.rows = Counter("stupid_rows_served", "Rows of all answers.", registry=registry)
        ProcessCollector(registry=registry)
        registry.register(_Served(snapshots))
        registry.register(_Overload())

    def observe(self, scope: Scope, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        self._count(scope, status)
        self.seconds.labels(_route(scope)).observe(seconds)
        if status == 504:
            self.timeouts.inc()

    def begin_stream(self, scope: Scope) -> Callable[[], None]:
        """Count a stream that begins; what is returned counts its end.

        How long it lasts is its client's choice: among the seconds it would tell nothing.
        """
        if scope["type"] == "http":
            self._count(scope, 200)
        route = _route(scope)
        self.streams.labels(route).inc()
        still_open = self.open_streams.labels(route)
        still_open.inc()
        return still_open.dec

    def _count(self, scope: Scope, status: int) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self.requests.labels(_route(scope), method, status).inc()

    def text(self) -> bytes:
        """Return them all as Prometheus reads them."""
        return generate_latest(self.registry)


def _route(scope: Scope) -> str:
    return getattr(scope.get("route"), "path_format", "none")


def metrics_of(app: FastAPI) -> Metrics:
    """Return an app's metrics."""
    return app.state.metrics


class _AtScrape(Collector):
    """What is as it is at each scrape."""

    # Otherwise registering would collect, to learn the names.
    def describe(self) -> Iterable[Metric]:
        return ()


class ModelTokens(_AtScrape):
    """The tokens that a project's language models took, failures included."""

    def __init__(self, project: Project) -> None:
        self._project = project

    def collect(self) -> Iterable[Metric]:
        tokens = CounterMetricFamily(
            "stupid_language_model_tokens",
            "Tokens that language models took: of prompts, and of answers (completion).",
            labels=["provider", "model", "kind"],
        )
        dollars = CounterMetricFamily(
            "stupid_language_model_dollars",
            "Dollars that these cost, of models in the setting llm_prices.",
            labels=["provider", "model"],
        )
        spent = spending(self._project.language_model) if self._project.language_model else {}
        for model_id, one in spent.items():
            provider, _, model = model_id.partition("/")
            tokens.add_metric([provider, model, "prompt"], one["prompt_tokens"])
            tokens.add_metric([provider, model, "completion"], one["completion_tokens"])
            if "dollars" in one:
                dollars.add_metric([provider, model], one["dollars"])
        yield tokens
        yield dollars


class _Overload(_AtScrape):
    """What the process does for nobody, and what it stopped doing; of all its apps."""

    def collect(self) -> Iterable[Metric]:
        yield GaugeMetricFamily(
            "stupid_queries_abandoned",
            "Queries that still run though they were given up at their deadlines.",
            abandoned(),
        )
        yield GaugeMetricFamily(
            "stupid_unread_bytes", "Bytes of answers that clients haven't taken.", unread_bytes()
        )
        yield CounterMetricFamily(
            "stupid_clients_cut_off", "Clients cut off for being too slow.", cut_offs()
        )


class _Served(_AtScrape):
    """The snapshot that is served."""

    def __init__(self, snapshots: KeptSnapshots) -> None:
        self._snapshots = snapshots
        self._started = time.monotonic()

    def collect(self) -> Iterable[Metric]:
        uptime = time.monotonic() - self._started
        yield GaugeMetricFamily("stupid_uptime_seconds", "Seconds since the app was made.", uptime)
        kept = len(self._snapshots.windows())
        yield GaugeMetricFamily("stupid_kept_windows", "Windows that can be asked for.", kept)
        sizes = GaugeMetricFamily(
            "stupid_store_bytes", "Bytes of the snapshot's tables.", labels=["table"]
        )
        try:
            with self._snapshots.use() as reader:
                manifest = reader.manifest
        except StupidError:  # Nothing is published, which the absence of these tells.
            return
        age = datetime.now(UTC) - datetime.fromisoformat(manifest.created)
        yield GaugeMetricFamily(
            "stupid_snapshot_age_seconds", "Seconds since publication.", age.total_seconds()
        )
        yield GaugeMetricFamily(
            "stupid_window_days", "Days of the window with documents.", len(manifest.days)
        )
        for table, versions in manifest.versions.items():
            if table in TABLES:
                sizes.add_metric([table], sum(version.bytes for version in versions.values()))
        yield sizes
        yield from _words_spent(manifest)


def _words_spent(manifest: Manifest) -> Iterator[Metric]:
    """Yield what language models took for the words of a snapshot, and cost where known."""
    tokens = GaugeMetricFamily(
        "stupid_snapshot_language_model_tokens",
        "Tokens that language models took for the snapshot's table.",
        labels=["table", "provider", "model", "kind"],
    )
    dollars = GaugeMetricFamily(
        "stupid_snapshot_language_model_dollars",
        "Dollars that language models cost for the snapshot's table, of those with a price.",
        labels=["table", "provider", "model"],
    )
    for table, versions in manifest.versions.items():
        for version in versions.values():
            for model_id, one in version.metadata.get(SPENT, {}).items():
                provider, _, model = model_id.partition("/")
                tokens.add_metric([table, provider, model, "prompt"], one["prompt_tokens"])
                tokens.add_metric([table, provider, model, "completion"], one["completion_tokens"])
                if "dollars" in one:
                    dollars.add_metric([table, provider, model], one["dollars"])
    yield tokens
    yield dollars
