"""The scratch of vectors of a lake in a bucket, where the next run finds it on any machine.

    <prefix>/.embedding/<day>/<embedder>/<run>/<part>.parquet   what a run has made
    <prefix>/.embedding/<day>/<embedder>/<run>/claim            the texts that it makes now

A bucket has no locks. A claim therefore counts as long as others see its run go on writing: a
lease, whose time each watcher measures by its own clock alone, as in
https://aws.amazon.com/blogs/database/building-distributed-locks-with-the-dynamodb-lock-client/.
Nothing rests on claims but money: of two runs that claim at the same moment, or where one was only
slow, both make the vectors of some texts, and they are the same. Claims of runs of the same day
don't count at all: another run of a day is a retry, and has no reason to wait for the dead.
"""

from __future__ import annotations

import io
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress

import polars as pl
import structlog

from stupid_dagster.errors import StoreError
from stupid_dagster.stores.files import Entry, Files
from stupid_dagster.stores.garbage import SCRATCH
from stupid_dagster.stores.version import new_name

CLAIM_SECONDS = 120.0
"""So long a run may write nothing, and its claim still counts."""
_PART_SECONDS = 5.0
"""Work of so long goes into one part at most: that is lost when a run is killed."""
_CLAIM = "claim"
_PART = ".parquet"
log = structlog.get_logger(__name__)


class BucketScratch:
    """What a run that makes the vectors of a day has made, and what others have."""

    wait_seconds = 2.0

    def __init__(self, files: Files, day: str, embedder: str) -> None:
        self._files = files
        self._day = day
        self._embedder = embedder
        self._run = f"{SCRATCH}/{day}/{embedder}/{new_name()}"
        self._read: set[str] = set()
        self._seen: dict[str, tuple[object, float]] = {}
        """By run what was there when it was last seen to have changed, and when that was."""
        self._claims: dict[str, tuple[str, pl.Series]] = {}
        """By key the tag and what was read."""
        self._waiting: list[pl.DataFrame] = []
        self._written = float("-inf")

    def alone(self) -> AbstractContextManager[None]:
        """Let others look and claim too: they can't be kept from it."""
        return nullcontext()

    def parts(self) -> Iterator[pl.DataFrame]:
        """Yield what other runs have made (text_id, vector), of any day; each part once."""
        for entry in self._entries():
            if not entry.key.endswith(_PART) or entry.key in self._read:
                continue
            self._read.add(entry.key)
            try:
                data = self._files.read(entry.key).data
                yield pl.read_parquet(io.BytesIO(data)).select("text_id", "vector")
            except FileNotFoundError:  # Its day was written meanwhile.
                continue
            except StoreError as error:
                # What a server doesn't give now was paid for.
                log.warning("vectors can't be read", object=entry.key, problem=str(error))
            except pl.exceptions.PolarsError as error:
                log.warning("vectors are made again", object=entry.key, problem=str(error))
                self._files.remove([entry.key])

    def claimed(self) -> pl.Series:
        """Return the ids of the texts that runs of other days make now."""
        runs: dict[str, list[Entry]] = defaultdict(list)
        for entry in self._entries():
            if entry.key.split("/")[1] != self._day:
                runs[_run_of(entry.key)].append(entry)
        claims = [pl.Series("text_id", [], pl.UInt64)]
        for run, entries in runs.items():
            if self._is_at_work(run, entries):
                with suppress(FileNotFoundError):  # It has no claim, or has just ended.
                    claims.append(self._claim_of(f"{run}/{_CLAIM}"))
        return pl.concat(claims)

    def claim(self, ids: pl.Series) -> None:
        """Say which texts are made now, in the place of those that were; others wait for them."""
        self.flush()
        self._put(ids.to_frame(), f"{self._run}/{_CLAIM}")

    def write(self, frame: pl.DataFrame) -> None:
        """Keep a part (text_id, vector), together with those of the next seconds."""
        if self._waiting and self._waiting[0].schema != frame.schema:
            self.flush()  # The embedder's server has another model now.
        self._waiting.append(frame)
        if time.monotonic() - self._written >= _PART_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Keep what is not yet kept."""
        if self._waiting:
            self._put(pl.concat(self._waiting), f"{self._run}/{new_name()}{_PART}")
            self._waiting = []
            self._written = time.monotonic()

    def give_up(self) -> None:
        """Keep what was made, and nobody from what was claimed."""
        with suppress(StoreError):
            self.flush()
        with suppress(StoreError):
            self._files.remove([f"{self._run}/{_CLAIM}"])

    def clear(self) -> None:
        """Remove what was made for the day, which is written: by this run, and by any other.

        One that is at work on the same day has what it made in memory too.
        """
        try:
            found = [*self._files.below(f"{SCRATCH}/{self._day}/{self._embedder}")]
            self._files.remove(entry.key for entry in found)
        except StoreError as error:
            log.warning("scratch is left to the garbage collection", problem=str(error))

    def _entries(self) -> list[Entry]:
        """Return what runs with this embedder have there, but for this one."""
        return [
            entry
            for entry in self._files.below(SCRATCH)
            if entry.key.count("/") == 4
            and entry.key.split("/")[2] == self._embedder
            and _run_of(entry.key) != self._run
        ]

    def _is_at_work(self, run: str, entries: list[Entry]) -> bool:
        """Return whether a run has written anything of late, as far as was seen."""
        state = {(entry.key, entry.changed) for entry in entries}
        before, since = self._seen.get(run, (None, 0.0))
        now = time.monotonic()
        if state != before:
            since = now
            self._seen[run] = (state, since)
        return now - since < CLAIM_SECONDS

    def _claim_of(self, key: str) -> pl.Series:
        """Return the ids of a claim; raises FileNotFoundError."""
        known = self._claims.get(key)
        stored = self._files.read_unless(key, known[0]) if known else self._files.read(key)
        if stored is not None:
            ids = pl.read_parquet(io.BytesIO(stored.data))["text_id"]
            known = self._claims[key] = (stored.tag, ids)
        assert known is not None
        return known[1]

    def _put(self, frame: pl.DataFrame, key: str) -> None:
        stream = io.BytesIO()
        frame.write_parquet(stream)
        self._files.replace(key, stream.getvalue())


@contextmanager
def bucket_scratch(files: Files, day: str, embedder: str) -> Iterator[BucketScratch]:
    """Yield a new run's scratch; it goes when the block ends well, and stays when it raises."""
    scratch = BucketScratch(files, day, embedder)
    try:
        yield scratch
    except BaseException:
        scratch.give_up()
        raise
    scratch.clear()


def _run_of(key: str) -> str:
    return key.rpartition("/")[0]
