"""What an audit looks at: the versions that are kept, the horizon, and what kept days have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property

import polars as pl

from stupid_dagster.compute.references import Horizon, known_ids
from stupid_dagster.errors import DamagedError
from stupid_dagster.project import Project, days_between
from stupid_dagster.stages.evict import Eviction, leftovers
from stupid_dagster.stages.window import PINS
from stupid_dagster.stores.garbage import Leftovers
from stupid_dagster.stores.snapshots import (
    USES,
    Manifest,
    dropped_among,
    published_id,
    read_manifests,
)
from stupid_dagster.stores.version import Version
from stupid_dagster.tables import TABLES

_Place = tuple[str, str, str | None]
"""A table, its partition, and a version's name; none is the live one's."""


@dataclass(frozen=True)
class Scope:
    """All that is kept: live, named by a snapshot that stays, or used by a window that is live.

    What waits for its grace isn't.
    """

    project: Project
    eviction: Eviction
    left: Leftovers
    manifests: Mapping[str, Manifest]
    versions: Mapping[str, list[Version]]
    """By table; each once."""
    damaged: Mapping[str, list[str]]
    """By table what is wrong with versions whose description can't be read."""

    @classmethod
    def of(cls, project: Project, eviction: Eviction) -> Scope:
        """Return what is kept now."""
        lake = project.lake
        left = leftovers(project)
        manifests = {k: m for k, m in read_manifests(lake).items() if k not in left.snapshots}
        found: dict[str, dict[str, Version]] = {}
        damaged: dict[str, dict[str, None]] = {}

        def find(place: _Place) -> Version | DamagedError | None:
            try:
                return lake.find(*place)
            except DamagedError as error:
                return error

        def add(places: Iterable[_Place]) -> None:
            asked = list(dict.fromkeys(places))
            for (table, _, _), version in zip(asked, lake.each(find, asked), strict=True):
                if isinstance(version, DamagedError):
                    damaged.setdefault(table, {})[str(version)] = None
                elif version:
                    found.setdefault(table, {})[version.address] = version

        tables = lake.tables()
        live = zip(tables, lake.each(lake.partitions, tables), strict=True)
        add((table, partition, None) for table, partitions in live for partition in partitions)
        add(
            (table, version.partition, version.name)
            for manifest in manifests.values()
            for table, versions in manifest.versions.items()
            for version in versions.values()
        )
        pins = found.get(PINS, {}).values()
        used = {a for version in pins for a in version.metadata.get(USES, ())}
        places = [(table, day, name) for table, day, name in (a.split("/") for a in sorted(used))]
        gone = dropped_among(lake, {(table, day) for table, day, _ in places})
        add(place for place in places if place[:2] not in gone)
        versions = {table: list(by_address.values()) for table, by_address in found.items()}
        problems = {table: list(said) for table, said in damaged.items()}
        return cls(project, eviction, left, manifests, versions, problems)

    @cached_property
    def evicted_of(self) -> dict[str, list[str]]:
        """By last day of a window the days that it is made of and that were evicted since.

        An eviction takes all days before another: a day that is missing later isn't evicted.
        """
        days = self.project.lake.partitions("documents")
        found = {}
        for pins in self.versions.get(PINS, ()):
            made_of = {address.split("/")[1] for address in pins.metadata.get(USES, ())}
            if gone := sorted(day for day in made_of if not days or day < days[0]):
                found[pins.partition] = gone
        return found

    @cached_property
    def horizon(self) -> Horizon:
        """The oldest day that is kept: after an eviction by hand later than the plan's."""
        gone = [date.fromisoformat(day) for days in self.evicted_of.values() for day in days]
        after = [day + timedelta(days=1) for day in gone]
        return Horizon(max([self.eviction.horizon, *after]), self.project.model.zone)

    def is_gone(self, table: str, partition: str) -> bool:
        """Return whether a partition ought not to be there any more."""
        if table in TABLES and TABLES[table].grain != "day":
            return self.eviction.is_stale(table, partition)
        return partition < self.horizon.day.isoformat()

    def kept(self, table: str) -> list[Version]:
        """Return the versions of a table that may be there."""
        return [v for v in self.versions.get(table, ()) if not self.is_gone(table, v.partition)]

    @property
    def prefixes(self) -> set[str]:
        """What ids of entities begin with, before the colon."""
        return {entity.prefix for entity in self.project.model.entities.values()}

    @cached_property
    def entities(self) -> pl.DataFrame:
        """The entities of all kept days, as `known_ids` returns them."""
        return self._known("entities", "entity_id")

    @cached_property
    def texts(self) -> pl.DataFrame:
        """The texts of all kept days, as `known_ids` returns them."""
        return self._known("texts", "text_id")

    def _known(self, table: str, column: str) -> pl.DataFrame:
        empty = TABLES[table].empty().lazy()
        return known_ids(self.scan(self.kept(table), empty).select(column))

    def scan(self, versions: Iterable[Version], empty: pl.LazyFrame) -> pl.LazyFrame:
        """Return the rows of versions; `empty` where there is none."""
        listed = list(versions)
        return self.project.lake.scan_versions(listed) if listed else empty

    def days_of(self, version: Version, table: str) -> tuple[list[Version], bool]:
        """Return the kept versions of a day table that a window's version is made of.

        Also whether that is certain: what an older release made doesn't say, and its window's
        days as they are now are taken.
        """
        lake = self.project.lake
        name = version.metadata.get(PINS)
        pins = None
        with suppress(DamagedError):
            pins = lake.find(PINS, version.partition, name) if name else None
        if pins:
            addresses = [address.split("/") for address in pins.metadata[USES]]
            places: list[_Place] = [(of, day, name) for of, day, name in addresses if of == table]
        else:
            last = date.fromisoformat(version.partition)
            first = last - timedelta(days=self.project.settings.window_days - 1)
            places = [(table, day, None) for day in days_between(first, last)]
        found = lake.each(lambda place: lake.find(*place), places)
        kept = [v for v in found if v and not self.is_gone(table, v.partition)]
        return kept, pins is not None

    def beside(self, version: Version, table: str) -> Version | None:
        """Return the kept version of another table of the same window, made of the same days."""
        made_of = version.metadata.get(PINS)
        return next(
            (
                other
                for other in self.kept(table)
                if other.partition == version.partition and other.metadata.get(PINS) == made_of
            ),
            None,
        )

    @property
    def published(self) -> Manifest | None:
        """The published snapshot's manifest."""
        return self.manifests.get(published_id(self.project.lake) or "")
