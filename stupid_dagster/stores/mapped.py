"""Tables in files that are mapped into memory: open at once, and shared by all who read them."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pyarrow as pa

from stupid_dagster.errors import StoreError


def write_mapped(file: Path, table: pl.DataFrame) -> None:
    """Write a table that `read_mapped` reads, as an uncompressed Arrow file of one batch."""
    rows = table.to_arrow(compat_level=pl.CompatLevel.newest()).combine_chunks()
    with pa.ipc.new_file(str(file), rows.schema) as writer:
        writer.write_table(rows)


def read_mapped(file: Path) -> pl.DataFrame:
    """Return a table whose bytes stay in the file until they are looked at.

    The file may be deleted meanwhile. Raises StoreError where it is missing or damaged.
    """
    try:
        with pa.memory_map(str(file)) as source:
            table = pl.from_arrow(pa.ipc.open_file(source).read_all())
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"{file} is missing or damaged: {error}") from error
    assert isinstance(table, pl.DataFrame)
    return table
