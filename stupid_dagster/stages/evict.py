"""Take whole days out of every table, snapshot and file.

A window's knowledge goes with the first day that it is made of. What is published changes first,
then live versions go, then files that nothing names any more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

import structlog

from stupid_dagster.errors import ConflictError, DamagedError, SettingsError
from stupid_dagster.project import Project
from stupid_dagster.stages.arrivals import record_horizon
from stupid_dagster.stages.window import PINS, Window
from stupid_dagster.stores.garbage import (
    Garbage,
    Leftover,
    Leftovers,
    collect_garbage,
    find_leftovers,
)
from stupid_dagster.stores.snapshots import (
    Manifest,
    dropped_among,
    open_snapshot,
    publish,
    published_id,
)
from stupid_dagster.tables import TABLES, WINDOW_TABLES

_MOST_TRIES = 10
log = structlog.get_logger(__name__)
WINDOW_PARTITIONED = {*WINDOW_TABLES, "snapshot"}
OF_ALL_TIME = {table.name for table in TABLES.values() if table.grain == "all"}


@dataclass(frozen=True)
class Eviction:
    """What lies before the horizon, the oldest day that is kept."""

    horizon: date
    window_days: int
    kept_windows: frozenset[str] = frozenset()
    """Windows that stay although they begin before the horizon: the published one, until a newer
    takes its place, and such as are made of nothing but kept days."""
    stale: Mapping[str, list[str]] = field(default_factory=dict)
    """By table the partitions that go."""
    by_hand: bool = False
    """Whether it goes further than the published window asks for."""

    def is_stale(self, table: str, partition: str) -> bool:
        """Return whether a partition of a table (or of the asset `snapshot`) must go."""
        if table in OF_ALL_TIME:
            return False
        if table not in WINDOW_PARTITIONED:
            return partition < self.horizon.isoformat()
        oldest = self.horizon + timedelta(days=self.window_days - 1)
        return partition < oldest.isoformat() and partition not in self.kept_windows

    @property
    def partitions(self) -> list[str]:
        """All partitions that go from any table, ascending."""
        return sorted({partition for found in self.stale.values() for partition in found})


def plan_eviction(project: Project, anchor: date | None = None) -> Eviction | None:
    """Return what must go when the newest window ends on `anchor`; None without any documents.

    Unless an anchor is given it is the published window's, however much newer the newest day is:
    what is served is not taken apart before there is something to serve in its place. All
    tables are looked at, so that one that was left behind alone is found too. Raises
    SettingsError for an anchor by which no day would be left.
    """
    lake = project.lake
    newest, by_hand = project.anchor(), anchor is not None
    published = None
    if published_id(lake) is not None:
        published = open_snapshot(lake).manifest.last_day
    if anchor is None:
        if newest is None:
            return None
        anchor = min(newest, date.fromisoformat(published)) if published else newest
    horizon = project.settings.horizon(anchor)
    if newest and horizon > newest:
        raise SettingsError(
            f"a newest window ending on {anchor} keeps the days from {horizon} on, and the newest "
            f"day that has documents is {newest}: none would be left; give an earlier day"
        )
    kept = {day for day in lake.partitions(PINS) if _first_day(project, day) >= str(horizon)}
    kept |= {published} if published else set()
    eviction = Eviction(horizon, project.settings.window_days, frozenset(kept), by_hand=by_hand)
    stale = {
        table: [p for p in lake.partitions(table) if eviction.is_stale(table, p)]
        for table in lake.tables()
    }
    return replace(eviction, stale={table: found for table, found in stale.items() if found})


def _first_day(project: Project, last_day: str) -> str:
    """Return the first day that a window is made of; an empty text where that can't be known.

    Of all its tables: a run that failed may have left some that were made of other pins.
    """
    lake = project.lake
    days = set()
    try:
        made = lake.each(lambda table: lake.find(table, last_day), WINDOW_TABLES)
        names = {version.metadata.get(PINS, version.name) for version in made if version}
        for pins in (lake.find(PINS, last_day, name) for name in names):
            if pins is None:
                return ""
            days.add(Window(project, pins).days[0])
    except DamagedError:
        return ""
    return min(days, default="")


def evicted_of_published(project: Project, eviction: Eviction) -> list[str]:
    """Return the days that the published window is made of and that an eviction takes."""
    if published_id(project.lake) is None:
        return []
    published = open_snapshot(project.lake).manifest
    pins = published.of(PINS).get(published.last_day)  # An older release didn't pin versions.
    days = Window(project, pins).days if pins else published.days
    return [day for day in days if eviction.is_stale("documents", day)]


def evict(project: Project, eviction: Eviction) -> Garbage:
    """Remove the stale partitions; can be killed at any point and run again.

    Returns what left the disk; what slow readers may still use goes with a later collection.
    """
    for _ in eviction_steps(project, eviction):
        pass
    return remove_garbage(project)


def eviction_steps(project: Project, eviction: Eviction) -> Iterator[str]:
    """Publish without the stale partitions, then drop one after the other; yield what was done.

    After any number of steps `plan_eviction` finds what is left to do.
    """
    if eviction.by_hand:
        record_horizon(project, eviction.horizon)
    yield from _publish_until_without(project, eviction)
    stale = [(table, p) for table, partitions in eviction.stale.items() for p in partitions]
    for table, partition in project.lake.drop_all(stale):
        yield f"dropped {table} {partition}"
    # A window that was published meanwhile may have brought them back into what is served.
    yield from _publish_until_without(project, eviction)
    log.info("evicted", horizon=str(eviction.horizon), partitions=eviction.partitions)


def _publish_until_without(project: Project, eviction: Eviction) -> Iterator[str]:
    for _ in range(_MOST_TRIES):
        with suppress(ConflictError):  # Somebody else has published: that is looked at next.
            if snapshot := _publish_without(project, eviction):
                yield f"published {snapshot} without them"
            return
    raise ConflictError("others publish all the time: evict again when they are done")


def remove_garbage(project: Project) -> Garbage:
    """Remove what nothing names any more and whose time of grace is over; see `Garbage`."""
    return collect_garbage(
        project.lake,
        kept_snapshots=project.settings.kept_snapshots,
        grace=project.settings.garbage_grace,
        using=PINS,
    )


def leftovers(project: Project, eviction: Eviction | None = None) -> Leftovers:
    """Return what nothing names any more, or nothing will after an eviction; changes nothing."""
    stale = eviction.stale if eviction else {}
    return find_leftovers(
        project.lake,
        kept_snapshots=project.settings.kept_snapshots,
        grace=project.settings.garbage_grace,
        using=PINS,
        dropped={(table, partition) for table, found in stale.items() for partition in found},
    )


def overdue(left: Leftovers) -> list[Leftover]:
    """Return the versions that a collection is due for.

    Not those of tables of all time: each audit leaves its former version, and asking for an
    eviction because of that would never end.
    """
    return [version for version in left.due if version.held.table not in OF_ALL_TIME]


def _publish_without(project: Project, eviction: Eviction) -> str | None:
    """Publish the same window without what is stale or was dropped, if the published one names any.

    Returns the new snapshot's id. Raises ConflictError when another is published meanwhile.
    """
    if published_id(project.lake) is None:
        return None
    manifest = open_snapshot(project.lake).manifest

    def still_served(served: Manifest | None) -> bool:
        if served is None or served.id != manifest.id:
            raise ConflictError("another snapshot was published meanwhile: evict again")
        return True

    named = [(table, p) for table, versions in manifest.versions.items() for p in versions]
    stale = [(table, p) for table, found in eviction.stale.items() for p in found]
    gone = dropped_among(project.lake, named, stale)
    kept = {
        table: {p: version for p, version in versions.items() if (table, p) not in gone}
        for table, versions in manifest.versions.items()
    }
    if kept == manifest.versions:
        return None
    return publish(
        project.lake,
        window=(date.fromisoformat(manifest.first_day), date.fromisoformat(manifest.last_day)),
        versions=kept,
        event_model=manifest.event_model,
        event_model_hash=manifest.event_model_hash,
        embedder_id=manifest.embedder_id,
        code_version=manifest.code_version,
        serve=still_served,
    ).id
