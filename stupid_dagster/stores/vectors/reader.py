"""Search the window's search index, from any number of threads."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from functools import partial, reduce
from operator import and_
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import polars as pl
import pyarrow as pa

from stupid_dagster.deadline import check, remaining, timed_out
from stupid_dagster.errors import SearchIndexError
from stupid_dagster.stores.vectors.columns import (
    EVENT_TYPE_COLUMN,
    day_column,
    day_range,
    searchable_words,
)
from stupid_dagster.stores.vectors.metadata import TABLE, TEXT_SCHEMA, SearchIndexMetadata

if TYPE_CHECKING:
    from lancedb.expr import Expr

Mode = Literal["vector", "text", "hybrid"]

RESULT_SCHEMA = pl.Schema({**TEXT_SCHEMA, "score": pl.Float32})

_RRF_K = 60
# Hits that tie with the last one wanted are fetched too: a few at first, then up to the most.
_MARGIN = 8
_MOST_TIES = 4_096
# Of an index with more partitions than this a part is probed: docs/search-serving.md.
_PROBED = 16
_PROBED_SHARE = 0.3
# A filter that most texts pass is cheaper for so many hits than for all texts beforehand.
_SIFTED = 1_000
_COMMON = 0.2
"""Share of the texts that the event types asked for must have for that."""
_NO_HITS = pl.DataFrame(schema={"text_id": pl.UInt64, "_rowid": pl.UInt64, "score": pl.Float32})


class SearchIndex:
    """An open search index. `with SearchIndex.open(directory) as index: ...`"""

    def __init__(self, directory: Path, metadata: SearchIndexMetadata, table: Any) -> None:
        self.directory = directory
        self.metadata = metadata
        self._days = [date.fromisoformat(day) for day in metadata.days]
        self._codes = {name: code for code, name in enumerate(metadata.event_types)}
        self._table = table
        self._closed = False
        self._counts: dict[int, int] = {}
        """Texts by the code of their event type."""
        if metadata.partitions > _PROBED:
            codes = self._ask(
                lambda table: _polars(table.search().select([EVENT_TYPE_COLUMN]).to_arrow())
            )
            self._counts = dict(codes[EVENT_TYPE_COLUMN].value_counts().iter_rows())

    @classmethod
    def open(cls, directory: Path) -> SearchIndex:
        """Open the index in `directory`; nothing in it is written.

        Raises SearchIndexError where there is none or it is damaged.
        """
        metadata = SearchIndexMetadata.read(directory)
        table = None
        if metadata.rows:
            import lancedb

            try:
                table = lancedb.connect(directory).open_table(TABLE)
                rows = table.count_rows()
            except (RuntimeError, ValueError, OSError) as error:
                raise SearchIndexError(
                    f"LanceDB can't open {directory}: {error}; materialise search_index again"
                ) from error
            if rows != metadata.rows:
                raise SearchIndexError(
                    f"{directory} has {rows} texts instead of {metadata.rows}; "
                    "materialise search_index again"
                )
        return cls(directory, metadata, table)

    def __enter__(self) -> SearchIndex:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the table and its caches go; searches that run end undisturbed."""
        self._closed = True
        self._table = None

    @property
    def rows(self) -> int:
        """Number of distinct texts."""
        return self.metadata.rows

    @property
    def embedder_id(self) -> str:
        """Which embedder made the vectors; queries must come from the same one."""
        return self.metadata.embedder_id

    def search(
        self,
        vector: np.ndarray,
        *,
        limit: int = 10,
        event_types: Sequence[str] | None = None,
        first_day: date | None = None,
        last_day: date | None = None,
    ) -> pl.DataFrame:
        """Return the texts nearest to `vector` [dimension], best first.

        Columns as in `RESULT_SCHEMA`; `score` is the cosine similarity; ties are ordered by
        text_id. Only texts of `event_types` (None: all; an unknown one has no texts) that occur
        on some day from `first_day` to `last_day` (None: unbounded) are searched; `count` and
        `days` are the window's all the same. Exact up to 16 partitions of the index (131,000
        texts); of a larger one the nearest third is probed, which misses one text in hundreds,
        unless few texts pass the filter: docs/search-serving.md. A zero vector is near to nothing.
        Raises SearchIndexError for a vector of another dimension or a limit below 1.
        """
        filters = self._filter(limit, event_types, first_day, last_day)
        return self._texts(self._nearest(vector, limit, filters, event_types))

    def search_text(
        self,
        query: str,
        vector: np.ndarray | None = None,
        *,
        mode: Mode = "hybrid",
        limit: int = 10,
        event_types: Sequence[str] | None = None,
        first_day: date | None = None,
        last_day: date | None = None,
    ) -> pl.DataFrame:
        """Return the texts that fit a query in words, best first, as `search` does.

        `query` is plain text, without syntax; `vector` is its embedding, needed for all modes but
        `text`. `score` is BM25 for `text`; for `hybrid` the sum over both rankings of
        1 / (60 + rank) (reciprocal rank fusion: Cormack, Clarke and Buettcher, SIGIR 2009).
        """
        if mode not in get_args(Mode):
            raise SearchIndexError(f"mode is {mode!r}; use vector, text or hybrid")
        filters = self._filter(limit, event_types, first_day, last_day)
        if mode == "text":
            return self._texts(self._matching(query, limit, filters))
        if vector is None:
            raise SearchIndexError(f"mode {mode!r} needs the query's vector; use text without one")
        if mode == "vector":
            return self._texts(self._nearest(vector, limit, filters, event_types))
        depth = max(4 * limit, 50)
        rankings = [
            self._nearest(vector, depth, filters, event_types),
            self._matching(query, depth, filters),
        ]
        reciprocal = (1 / (_RRF_K + pl.int_range(1, pl.len() + 1))).cast(pl.Float32)
        fused = pl.concat([found.with_columns(score=reciprocal) for found in rankings])
        fused = fused.group_by("text_id", "_rowid").agg(pl.sum("score"))
        return self._texts(_ordered(fused).head(limit))

    def _nearest(
        self,
        vector: np.ndarray,
        limit: int,
        filters: Sequence[Expr] | None,
        event_types: Sequence[str] | None,
    ) -> pl.DataFrame:
        query = self._checked_vector(vector)
        if filters is None or not query.any():
            return _NO_HITS
        partitions = max(1, self.metadata.partitions)
        probes = min(partitions, max(_PROBED, math.ceil(partitions * _PROBED_SHARE)))

        def fetch(table: Any, size: int, *, probes: int, prefilter: bool = True) -> pl.DataFrame:
            search = table.search(query, vector_column_name="vector").distance_type("cosine")
            # Without an index there is nothing to probe, and the number goes unused.
            search = search.nprobes(probes).limit(size)
            score = (1 - pl.col("_distance")).clip(-1, 1)
            return _hits(search, filters, score, prefilter=prefilter)

        codes = [self._codes[name] for name in {*(event_types or self._codes)} & {*self._codes}]
        common = sum(self._counts.get(code, 0) for code in codes) >= self.rows * _COMMON
        if filters and probes < partitions and common and limit <= _SIFTED // 4:
            sifted = self._ask(partial(fetch, size=_SIFTED, probes=probes, prefilter=False))
            if sifted.height >= limit:
                return sifted.head(limit)
        # What few texts pass may lie in the partitions that are farthest from the query.
        return self._best(partial(fetch, probes=partitions if filters else probes), limit)

    def _matching(self, query: str, limit: int, filters: Sequence[Expr] | None) -> pl.DataFrame:
        from lancedb.query import MatchQuery

        words = pl.select(searchable_words(pl.lit(query))).item()

        def fetch(table: Any, size: int) -> pl.DataFrame:
            # Pyright doesn't see the defaults of a pydantic dataclass.
            match = MatchQuery(words, "words")  # pyright: ignore[reportCallIssue]
            search = table.search(match, query_type="fts").limit(size)
            return _hits(search, filters or (), pl.col("_score"))

        return self._best(fetch, limit) if filters is not None and words.strip() else _NO_HITS

    def _best(self, fetch: Callable[..., pl.DataFrame], limit: int) -> pl.DataFrame:
        """Return the `limit` best of what `fetch` finds, ties settled by text_id.

        Which of several equal results LanceDB cuts off is chance; so fetch beyond the cut until
        the scores differ.
        """
        limit = min(limit, self.rows)
        for size in (limit + _MARGIN, limit + _MOST_TIES):
            found = self._ask(partial(fetch, size=size))
            if found.height < size or found["score"][-1] < found["score"][limit - 1]:
                break
        return found.head(limit)

    def _texts(self, hits: pl.DataFrame) -> pl.DataFrame:
        """Return the hits' texts, in their order."""
        if hits.is_empty():
            return pl.DataFrame(schema=RESULT_SCHEMA)
        rows = self._ask(
            lambda table: _polars(
                table.take_row_ids(hits["_rowid"].to_list())
                .select(list(TEXT_SCHEMA))
                .to_arrow(timeout=_timeout())
            )
        )
        texts = hits.join(rows, on="text_id", how="left", maintain_order="left")
        return texts.select(RESULT_SCHEMA.keys()).cast(RESULT_SCHEMA)

    def _ask(self, question: Callable[[Any], pl.DataFrame]) -> pl.DataFrame:
        table = self._table
        if table is None:
            raise SearchIndexError(f"the search index in {self.directory} is closed; open it again")
        check()
        try:
            return question(table)
        except (RuntimeError, ValueError, OSError) as error:
            if "Query timeout" in str(error):
                raise timed_out() from error
            raise SearchIndexError(f"{self.directory} can't be searched: {error}") from error

    def _filter(
        self,
        limit: int,
        event_types: Sequence[str] | None,
        first_day: date | None,
        last_day: date | None,
    ) -> list[Expr] | None:
        """Return the predicates that all must hold; None where no text can pass."""
        if self._closed:
            raise SearchIndexError(f"the search index in {self.directory} is closed; open it again")
        if limit < 1:
            raise SearchIndexError(f"limit is {limit}; it must be at least 1")
        if isinstance(event_types, str):
            raise SearchIndexError(f"event_types is the string {event_types!r}; pass a list")
        days = day_range(self._days, first_day, last_day)
        known = self._codes.keys() if event_types is None else self._codes.keys() & set(event_types)
        codes = sorted(self._codes[name] for name in known)
        if days is None or not codes:
            return None
        from lancedb.expr import col, lit

        predicates: list[Expr] = []
        if len(codes) < len(self._codes):
            predicates.append(col(EVENT_TYPE_COLUMN).isin(codes))
        if days != (0, len(self._days) - 1):
            predicates.append(col(day_column(days[0])) <= lit(days[1]))
        return predicates

    def _checked_vector(self, vector: np.ndarray) -> np.ndarray:
        query = np.asarray(vector, dtype=np.float32)
        if query.shape != (self.metadata.dimension,):
            raise SearchIndexError(
                f"the query's vector has shape {query.shape}; the index has vectors of "
                f"{self.metadata.dimension} numbers, made by {self.embedder_id}"
            )
        if not np.isfinite(query).all():
            raise SearchIndexError("the query's vector has numbers that aren't finite")
        return query


