"""Vectors that are made and in no version yet, where all runs of a lake find them.

    <lake>/.embedding/<day>/<embedder>/<run>/<part>.parquet   what a run has made
    <lake>/.embedding/<day>/<embedder>/<run>/claim            the texts that it makes now

A run at work holds the lock of its folder. Who finds the folder unlocked knows that its run ended
before the day's table was written: what it made is there to be used, and what it claimed is free.
How it is in a bucket, `bucket_scratch` says.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Protocol

import polars as pl
import structlog

from stupid_dagster.stages.bucket_scratch import bucket_scratch
from stupid_dagster.stores.garbage import SCRATCH
from stupid_dagster.stores.lake import Lake
from stupid_dagster.stores.locks import is_locked, locked
from stupid_dagster.stores.version import new_name

_CLAIM = "claim"
_PART = ".parquet"
log = structlog.get_logger(__name__)


class Scratch(Protocol):
    """What a run that makes the vectors of a day has made, and what others have."""

    wait_seconds: float
    """How long who waits for others waits until the next look."""

    def alone(self) -> AbstractContextManager[None]:
        """Let no other run look for what there is, and claim what there isn't, at the same time."""
        ...

    def parts(self) -> Iterator[pl.DataFrame]:
        """Yield what other runs have made (text_id, vector), of any day; each part once."""
        ...

    def claimed(self) -> pl.Series:
        """Return the ids of the texts that other runs make now."""
        ...

    def claim(self, ids: pl.Series) -> None:
        """Say which texts are made now, in the place of those that were; others wait for them."""
        ...

    def write(self, frame: pl.DataFrame) -> None:
        """Keep a part (text_id, vector)."""
        ...


class FolderScratch:
    """The folder of a run, and what is in the others."""

    wait_seconds = 0.2

    def __init__(self, root: Path, folder: Path) -> None:
        self._root = root
        self.folder = folder
        self._read: set[Path] = set()

    @contextmanager
    def alone(self) -> Iterator[None]:
        with locked(self._root):
            yield

    def parts(self) -> Iterator[pl.DataFrame]:
        for file in sorted(self._root.glob(f"*/{self.folder.parent.name}/*/*{_PART}")):
            if file in self._read or file.parent == self.folder:
                continue
            self._read.add(file)
            try:
                yield pl.read_parquet(file, glob=False).select("text_id", "vector")
            except FileNotFoundError:  # Its day was written meanwhile.
                continue
            except OSError as error:
                # A disk, or a limit of the process, says nothing of the file, which was paid for.
                log.warning("vectors can't be read", file=str(file), problem=str(error))
            except pl.exceptions.PolarsError as error:
                # Of a machine that lost its power.
                log.warning("vectors are made again", file=str(file), problem=str(error))
                file.unlink(missing_ok=True)

    def claimed(self) -> pl.Series:
        claims = [pl.Series("text_id", [], pl.UInt64)]
        for file in self._root.glob(f"*/{self.folder.parent.name}/*/{_CLAIM}"):
            if file.parent != self.folder and is_locked(file.parent):
                with suppress(FileNotFoundError):  # The run has just ended.
                    claims.append(pl.read_parquet(file, glob=False)["text_id"])
        return pl.concat(claims)

    def claim(self, ids: pl.Series) -> None:
        self._write(ids.to_frame(), self.folder / _CLAIM)

    def write(self, frame: pl.DataFrame) -> None:
        self._write(frame, self.folder / f"{new_name()}{_PART}")

    def _write(self, frame: pl.DataFrame, file: Path) -> None:
        """Write a file that a reader sees whole or not at all."""
        writing = file.with_suffix(".writing")
        frame.write_parquet(writing)
        writing.replace(file)


@contextmanager
def scratch_of(lake: Lake, day: str, model_id: str) -> Iterator[Scratch]:
    """Yield a new run's scratch, which holds the day's vectors until they are written.

    When the block ends well, it goes, with what runs of the day that ended badly have left. When
    the block raises, what was made stays. Raises StoreError where a bucket fails.
    """
    embedder = sha256(model_id.encode()).hexdigest()[:16]
    if lake.files.folder is None:
        with bucket_scratch(lake.files, day, embedder) as scratch:
            yield scratch
    else:
        with _folder_scratch(lake, day, embedder) as scratch:
            yield scratch


@contextmanager
def _folder_scratch(lake: Lake, day: str, embedder: str) -> Iterator[Scratch]:
    root = lake.root / SCRATCH
    folder = root / day / embedder / new_name()
    with ExitStack() as stack:
        # A collection of garbage holds the lake's lock too: it never sees the folder unlocked.
        with lake.exclusive():
            folder.mkdir(parents=True)
            stack.enter_context(locked(folder))
        try:
            yield FolderScratch(root, folder)
        except BaseException:
            if not [*folder.glob(f"*{_PART}")]:
                shutil.rmtree(folder, ignore_errors=True)
            raise
        with lake.exclusive():
            for run in folder.parent.iterdir():
                if run == folder or not is_locked(run):
                    shutil.rmtree(run, ignore_errors=True)
            for empty in (folder.parent, folder.parent.parent):
                with suppress(OSError):
                    empty.rmdir()
