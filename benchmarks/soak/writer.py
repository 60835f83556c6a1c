"""The process that writes: `python -m benchmarks.soak.writer ROOT STAGES`.

Round after round it changes landing files, makes days anew, makes and publishes the window, and
evicts, until ROOT has a file `stop`. What it published stands in `published.jsonl`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.soak.world import days_of, land
from benchmarks.tasks import DAY_STAGES, WINDOW_STAGES
from stupid_dagster.project import Project
from stupid_dagster.stages.evict import evict, plan_eviction
from stupid_dagster.stages.publish import Publication, publish_window
from stupid_dagster.stores.ledger import POINTER

LOG, STOP = "published.jsonl", "stop"
LEAST = ("window_days", "search_index", "graph", "graph_database", "graph_knowledge", "catalog")
"""Stages of a window that has something in every store."""


@dataclass(frozen=True)
class Published:
    """A round's snapshot: when it was, in seconds since 1970, and what left the disk since."""

    round: int
    snapshot: str
    at: float
    collected: int
    evicted: int


def write_round(project: Project, number: int, stages: Sequence[str]) -> Published:
    """Do one round, and return what it published."""
    changed = land(Path(project.settings.landing_location), number)
    made = make_and_publish(project, changed, days_of(number)[-1], stages)
    at = (project.lake.root / POINTER).stat().st_mtime
    eviction = plan_eviction(project)
    gone = eviction.stale.get("documents", []) if eviction else []
    garbage = evict(project, eviction) if eviction else made.garbage
    collected = made.garbage.versions + garbage.versions
    return Published(number, made.manifest.id, at, collected, len(gone))


def make_and_publish(
    project: Project, days: Iterable[str], last_day: str, stages: Sequence[str]
) -> Publication:
    """Make days and then stages of the window that ends on a day, and publish it."""
    for day in days:
        for stage in DAY_STAGES.values():
            stage.make(project, day)
    for name in stages:
        WINDOW_STAGES[name].make(project, last_day)
    return publish_window(project, last_day)


def read_log(root: Path) -> list[Published]:
    """Return what was published so far, oldest first."""
    file = root / LOG
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return [Published(**json.loads(line)) for line in lines]


def main(root: Path, stages: Sequence[str]) -> None:
    """Write rounds until told to stop."""
    number = len(read_log(root))
    while not (root / STOP).exists():
        # Loaded anew, as every run does.
        done = write_round(Project.load(root), number, stages)
        with (root / LOG).open("a", encoding="utf-8") as log:
            log.write(json.dumps(vars(done)) + "\n")
        number += 1


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2].split(","))
