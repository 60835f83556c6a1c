"""Samples of what lies in a landing folder, before there is an event model."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import polars as pl
import structlog

from stupid_dagster.errors import IngestError
from stupid_dagster.ingest.readers import open_file, reader_of
from stupid_dagster.ingest.routing import event_type_candidate
from stupid_dagster.ingest.source import Source

log = structlog.get_logger(__name__)
_FILES = 5


def sample_landing(location: str | Path, rows: int) -> dict[str, pl.DataFrame]:
    """Return up to `rows` rows an event type, all columns as strings, from files of several dates.

    What a file's folder is named, or, at the top of the landing folder, the file itself without
    its date, is taken for its event type. Raises IngestError when the folder isn't there, or
    none of its files can be read.
    """
    source = Source(str(location))
    files: dict[str, list[str]] = defaultdict(list)
    for file in source.files():
        if file.size and reader_of(file.path):
            files[event_type_candidate(file.path)].append(file.path)
    samples = {}
    for event_type, paths in sorted(files.items()):
        chosen = paths[:: max(1, len(paths) // _FILES)][:_FILES]
        frames = []
        for path in chosen:
            try:
                frames.append(_spread(source, path, rows // len(chosen) + 1))
            except IngestError as error:
                log.warning("landing file is left out of the sample", problem=str(error))
        if frames:
            samples[event_type] = pl.concat(frames, how="diagonal").head(rows)
    if not samples:
        raise IngestError(f"{location}: no file of a kind that can be read holds anything")
    return samples


def _spread(source: Source, path: str, rows: int) -> pl.DataFrame:
    """Return rows from all over a file."""
    reader = open_file(source, path)
    step = max(1, reader.height // rows)
    chosen = pl.Series(range(0, reader.height, step), dtype=pl.UInt32)
    return reader.read(reader.columns, chosen)
