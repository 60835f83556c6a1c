"""A day's landing rows to documents: routed by event time, cleaned, typed, made one each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
    with_derived,
)
from stupid_dagster.event_model.templates import template_fields
from stupid_dagster.ingest.landing import LandingFile, LandingIndex
from stupid_dagster.ingest.rejects import Rejects
from stupid_dagster.ingest.rows import CHANGED, DayReader
from stupid_dagster.tables import TABLES, conform

log = structlog.get_logger(__name__)
# Milliseconds; a day with clocks set back has 25 hours.
_DAY_AND_MORE = 1 << 27
BASE_COLUMNS = list(TABLES["documents"].schema)


@dataclass(frozen=True)
class DayDocuments:
    """A day's documents by event type, what was set aside, and the counts that explain both.

    `unusable` has the paths of files that could not be read. `dropped_columns` has, by event
    type (or types, of a file with several), the columns that no field keeps, and how many values
    they held.
    """

    documents: Mapping[str, pl.DataFrame]
    rejects: pl.DataFrame
    files: int
    unusable: Sequence[str]
    rows_read: int
    rows_rejected: int
    duplicates: int
    dropped_columns: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Number of documents."""
        return sum(frame.height for frame in self.documents.values())

    @property
    def unreadable_files(self) -> int:
        """Number of files that could not be read."""
        return len(self.unusable)

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
    files = landing.for_day(day)
    parts: dict[str, list[pl.DataFrame]] = {name: [] for name in model.events}
    documents: dict[str, pl.DataFrame] = {}
    unusable = _read(reader, [file for file in files if not file.event_types], parts)
    duplicates = 0
    # One event type after another, so that not all of the day's raw rows are held at once.
    unread = [file for file in files if file.event_types]
    for name, event_type in model.events.items():
        unusable += _read(reader, [file for file in unread if name in file.event_types], parts)
        unread = [file for file in unread if name not in file.event_types]
        frame = reader.typed_rows(name, parts.pop(name))
        documents[name], removed = _finished(model, name, event_type, frame)
        duplicates += removed
    result = DayDocuments(
        documents=_with_test_actors(documents),
        rejects=rejects.table(),
        files=len(files),
        unusable=unusable,
        rows_read=reader.rows + rejects.rows_rejected,
        rows_rejected=rejects.rows_rejected,
        duplicates=duplicates,
        dropped_columns=reader.dropped_columns,
    )
    log.info("documents", day=str(day), rows=result.rows, rejected=result.rows_rejected)
    return result


def _read(
    reader: DayReader, files: Iterable[LandingFile], parts: Mapping[str, list[pl.DataFrame]]
) -> list[str]:
    """Add the files' rows of the day to `parts`; return the paths of files that can't be used."""
    unusable = []
    for file in files:
        try:
            if file.problem and not file.rows:
                raise IngestError(file.problem)
            read = reader.read(file)
            if read.keys() - parts.keys():
                raise IngestError(CHANGED.format(file.path))
        except IngestError as error:
            reader.rejects.add_file(file.path, str(error))
            unusable.append(file.path)
        else:
            for name, rows in read.items():
                parts[name].append(rows)
    return unusable


def _finished(
    model: EventModel, name: str, event_type: EventType, frame: pl.DataFrame
) -> tuple[pl.DataFrame, int]:
    """Return the documents of one event type, and how many duplicates were taken out."""
    _, actor_key = model.entity_role(model.actor)
    text_fields = template_fields(event_type.text)
    needed = [*text_fields, *actor_key, *model.duplicate_key]
    full = with_derived(frame, model, event_type, only=needed)
    actor = pl.lit(None, dtype=pl.String)
    if model.actor in event_type.entities:
        actor = entity_id(model, model.actor, full.columns)
    full = _in_order(model, event_type, full.with_columns(actor=actor)).with_row_index("row")
    full = _with_text_ids(full, name, event_type.text, text_fields)
    is_test = pl.lit(value=False)
    if model.test_flag in event_type.fields:
        is_test = pl.col(model.test_flag).fill_null(value=False)
    full = full.with_columns(is_test=is_test, event_type=pl.lit(name))
    documents = conform("documents", full.select(*BASE_COLUMNS, *event_type.fields))
    return documents, frame.height - documents.height


