"""Snapshots: manifests that name exactly the versions that belong together.

`<root>/snapshots/<id>.json` is a manifest; `<root>/SNAPSHOT` names the published one.
Publishing is one atomic rename, so that all stores change for a reader at once.
"""

from __future__ import annotations

import itertools
import json
import re
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import structlog

from stupid_dagster.errors import MissingVersionError, SnapshotError
from stupid_dagster.stores.lake import (
    CURRENT,
    NAME,
    FileStamp,
    Lake,
    Version,
    new_name,
    write_durably,
)

POINTER = "SNAPSHOT"
FOLDER = "snapshots"
_ID = re.compile(r"\d{8}T\d{9}-[0-9a-f]{6}")
log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Manifest:
    """What a snapshot consists of; `days` are those of the window that have documents."""

    id: str
    created: str
    first_day: str
    last_day: str
    days: list[str]
    event_model: str
    event_model_hash: str
    embedder_id: str
    code_version: str
    versions: Mapping[str, Mapping[str, Version]]

    def of(self, table: str) -> Mapping[str, Version]:
        """Return the table's partitions in this snapshot; empty where it has none."""
        return self.versions.get(table, {})


@dataclass(frozen=True)
class Garbage:
    """What a garbage collection removed."""

    versions: int = 0
    snapshots: int = 0
    bytes: int = 0


class Snapshot:
    """A reader's view of one manifest: always the same answers, whatever is published since."""

    def __init__(self, lake: Lake, manifest: Manifest) -> None:
        self.lake = lake
        self.manifest = manifest

    def window(self, table: str) -> Version:
        """Return the window table's version; raises MissingVersionError."""
        found = self.manifest.of(table).get(self.manifest.last_day)
        if found is None:
            raise MissingVersionError(
                f"snapshot {self.manifest.id} has no table {table}; "
                "materialise it and publish again"
            )
        return found

    def path(self, table: str) -> Path:
        """Return the folder of a window table's files; raises MissingVersionError."""
        return self.lake.version_path(self.window(table))

    def scan(self, table: str) -> pl.LazyFrame:
        """Return a window table's rows; raises MissingVersionError."""
        return self.lake.scan_versions([self.window(table)])

    def day(self, table: str, day: str) -> Version | None:
        """Return a day table's version for a day, None where the snapshot has none."""
        return self.manifest.of(table).get(day)


def publish(
    lake: Lake,
    *,
    window: tuple[date, date],
    tables: Mapping[str, Iterable[str]],
    event_model: str,
    event_model_hash: str,
    embedder_id: str,
    code_version: str,
) -> Manifest:
    """Pin the live versions of the named partitions of each table, and make them the snapshot.

    A partition that a table lacks is left out. Returns the manifest; raises SnapshotError when
    a file of any version is missing or has another size than when it was written.
    """
    with lake.exclusive():
        versions = {
            table: {p: v for p in sorted(partitions) if (v := lake.find(table, p))}
            for table, partitions in tables.items()
        }
        manifest = Manifest(
            id=new_name(),
            created=datetime.now(UTC).isoformat(timespec="milliseconds"),
            first_day=window[0].isoformat(),
            last_day=window[1].isoformat(),
            days=sorted(versions.get("documents", {})),
            event_model=event_model,
            event_model_hash=event_model_hash,
            embedder_id=embedder_id,
            code_version=code_version,
            versions=versions,
        )
        check_files(lake, manifest)
        folder = lake.root / FOLDER
        folder.mkdir(exist_ok=True)
        write_durably(folder / f"{manifest.id}.json", json.dumps(asdict(manifest)))
        write_durably(lake.root / POINTER, manifest.id)
    log.info("published", snapshot=manifest.id, window=manifest.last_day, days=len(manifest.days))
    return manifest


def published_id(lake: Lake) -> str | None:
    """Return the id of the published snapshot, None before the first."""
    try:
        return (lake.root / POINTER).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None


def snapshot_ids(lake: Lake) -> list[str]:
    """Return the ids of all kept snapshots, oldest first."""
    files = (lake.root / FOLDER).glob("*.json")
    return sorted(file.stem for file in files if _ID.fullmatch(file.stem))


def open_snapshot(lake: Lake, snapshot_id: str | None = None) -> Snapshot:
    """Return the named or the published snapshot; raises SnapshotError when there is none."""
    name = snapshot_id or published_id(lake)
    if name is None:
        raise SnapshotError(
            f"nothing is published in {lake.root}; run `stupid-dagster run`, or materialise the "
            "window in the Dagster UI"
        )
    return Snapshot(lake, read_manifest(lake, name))


