"""Garbage collection: what no snapshot names any more, after a time of grace."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial

import structlog

from stupid_dagster.errors import DamagedError
from stupid_dagster.stores.files import Entry
from stupid_dagster.stores.folders import changed, folders_in, remove_path
from stupid_dagster.stores.inventory import Held
from stupid_dagster.stores.lake import Lake
from stupid_dagster.stores.locks import is_locked
from stupid_dagster.stores.sessions import sweep_sessions
from stupid_dagster.stores.snapshots import (
    USES,
    Manifest,
    dropped_among,
    published_id,
    read_manifests,
    snapshot_ids,
)
from stupid_dagster.stores.version import Version, made_at

SCRATCH = ".embedding"
"""Folder of what is made of days and in no version yet: `<day>/<of what>/<run>/...`.

A run at work holds the lock of its folder; in a bucket there is none.
"""
_SCRATCH_DAYS = 7
log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Garbage:
    """What a garbage collection removed."""

    versions: int = 0
    snapshots: int = 0
    bytes: int = 0


@dataclass(frozen=True)
class Leftover:
    """A version that nothing needs any more, and when its grace is over."""

    held: Held
    due: datetime

    @property
    def bytes(self) -> int:
        """Size of its files."""
        return self.held.bytes


@dataclass(frozen=True)
class Leftovers:
    """What nothing needs any more: snapshots with the time when their grace is over, versions.

    `misdated` are versions and partitions, by their addresses, and snapshots, by their ids, that
    date to the future, and `unmarked` snapshots that no collection has found so far: their grace
    begins `now`, if a collection notes it.
    """

    now: datetime
    snapshots: Mapping[str, datetime]
    versions: Sequence[Leftover]
    misdated: Sequence[str] = ()
    unmarked: Sequence[str] = ()

    @property
    def due(self) -> list[Leftover]:
        """The versions whose grace is over."""
        return [version for version in self.versions if version.due <= self.now]

    @property
    def waiting(self) -> list[Leftover]:
        """The versions whose grace isn't over."""
        return [version for version in self.versions if version.due > self.now]

    @property
    def garbage(self) -> Garbage:
        """What a collection would remove now."""
        snapshots = sum(due <= self.now for due in self.snapshots.values())
        return Garbage(len(self.due), snapshots, sum(version.bytes for version in self.due))


def collect_garbage(
    lake: Lake,
    *,
    kept_snapshots: int,
    grace: timedelta,
    dry_run: bool = False,
    using: str | None = None,
) -> Garbage:
    """Remove snapshots that nobody asks for any more, and versions that nothing names.

    See `find_leftovers` for which these are. Returns what was removed; with `dry_run` what would
    be.
    """
    with lake.exclusive():
        found = find_leftovers(lake, kept_snapshots=kept_snapshots, grace=grace, using=using)
        if dry_run:
            return found.garbage
        waiting = {name for name, due in found.snapshots.items() if due > found.now}
        for name in waiting.intersection([*found.unmarked, *found.misdated]):
            lake.ledger.note_unwanted(name, found.now)
        lake.inventory.touch([name for name in found.misdated if "/" in name], found.now)
        lake.ledger.remove(*(name for name in found.snapshots if name not in waiting))
        lake.ledger.forget_unwanted(waiting)
        lake.ledger.sweep()
        lake.inventory.remove([left.held for left in found.due], partial(_named_now, lake, using))
        _sweep_scratch(lake, found.now)
        sweep_sessions(lake.files, lake.ledger.ids, found.now)
        lake.tidy()
    log.info("collected garbage", **asdict(found.garbage))
    return found.garbage


def _sweep_scratch(lake: Lake, now: datetime) -> None:
    """Remove what killed runs left of days that are evicted, or long ago."""
    days = {*lake.partitions("documents")}
    if lake.files.folder is None:
        runs: dict[str, list[Entry]] = defaultdict(list)
        for entry in lake.files.below(SCRATCH):
            runs[entry.key.rpartition("/")[0]].append(entry)
        for files in runs.values():
            old = now - max(entry.changed for entry in files) > timedelta(days=_SCRATCH_DAYS)
            # Of a run at work on a day that is dropped this loses nothing but its next try's time.
            if old or files[0].key.split("/")[1] not in days:
                lake.files.remove(entry.key for entry in files)
        return
    for day in folders_in(lake.root / SCRATCH):
        for left in day.glob("*/*"):
            old = now - changed(left) > timedelta(days=_SCRATCH_DAYS)
            if (old or day.name not in days) and not is_locked(left):
                remove_path(left)
        for folder in [*folders_in(day), day]:
            with suppress(OSError):
                folder.rmdir()


