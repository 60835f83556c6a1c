"""Garbage collection: what no snapshot names any more, after a time of grace."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path

import structlog

from stupid_dagster.errors import StoreError
from stupid_dagster.stores.lake import CURRENT, NAME, VERSION_FILE, Lake, made_at
from stupid_dagster.stores.snapshots import (
    FOLDER,
    POINTER,
    SNAPSHOT_ID,
    Manifest,
    names_dropped,
    published_id,
    read_manifests,
    snapshot_ids,
)

USES = "uses"
"""In a version's metadata: addresses of versions that stay for as long as it is live."""
log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Garbage:
    """What a garbage collection removed."""

    versions: int = 0
    snapshots: int = 0
    bytes: int = 0


def collect_garbage(
    lake: Lake,
    *,
    kept_snapshots: int,
    grace: timedelta,
    dry_run: bool = False,
    using: str | None = None,
) -> Garbage:
    """Remove snapshots that nobody asks for any more, and versions that nothing names.

    Kept are the published snapshot, the newest `kept_snapshots`, and the newest of each window;
    but none (other than the published) that names a partition which was dropped since. Versions
    stay that are live, that a kept snapshot names, or that the live versions of the table
    `using` use (`USES`). What was replaced, or begun, less than `grace` ago stays for slow
    readers and writers. Returns what was removed; with `dry_run` what would be.
    """
    with lake.exclusive():
        clock = _Clock(datetime.now(UTC), grace, dry_run)
        manifests = read_manifests(lake)
        doomed = _doomed_snapshots(lake, manifests, kept_snapshots, clock)
        if not dry_run:
            folder = lake.root / FOLDER
            # Of a publisher that was killed; one at work would hold the lock.
            strays = [*lake.root.glob(f".{POINTER}.*"), *folder.glob(".*.json.*")]
            for file in [*(folder / f"{name}.json" for name in doomed), *strays]:
                _remove(file)
        named = {
            version.address
            for name, manifest in manifests.items()
            if name not in doomed
            for partitions in manifest.versions.values()
            for version in partitions.values()
        }
        if using:
            named.update(chain.from_iterable(_used(lake, using)))
        versions, size = _remove_versions(lake, named, clock, dry_run)
    garbage = Garbage(versions, len(doomed), size)
    if not dry_run:
        log.info("collected garbage", **asdict(garbage))
    return garbage


@dataclass(frozen=True)
class _Clock:
    now: datetime
    grace: timedelta
    dry_run: bool

    def is_over(self, moment: datetime, path: Path) -> bool:
        """Return whether the grace of what was made or replaced at a moment is over.

        What a clock that has been set back since dates to the future would stay until then: its
        grace begins now, and `path` keeps that, unless it's a dry run.
        """
        if moment > self.now:
            moment = _changed(path)
            if moment > self.now:
                moment = self.now
                if not self.dry_run:
                    os.utime(path, (self.now.timestamp(), self.now.timestamp()))
        return moment <= self.now - self.grace


def _doomed_snapshots(
    lake: Lake, manifests: Mapping[str, Manifest], kept_snapshots: int, clock: _Clock
) -> list[str]:
    published = published_id(lake)
    ids = snapshot_ids(lake)  # also those that can't be read
    kept = {*ids[-kept_snapshots:], *{m.last_day: name for name, m in manifests.items()}.values()}
    doomed = []
    for name, successor in zip(ids, [*ids[1:], *ids[-1:]], strict=True):
        manifest = manifests.get(name)
        wanted = name in kept and manifest is not None and not names_dropped(lake, manifest)
        successor_file = lake.root / FOLDER / f"{successor}.json"
        if name != published and not wanted and clock.is_over(made_at(successor), successor_file):
            doomed.append(name)
    return doomed


def _used(lake: Lake, table: str) -> Iterator[Iterable[str]]:
    for partition in lake.partitions(table):
        with suppress(StoreError):  # What is damaged can't be gone on with.
            version = lake.find(table, partition)
            yield version.metadata.get(USES, ()) if version else ()


def _remove_versions(lake: Lake, named: set[str], clock: _Clock, dry_run: bool) -> tuple[int, int]:
    count = size = 0
    for partition in [p for t in _folders(lake.root) if t.name != FOLDER for p in _folders(t)]:
        table = partition.parent.name
        try:
            live = (partition / CURRENT).read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            live = None
        except (OSError, UnicodeDecodeError):
            live = ""
        if live is not None and not (partition / live / VERSION_FILE).exists():
            continue  # It is damaged: any of them may be the one that it named.
        # A commit or a drop changes the folder, so that this is when the last was replaced.
        replaced = clock.is_over(_changed(partition), partition)
        unnamed = [
            folder
            for folder in _folders(partition)
            if folder.name != live
            and SNAPSHOT_ID.fullmatch(folder.name)
            # Also of what is still named, so that the grace of what is of the future has begun.
            and clock.is_over(made_at(folder.name), folder)
            and f"{table}/{partition.name}/{folder.name}" not in named
            and replaced
        ]
        for folder in [*unnamed, *lake.abandoned(table, partition.name)]:
            size += sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
            count += 1
            if not dry_run:
                shutil.rmtree(folder)
        if dry_run:
            continue
        for left in partition.glob(f".{CURRENT}.*"):  # Of a writer that was killed.
            left.unlink()
        if not any(partition.iterdir()):
            partition.rmdir()
    return count, size


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
