"""Tell of a full disk, which libraries do in many ways and some hardly at all."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from stupid_dagster.errors import StoreError

_FULL = {errno.ENOSPC, errno.EDQUOT}
# Below that a disk counts as full when Polars, which may only speak of a Parquet file that is
# out of specification, fails to write to it.
_HARDLY_ANY = 1 << 20


@contextmanager
def full_disk_told(path: Path) -> Iterator[None]:
    """Raise StoreError where the block fails to write to a path because its disk is full."""
    try:
        yield
    except Exception as error:
        free = _free_bytes(path)
        if not _is_of_full_disk(error, free):
            raise
        raise StoreError(
            f"{path} can't be written: the disk is full ({free:,} bytes are free); make room, for "
            "instance by `stupid-dagster evict`, and run it again"
        ) from error


def _is_of_full_disk(error: Exception, free: int) -> bool:
    if isinstance(error, OSError) and error.errno in _FULL:
        return True
    if isinstance(error, pl.exceptions.PolarsError) and free < _HARDLY_ANY:
        return True
    # LanceDB, Kuzu and PyArrow have errors of their own.
    return "No space left" in str(error)


def _free_bytes(path: Path) -> int:
    existing = next(parent for parent in (path, *path.parents) if parent.exists())
    return shutil.disk_usage(existing).free
