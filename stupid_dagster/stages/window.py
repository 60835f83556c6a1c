"""The window that stages make: which versions of its days it is made of, and what it follows on.

`window_days` pins the versions of the days' tables that there are when a window is begun. All of
its other tables are made of these, and say so, whatever is made anew meanwhile: a snapshot never
mixes two states of a day.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property, partial

import polars as pl
import structlog

from stupid_dagster.errors import ComputeError, ConflictError, MissingVersionError
from stupid_dagster.event_model import model_hash
from stupid_dagster.project import MODEL_HASH, Project
from stupid_dagster.stages.written import Stage, Written
from stupid_dagster.stores.snapshots import USES
from stupid_dagster.stores.version import Version
from stupid_dagster.tables import TABLES

NEXT_NUMBER = "next_number"
"""In the metadata of a table of groups: above the number of every id that was ever used."""
PINS = "window_days"
DAMAGED = "damaged"
"""In the metadata of `window_days`: versions of days that were left out, for files of theirs are
damaged."""
PREVIOUS = "previous"
"""In the metadata of `window_days`: the last day of the window before, even if that is evicted."""
_EVENTS = ("documents", "rejects")
log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Window:
    """A window in the making: its days' tables as they were when it was begun, and its own."""

    project: Project
    pins: Version
    """The version of `window_days` that this window's tables are made of."""

    @property
    def last_day(self) -> str:
        """The day that it ends on, which names its partitions."""
        return self.pins.partition

    @cached_property
    def days(self) -> list[str]:
        """Its days, ascending; at least one."""
        return sorted({address.split("/")[1] for address in self.pins.metadata[USES]})

    @cached_property
    def versions(self) -> Mapping[str, Mapping[str, Version]]:
        """The pinned versions by day table and day; raises MissingVersionError if one is gone."""
        found: dict[str, dict[str, Version]] = {}
        addresses = self.pins.metadata[USES]
        versions = self.project.lake.each(
            lambda a: self.project.lake.find(*a.split("/")), addresses
        )
        for address, version in zip(addresses, versions, strict=True):
            if version is None:
                raise MissingVersionError(
                    f"{address}, of which the window ending on {self.last_day} is made, is gone; "
                    "make the window again, from window_days on"
                )
            found.setdefault(version.table, {})[version.partition] = version
        return found

    def recent_days(self, number: int) -> list[str]:
        """Return those of its days that are among the calendar's last `number`; maybe none."""
        first = (date.fromisoformat(self.last_day) - timedelta(days=number - 1)).isoformat()
        return [day for day in self.days if day >= first]

    def scan_days(self, table: str, days: Iterable[str] | None = None) -> pl.LazyFrame:
        """Return a day table's rows of the given days (all) with their `day` as last column."""
        versions = [self.versions[table][day] for day in (self.days if days is None else days)]
        return self.project.lake.scan_versions(versions, with_day=True)

    def scan_day(self, table: str, day: str) -> pl.LazyFrame:
        """Return a day table's rows of one day."""
        return self.project.lake.scan_versions([self.versions[table][day]])

    def find(self, table: str) -> Version | None:
        """Return the version of one of its own tables, None where there is none.

        Raises ConflictError for one that was made of other versions of the days.
        """
        if table == PINS:
            return self.pins
        version = self.project.lake.find(table, self.last_day)
        if version and version.metadata.get(PINS) != self.pins.name:
            raise ConflictError(
                f"{version.address} was made of other versions of the days than window_days now "
                "names, maybe by a run at the same time: make the window again, from window_days on"
            )
        return version

    def version(self, table: str) -> Version:
        """Return the version of one of its own tables; raises MissingVersionError also."""
        found = self.find(table)
        if found is None:
            raise MissingVersionError(
                f"{table} has no partition {self.last_day} in {self.project.lake.url}; "
                "materialise it first"
            )
        return found

    def scan(self, table: str) -> pl.LazyFrame:
        """Return the rows of one of its own tables; raises as `version`."""
        return self.project.lake.scan_versions([self.version(table)])

    def read(self, table: str) -> pl.DataFrame:
        """Return the rows of one of its own tables, loaded; raises as `version`."""
        return self.scan(table).collect()

    def stage(self) -> Stage:
        """Return a stage whose tables say which versions of the days they were made of."""
        return Stage(self.project, self.last_day, made_of={PINS: self.pins.name})

    def previous_version(self, table: str) -> Version | None:
        """Return a table's version of the window before this one; None for the first.

        Where that has been evicted, this window's own former table stands in for it, so that
        groups keep their ids.
        """
        lake = self.project.lake
        for day in reversed(lake.partitions(table)):
            # None where an eviction takes it at this moment.
            if day < self.last_day and (version := lake.find(table, day)):
                return version
        return lake.find(table, self.last_day) if self.pins.metadata[PREVIOUS] else None

    def previous(self, table: str) -> pl.DataFrame | None:
        """Return the previous window's table; None where it had none."""
        version = self.previous_version(table)
        return self.project.lake.scan_versions([version]).collect() if version else None

    def previous_window(self, table: str) -> Window | None:
        """Return the window that `previous_version` is of; None for the first.

        Also None for one of whose days any was evicted.
        """
        version = self.previous_version(table)
        # An older release didn't pin versions.
        pins = version and self.project.lake.find(PINS, version.partition)
        window = Window(self.project, pins) if pins else None
        with suppress(MissingVersionError):
            return window if window and window.versions else None
        return None

    def next_number(self, table: str) -> int:
        """Return the number from which this window's new groups are counted."""
        version = self.previous_version(table)
        return version.metadata.get(NEXT_NUMBER, 0) if version else 0


