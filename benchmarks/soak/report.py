"""What a soak found, as a report."""

from __future__ import annotations

from dataclasses import asdict
from statistics import median, quantiles
from typing import Any

from benchmarks import report
from benchmarks.soak.run import Outcome, Process
from benchmarks.soak.world import ROUNDS_A_DAY, WINDOW_DAYS

SERVED_WITHIN = 2.0
"""Seconds within which a publication is to be served, on a quiet machine."""


def failed(outcome: Outcome) -> bool:
    """Return whether anything was found that may not be."""
    processes = (*outcome.server, *outcome.readers)
    return bool(outcome.wrong or outcome.troubles or any(p.gone for p in processes))


def soak_report(machine: dict[str, Any], outcome: Outcome) -> tuple[str, dict[str, Any]]:
    """Return the report of a soak, and its figures."""
    rows = [
        [who, f"{outcome.answers[who]:,}", f"{outcome.snapshots[who]:,}"]
        for who in sorted(outcome.answers)
    ]
    worn, fresh = outcome.files
    figures = {
        "publications": len(outcome.published),
        "days_evicted": sum(p.evicted for p in outcome.published),
        "versions_collected": sum(p.collected for p in outcome.published),
        "answers": dict(outcome.answers),
        "snapshots": dict(outcome.snapshots),
        "wrong": list(outcome.wrong),
        "troubles": [asdict(trouble) for trouble in outcome.troubles],
        "late": [asdict(trouble) for trouble in outcome.late],
        "served_after": sorted(outcome.served_after),
        "server": [asdict(p) for p in outcome.server],
        "readers": [asdict(p) for p in outcome.readers],
        "bytes": {
            "peak": outcome.peak_bytes,
            "end": sum(worn.values()),
            "fresh": sum(fresh.values()),
        },
        "files": {"end": len(worn), "fresh": len(fresh)},
        "only_one_has": sorted(set(worn) ^ set(fresh)),
    }
    parts = [
        f"{figures['publications']} publications of a window of {WINDOW_DAYS} days, which moves "
        f"forward by a day every {ROUNDS_A_DAY}; {figures['days_evicted']} days were evicted and "
        f"{figures['versions_collected']:,} versions collected meanwhile.",
        report.table(["who asked", "answers", "snapshots"], rows),
        f"Answers that weren't what was planted in the snapshot they name: {len(outcome.wrong)}. "
        f"Answers that didn't come: {len(outcome.troubles)}; of snapshots that were replaced "
        f"longer ago than the time of grace: {len(outcome.late)}.",
        _served(outcome),
        "\n".join(
            f"- {name}: {_change(before, after)}"
            for name, (before, after) in {
                "the API": outcome.server,
                "the other readers": outcome.readers,
            }.items()
        ),
        f"The lake had at most {outcome.peak_bytes:,} bytes; in the end, after a last collection, "
        f"{sum(worn.values()):,} in {len(worn)} files, and a fresh lake of the same window has "
        f"{sum(fresh.values()):,} in {len(fresh)}.",
        *outcome.wrong[:5],
        *(f"{trouble}" for trouble in outcome.troubles[:5]),
    ]
    return report.page("Readers and a writer at once", machine, *parts), figures


def _served(outcome: Outcome) -> str:
    delays = outcome.served_after
    if len(delays) < 2:
        return ""
    return (
        f"From a publication to the API's first answer of it: median {median(delays):.2f} s, 95 % "
        f"within {quantiles(delays, n=20)[-1]:.2f} s, at most {max(delays):.2f} s "
        f"({sum(delay <= SERVED_WITHIN for delay in delays)} of {len(delays)} within "
        f"{SERVED_WITHIN:.0f} s)."
    )


def _change(before: Process, after: Process) -> str:
    return (
        f"{before.threads} threads and {before.resident_bytes / 1e6:,.0f} MB after the first "
        f"publications, {after.threads} and {after.resident_bytes / 1e6:,.0f} MB in the end; "
        f"deleted files still held: {len(after.gone)}"
    )