def _in_order(model: EventModel, event_type: EventType, frame: pl.DataFrame) -> pl.DataFrame:
    """Return the rows by actor and time, the first of each moment and duplicate key.

    Rows of one actor and moment are in the order of all their fields, so that the same rows, in
    whatever order and files, always make the same documents with the same row numbers. One
    number, of an actor's place among all and the time, sorts several times faster than what it
    stands for; the few rows that share it are looked at by themselves.
    """
    # Rows are gathered several times faster from one piece than from one a file.
    frame = frame.rechunk()
    actors = frame["actor"].drop_nulls().unique().sort()
    places = pl.int_range(len(actors), dtype=pl.UInt64, eager=True)
    # Those without an actor come last; by a number, for `nulls_last` takes twice the time.
    place = pl.col("actor").replace_strict(
        actors, places, default=len(actors), return_dtype=pl.UInt64
    )
    time = pl.col("timestamp").to_physical()
    since = (time - time.min()).cast(pl.UInt64)
    keys = frame.select(place * _DAY_AND_MORE + since).to_series()
    order = keys.arg_sort()
    same = (keys.gather(order).diff() == 0).fill_null(value=False)
    shared = same | same.shift(-1, fill_value=False)
    if not shared.any():
        return frame[order]
    fields = ["timestamp_missing", *event_type.fields]
    rows = order.filter(shared)
    ties = frame[fields][rows].with_columns(keys.gather(rows).alias(":key"))
    by_all = ties.select(pl.arg_sort_by(":key", *fields, nulls_last=True)).to_series()
    order = order.scatter(shared.arg_true(), rows.gather(by_all))
    key = model.duplicate_key
    if key and set(key) <= set(frame.columns):
        return _first_of_each(frame[order], key, fields)
    ties = ties[by_all]
    equal = pl.all_horizontal(pl.all().eq_missing(pl.all().shift(1)))
    repeated = ties.select(equal & (pl.int_range(pl.len()) > 0)).to_series()
    kept = pl.Series([True]).new_from_index(0, len(order))
    kept = kept.scatter(shared.arg_true().filter(repeated), False)
    return frame[order.filter(kept)]


def _first_of_each(frame: pl.DataFrame, key: list[str], fields: list[str]) -> pl.DataFrame:
    """Return the first row of each moment and key; of rows that lack either, all that differ."""
    vague = pl.any_horizontal("timestamp_missing", *(pl.col(name).is_null() for name in key))
    same_key = pl.struct("timestamp", *key).is_first_distinct()
    same_fields = pl.struct("timestamp", *fields).is_first_distinct()
    # Apart, for a row without a time stands at midnight, where others may be.
    exact = frame.with_row_index(":index").filter(~vague).filter(same_key)[":index"]
    other = frame.with_row_index(":index").filter(vague).filter(same_fields)[":index"]
    return frame[pl.concat([exact, other]).sort()]


def _with_text_ids(
    frame: pl.DataFrame, name: str, template: str, fields: list[str]
) -> pl.DataFrame:
    """Return the frame with `text_id`; a text is rendered and hashed once."""
    if not fields:
        fields = ["row"]  # A template without a field: any column will do to have its rows.
    alike = frame.select(pl.struct(fields).hash().alias(":alike"))
    text = pl.concat_str(pl.lit(f"{name}\x00"), rendered(template))
    texts = frame.select(fields).hstack(alike).unique(":alike", keep="any")
    texts = texts.select(":alike", text.alias("text"))
    hashes = texts.join(distinct_hashes(texts["text"]), on="text")
    ids = alike.to_series().replace_strict(hashes[":alike"], hashes["hash"], return_dtype=pl.UInt64)
    return frame.with_columns(ids.alias("text_id"))


def _with_test_actors(documents: dict[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """Mark every document of an actor that any of the day's documents marks as a test."""
    flagged = [frame.filter("is_test")["actor"] for frame in documents.values()]
    actors = pl.concat(flagged).drop_nulls().unique()
    if actors.is_empty():
        return documents
    is_test = pl.col("is_test") | pl.col("actor").is_in(actors.implode()).fill_null(value=False)
    return {name: frame.with_columns(is_test) for name, frame in documents.items()}
