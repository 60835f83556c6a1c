"""Build the window's search index."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import structlog

from stupid_dagster.errors import SearchIndexError
from stupid_dagster.stores.vectors.columns import FilterColumns, searchable_words
from stupid_dagster.stores.vectors.metadata import (
    FORMAT,
    TABLE,
    TEXT_SCHEMA,
    SearchIndexMetadata,
)

log = structlog.get_logger(__name__)

INDEX_FROM_ROWS = 10_000
PARTITION_ROWS = 8_192


@dataclass(frozen=True)
class SearchIndexReport:
    """What was built; `vector_index` is None where the texts are too few to need one."""

    rows: int
    dimension: int
    days: int
    vector_index: str | None
    bytes: int
    seconds: float


def build_search_index(
    directory: Path,
    texts: pl.DataFrame,
    vectors: np.ndarray | pa.FixedSizeListArray,
    *,
    embedder_id: str,
) -> SearchIndexReport:
    """Build a search index in the empty `directory`.

    `texts` has a row for each distinct text of the window: text_id (UInt64, unique), event_type,
    text, count (events), days (List(Date), the days it occurred on), example (a document's id).
    `vectors` has shape [rows, dimension], any float type, in the same order; each is a unit
    vector, or zero for a text that the embedder knows no word of (found by word only). They are
    stored as float32, which LanceDB searches three times as fast as float16. Nothing in the
    directory holds an absolute path; it may be renamed afterwards.

    Raises SearchIndexError where the directory isn't empty or the input isn't as described.
    """
    started = time.perf_counter()
    directory.mkdir(parents=True, exist_ok=True)
    if any(directory.iterdir()):
        raise SearchIndexError(f"{directory} isn't empty; build a search index in a new folder")
    texts = _checked_texts(texts)
    matrix = _checked_vectors(vectors, texts.height)
    filters = FilterColumns.of(texts)
    rows, dimension = matrix.shape
    partitions = -(-rows // PARTITION_ROWS) if rows >= INDEX_FROM_ROWS else 0
    if rows:
        _write_table(directory, texts, matrix, filters, partitions)
    days = [day.isoformat() for day in filters.days]
    SearchIndexMetadata(
        FORMAT, rows, dimension, embedder_id, partitions, filters.event_types, days
    ).write(directory)
    size = sum(file.stat().st_size for file in directory.rglob("*") if file.is_file())
    kind = "IVF_FLAT" if partitions else None
    seconds = time.perf_counter() - started
    log.info("search index built", rows=rows, index=kind, bytes=size, seconds=round(seconds, 2))
    return SearchIndexReport(rows, dimension, len(days), kind, size, seconds)


def _write_table(
    directory: Path,
    texts: pl.DataFrame,
    matrix: np.ndarray,
    filters: FilterColumns,
    partitions: int,
) -> None:
    import lancedb
    from lancedb.index import FTS, IvfFlat

    table = texts.with_columns(searchable_words(pl.col("text")).alias("words")).to_arrow()
    for name, values in filters.columns():
        table = table.append_column(name, pa.array(values))
    # A null vector is never returned; a zero one has no cosine.
    unknown = pa.array(~matrix.any(axis=1))
    vectors = pa.FixedSizeListArray.from_arrays(
        pa.array(np.ascontiguousarray(matrix).reshape(-1)), matrix.shape[1], mask=unknown
    )
    table = table.append_column("vector", vectors)
    try:
        lance = lancedb.connect(directory).create_table(TABLE, table, on_bad_vectors="null")
        if partitions:
            config = IvfFlat(distance_type="cosine", num_partitions=partitions)
            lance.create_index("vector", config=config)
        # The default tokenizer finds nothing in Japanese or Thai; ICU segments them into words.
        # Without a length limit an id or a hash can be found by its whole self.
        config = FTS(base_tokenizer="icu/split", remove_stop_words=False, max_token_length=None)
        lance.create_index("words", config=config)
    except (RuntimeError, ValueError, OSError) as error:
        raise SearchIndexError(f"LanceDB can't build {directory}: {error}") from error


def _checked_texts(texts: pl.DataFrame) -> pl.DataFrame:
    missing = [name for name in TEXT_SCHEMA if name not in texts.columns]
    if missing:
        raise SearchIndexError(f"the texts lack the column(s) {', '.join(missing)}")
    try:
        texts = texts.select(TEXT_SCHEMA.keys()).cast(TEXT_SCHEMA)
    except pl.exceptions.PolarsError as error:
        raise SearchIndexError(f"the texts have a value of the wrong type: {error}") from error
    for name in TEXT_SCHEMA:
        if texts[name].null_count():
            raise SearchIndexError(f"the texts have nulls in {name}")
    if (texts["days"].list.len() == 0).any():
        raise SearchIndexError("the texts have rows without a day")
    if texts["text_id"].n_unique() != texts.height:
        raise SearchIndexError("the texts have the same text_id more than once; aggregate them")
    return texts


def _checked_vectors(vectors: np.ndarray | pa.FixedSizeListArray, rows: int) -> np.ndarray:
    """Return them as a float32 matrix [rows, dimension]."""
    if isinstance(vectors, np.ndarray):
        matrix = vectors
    else:
        if vectors.null_count:
            raise SearchIndexError(f"{vectors.null_count} vectors are null")
        values = vectors.flatten().to_numpy(zero_copy_only=False)
        matrix = values.reshape(len(vectors), vectors.type.list_size)
    if matrix.ndim != 2 or len(matrix) != rows or not matrix.shape[1]:
        raise SearchIndexError(f"vectors of shape {matrix.shape} don't fit {rows} texts")
    matrix = matrix.astype(np.float32, copy=False)
    norms = np.linalg.norm(matrix, axis=1)
    wrong = np.flatnonzero(~((np.abs(norms - 1) < 0.01) | (norms == 0)))
    if wrong.size:
        raise SearchIndexError(
            f"{wrong.size} vectors aren't unit vectors; the first, row {wrong[0]}, has length "
            f"{norms[wrong[0]]}"
        )
    return matrix