def read_texts(directory: Path, *columns: str) -> pl.DataFrame:
    """Return columns of `TEXT_SCHEMA` of all texts that the index in `directory` has.

    Unlike `SearchIndex.open` it doesn't mind how many there are. Raises SearchIndexError.
    """
    schema = pl.Schema({name: TEXT_SCHEMA[name] for name in columns})
    if not SearchIndexMetadata.read(directory).rows:
        return pl.DataFrame(schema=schema)
    import lancedb

    try:
        table = lancedb.connect(directory).open_table(TABLE)
        return _polars(table.search().select([*columns]).to_arrow()).select(columns).cast(schema)
    except (RuntimeError, ValueError, OSError) as error:
        raise SearchIndexError(
            f"LanceDB can't read {directory}: {error}; materialise search_index again"
        ) from error


def _hits(
    search: Any, filters: Sequence[Expr], score: pl.Expr, *, prefilter: bool = True
) -> pl.DataFrame:
    """Run a search; return text_id, _rowid and score, best first.

    Without `prefilter` the filters are for what it found: fewer may be left.
    """
    if filters:
        search = search.where(reduce(and_, filters), prefilter=prefilter)
    columns = ["text_id", *score.meta.root_names()]
    hits = _polars(search.with_row_id(True).select(columns).to_arrow(timeout=_timeout()))
    return _ordered(hits.select("text_id", "_rowid", score.cast(pl.Float32).alias("score")))


def _timeout() -> timedelta | None:
    left = remaining()
    return None if left is None else timedelta(seconds=max(left, 0.001))


def _ordered(hits: pl.DataFrame) -> pl.DataFrame:
    return hits.sort(["score", "text_id"], descending=[True, False])


def _polars(table: pa.Table) -> pl.DataFrame:
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame
