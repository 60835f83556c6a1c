"""The ledger of a lake in a bucket: one object says which snapshots there are.

    <prefix>/snapshots/<id>.json   a manifest, which never changes
    <prefix>/LEDGER.json           which of them are kept, and which is published

Listings decide nothing. Each change is made to what is there (`stores/changing.py`). Who follows
what is published asks for one object, and mostly hears that it hasn't changed.

A manifest that the ledger doesn't name is of a publisher that was killed, or of a collection. It is
removed as versions are (`stores/bucket/lake.py`): a *tombstone* is put in its place, then the
ledger is looked at again; who names a manifest looks at it afterwards. Which these are, a listing
tells: what one misses is found by the next.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime

import structlog

from stupid_dagster.errors import ConflictError, SnapshotError
from stupid_dagster.stores.bucket.inventory import ABANDONED_AFTER
from stupid_dagster.stores.bucket.tombstones import (
    bury,
    condemn,
    description_under,
    dig_out,
    is_tombstone,
)
from stupid_dagster.stores.changing import JsonObject, changed
from stupid_dagster.stores.files import Files
from stupid_dagster.stores.ledger import FOLDER, SNAPSHOT_ID

KEY = "LEDGER.json"
log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class _Ledger:
    """`kept` are in the order of their ids; `unwanted` by id since when (ISO 8601).

    `dropped` counts the dropped partitions.
    """

    published: str | None = None
    kept: list[str] = field(default_factory=list)
    unwanted: dict[str, str] = field(default_factory=dict)
    dropped: int = 0


def _manifest(snapshot: str) -> str:
    return f"{FOLDER}/{snapshot}.json"


class BucketLedger:
    """Which snapshots a lake in a bucket keeps."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self.abandoned_after = ABANDONED_AFTER
        self._object = JsonObject(files, KEY)

    @property
    def state(self) -> str:
        return self._read()[1]

    def published(self) -> str | None:
        return self._read()[0].published

    def ids(self) -> list[str]:
        return [*self._read()[0].kept]

    def text(self, snapshot: str) -> bytes:
        # A collector that was killed may have left its tombstone on one that is named by now.
        text = description_under(self._files.read(_manifest(snapshot)).data)
        if text is None:
            raise FileNotFoundError(_manifest(snapshot))
        return text

    def add(self, snapshot: str, text: str) -> None:
        self._files.create(_manifest(snapshot), text.encode())
        self._change(lambda now: replace(now, kept=sorted({*now.kept, snapshot})))
        if self._is_gone(snapshot):
            self.remove(snapshot)
            raise ConflictError(
                f"{self._files.url}/{_manifest(snapshot)} was taken for garbage while it was "
                "published: run it again"
            )

    def _is_gone(self, snapshot: str) -> bool:
        try:
            return is_tombstone(self._files.read(_manifest(snapshot)).data)
        except FileNotFoundError:
            return True

    def serve(self, snapshot: str, state: str | None) -> bool:
        now, tag = self._read()
        return tag == state and self._write(replace(now, published=snapshot), tag)

    def remove(self, *snapshots: str) -> None:
        gone = {*snapshots}
        if not gone.intersection(self.ids()):
            return
        self._change(lambda now: replace(now, kept=[one for one in now.kept if one not in gone]))
        self._files.remove(map(_manifest, snapshots))

    def sweep(self) -> None:
        old = datetime.now(UTC) - self.abandoned_after
        files = (entry for entry in self._files.below(FOLDER) if entry.changed < old)
        found = {entry.key.removeprefix(f"{FOLDER}/").removesuffix(".json") for entry in files}
        unnamed = {name for name in found if SNAPSHOT_ID.fullmatch(name)} - {*self.ids()}
        stones = {name: bury(self._files, _manifest(name)) for name in unnamed}
        named, gone = {*self.ids()}, []
        for name, stone in stones.items():
            if stone and name in named:
                dig_out(self._files, _manifest(name), stone)
            elif stone and condemn(self._files, _manifest(name), stone):
                gone.append(name)
        if gone:
            self._files.remove(map(_manifest, gone))
            log.info("removed manifests that the ledger doesn't name", snapshots=sorted(gone))

    def note_dropped(self) -> None:
        """Note that a partition was dropped, for those who follow the ledger's state."""
        self._change(lambda now: replace(now, dropped=now.dropped + 1))

    def unwanted_since(self, snapshot: str) -> datetime | None:
        since = self._read()[0].unwanted.get(snapshot)
        return datetime.fromisoformat(since) if since else None

    def note_unwanted(self, snapshot: str, since: datetime) -> None:
        noted = {snapshot: since.isoformat()}
        self._change(lambda now: replace(now, unwanted={**now.unwanted, **noted}))

    def forget_unwanted(self, still: Collection[str]) -> None:
        if {*self._read()[0].unwanted} - {*still}:
            self._change(
                lambda now: replace(
                    now, unwanted={k: since for k, since in now.unwanted.items() if k in still}
                )
            )

    def _read(self) -> tuple[_Ledger, str]:
        try:
            tree, tag = self._object.read()
            return _Ledger(**tree), tag
        except (ValueError, TypeError) as error:
            raise SnapshotError(
                f"{self._object.url} is damaged ({error}); publish the window again"
            ) from error

    def _change(self, change: Callable[[_Ledger], _Ledger]) -> None:
        """Change the ledger, again and again while others change it too."""
        changed(self._object.url, self._read, change, self._write)

    def _write(self, ledger: _Ledger, tag: str) -> bool:
        return self._object.write(asdict(ledger), tag)
