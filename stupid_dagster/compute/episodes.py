"""Runs of days on which a series was off in the same direction."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import polars as pl

from stupid_dagster.compute.trends import SEVERITIES
from stupid_dagster.event_model import EventModel

WORTH_TELLING = ("significant", "critical")
BRIDGED_DAYS = 1
"""Ordinary days between two that are off, at most, for both to be one episode."""


@dataclass(frozen=True)
class Episode:
    """A series' significant days in one direction: rows of the table `trends` with their `day`."""

    metric: str
    dimension: str
    member: str
    direction: str
    rows: list[dict[str, Any]]
    series: list[float | None]

    @property
    def peak(self) -> dict[str, Any]:
        """The row whose value is farthest from its baseline."""
        return max(self.rows, key=lambda row: abs(row["value"] - row["baseline"]))

    @property
    def size(self) -> float:
        """The largest |z| of its days."""
        return max(abs(row["z"]) for row in self.rows)

    @property
    def severity(self) -> str:
        """The worst severity of its days."""
        return max((row["severity"] for row in self.rows), key=SEVERITIES.index)


def recent_episodes(
    trends: pl.DataFrame, model: EventModel, last_day: dt.date, recent_days: int
) -> list[Episode]:
    """Return the episodes that reach into the last `recent_days` days up to `last_day`.

    Days are significant or worse; one ordinary day between them doesn't end an episode. Of
    members, only critical ones whose metric as a whole has no episode in that direction. The
    largest |z| comes first.
    """
    local = pl.col("time").dt.convert_time_zone(model.timezone).dt.date()
    days = trends.with_columns(day=local).filter(pl.col("day") <= last_day)
    off = days.filter(pl.col("severity").is_in(WORTH_TELLING)).sort("day")
    series = ["metric", "dimension", "member"]
    found = []
    for group, rows in off.partition_by(
        [*series, "direction"], as_dict=True, maintain_order=True
    ).items():
        last_run = _last_run(rows.to_dicts())
        if (last_day - last_run[-1]["day"]).days < recent_days:
            metric, dimension, member, direction = map(str, group)
            same = [pl.col(c) == v for c, v in zip(series, group[:3], strict=True)]
            values = days.filter(same).sort("time")["value"].to_list()
            found.append(Episode(metric, dimension, member, direction, last_run, values))
    whole = {(episode.metric, episode.direction) for episode in found if not episode.dimension}
    told = [
        episode
        for episode in found
        if not episode.dimension
        or (episode.severity == "critical" and (episode.metric, episode.direction) not in whole)
    ]
    return sorted(told, key=lambda e: (-e.size, e.metric, e.dimension, e.member, e.direction))


def _last_run(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    start = len(rows) - 1
    while start > 0 and (rows[start]["day"] - rows[start - 1]["day"]).days <= BRIDGED_DAYS + 1:
        start -= 1
    return rows[start:]
