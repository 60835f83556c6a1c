"""What a bucket's server was asked, by its own count.

`python -m benchmarks.s3_traffic` prints what a window of gaming days moves, stage by stage.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from itertools import pairwise
from pathlib import Path

import click
import httpx

from benchmarks import report
from benchmarks.data import default_folder, gaming_sample, make_project
from benchmarks.tasks import DAY_STAGES, WINDOW_STAGES
from benchmarks.usage import process_cpu
from tests.stores.s3_server import S3Server, running_server

_COUNTERS = (
    "SeaweedFS_s3_bucket_traffic_received_bytes_total",
    "SeaweedFS_s3_bucket_traffic_sent_bytes_total",
    "SeaweedFS_s3_request_total",
)


@dataclass(frozen=True)
class Traffic:
    """Bytes of objects that a server received and sent, its requests, and its CPU seconds."""

    received: float
    sent: float
    requests: float
    cpu: float

    def since(self, before: Traffic) -> Traffic:
        """Return what came after an earlier reading."""
        pairs = zip(astuple(self), astuple(before), strict=True)
        return Traffic(*(now - then for now, then in pairs))


def traffic(server: S3Server) -> Traffic:
    """Return what a server was asked since it was started."""
    told = httpx.get(server.metrics_url).raise_for_status().text
    # Without a bucket it is the server's own talk.
    totals = (
        sum(map(float, re.findall(rf'^{name}{{bucket="[^"].*}} (\S+)$', told, re.MULTILINE)))
        for name in _COUNTERS
    )
    return Traffic(*totals, cpu=process_cpu(server.process))


@click.command()
@click.option("--events", default=50_000, show_default=True, help="Events a day.")
@click.option("--days", default=3, show_default=True, help="Days of the window.")
def main(events: int, days: int) -> None:
    """Print what a gaming window moves to and from a bucket, on a machine that has none of it."""
    from stupid_dagster.project import Project
    from stupid_dagster.stages.publish import publish_window

    sample = gaming_sample(default_folder(), days, events, seed=7)
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        (work / "s3").mkdir()
        root = make_project(work / "project", "gaming", sample.day(0), sample.day(days - 1))
        settings = root / "stupid.toml"
        text = settings.read_text(encoding="utf-8").replace('"landing"', f'"{sample.landing}"')
        text = text.replace('"lake"', '"s3://benchmarks/lake"')
        settings.write_text(f'{text}workplace = "workplace"\n', encoding="utf-8")
        with running_server(work / "s3") as server:
            os.environ.update(server.environment)
            project, last = Project.load(root), sample.day(days - 1)
            counts = {"before": traffic(server)}
            for day in map(sample.day, range(days)):
                for stage in DAY_STAGES.values():
                    stage.make(project, day)
            counts["the days"] = traffic(server)
            shutil.rmtree(root / "workplace")
            project = Project.load(root)
            for name, stage in WINDOW_STAGES.items():
                stage.make(project, last)
                counts[name] = traffic(server)
            publish_window(project, last)
            counts["snapshot"] = traffic(server)
    print(moved_text(counts))


def moved_text(counts: Mapping[str, Traffic]) -> str:
    """Return a table of what each stage moved, by readings in their order, and all but the days."""
    names = list(counts)
    parts = {name: counts[name].since(counts[before]) for before, name in pairwise(names)}
    parts["the window"] = counts[names[-1]].since(counts["the days"])
    rows = [
        [name, f"{m.received / 1e6:.1f}", f"{m.sent / 1e6:.1f}", f"{m.requests:.0f}"]
        for name, m in parts.items()
    ]
    return report.table(["stage", "MB to it", "MB from it", "requests"], rows)


if __name__ == "__main__":
    main()
