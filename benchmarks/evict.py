"""The oldest day of a built month, evicted on a copy of links, and the audits before and after."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.child import BenchmarkError, run_task
from benchmarks.gaming import Part

_EVERYTHING = ("prepare eviction", "audit", "evict", "audit")


def evict_part(project: Path, work: Path) -> Part:
    """Return what evicting the oldest day of a project costs; the project is left as it is."""
    if not (project / "lake").is_dir():
        raise BenchmarkError(
            f"there is no lake in {project}: make it with `month`, or name another"
        )
    root = work / "project"
    shutil.copytree(
        project,
        root,
        copy_function=link_file,
        ignore=shutil.ignore_patterns(".dagster_home", ".env"),
    )
    config = root / "stupid.toml"
    text = config.read_text(encoding="utf-8")
    config.unlink()  # It is the original's too.
    config.write_text(f"{text}garbage_minutes = 0\n", encoding="utf-8")
    runs = [run_task(name, {"root": root}) for name in _EVERYTHING]
    made, before, evicted, after = (each.runs[0] for each in runs)
    told = evicted.told
    measured = {
        "evict_cpu": evicted.cpu,
        "audit_cpu": before.cpu,
        "audit_peak": before.peak_bytes / 2**30,
        "audit_clean": before.told["references"],
    }
    rows = [
        [name, f"{run.wall:.2f}", f"{run.cpu:.2f}", f"{run.peak_bytes / 1e6:,.0f}", said]
        for name, run, said in (
            ("audit before", before, _audited(before.told)),
            (
                "eviction",
                evicted,
                f"{told['day']}: {told['bytes']:,} bytes in {told['versions']} versions returned, "
                f"{told['events']} events wiped",
            ),
            ("audit after", after, _audited(after.told)),
        )
    ]
    text = [
        f"## Eviction of the oldest of {made.told['days']} days",
        report.table(["what", "wall s", "CPU s", "peak MB", "told"], rows),
        "The window that is published was made of that day, so that the second audit finds it.",
    ]
    return Part("\n\n".join(text), {"runs": [each.figures() for each in runs]}, measured)


def _audited(told: Mapping[str, Any]) -> str:
    return f"{told['rows']:,} rows: {told['references']:,} references, {told['orphans']:,} orphans"


def link_file(source: str, target: str) -> None:
    """Make `target` the same file as `source`, or a copy where the disk is another."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
