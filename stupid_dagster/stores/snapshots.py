"""Snapshots: manifests that name exactly the versions that belong together.

The lake's ledger keeps them, and says which is published. Publishing is one atomic step, so that
all stores change for a reader at once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl
import structlog

from stupid_dagster.errors import ConflictError, MissingVersionError, SnapshotError
from stupid_dagster.stores.lake import Lake
from stupid_dagster.stores.ledger import SNAPSHOT_ID
from stupid_dagster.stores.stamps import FileStamp
from stupid_dagster.stores.version import Version, new_name

USES = "uses"
"""In a version's metadata: addresses of versions that it is made of; they stay while it lives."""
log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Manifest:
    """What a snapshot consists of; `days` are those of the window that were made."""

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

    @cached_property
    def partitions(self) -> frozenset[tuple[str, str]]:
        """The partitions (table, partition) that it names, or that what it names was made of."""
        versions = [version for found in self.versions.values() for version in found.values()]
        used = (address for v in versions for address in v.metadata.get(USES, ()))
        named = {(version.table, version.partition) for version in versions}
        return frozenset(named | {(table, p) for table, p, _ in (a.split("/") for a in used)})


class Snapshot:
    """A reader's view of one manifest: always the same answers, whatever is published since.

    `release` it when what `path` returned isn't used any more.
    """

    def __init__(self, lake: Lake, manifest: Manifest) -> None:
        self.lake = lake
        self.manifest = manifest
        self._lent: list[Version] = []

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
        version = self.window(table)
        path = self.lake.version_path(version)
        self._lent.append(version)
        return path

    def release(self) -> None:
        """Let the folders go that `path` returned: of a lake elsewhere, they are copies.

        Who has a file of them open or mapped into memory keeps its bytes.
        """
        while self._lent:
            self.lake.release(self._lent.pop())

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
    versions: Mapping[str, Mapping[str, Version]],
    event_model: str,
    event_model_hash: str,
    embedder_id: str,
    code_version: str,
    serve: Callable[[Manifest | None], bool] = lambda _: True,
) -> Manifest:
    """Keep versions (by table and partition) as a snapshot, and maybe serve it from now on.

    `serve` is asked, while nobody else can publish, whether it is to take the place of what is
    served (None: nothing that can be read). A snapshot that isn't served is there for who asks
    for its window (`open_window`).

    Returns the manifest; raises SnapshotError when a file of any version is missing or has another
    size than when it was written, and ConflictError when a partition was dropped since.
    """
    with lake.exclusive():
        ids = snapshot_ids(lake)
        manifest = Manifest(
            id=new_name(after=ids[-1] if ids else None),
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
        _check_dropped(lake, manifest)
        check_files(lake, manifest)
        lake.ledger.add(manifest.id, json.dumps(asdict(manifest)))
        try:
            lake.check_kept(v for found in versions.values() for v in found.values())
            takes_over = _served(lake, manifest, serve)
        except BaseException:
            lake.ledger.remove(manifest.id)
            raise
    log.info(
        "published" if takes_over else "kept",
        snapshot=manifest.id,
        window=manifest.last_day,
        days=len(manifest.days),
    )
    return manifest


def _served(lake: Lake, manifest: Manifest, serve: Callable[[Manifest | None], bool]) -> bool:
    """Serve a kept snapshot if it is to be; return whether it is."""
    while True:
        state = lake.ledger.state
        _check_dropped(lake, manifest)
        served = None
        with suppress(SnapshotError):
            served = open_snapshot(lake).manifest
        if not serve(served):
            return False
        if lake.ledger.serve(manifest.id, state):
            return True


def _check_dropped(lake: Lake, manifest: Manifest) -> None:
    named = [(table, p) for table, found in manifest.versions.items() for p in found]
    gone = dropped_among(lake, named)
    if dropped := [f"{table}/{p}" for table, p in named if (table, p) in gone]:
        raise ConflictError(
            f"{', '.join(dropped[:3])} and maybe others of the window ending on "
            f"{manifest.last_day} were evicted since it was begun: make the window again, from "
            "window_days on"
        )


def published_id(lake: Lake) -> str | None:
    """Return the id of the published snapshot, None before the first; raises SnapshotError."""
    return lake.ledger.published()


def snapshot_ids(lake: Lake) -> list[str]:
    """Return the ids of all kept snapshots, oldest first."""
    return lake.ledger.ids()


def open_snapshot(lake: Lake, snapshot_id: str | None = None) -> Snapshot:
    """Return the named or the published snapshot; raises SnapshotError when there is none."""
    name = snapshot_id or published_id(lake)
    if name is None:
        raise SnapshotError(
            f"nothing is published in {lake.url}; run `stupid-dagster run`, or materialise the "
            "window in the Dagster UI"
        )
    return Snapshot(lake, read_manifest(lake, name))


def read_manifest(lake: Lake, snapshot_id: str) -> Manifest:
    """Return a snapshot's manifest; raises SnapshotError when it is not kept or unreadable."""
    try:
        if not SNAPSHOT_ID.fullmatch(snapshot_id):
            raise FileNotFoundError(snapshot_id)
        tree: dict[str, Any] = json.loads(lake.ledger.text(snapshot_id))
        tree["versions"] = {
            table: {partition: _version(version) for partition, version in partitions.items()}
            for table, partitions in tree["versions"].items()
        }
        return Manifest(**tree)
    except FileNotFoundError:
        raise SnapshotError(
            f"snapshot {snapshot_id!r} isn't kept in {lake.url}; "
            f"there are: {', '.join(snapshot_ids(lake)) or 'none'}"
        ) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SnapshotError(
            f"the manifest of snapshot {snapshot_id} in {lake.url} is damaged ({error}); publish "
            "the window again"
        ) from error


def read_manifests(lake: Lake, known: Mapping[str, Manifest] | None = None) -> dict[str, Manifest]:
    """Return the manifests of all kept snapshots by id, oldest first; `known` were read before.

    One that can't be read is left out with a warning; raises SnapshotError if it's published.
    """
    manifests = {}
    for name in snapshot_ids(lake):
        try:
            # They never change.
            manifests[name] = (known or {}).get(name) or read_manifest(lake, name)
        except SnapshotError as error:
            if name == published_id(lake):
                raise
            log.warning("a snapshot is left out", problem=str(error))
    return manifests


def check_files(lake: Lake, manifest: Manifest) -> None:
    """Raise SnapshotError when a file that the manifest names is missing or has another size."""
    for partitions in manifest.versions.values():
        for version in partitions.values():
            for file in lake.damaged(version):
                raise SnapshotError(
                    f"{file} is missing or damaged; materialise {version.table} "
                    f"{version.partition} again"
                )


def kept_windows(lake: Lake, manifests: Mapping[str, Manifest] | None = None) -> dict[str, str]:
    """Return the windows that can be read, by last day, and the snapshot of each.

    The published window's is the published snapshot, another's its newest. Left out are those
    that name a partition which was dropped since: they go. `manifests` is what `read_manifests`
    returned, where that is at hand.
    """
    published = published_id(lake)
    manifests = read_manifests(lake) if manifests is None else manifests
    named = {one for manifest in manifests.values() for one in manifest.partitions}
    gone = dropped_among(lake, named)
    windows = {
        manifest.last_day: name
        for name, manifest in manifests.items()
        if name == published or manifest.partitions.isdisjoint(gone)
    }
    if published and published in manifests:
        windows[manifests[published].last_day] = published
    return dict(sorted(windows.items()))


def open_window(lake: Lake, last_day: str) -> Snapshot:
    """Return the snapshot of the window that ends on a day; raises SnapshotError."""
    windows = kept_windows(lake)
    if last_day not in windows:
        raise SnapshotError(missing_window(last_day, windows))
    return open_snapshot(lake, windows[last_day])


def missing_window(last_day: str, windows: Iterable[str]) -> str:
    """Return the message that no window which ends on a day is kept, and which there are."""
    return (
        f"no window that ends on {last_day} is kept; there are those ending on "
        f"{', '.join(windows) or 'no day'}. While its days are kept, "
        f"`stupid-dagster run --window {last_day}` makes it"
    )


def dropped_among(
    lake: Lake,
    partitions: Collection[tuple[str, str]],
    dropped: Collection[tuple[str, str]] = (),
) -> set[tuple[str, str]]:
    """Return the partitions that have no live version, or are to be taken as `dropped`."""
    asked = {*partitions} - {*dropped}
    gone = lake.each(lambda one: not lake.is_live(*one), asked)
    return {one for one, is_gone in zip(asked, gone, strict=True) if is_gone} | (
        {*partitions} - asked
    )


def _version(tree: dict[str, Any]) -> Version:
    files = {name: FileStamp(**stamp) for name, stamp in tree.pop("files").items()}
    return Version(**tree, files=files)
