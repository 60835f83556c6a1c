"""The window's texts in memory, found by their ids, so that no file is searched for them."""

from __future__ import annotations

import threading
import time

import numpy as np
import polars as pl
import structlog

from stupid_dagster.query.frames import collected, reading
from stupid_dagster.stores.lake import Lake
from stupid_dagster.stores.snapshots import Snapshot
from stupid_dagster.stores.version import Version

MOST_BYTES = 128 << 20
"""Texts of the newest days, as far as they fit; older ones are read from their files."""
_SCHEMA = pl.Schema({"text_id": pl.UInt64, "text": pl.String})
log = structlog.get_logger(__name__)


class WindowTexts:
    """Texts of one snapshot; empty until `load`. Any number of threads may ask.

    An id is the hash of event type and text, so it means the same text on every day.
    """

    def __init__(self, snapshot: Snapshot, most_bytes: int = MOST_BYTES) -> None:
        self.snapshot = snapshot
        self.most_bytes = most_bytes
        self._lock = threading.Lock()
        self._loaded = False
        self._held = _SCHEMA.to_frame()

    @property
    def rows(self) -> int:
        """Number of texts that are held."""
        return self._held.height

    def load(self) -> None:
        """Read the days' texts, the newest first, those that fit; raises SnapshotError."""
        with self._lock:
            if self._loaded:
                return
            started = time.perf_counter()
            held = _SCHEMA.to_frame()
            for _, version in sorted(self.snapshot.manifest.of("texts").items(), reverse=True):
                # Nothing is read that couldn't be held, even if no text of it is known yet.
                if _unpacked_bytes(self.snapshot.lake, version) > self.most_bytes:
                    continue
                day = self.snapshot.lake.scan_versions([version]).select(_SCHEMA.names())
                fresh = collected(day.join(held.lazy(), on="text_id", how="anti"))
                if held.estimated_size() + fresh.estimated_size() > self.most_bytes:
                    continue
                held.extend(fresh)
            self._held = held.sort("text_id").rechunk()
            self._loaded = True
            log.info(
                "texts read",
                texts=held.height,
                bytes=int(held.estimated_size()),
                seconds=round(time.perf_counter() - started, 2),
            )

    def find(self, text_ids: pl.Series) -> pl.DataFrame:
        """Return text_id and text of those of the ids, each given once, that are held."""
        held = self._held
        if held.is_empty() or text_ids.is_empty():
            return held.clear()
        ids, sought = held["text_id"].to_numpy(), text_ids.to_numpy()
        places = np.searchsorted(ids, sought).clip(max=len(ids) - 1)
        return held[places[ids[places] == sought]]


def _unpacked_bytes(lake: Lake, version: Version) -> int:
    """Return the bytes of a day's texts and their ids, as the footers of its files state them."""
    total = 0
    with reading():
        for name in version.files:
            footer = lake.file(version, name).footer()
            for group in map(footer.row_group, range(footer.num_row_groups)):
                for column in map(group.column, range(group.num_columns)):
                    if column.path_in_schema in _SCHEMA:
                        total += column.total_uncompressed_size
    return total
