"""Read landing files as columns of strings; the kind of file is told by its name."""

from stupid_dagster.errors import IngestError
from stupid_dagster.ingest.readers.base import BadRecord, Reader
from stupid_dagster.ingest.readers.delimited import DelimitedReader
from stupid_dagster.ingest.readers.json_lines import JsonLinesReader
from stupid_dagster.ingest.readers.parquet import ParquetReader
from stupid_dagster.ingest.source import Source

__all__ = ["READERS", "BadRecord", "Reader", "open_file", "reader_of", "without_kind"]

READERS: dict[str, type[Reader]] = {
    ".parquet": ParquetReader,
    ".csv": DelimitedReader,
    ".csv.gz": DelimitedReader,
    ".tsv": DelimitedReader,
    ".tsv.gz": DelimitedReader,
    ".jsonl": JsonLinesReader,
    ".jsonl.gz": JsonLinesReader,
    ".ndjson": JsonLinesReader,
    ".ndjson.gz": JsonLinesReader,
}


def reader_of(path: str) -> type[Reader] | None:
    """Return the reader for files of this name, None for a kind that can't be read."""
    return READERS.get(_suffix(path))


def without_kind(path: str) -> str:
    """Return a file's name without what says of which kind it is, packed or not."""
    kind = _suffix(path)
    if not kind and path.lower().endswith(".gz") and (inner := _suffix(path[:-3])):
        kind = f"{inner}.gz"  # Such as .parquet.gz, which can't be read.
    return path[: len(path) - len(kind)]


def open_file(source: Source, path: str) -> Reader:
    """Return the reader of a landing file.

    Raises IngestError when it can't be read, or is of no known kind.
    """
    kind = reader_of(path)
    if kind is None:
        raise IngestError(
            f"{path}: files of this kind can't be read (known kinds: {', '.join(READERS)})"
        )
    return kind(source, path)


def _suffix(path: str) -> str:
    """Return the longest of the known suffixes that a name ends with; empty for none."""
    return max((suffix for suffix in READERS if path.lower().endswith(suffix)), key=len, default="")
