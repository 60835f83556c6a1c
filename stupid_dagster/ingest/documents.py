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
from stupid_dagster.event_model.schema import FieldRule
from stupid_dagster.ingest.landing import LandingIndex
from stupid_dagster.ingest.rejects import Rejects
from stupid_dagster.ingest.rows import DayReader
from stupid_dagster.tables import TABLES, conform

log = structlog.get_logger(__name__)
BASE_COLUMNS = list(TABLES["documents"].schema)


@dataclass(frozen=True)
class DayDocuments:
    """A day's documents by event type, what was set aside, and the counts that explain both.

    `dropped_columns` has, by event type, the columns that no field keeps, and how many values
    they held.
    """

    documents: Mapping[str, pl.DataFrame]
    rejects: pl.DataFrame
    files: int
    unreadable_files: int
    rows_read: int
    rows_rejected: int
    duplicates: int
    dropped_columns: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

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
    reader = DayReader(model, landing.source, day, partitions, rejects)
    frames = {name: [reader.no_rows(name)] for name in model.events}
    files = landing.for_day(day)
    unreadable = 0
    for file in files:
        try:
            if file.problem and not file.event_types:
                raise IngestError(file.problem)
            for name, rows in reader.read(file).items():
                frames[name].append(rows)
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
    rules = {name: model.fields.get(name, FieldRule()) for name in event_type.fields}
    frame = raw.with_columns(typed(name, rule) for name, rule in rules.items())
    for name, rule in rules.items():
        if rule.type != "string" and frame[name].null_count() > raw[name].null_count():
            failed = raw.filter(frame[name].is_null() & raw[name].is_not_null())
            rejects.add_values(failed, name, name, f"is no {rule.type}: left empty")
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
    # same documents with the same row numbers; their hash, for it sorts several times faster.
    content = pl.struct("timestamp_missing", *event_type.fields).hash()
    full = full.with_columns(content.alias(":content"))
    full = full.sort("actor", "timestamp", ":content", nulls_last=True)
    key = model.duplicate_key
    if not key or not set(key) <= set(full.columns):
        key = event_type.fields
    full = _without_duplicates(full, ["timestamp", *key])
    full = full.with_row_index("row")
    text = pl.concat_str(pl.lit(f"{name}\x00"), rendered(event_type.text))
    full = full.with_columns(text.alias(":text"))
    hashes = distinct_hashes(full[":text"]).rename({"text": ":text", "hash": "text_id"})
    full = full.join(hashes, on=":text", how="left", maintain_order="left")
    documents = conform("documents", full.select(*BASE_COLUMNS, *event_type.fields))
    return documents, frame.height - documents.height


def _without_duplicates(frame: pl.DataFrame, key: list[str]) -> pl.DataFrame:
    """Return the frame with the first row of each key, in its order."""
    suspect = frame.select(pl.struct(key).hash().is_duplicated()).to_series()
    if not suspect.any():
        return frame
    # Only rows whose hashes are equal are compared by value.
    numbered = frame.select(key).with_row_index(":index").filter(suspect)
    kept = numbered.unique(subset=key, keep="first", maintain_order=True)[":index"]
    removed = numbered.filter(~pl.col(":index").is_in(kept.implode()))[":index"]
    return frame.filter(~pl.int_range(pl.len(), dtype=pl.UInt32).is_in(removed.implode()))


def _with_test_actors(documents: dict[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """Mark every document of an actor that any of the day's documents marks as a test."""
    flagged = [frame.filter("is_test")["actor"] for frame in documents.values()]
    actors = pl.concat(flagged).drop_nulls().unique()
    if actors.is_empty():
        return documents
    is_test = pl.col("is_test") | pl.col("actor").is_in(actors.implode()).fill_null(value=False)
    return {name: frame.with_columns(is_test) for name, frame in documents.items()}
