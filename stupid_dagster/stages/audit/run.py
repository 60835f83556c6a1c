"""Audit all stores, and keep what was found."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from functools import partial

import polars as pl
import structlog

from stupid_dagster.compute.plots.audit import audit_plot
from stupid_dagster.compute.references import Cited
from stupid_dagster.errors import (
    DamagedError,
    MissingVersionError,
    StoreError,
    UnavailableError,
)
from stupid_dagster.project import Project
from stupid_dagster.stages.arrivals import evicted_by_hand
from stupid_dagster.stages.audit.scope import Scope
from stupid_dagster.stages.audit.stores import (
    audit_catalog,
    audit_graph_database,
    audit_partitions,
    audit_search_index,
    audit_sessions,
    audit_snapshots,
)
from stupid_dagster.stages.audit.tables import audit_parquet
from stupid_dagster.stages.evict import Eviction
from stupid_dagster.stages.written import Stage, Verdict, Written
from stupid_dagster.stores.garbage import SCRATCH
from stupid_dagster.stores.ledger import FOLDER
from stupid_dagster.stores.s3_errors import told_of_scan
from stupid_dagster.stores.sessions import FOLDER as SESSIONS
from stupid_dagster.tables import TABLES, conform

MOST_AUDITS = 200
PARTITION = "all"
CHECK = "no_references"
log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Finding:
    """What one table of one store holds of evicted days."""

    store: str
    table: str
    scanned: int = 0
    references: int = 0
    orphans: int = 0
    pending: int = 0
    bytes: int = 0
    seconds: float = 0.0
    example: str | None = None

    @property
    def guilty(self) -> bool:
        """Whether it found anything."""
        return self.references + self.orphans > 0


@dataclass(frozen=True)
class Audited:
    """An audit: the oldest kept day, what was found, and what to do where that isn't nothing."""

    horizon: date
    findings: list[Finding]
    advice: str
    written: Written

    @property
    def passed(self) -> bool:
        """Whether nothing was found."""
        return not self.guilty

    @property
    def guilty(self) -> list[Finding]:
        """The findings that aren't nothing."""
        return [finding for finding in self.findings if finding.guilty]


def audit(project: Project, eviction: Eviction, records: Iterable[Finding] = ()) -> Audited:
    """Look for evicted days in all stores, and append what was found to the table `audit`.

    `records` is what was found outside of the lake. Reads single columns; where sums don't agree
    also whole tables, to count the rows.
    """
    stage = Stage(project, PARTITION)
    scope = Scope.of(project, eviction)
    findings = [*_findings(scope), *records]
    horizon = scope.horizon.day
    history = _history(project, findings, horizon)
    advice = _advice(scope, findings)
    totals = {
        name: sum(getattr(finding, name) for finding in findings)
        for name in ("references", "orphans", "scanned", "pending", "bytes")
    }
    passed = not totals["references"] + totals["orphans"]
    stage.table(
        "audit",
        history,
        details={
            "horizon": str(horizon),
            "references": totals["references"],
            "orphans": totals["orphans"],
            "rows_scanned": totals["scanned"],
            "bytes_waiting": totals["pending"],
            "bytes_on_disk": totals["bytes"],
        },
        pictures={"plot": audit_plot(history)},
        previews={"newest audit": _preview(findings)},
        verdicts=[Verdict(CHECK, passed, advice, is_error=True)],
    )
    log.info("audited", horizon=str(horizon), **totals)
    return Audited(horizon, findings, advice, stage.written[0])


def _findings(scope: Scope) -> Iterator[Finding]:
    started = time.perf_counter()
    manifests, cited = audit_snapshots(scope)
    lake = scope.project.lake
    yield Finding(
        "snapshots",
        FOLDER,
        manifests,
        cited.values,
        bytes=lake.inventory.bytes(FOLDER),
        seconds=time.perf_counter() - started,
        example=cited.example,
    )
    if not lake.files.folder:  # Else each server keeps its own in its memory.
        turns, cited = audit_sessions(scope)
        yield Finding("sessions", SESSIONS, turns, cited.values, example=cited.example)
    for table in lake.inventory.tables():
        yield _finding(scope, table)
    left = lake.files.names(SCRATCH)
    if gone := [day for day in left if scope.is_gone("vectors", day)]:
        yield Finding(
            "lake",
            SCRATCH,
            references=len(gone),
            bytes=lake.inventory.bytes(SCRATCH),
            example=f"partition {gone[0]}, left on the disk",
        )


