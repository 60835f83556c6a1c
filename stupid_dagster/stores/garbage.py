"""Garbage collection: what no snapshot names any more, after a time of grace."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog

from stupid_dagster.errors import StoreError
from stupid_dagster.stores.lake import CURRENT, NAME, VERSION_FILE, Lake, made_at
from stupid_dagster.stores.snapshots import (
    FOLDER,
    POINTER,
    SNAPSHOT_ID,
    USES,
    Manifest,
    is_dropped,
    names_dropped,
    published_id,
    read_manifests,
    snapshot_ids,
)

_UNWANTED = ".unwanted"
"""Suffix of the file beside a manifest that tells, by its time, since when nobody asks for it."""
SCRATCH = ".embedding"
"""Folder of what is made of days and in no version yet: `<day>/<of what>/...`."""
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

    table: str
    partition: str
    folder: Path
    bytes: int
    due: datetime


@dataclass(frozen=True)
class Leftovers:
    """What nothing needs any more: snapshots with the time when their grace is over, versions.

    `misdated` are files and folders that date to the future, and `unmarked` snapshots that no
    collection has found so far: their grace begins `now`, if a collection notes it.
    """

    now: datetime
    snapshots: Mapping[str, datetime]
    versions: Sequence[Leftover]
    misdated: Sequence[Path] = ()
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
        for path in found.misdated:
            os.utime(path, (found.now.timestamp(), found.now.timestamp()))
        folder = lake.root / FOLDER
        waiting = {name for name, due in found.snapshots.items() if due > found.now}
        for name in waiting.intersection(found.unmarked):
            _mark(lake, name).touch()
            os.utime(_mark(lake, name), (found.now.timestamp(), found.now.timestamp()))
        over = [folder / f"{name}.json" for name in found.snapshots if name not in waiting]
        # Of a publisher that was killed; one at work would hold the lock.
        strays = [*lake.root.glob(f".{POINTER}.*"), *folder.glob(".*.json.*")]
        marks = [  # Also of snapshots that are wanted again.
            mark
            for mark in folder.glob(f"*{_UNWANTED}")
            if SNAPSHOT_ID.fullmatch(mark.stem) and mark.stem not in waiting
        ]
        for file in [*over, *strays, *marks]:
            _remove(file)
        for version in found.due:
            shutil.rmtree(version.folder)
        for partition in _partitions(lake):
            for left in partition.glob(f".{CURRENT}.*"):  # Of a writer that was killed.
                left.unlink()
            if not any(partition.iterdir()):
                partition.rmdir()
        _sweep_scratch(lake, found.now)
    log.info("collected garbage", **asdict(found.garbage))
    return found.garbage


def _sweep_scratch(lake: Lake, now: datetime) -> None:
    """Remove what killed runs left of days that are evicted, or long ago."""
    days = {*lake.partitions("documents")}
    for day in _folders(lake.root / SCRATCH):
        for left in _folders(day):
            old = now - _changed(left) > timedelta(days=_SCRATCH_DAYS)
            if old or day.name not in days:
                # A run that is just done removes it too.
                shutil.rmtree(left, ignore_errors=True)
        with suppress(OSError):
            day.rmdir()


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
        replace(left, due=max(left.due, named_until.get(_address(left), left.due)))
        for left in _unnamed(lake, named, clock, dropped)
    ]
    unmarked = [name for name in doomed if not _mark(lake, name).exists()]
    return Leftovers(clock.now, doomed, versions, clock.misdated, unmarked)


@dataclass(frozen=True)
class _Clock:
    now: datetime
    grace: timedelta
    misdated: list[Path] = field(default_factory=list)

    def due(self, moment: datetime, path: Path) -> datetime:
        """Return when the grace of what was made or replaced at a moment is over.

        What a clock that has been set back since dates to the future would stay until then: its
        grace begins now, and `path` is to keep that.
        """
        if moment > self.now:
            moment = _changed(path)
            if moment > self.now:
                self.misdated.append(path)
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
    doomed = {}
    for name in ids:
        manifest = manifests.get(name)
        wanted = (
            name in kept and manifest is not None and not names_dropped(lake, manifest, dropped)
        )
        if name != published and not wanted:
            mark = _mark(lake, name)
            # Not since the next id was made: that one may be kept beside what is published.
            since = clock.now
            with suppress(FileNotFoundError):
                since = _changed(mark)
            doomed[name] = clock.due(since, mark)
    return doomed


def _mark(lake: Lake, snapshot: str) -> Path:
    return lake.root / FOLDER / f"{snapshot}{_UNWANTED}"


def _used(lake: Lake, table: str, dropped: Collection[tuple[str, str]]) -> Iterator[str]:
    for partition in lake.partitions(table):
        with suppress(StoreError):  # What is damaged can't be gone on with.
            version = lake.find(table, partition)
            if version is None or (table, partition) in dropped:
                continue
            for address in version.metadata.get(USES, ()):
                of, day, _ = address.split("/")
                # An evicted day leaves even the window that is made of it.
                if not is_dropped(lake, of, day, dropped):
                    yield address


def _unnamed(
    lake: Lake, named: set[str], clock: _Clock, dropped: Collection[tuple[str, str]]
) -> Iterator[Leftover]:
    for partition in _partitions(lake):
        table = partition.parent.name
        gone = (table, partition.name) in dropped
        try:
            live = (partition / CURRENT).read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            live = None
        except (OSError, UnicodeDecodeError):
            live = ""
        if live is not None and not (partition / live / VERSION_FILE).exists():
            continue  # It is damaged: any of them may be the one that it named.
        # A commit or a drop changes the folder, so that this is when the last was replaced.
        replaced = clock.now + clock.grace if gone else clock.due(_changed(partition), partition)
        for folder in _folders(partition):
            if (folder.name != live or gone) and SNAPSHOT_ID.fullmatch(folder.name):
                # Also of what is still named, so that the grace of what is of the future begins.
                due = max(replaced, clock.due(made_at(folder.name), folder))
                if f"{table}/{partition.name}/{folder.name}" not in named:
                    yield Leftover(table, partition.name, folder, disk_bytes(folder), due)
        for folder in lake.abandoned(table, partition.name):
            yield Leftover(table, partition.name, folder, disk_bytes(folder), clock.now)


def disk_bytes(folder: Path) -> int:
    """Return the size of all files below a folder; of one that goes meanwhile nothing."""
    total = 0
    for directory, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                total += os.lstat(os.path.join(directory, name)).st_size
    return total


def _address(left: Leftover) -> str:
    return f"{left.table}/{left.partition}/{left.folder.name}"


def _partitions(lake: Lake) -> list[Path]:
    return [p for table in _folders(lake.root) if table.name != FOLDER for p in _folders(table)]


def _remove(path: Path) -> None:
    """Remove a file, or a folder that stands where one should be."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _changed(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)


def _folders(parent: Path) -> list[Path]:
    if not parent.is_dir():
        return []
    return sorted(f for f in parent.iterdir() if f.is_dir() and NAME.fullmatch(f.name))
