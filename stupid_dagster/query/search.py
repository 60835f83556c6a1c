"""Searches of a snapshot's texts: by a text, by a document, or by a vector."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import cast, get_args

import numpy as np
import polars as pl

from stupid_dagster.deadline import check, deadline
from stupid_dagster.errors import EmbedderError, InvalidQueryError
from stupid_dagster.project import Project
from stupid_dagster.query.days import snapshot_days
from stupid_dagster.query.documents import DocumentReader, doc_ids
from stupid_dagster.query.frames import hex_ids, scanned
from stupid_dagster.query.graph import check_choice
from stupid_dagster.query.paging import Page
from stupid_dagster.stores.documents import scan_event_type
from stupid_dagster.stores.snapshots import Snapshot
from stupid_dagster.stores.vectors import Mode, SearchIndex

SEARCH_MODES: tuple[str, ...] = get_args(Mode)
SOUGHT = ("texts", "events")
MOST_TEXT = 2000
MOST_PER_TEXT = 100
EVENT_SCHEMA = pl.Schema(
    {
        "doc_id": pl.String,
        "event_type": pl.String,
        "timestamp": pl.Datetime("ms", "UTC"),
        "actor": pl.String,
        "text_id": pl.String,
        "text": pl.String,
        "score": pl.Float32,
    }
)


@dataclass(frozen=True)
class SearchQuery:
    """What to search for, exactly one of text, document (its id) and vector; and where."""

    text: str | None = None
    document: str | None = None
    vector: Sequence[float] | None = None
    mode: str = "vector"
    event_types: Sequence[str] | None = None
    first_day: date | None = None
    last_day: date | None = None


class SnapshotSearch:
    """The search index of one snapshot, opened when it is first asked."""

    def __init__(self, project: Project, snapshot: Snapshot) -> None:
        self.project = project
        self.snapshot = snapshot
        self._lock = threading.Lock()
        self._index: SearchIndex | None = None

    def open(self) -> SearchIndex:
        """Return the open index; raises SearchIndexError."""
        with self._lock:
            if self._index is None:
                self._index = SearchIndex.open(self.snapshot.path("search_index"))
            return self._index

    def warm(self, documents: DocumentReader) -> None:
        """Search once; with a condition, which reads the whole index and not only what is near.

        Then load the embedder; its server may be silent, which must keep nobody waiting for long.
        """
        anywhere = [1.0] * self.open().metadata.dimension
        query = SearchQuery(vector=anywhere, event_types=[*documents.schemas][:1])
        self.page(documents, query, 1, "texts", 1)
        with deadline(self.project.settings.step_seconds):
            self._embedded("ready")

    def close(self) -> None:
        """Close the index if it is open."""
        with self._lock:
            index, self._index = self._index, None
        if index:
            index.close()

    def page(
        self, documents: DocumentReader, query: SearchQuery, limit: int, of: str, per_text: int
    ) -> Page:
        """Return the nearest texts, or events that have them, and whether there are more.

        Raises as `texts` and `events` do.
        """
        # One more tells whether there are more.
        if of == "events":
            return Page.first(self.events(documents, query, limit + 1, per_text), limit)
        return Page.first(hex_ids(self.texts(documents, query, limit + 1)), limit)

    def texts(self, documents: DocumentReader, query: SearchQuery, limit: int) -> pl.DataFrame:
        """Return the nearest texts, best first, as `SearchIndex` does.

        The text of a `document` that is searched by isn't among them. Raises InvalidQueryError,
        NotFoundError, and EmbedderError where another embedder made the snapshot's vectors.
        """
        self._check(documents, query)
        check()
        index, mode = self.open(), cast(Mode, query.mode)
        narrowed = {
            "event_types": query.event_types or None,
            "first_day": query.first_day,
            "last_day": query.last_day,
        }
        if query.text is not None:
            vector = None if mode == "text" else self._embedded(query.text)
            return index.search_text(query.text, vector, mode=mode, limit=limit, **narrowed)
        if query.vector is not None:
            return index.search(self._vector(query.vector), limit=limit, **narrowed)
        document, text = documents.document(query.document or "")
        if text is None:
            raise InvalidQueryError(f"document {query.document!r} has no text to search by")
        found = index.search(self._embedded(text), limit=limit + 1, **narrowed)
        return found.filter(pl.col("text_id") != int(document["text_id"], 16)).head(limit)

    def events(
        self, documents: DocumentReader, query: SearchQuery, limit: int, per_text: int
    ) -> pl.DataFrame:
        """Return documents that have the nearest texts, at most `per_text` of each, the newest.

        Columns as in `EVENT_SCHEMA`, best text first, and of a text the newest first. Raises as
        `texts` does.
        """
        if not 1 <= per_text <= MOST_PER_TEXT:
            raise InvalidQueryError(f"per_text = {per_text}: must be from 1 to {MOST_PER_TEXT}")
        texts = self.texts(documents, query, limit).with_row_index("rank")
        frames = [pl.DataFrame(schema={"doc_id": pl.String, "text_id": pl.UInt64})]
        missing = dict.fromkeys(texts["text_id"], per_text)
        days = snapshot_days(self.snapshot.manifest, query.first_day, query.last_day)
        for day in reversed(days):
            check()
            seen = pl.col("days").list.contains(date.fromisoformat(day))
            wanted = texts.filter(seen & pl.col("text_id").is_in([*missing]))
            for frame in self._of_day(day, wanted, per_text):
                newest = frame.group_by("text_id").head(per_text)
                frames.append(newest)
                for text_id, count in newest["text_id"].value_counts().iter_rows():
                    missing[text_id] -= count
            missing = {text_id: room for text_id, room in missing.items() if room > 0}
            if not missing:
                break
        found = pl.concat(frames, how="diagonal_relaxed").join(texts, on="text_id")
        if found.is_empty():
            return pl.DataFrame(schema=EVENT_SCHEMA)
        found = found.sort("rank", "timestamp", "doc_id", descending=[False, True, False])
        found = found.group_by("rank", maintain_order=True).head(per_text).head(limit)
        return hex_ids(found).select(EVENT_SCHEMA.keys()).cast(EVENT_SCHEMA)

    def _of_day(self, day: str, texts: pl.DataFrame, per_text: int) -> list[pl.DataFrame]:
        """Return a day's documents with these texts, each event type's newest first."""
        version = self.snapshot.day("documents", day)
        if version is None:
            return []
        scans: list[pl.LazyFrame] = []
        for (event_type,), some in texts.group_by("event_type"):
            scan = scan_event_type(self.snapshot.lake, version, str(event_type))
            if scan is not None:
                of_text = scan.filter(pl.col("text_id").is_in(some["text_id"].implode()))
                ordered = of_text.select(
                    doc_ids(day, str(event_type)), "timestamp", "actor", "text_id"
                ).sort("timestamp", "doc_id", descending=[True, False])
                scans.append(ordered.group_by("text_id", maintain_order=True).head(per_text))
        return scanned(scans)

    def _check(self, documents: DocumentReader, query: SearchQuery) -> None:
        given = {"text": query.text, "document": query.document, "vector": query.vector}
        named = [name for name, value in given.items() if value is not None]
        if len(named) != 1:
            raise InvalidQueryError(
                f"search by exactly one of text, document and vector, not by "
                f"{' and '.join(named) or 'none of them'}"
            )
        check_choice("mode", query.mode, SEARCH_MODES)
        if query.text is None and query.mode != "vector":
            raise InvalidQueryError(f"mode {query.mode!r} needs a text: a {named[0]} has no words")
        if query.text is not None and not (query.text.strip() and len(query.text) <= MOST_TEXT):
            raise InvalidQueryError(
                f"the text to search for has {len(query.text)} characters; give from 1 to "
                f"{MOST_TEXT}"
            )
        for event_type in query.event_types or ():
            documents.schema(event_type)
        snapshot_days(self.snapshot.manifest, query.first_day, query.last_day)

    def _vector(self, numbers: Sequence[float]) -> np.ndarray:
        index = self.open()
        dimension = index.metadata.dimension
        if len(numbers) != dimension:
            raise InvalidQueryError(
                f"the vector has {len(numbers)} numbers; the texts' vectors have {dimension}, made "
                f"by {index.embedder_id}"
            )
        vector = np.asarray(numbers, dtype=np.float64)
        largest = np.abs(vector).max()
        if not np.isfinite(largest) or not largest:
            raise InvalidQueryError(
                "the vector's numbers must be finite and not all 0: only then has it a direction"
            )
        # Only the direction counts; the squares of very large or small numbers have none.
        vector /= largest
        return (vector / np.linalg.norm(vector)).astype(np.float32)

    def _embedded(self, text: str) -> np.ndarray:
        embedder = self.project.embedder
        made_by = self.snapshot.manifest.embedder_id
        if embedder.model_id != made_by:
            raise EmbedderError(
                f"the snapshot's vectors are {made_by}'s, the project's embedder is "
                f"{embedder.model_id}: the two can't be compared. Set the embedder back, or "
                "embed the days anew (`stupid-dagster embedder show` says how) and make the "
                "window; until then search with mode=text"
            )
        return embedder.embed([text])[0]