def _finding(scope: Scope, table: str) -> Finding:
    started = time.perf_counter()
    references, orphans = audit_partitions(scope, table), Cited()
    for problem in scope.damaged.get(table, ()):
        references += Cited(1, f"can't be read: {problem}")
    try:
        inside, orphans = _LOOK.get(table, partial(audit_parquet, table=table))(scope)
        references += inside
    except UnavailableError:  # That says nothing of what is there.
        raise
    except (StoreError, pl.exceptions.PolarsError, OSError, ValueError, KeyError) as error:
        told = told_of_scan(error)
        if isinstance(told, UnavailableError):
            raise told from told.__cause__
        # What can't be read can't be cleared.
        references += Cited(1, f"can't be read: {told or error}")
    return Finding(
        _STORES.get(table, "lake"),
        table,
        sum(version.rows for version in scope.kept(table)),
        references.values,
        orphans.values,
        sum(left.bytes for left in scope.left.versions if left.held.table == table),
        scope.project.lake.inventory.bytes(table),
        round(time.perf_counter() - started, 3),
        references.example or orphans.example,
    )


_STORES = {"search_index": "lancedb", "graph_database": "kuzu"}
_LOOK: dict[str, Callable[[Scope], tuple[Cited, Cited]]] = {
    "search_index": audit_search_index,
    "graph_database": audit_graph_database,
    "catalog": lambda scope: (audit_catalog(scope), Cited()),
}


def _advice(scope: Scope, findings: Iterable[Finding]) -> str:
    """Return what was found, in a sentence, and what to do about it."""
    guilty = [finding for finding in findings if finding.guilty]
    horizon = scope.horizon.day
    if not guilty:
        return f"nothing speaks of a day before {horizon}, in any store"
    names = ", ".join(f"{finding.table} ({finding.example})" for finding in guilty[:3])
    more = f" and {len(guilty) - 3} more" if len(guilty) > 3 else ""
    said = f"{len(guilty)} tables or stores speak of days before {horizon}: {names}{more}."
    published = scope.published
    if published and (gone := scope.evicted_of.get(published.last_day)):
        return (
            f"{said} The published window ending on {published.last_day} was made of days that "
            f"were evicted since ({gone[0]} to {gone[-1]}): make the newest window again "
            "(`stupid-dagster run --window` of its last day, or the job `window`), then evict"
        )
    return (
        f"{said} Evict again (the job `evict`, or `stupid-dagster evict`); where a window's table "
        "is named, make that window again"
    )


def newest_horizon(project: Project) -> str:
    """Return the latest horizon of an eviction by hand or of an audit; empty without either."""
    horizons = [evicted_by_hand(project)]
    with suppress(MissingVersionError, DamagedError):
        horizons += map(str, project.lake.read("audit", PARTITION)["horizon"].unique())
    return max(horizons)


def _preview(findings: list[Finding]) -> pl.DataFrame:
    """Return the audit as a table to read, what was found first."""
    frame = pl.DataFrame([asdict(finding) for finding in findings], schema=_SCHEMA)
    found = pl.col("references") + pl.col("orphans")
    return frame.sort(found, "bytes", descending=True, maintain_order=True)


def _history(project: Project, findings: list[Finding], horizon: date) -> pl.DataFrame:
    """Return the table `audit` with this audit at its end."""
    new = pl.DataFrame([asdict(finding) for finding in findings], schema=_SCHEMA)
    new = conform(
        "audit", new.with_columns(audited=pl.lit(datetime.now(UTC)), horizon=pl.lit(horizon))
    )
    with suppress(MissingVersionError, DamagedError):  # The first; what is damaged begins anew.
        old = conform("audit", project.lake.read("audit", PARTITION))
        newest = old["audited"].unique().sort().tail(MOST_AUDITS - 1)
        return pl.concat([old.filter(pl.col("audited").is_in(newest.to_list())), new])
    return new


_SCHEMA = {
    name: dtype
    for name, dtype in TABLES["audit"].schema.items()
    if name not in ("audited", "horizon")
}