def read_manifest(lake: Lake, snapshot_id: str) -> Manifest:
    """Return a snapshot's manifest; raises SnapshotError when it is not kept or unreadable."""
    file = lake.root / FOLDER / f"{snapshot_id}.json"
    try:
        if not _ID.fullmatch(snapshot_id):
            raise FileNotFoundError(file)
        tree: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        tree["versions"] = {
            table: {partition: _version(version) for partition, version in partitions.items()}
            for table, partitions in tree["versions"].items()
        }
        return Manifest(**tree)
    except FileNotFoundError:
        raise SnapshotError(
            f"snapshot {snapshot_id!r} isn't kept in {lake.root}; "
            f"there are: {', '.join(snapshot_ids(lake)) or 'none'}"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SnapshotError(f"{file} is damaged ({error}); publish the window again") from error


def check_files(lake: Lake, manifest: Manifest) -> None:
    """Raise SnapshotError when a file that the manifest names is missing or has another size."""
    for partitions in manifest.versions.values():
        for version in partitions.values():
            for file in lake.damaged(version):
                raise SnapshotError(
                    f"{file} is missing or damaged; materialise {version.table} "
                    f"{version.partition} again"
                )


def collect_garbage(
    lake: Lake,
    *,
    kept_snapshots: int,
    grace: timedelta,
    dry_run: bool = False,
) -> Garbage:
    """Remove snapshots past the newest `kept_snapshots`, and versions that nothing names.

    Snapshots that name a partition which was dropped since go whatever their number. What was
    replaced, or begun, less than `grace` ago stays for slow readers and writers. Returns what
    was removed; with `dry_run` what would be.
    """
    with lake.exclusive():
        deadline = datetime.now(UTC) - grace
        ids = snapshot_ids(lake)
        published = published_id(lake)
        doomed = [
            name
            for name, successor in itertools.pairwise(ids)
            if name != published
            and made_at(successor) <= deadline
            and (
                name not in ids[-kept_snapshots:] or _names_dropped(lake, read_manifest(lake, name))
            )
        ]
        for name in [] if dry_run else doomed:
            (lake.root / FOLDER / f"{name}.json").unlink()
        named = {
            (version.table, version.partition, version.name)
            for name in set(ids) - set(doomed)
            for partitions in read_manifest(lake, name).versions.values()
            for version in partitions.values()
        }
        versions, size = _remove_versions(lake, named, deadline, dry_run)
    garbage = Garbage(versions, len(doomed), size)
    if not dry_run:
        log.info("collected garbage", **asdict(garbage))
    return garbage


def _names_dropped(lake: Lake, manifest: Manifest) -> bool:
    return any(
        not (lake.partition_path(table, partition) / CURRENT).exists()
        for table, partitions in manifest.versions.items()
        for partition in partitions
    )


def made_at(name: str) -> datetime:
    """Return the time at which a version or snapshot was begun, which its name tells."""
    return datetime.strptime(name[:18] + "000", "%Y%m%dT%H%M%S%f").replace(tzinfo=UTC)


def _remove_versions(
    lake: Lake, named: set[tuple[str, str, str]], deadline: datetime, dry_run: bool
) -> tuple[int, int]:
    count = size = 0
    for partition in [p for t in _folders(lake.root) if t.name != FOLDER for p in _folders(t)]:
        table = partition.parent.name
        live = None
        with suppress(FileNotFoundError):
            live = (partition / CURRENT).read_text(encoding="utf-8").strip()
        # A commit or a drop changes the folder, so that this is when the last was replaced.
        replaced = datetime.fromtimestamp(partition.stat().st_mtime, UTC)
        unnamed = [
            folder
            for folder in _folders(partition)
            if folder.name != live
            and _ID.fullmatch(folder.name)
            and (table, partition.name, folder.name) not in named
            and max(made_at(folder.name), replaced) <= deadline
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


def _folders(parent: Path) -> list[Path]:
    if not parent.is_dir():
        return []
    return sorted(f for f in parent.iterdir() if f.is_dir() and NAME.fullmatch(f.name))


def _version(tree: dict[str, Any]) -> Version:
    files = {name: FileStamp(**stamp) for name, stamp in tree.pop("files").items()}
    return Version(**tree, files=files)
