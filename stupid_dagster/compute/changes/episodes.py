"""Runs of days, or hours, in which a series was off in the same direction."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import polars as pl

from stupid_dagster.compute.changes.trends import SEVERITIES
from stupid_dagster.event_model import EventModel

WORTH_TELLING = ("significant", "critical")
STEP = {"day": dt.timedelta(days=1), "hour": dt.timedelta(hours=1)}
BRIDGED = 1
"""Ordinary days (or hours) between two that are off, at most, for both to be one episode."""


@dataclass(frozen=True)
class Episode:
    """A series' significant times in one direction: rows of the table `trends` with their `day`.

    `series` are its values: of all days, or of the recent hours that have rows.
    """

    metric: str
    dimension: str
    member: str
    direction: str
    rows: list[dict[str, Any]]
    series: list[float | None]

    @property
    def grain(self) -> str:
        """Whether its times are days or hours."""
        return self.rows[0]["grain"]

    @property
    def days(self) -> set[dt.date]:
        """The local days of its times."""
        return {row["day"] for row in self.rows}

    @property
    def peak(self) -> dict[str, Any]:
        """The row whose value is farthest from its baseline."""
        return max(self.rows, key=lambda row: abs(row["value"] - row["baseline"]))

    @property
    def size(self) -> float:
        """The largest |z| of its times."""
        return max(abs(row["z"]) for row in self.rows)

    @property
    def severity(self) -> str:
        """The worst severity of its times."""
        return max((row["severity"] for row in self.rows), key=SEVERITIES.index)


def recent_episodes(
    trends: pl.DataFrame, model: EventModel, last_day: dt.date, recent_days: int
) -> list[Episode]:
    """Return the episodes of days that reach into the last `recent_days` days up to `last_day`.

    Days are significant or worse; one ordinary day between them doesn't end an episode. Of
    members, only critical ones whose metric as a whole has no episode in that direction. The
    largest |z| comes first.
    """
    days = _times(trends, model, last_day, "day")
    found = []
    for runs, values in _runs(days, "day"):
        if (last_day - runs[-1][-1]["day"]).days < recent_days:
            found.append(_episode(runs[-1], values))
    return _loudest_first(_without_members_of(found))


def recent_hours(
    trends: pl.DataFrame,
    model: EventModel,
    last_day: dt.date,
    recent_days: int,
    daily: list[Episode],
) -> list[Episode]:
    """Return the hours of the last `recent_days` days that the episodes `daily` don't tell.

    Hours are significant or worse, and run as days do in `recent_episodes`; every run is an
    episode. One is told already when each of its days is in an episode of days of that metric
    and direction, as a whole or of this member. Of members, only critical ones in no hour of
    which the metric as a whole is off in that direction. The largest |z| comes first.
    """
    first_day = last_day - dt.timedelta(days=recent_days - 1)
    hours = _times(trends, model, last_day, "hour").filter(pl.col("day") >= first_day)
    found = [_episode(run, values) for runs, values in _runs(hours, "hour") for run in runs]
    untold = [hour for hour in found if not any(_tells(day, hour) for day in daily)]
    return _loudest_first(_without_members_of(untold))


def _times(trends: pl.DataFrame, model: EventModel, last_day: dt.date, grain: str) -> pl.DataFrame:
    local = pl.col("time").dt.convert_time_zone(model.timezone).dt.date()
    rows = trends.filter(pl.col("grain") == grain).with_columns(day=local)
    return rows.filter(pl.col("day") <= last_day).sort("time")


def _runs(
    times: pl.DataFrame, grain: str
) -> Iterator[tuple[list[list[dict[str, Any]]], list[float | None]]]:
    """Yield the runs of each series and direction that has any, and the series' values."""
    series = ["metric", "dimension", "member"]
    off = times.filter(pl.col("severity").is_in(WORTH_TELLING))
    groups = off.partition_by([*series, "direction"], as_dict=True, maintain_order=True)
    # All at once: a filter for each series would go through all rows as often.
    whole = times.join(off, on=series, how="semi", maintain_order="left")
    values = {
        group: rows["value"].to_list()
        for group, rows in whole.partition_by(series, as_dict=True, maintain_order=True).items()
    }
    for group, rows in groups.items():
        runs: list[list[dict[str, Any]]] = []
        last = None
        for row in rows.iter_rows(named=True):
            at = row["day"] if grain == "day" else row["time"]
            if last is None or at - last > (BRIDGED + 1) * STEP[grain]:
                runs.append([])
            runs[-1].append(row)
            last = at
        yield runs, values[group[:3]]


def _episode(rows: list[dict[str, Any]], values: list[float | None]) -> Episode:
    metric, dimension, member, direction = (
        str(rows[0][name]) for name in ("metric", "dimension", "member", "direction")
    )
    return Episode(metric, dimension, member, direction, rows, values)


def _tells(told: Episode, hours: Episode) -> bool:
    same = (told.metric, told.direction) == (hours.metric, hours.direction)
    whole = told.dimension in ("", hours.dimension) and told.member in ("", hours.member)
    return same and whole and hours.days <= told.days


def _without_members_of(found: list[Episode]) -> list[Episode]:
    """Leave out members that aren't critical, or whose metric as a whole is off with them."""
    whole = [episode for episode in found if not episode.dimension]
    return [
        episode
        for episode in found
        if not episode.dimension
        or (episode.severity == "critical" and not any(_together(w, episode) for w in whole))
    ]


def _together(whole: Episode, member: Episode) -> bool:
    same = (whole.metric, whole.direction) == (member.metric, member.direction)
    if whole.grain == "day":
        return same
    first, last = (rows["time"] for rows in (whole.rows[0], whole.rows[-1]))
    return same and any(first <= row["time"] <= last for row in member.rows)


def _loudest_first(episodes: list[Episode]) -> list[Episode]:
    return sorted(
        episodes,
        key=lambda e: (-e.size, e.metric, e.dimension, e.member, e.direction, e.rows[0]["time"]),
    )
