"""What a stage reports of each table it wrote."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import polars as pl

from stupid_dagster.project import Project
from stupid_dagster.stores.version import Version, VersionWriter

_MADE_WITH = {
    "clusters": ("max_clusters", "seed"),
    "communities": ("community_algorithm", "seed"),
    "event_clusters": ("dbscan_eps", "dbscan_min_events", "dbscan_exact_texts"),
    "patterns": (
        *("pattern_days", "pattern_min_support", "pattern_min_actors"),
        *("pattern_max_length", "patterns_most"),
    ),
    "trends": ("trend_baseline_days",),
}
"""The settings that tables depend on, kept with each version: they may be others tomorrow."""


@dataclass(frozen=True)
class Verdict:
    """The outcome of a check of a table."""

    check: str
    passed: bool
    description: str
    details: Mapping[str, Any] = field(default_factory=dict)
    is_error: bool = False


@dataclass(frozen=True)
class Written:
    """A table's new version, how long its stage took, and what is worth knowing of it.

    `details` has numbers and texts; `pictures` has PNG images, `previews` a few rows, by title.
    """

    version: Version
    seconds: float
    details: Mapping[str, Any] = field(default_factory=dict)
    pictures: Mapping[str, bytes] = field(default_factory=dict)
    previews: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    verdicts: Sequence[Verdict] = ()

    @property
    def table(self) -> str:
        """The table's name."""
        return self.version.table


class Stage:
    """Writes the tables of one stage and one partition, and collects the reports.

    `made_of` is kept with the versions of all its tables.
    """

    def __init__(
        self, project: Project, partition: str, made_of: Mapping[str, Any] | None = None
    ) -> None:
        self.project = project
        self.partition = partition
        self.made_of = dict(made_of or {})
        self.written: list[Written] = []
        self._started = time.perf_counter()

    def table(
        self,
        name: str,
        frame: pl.DataFrame,
        *,
        deltas: Sequence[str] = (),
        metadata: Mapping[str, Any] | None = None,
        **reported: Any,
    ) -> None:
        """Write a table of one Parquet file as `VersionWriter.write` does, else as `files`."""
        fill = partial(VersionWriter.write, frame=frame, deltas=deltas)
        self.files(name, fill, metadata=metadata, **reported)

    def files(
        self,
        name: str,
        fill: Callable[[VersionWriter], None],
        *,
        metadata: Mapping[str, Any] | None = None,
        details: Mapping[str, Any] | None = None,
        pictures: Mapping[str, bytes] | None = None,
        previews: Mapping[str, pl.DataFrame] | None = None,
        verdicts: Sequence[Verdict] = (),
    ) -> None:
        """Write a table whose files `fill` makes.

        `metadata` is kept with the version; the others are only reported.
        """
        with self.project.lake.write(name, self.partition) as writer:
            fill(writer)
            writer.metadata |= self.made_of | _settings(self.project, name) | dict(metadata or {})
        now = time.perf_counter()
        seconds, self._started = now - self._started, now
        self.written.append(
            Written(
                writer.committed, seconds, details or {}, pictures or {}, previews or {}, verdicts
            )
        )


def _settings(project: Project, table: str) -> dict[str, Any]:
    names = _MADE_WITH.get(table, ())
    return {"settings": {name: getattr(project.settings, name) for name in names}} if names else {}
