"""A day's landing rows to documents: routed by event time, cleaned, typed, made one each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

import polars as pl
import structlog

from stupid_dagster.errors import IngestError
from stupid_dagster.event_model import EventModel, EventType
from stupid_dagster.event_model.expressions import (
    distinct_hashes,
    entity_id,
    rendered,
    typed,
    with_derived,
)
from stupid_dagster.event_model.schema import FieldType
from stupid_dagster.ingest.landing import LandingIndex
from stupid_dagster.ingest.rejects import Rejects
from stupid_dagster.ingest.rows import DayReader
from stupid_dagster.tables import TABLES, conform

log = structlog.get_logger(__name__)
BASE_COLUMNS = list(TABLES["documents"].schema)


@dataclass(frozen=True)
class DayDocuments:
    """A day's documents by event type, what was set aside, and the counts that explain both."""

    documents: Mapping[str, pl.DataFrame]
    rejects: pl.DataFrame
    files: int
    unreadable_files: int
    rows_read: int
    rows_rejected: int
    duplicates: int
    dropped_columns: Mapping[str, list[str]] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Number of documents."""
        return sum(frame.height for frame in self.documents.values())

    @property
    def reject_share(self) -> float:
        """Share of rows, or of files if that is more, that could not be used; 0 to 1."""
        rows = self.rows_rejected / max(1, self.rows_read)
        return max(rows, self.unreadable_files / max(1, self.files))


def build_documents(
    model: EventModel, landing: LandingIndex, day: date, partitions: tuple[date, date]
) -> DayDocuments:
    """Return the documents of a day: all rows, in any landing file, whose time falls on it.

    A row without a usable time belongs to its file's date. A row whose time lies outside
    `partitions` (first and last day) is rejected under its file's date, for no other day would
    tell of it. Nothing that a file may hold raises.
    """
    rejects = Rejects()
    reader = DayReader(model, landing.folder, day, partitions, rejects)
    frames = {name: [reader.no_rows(name)] for name in model.events}
    files = landing.for_day(day)
    unreadable = 0
    for file in files:
        try:
            if file.event_type is None:
                raise IngestError(file.problem)
            frames[file.event_type].append(reader.read(file, file.event_type))
        except IngestError as error:
            rejects.add_file(file.path, str(error))
            unreadable += 1
    documents, duplicates = {}, 0
    for name, event_type in model.events.items():
        frame = _typed(model, event_type, pl.concat(frames[name]), rejects)
        documents[name], removed = _finished(model, name, event_type, frame)
        duplicates += removed
    result = DayDocuments(
        documents=_with_test_actors(documents),
        rejects=rejects.table(),
        files=len(files),
        unreadable_files=unreadable,
        rows_read=reader.rows + rejects.rows_rejected,
        rows_rejected=rejects.rows_rejected,
        duplicates=duplicates,
        dropped_columns=reader.dropped_columns,
    )
    log.info("documents", day=str(day), rows=result.rows, rejected=result.rows_rejected)
    return result


def _typed(
    model: EventModel, event_type: EventType, raw: pl.DataFrame, rejects: Rejects
) -> pl.DataFrame:
    """Return the frame with fields in their types; values that don't fit become null, told."""
    types: dict[str, FieldType] = {name: model.field_type(name) for name in event_type.fields}
    frame = raw.with_columns(typed(name, types[name]) for name in event_type.fields)
    for name, field_type in types.items():
        if field_type != "string" and frame[name].null_count() > raw[name].null_count():
            failed = raw.filter(frame[name].is_null() & raw[name].is_not_null())
            rejects.add_values(failed, name, name, f"is no {field_type}: left empty")
    return frame


def _finished(
    model: EventModel, name: str, event_type: EventType, frame: pl.DataFrame
) -> tuple[pl.DataFrame, int]:
    """Return the documents of one event type, and how many duplicates were taken out."""
    full = with_derived(frame, model, event_type)
    actor = pl.lit(None, dtype=pl.String)
    if model.actor in event_type.entities:
        actor = entity_id(model, model.actor, full.columns)
    is_test = pl.lit(value=False)
    if model.test_flag in event_type.fields:
        is_test = pl.col(model.test_flag).fill_null(value=False)
    full = full.with_columns(
        actor=actor,
        is_test=is_test,
        event_type=pl.lit(name),
    )
    # All fields take part, so that the same rows, in whatever order and files, always make the
    # same documents with the same row numbers.
    full = full.sort("actor", "timestamp", "timestamp_missing", *event_type.fields, nulls_last=True)
    key = model.duplicate_key
    if not key or not set(key) <= set(full.columns):
        key = event_type.fields
    full = full.unique(subset=["timestamp", *key], keep="first", maintain_order=True)
    full = full.with_row_index("row")
    text = pl.concat_str(pl.lit(f"{name}\x00"), rendered(event_type.text))
    full = full.with_columns(text.alias(":text"))
    hashes = distinct_hashes(full[":text"]).rename({"text": ":text", "hash": "text_id"})
    full = full.join(hashes, on=":text", how="left", maintain_order="left")
    documents = conform("documents", full.select(*BASE_COLUMNS, *event_type.fields))
    return documents, frame.height - documents.height


def _with_test_actors(documents: dict[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """Mark every document of an actor that any of the day's documents marks as a test."""
    flagged = [frame.filter("is_test")["actor"] for frame in documents.values()]
    actors = pl.concat(flagged).drop_nulls().unique()
    if actors.is_empty():
        return documents
    is_test = pl.col("is_test") | pl.col("actor").is_in(actors.implode()).fill_null(value=False)
    return {name: frame.with_columns(is_test) for name, frame in documents.items()}