def find_leftovers(
    lake: Lake,
    *,
    kept_snapshots: int,
    grace: timedelta,
    using: str | None = None,
    dropped: Collection[tuple[str, str]] = (),
) -> Leftovers:
    """Return the snapshots and versions that nothing needs any more; changes nothing.

    Kept are the published snapshot, the newest `kept_snapshots`, and the newest of each window;
    but none (other than the published) that names a partition which was dropped since. Versions
    stay that are live, that a kept snapshot names, or that the live versions of the table
    `using` use (`USES`), unless their partition was dropped. What was replaced, or begun, less
    than `grace` ago stays for slow readers and writers, and with a snapshot what it names, until
    `grace` after a collection first found that nobody asks for it. `dropped` are partitions (table,
    partition) that are taken as dropped just now, and out of the published snapshot.
    """
    clock = _Clock(datetime.now(UTC), grace)
    manifests = read_manifests(lake)
    doomed = _doomed_snapshots(lake, manifests, kept_snapshots, clock, dropped)
    named: set[str] = set()
    named_until: dict[str, datetime] = {}
    for name, manifest in manifests.items():
        for table, partitions in manifest.versions.items():
            for partition, version in partitions.items():
                if name not in doomed and (table, partition) not in dropped:
                    named.add(version.address)
                else:
                    until = doomed.get(name, clock.now + grace)
                    earlier = named_until.get(version.address, until)
                    named_until[version.address] = max(until, earlier)
    if using:
        named.update(_used(lake, using, dropped))
    versions = [
        replace(left, due=max(left.due, named_until.get(left.held.address, left.due)))
        for left in _unnamed(lake, named, clock, dropped)
    ]
    unmarked = [name for name in doomed if lake.ledger.unwanted_since(name) is None]
    return Leftovers(clock.now, doomed, versions, clock.misdated, unmarked)


@dataclass(frozen=True)
class _Clock:
    now: datetime
    grace: timedelta
    misdated: list[str] = field(default_factory=list)

    def due(self, moment: datetime, name: str, changed: datetime) -> datetime:
        """Return when the grace of what was made or replaced at a moment is over.

        What a clock that has been set back since dates to the future would stay until then: its
        grace begins when it was last `changed`, or now, which is to be noted by its `name`.
        """
        if moment > self.now:
            moment = changed
            if moment > self.now:
                self.misdated.append(name)
                moment = self.now
        return moment + self.grace


def _doomed_snapshots(
    lake: Lake,
    manifests: Mapping[str, Manifest],
    kept_snapshots: int,
    clock: _Clock,
    dropped: Collection[tuple[str, str]],
) -> dict[str, datetime]:
    published = published_id(lake)
    ids = snapshot_ids(lake)  # also those that can't be read
    kept = {*ids[-kept_snapshots:], *{m.last_day: name for name, m in manifests.items()}.values()}
    named = {name: manifest.partitions for name, manifest in manifests.items() if name in kept}
    gone = dropped_among(lake, {one for found in named.values() for one in found}, dropped)
    doomed = {}
    for name in ids:
        wanted = name in named and named[name].isdisjoint(gone)
        if name != published and not wanted:
            # Not since the next id was made: that one may be kept beside what is published.
            since = lake.ledger.unwanted_since(name) or clock.now
            doomed[name] = clock.due(since, name, since)
    return doomed


def _named_now(lake: Lake, using: str | None) -> set[str]:
    """Return the addresses of the versions that kept snapshots name, or live ones of a table."""
    manifests = read_manifests(lake).values()
    versions = (v for m in manifests for found in m.versions.values() for v in found.values())
    return {*(v.address for v in versions), *(_used(lake, using, ()) if using else ())}


def _used(lake: Lake, table: str, dropped: Collection[tuple[str, str]]) -> Iterator[str]:
    def find(partition: str) -> Version | None:
        with suppress(DamagedError):  # It can't be gone on with.
            return lake.find(table, partition)
        return None

    live = lake.each(find, [p for p in lake.partitions(table) if (table, p) not in dropped])
    addresses = {address for found in live if found for address in found.metadata.get(USES, ())}
    used = {address: tuple(address.split("/")[:2]) for address in addresses}
    # An evicted day leaves even the window that is made of it.
    gone = dropped_among(lake, used.values(), dropped)
    yield from (address for address, partition in used.items() if partition not in gone)


def _unnamed(
    lake: Lake, named: set[str], clock: _Clock, dropped: Collection[tuple[str, str]]
) -> Iterator[Leftover]:
    for held in lake.inventory.partitions():
        gone = (held.table, held.partition) in dropped
        if held.damaged:
            continue  # Any of them may be the one that is live.
        address = f"{held.table}/{held.partition}"
        due = clock.due(held.replaced, address, held.replaced)
        replaced = clock.now + clock.grace if gone else due
        for version in held.versions:
            if version.name != held.live or gone:
                # Also of what is still named, so that the grace of what is of the future begins.
                made = clock.due(made_at(version.name), version.address, version.changed)
                if version.address not in named:
                    yield Leftover(version, max(replaced, made))
        for left in held.abandoned:
            yield Leftover(left, clock.now)
