"""Where each actor's documents lie in the files of documents, kept in memory.

A file is sorted by actor, so that an actor's documents are one run of rows: its actors are read
once, and then only the runs that are asked for. Files never change, so what is known of them
serves all snapshots.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import polars as pl

from stupid_dagster.query.frames import collected_all
from stupid_dagster.stores.lake import LakeFile

_MOST_BYTES = 64 << 20
_FILES_AT_ONCE = 8


class ActorRuns:
    """The runs of one file's actors; twelve bytes each."""

    def __init__(self, actors: pl.Series) -> None:
        runs = actors.rle()
        lengths = runs.struct.field("len").to_numpy()
        hashes = runs.struct.field("value").hash().to_numpy()
        order = np.argsort(hashes)
        self._hashes = hashes[order]
        # Of a file that isn't sorted by actor, or where two hashes are the same, nothing is known.
        self.usable = not (self._hashes[1:] == self._hashes[:-1]).any()
        ends = np.cumsum(lengths, dtype=np.uint32)
        self._starts = (ends - lengths).astype(np.uint32)[order]
        self._lengths = lengths.astype(np.uint32)[order]

    @property
    def bytes(self) -> int:
        """Memory that it takes."""
        return self._hashes.nbytes + self._starts.nbytes + self._lengths.nbytes

    def run(self, actor: str) -> tuple[int, int]:
        """Return the first row of an actor's run and its length, 0 where there is none.

        Another actor's hash can be the same, so look at the actor of what is read.
        """
        wanted = _hash(actor)
        at = int(np.searchsorted(self._hashes, wanted))
        if at == len(self._hashes) or self._hashes[at] != wanted:
            return 0, 0
        return int(self._starts[at]), int(self._lengths[at])


# A request asks dozens of files for the same actor, and making a series takes its time.
@lru_cache(maxsize=1024)
def _hash(actor: str) -> np.uint64:
    return pl.Series([actor], dtype=pl.String).hash().to_numpy()[0]


class ActorRows:
    """Runs of the files that were asked for last, in bounded memory, for any number of threads."""

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self.most_bytes = most_bytes
        self.bytes = 0
        self._files: OrderedDict[LakeFile, ActorRuns] = OrderedDict()
        self._lock = threading.Lock()

    def known(self, file: LakeFile) -> ActorRuns | None:
        """Return a file's runs where they are kept and usable."""
        with self._lock:
            runs = self._files.get(file)
            if runs is None:
                return None
            self._files.move_to_end(file)
        return runs if runs.usable else None

    def read(self, files: Sequence[LakeFile]) -> list[ActorRuns | None]:
        """Return each file's runs, None where they aren't usable; raises SnapshotError."""
        found: dict[LakeFile, ActorRuns] = {}
        with self._lock:
            for file in files:
                if file in self._files:
                    self._files.move_to_end(file)
                    found[file] = self._files[file]
        missing = [file for file in files if file not in found]
        for first in range(0, len(missing), _FILES_AT_ONCE):
            batch = missing[first : first + _FILES_AT_ONCE]
            scans = [file.scan().select("actor") for file in batch]
            for file, actors in zip(batch, collected_all(scans), strict=True):
                found[file] = ActorRuns(actors["actor"])
                self._keep(file, found[file])
        return [runs if (runs := found[file]).usable else None for file in files]

    def _keep(self, file: LakeFile, runs: ActorRuns) -> None:
        with self._lock:
            if file not in self._files:
                self._files[file] = runs
                self.bytes += runs.bytes
            while self.bytes > self.most_bytes and len(self._files) > 1:
                _, dropped = self._files.popitem(last=False)
                self.bytes -= dropped.bytes


ACTOR_ROWS = ActorRows()
"""What the process knows."""
