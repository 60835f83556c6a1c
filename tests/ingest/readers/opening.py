"""Open what was just written."""

from __future__ import annotations

from pathlib import Path

from stupid_dagster.errors import IngestError
from stupid_dagster.ingest.readers import Reader, open_file
from stupid_dagster.ingest.source import Source

Rows = list[tuple[str | None, ...]]


def opened(folder: Path, name: str, content: bytes) -> Reader:
    """Return the reader of a file of this name and content."""
    (folder / name).write_bytes(content)
    return open_file(Source(str(folder)), name)


def all_of(reader: Reader) -> tuple[list[str], Rows, list[int], list[int]]:
    """Return columns, rows, and the numbers of the good and of the bad records."""
    rows = reader.read(reader.columns).rows()
    numbers = reader.numbers().to_list()
    assert len(numbers) == reader.height
    if reader.columns:
        assert len(rows) == reader.height
    return reader.columns, rows, numbers, [bad.row for bad in reader.bad_records]


def survives(folder: Path, name: str, content: bytes) -> None:
    """Read a file in every way; nothing but IngestError may come of it."""
    try:
        reader = opened(folder, name, content)
        _, _, good, bad = all_of(reader)
        assert sorted(good + bad) == list(range(len(good) + len(bad)))
        held = reader.filled(reader.columns, ["", "null"])
        assert list(held) == reader.columns
        assert all(0 <= values <= reader.height for values in held.values())
        assert all(record.reason and record.raw is not None for record in reader.bad_records)
    except IngestError as error:
        assert name in str(error)