def open_window(project: Project, last_day: str) -> Window:
    """Return the window that `make_window_days` began; raises MissingVersionError."""
    return Window(project, project.lake.live(PINS, last_day))


def make_window_days(project: Project, last_day: str) -> list[Written]:
    """Write `window_days`: the versions of the complete days' tables, as they are now.

    The files that a window is made of are read, so that none is taken whose bytes have changed
    since they were written; not the events, which it doesn't read. Raises ComputeError when no day
    of the window is complete.
    """
    last = date.fromisoformat(last_day)
    days = project.complete_days(last)
    left_out: list[str] = []
    for day, tables in list(days.items()):
        versions = [version for table, version in tables.items() if table not in _EVENTS]
        found = project.lake.each(partial(project.lake.damaged, checksums=True), versions)
        if damaged := [file for files in found for file in files]:
            left_out += [version.address for version in days.pop(day).values()]
            log.warning(
                "a day is left out: it has damaged files",
                files=[str(file) for file in damaged],
                run_again=f"stupid-dagster run --from {day} --to {day}",
            )
    if half_made := project.half_made_days(last):
        log.warning("days left out: not all of their tables are made", days=half_made)
    if not days:
        raise ComputeError(
            f"no day of the window ending on {last_day} has all its day tables; materialise "
            "days first: `stupid-dagster run --from DAY --to DAY`"
        )
    versions = [version for tables in days.values() for version in tables.values()]
    rows = [(v.partition, v.table, v.name, v.rows, v.bytes) for v in versions]
    stage = Stage(project, last_day)
    stage.table(
        PINS,
        pl.DataFrame(rows, TABLES[PINS].schema, orient="row"),
        metadata={
            USES: [version.address for version in versions],
            DAMAGED: left_out,
            PREVIOUS: _previous_day(project, last_day),
            MODEL_HASH: model_hash(project.model),
        },
        details={"days": len(days), "first_day": min(days), "last_day": max(days)},
    )
    return stage.written


def _previous_day(project: Project, last_day: str) -> str | None:
    """Return the last day of the newest earlier window; what it was, if that is gone."""
    lake = project.lake
    earlier = [d for table in (PINS, "catalog") for d in lake.partitions(table) if d < last_day]
    if earlier:
        return max(earlier)
    before = lake.find(PINS, last_day)
    return before.metadata.get(PREVIOUS) if before else None
