"""`evict`: take days out of every store by hand, and prove it."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING

import click
from rich.markup import escape

from stupid_dagster.cli.console import console, show_table
from stupid_dagster.cli.days import DAY
from stupid_dagster.errors import DamagedError, MissingVersionError
from stupid_dagster.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stupid_dagster.automation.eviction import Evicted
    from stupid_dagster.project import Project
    from stupid_dagster.stages.audit import Audited
    from stupid_dagster.stages.evict import Eviction
    from stupid_dagster.stores.garbage import Leftovers


@click.command()
@click.option(
    "--as-of",
    type=DAY,
    help="Last day of the newest window that is to be; default: the published one's. By "
    "default (window_days = 30, kept_windows = 2) 2025-04-01 keeps the days from 2025-03-02 on, 30 "
    "before it; all earlier ones go.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would go; change nothing.")
@click.pass_obj
def evict(settings: Settings, as_of: datetime | None, dry_run: bool) -> None:
    """Remove the days before the horizon from every table, snapshot and record, and audit.

    Ends with 1 when the audit finds that anything still speaks of them.
    """
    from stupid_dagster.project import Project
    from stupid_dagster.stages.evict import leftovers, plan_eviction

    project = Project(settings)
    eviction = plan_eviction(project, as_of.date() if as_of else None)
    if eviction is None:
        console.print("nothing to evict: no day has documents")
        return
    from stupid_dagster.automation.eviction import (
        audit_all,
        evict_and_wipe,
        stale_records,
    )
    from stupid_dagster.automation.runs import existing_instance, open_instance

    left = leftovers(project, eviction)
    if dry_run:
        with existing_instance(project) as instance:
            records = stale_records(instance, eviction) if instance else {}
        if _show_plan(project, eviction, left, records):
            _show_forecast(left, records)
        _show_waiting(left)
        _show_windows(project, eviction)
        _show_outdated(project, eviction)
        return
    with open_instance(project) as instance:
        any_goes = _show_plan(project, eviction, left, stale_records(instance, eviction))
        done = evict_and_wipe(project, instance, eviction)
        audited = audit_all(project, instance, eviction)
    if any_goes:
        _show_done(done)
    _show_waiting(left)
    _show_windows(project, eviction)
    _show_audit(audited)
    if not audited.passed:
        raise SystemExit(1)


def _show_plan(
    project: Project, eviction: Eviction, left: Leftovers, records: Mapping[str, list[str]]
) -> bool:
    """Print which partitions go; return whether anything does."""
    from stupid_dagster.stages.evict import overdue

    if not (eviction.stale or records or overdue(left) or left.garbage.snapshots):
        console.print(f"nothing to do: nothing lies before the horizon, {eviction.horizon}")
        return False
    if eviction.stale:
        rows = []
        for table, found in eviction.stale.items():
            live = []
            for partition in found:
                with suppress(DamagedError, MissingVersionError):  # They go like the others.
                    live.append(project.lake.live(table, partition))
            total = sum(version.rows for version in live), sum(version.bytes for version in live)
            unreadable = len(found) - len(live)
            rows.append((table, len(found), found[0], found[-1], *total, unreadable))
        columns = ["table", "partitions", "first", "last", "rows", "bytes", "unreadable"]
        kept = columns if any(row[-1] for row in rows) else columns[:-1]
        show_table(f"Before {eviction.horizon}", kept, [row[: len(kept)] for row in rows])
    else:
        console.print(f"no table has a partition before the horizon, {eviction.horizon}")
    return True


def _show_forecast(left: Leftovers, records: Mapping[str, list[str]]) -> None:
    garbage, partitions = left.garbage, sum(map(len, records.values()))
    console.print(f"snapshots that go: {', '.join(left.snapshots) or 'none'}")
    console.print(f"records in Dagster: {partitions:,} partitions of {len(records)} assets")
    console.print(f"bytes that leave at once: {garbage.bytes:,} ({garbage.versions:,} versions)")


def _show_waiting(left: Leftovers) -> None:
    if left.waiting:
        until = max(version.due for version in left.waiting).astimezone()
        console.print(
            f"bytes that wait for slow readers: {sum(v.bytes for v in left.waiting):,}, until "
            f"{until:%Y-%m-%d %H:%M:%S} (setting garbage_minutes); they go with the first eviction "
            "or publication after that"
        )


def _show_windows(project: Project, eviction: Eviction) -> None:
    going = eviction.stale.get("catalog", ())
    windows = [day for day in project.lake.partitions("catalog") if day not in going]
    console.print(f"windows that remain: {', '.join(windows) or 'none'}")


def _show_outdated(project: Project, eviction: Eviction) -> None:
    """Print whether the published window is made of days that would go; else the audit does."""
    from stupid_dagster.stages.evict import evicted_of_published
    from stupid_dagster.stores.snapshots import open_snapshot

    if days := evicted_of_published(project, eviction):
        last_day = open_snapshot(project.lake).manifest.last_day
        if eviction.is_stale("documents", last_day):
            last_day = "DAY"  # The window as a whole is evicted: another must take its place.
        first = "Evict, then" if eviction.stale else "Now"
        console.print(
            f"[yellow]the published window is made of {len(days)} of the evicted days[/] "
            f"({days[0]} to {days[-1]}): it is served until it is made again without them. "
            f"{first} `stupid-dagster run --window {last_day}`, which makes no day, and the same "
            "`evict` again"
        )


def _show_done(done: Evicted) -> None:
    went = done.garbage
    console.print(
        f"evicted: {went.versions:,} versions and {went.bytes:,} bytes left the disk, "
        f"{done.pending:,} bytes wait, {sum(done.wiped.values()):,} events left Dagster's records "
        f"({done.seconds:.1f} s)"
    )


def _show_audit(audited: Audited) -> None:
    if audited.guilty:
        show_table(
            "Audit",
            ["store", "table", "references", "orphans", "example"],
            [(f.store, f.table, f.references, f.orphans, f.example) for f in audited.guilty],
        )
    scanned = sum(finding.scanned for finding in audited.findings)
    console.print(f"audit of {scanned:,} rows: {escape(audited.advice)}")
