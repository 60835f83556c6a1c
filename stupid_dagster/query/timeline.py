"""What an actor did, in time order: its documents of all event types."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from stupid_dagster.errors import InvalidQueryError
from stupid_dagster.query.actor_rows import ACTOR_ROWS
from stupid_dagster.query.days import day_of
from stupid_dagster.query.documents import DocumentQuery, DocumentReader, in_utc
from stupid_dagster.query.frames import collected_all
from stupid_dagster.query.paging import Cursor, Page, no_cursor
from stupid_dagster.stores.documents import file_of, parse_document_id
from stupid_dagster.stores.version import Version

DEFAULT_DAYS = 7
TIMELINE_SCHEMA = pl.Schema(
    {
        "doc_id": pl.String,
        "timestamp": pl.Datetime("ms", "UTC"),
        "event_type": pl.String,
        "text": pl.String,
        "fields": pl.String,
    }
)
# The event's own fields may have any name.
_TIME = "\x1ftime"
_ROW = "\x1frow"
_TEXT_ID = "\x1ftext_id"
_ACTOR = "\x1factor"
_OWN = 4
"""Where the event's own fields begin, after those four."""
_Part = tuple[str, str, pl.DataFrame]
"""Day, event type, rows."""


@dataclass(frozen=True)
class TimelineQuery:
    """Whose documents to read, of which days, times and event types (none: all)."""

    actor: str
    first_day: date | None = None
    last_day: date | None = None
    since: datetime | None = None
    until: datetime | None = None
    event_types: Sequence[str] = ()

    @property
    def question(self) -> str:
        """What a cursor belongs to."""
        return repr(replace(self, event_types=sorted(set(self.event_types))))


def actor_timeline(
    documents: DocumentReader, query: TimelineQuery, limit: int, cursor: str | None = None
) -> Page:
    """Return at most `limit` documents of an actor, earliest first.

    Columns as in `TIMELINE_SCHEMA`; `fields` are the event's own that aren't missing, as a JSON
    object. Without a first day or `since`, the last `DEFAULT_DAYS` days up to the end. Documents
    of the same time come by event type, then row. `total` is given where the page has all of
    them. Raises InvalidQueryError.
    """
    event_types = sorted(set(query.event_types) or documents.schemas)
    for event_type in event_types:
        documents.schema(event_type)
    begin = _parsed(cursor, query.question) if cursor else None
    asked = _asked(documents, query)
    files = [
        (version, event_type, file)
        for version in documents.versions(asked, begin)
        for event_type in event_types
        if (file := file_of(documents.snapshot.lake, version, event_type))
    ]
    runs = ACTOR_ROWS.read([file for *_, file in files])
    days: dict[str, dict[str, pl.LazyFrame]] = {}
    most: dict[str, int] = {}
    for (version, event_type, _), known in zip(files, runs, strict=True):
        run = known.run(query.actor) if known else None
        if run is None or run[1]:
            scan = _scan(documents, version, event_type, asked, begin, run)
            days.setdefault(version.partition, {})[event_type] = scan.head(limit + 1)
            most[version.partition] = most.get(version.partition, 0) + (run[1] if run else limit)
    rows = _merged(_read(query.actor, days, most, limit + 1), limit + 1)
    truncated = rows.height > limit
    rows = _with_texts(documents, rows.head(limit))
    following = None
    if truncated:
        last = rows.tail(1)
        day, event_type, row = parse_document_id(last["doc_id"].item())
        version = documents.snapshot.day("documents", day)
        assert version is not None
        moment = last["timestamp"].to_physical().item()
        following = Cursor(day, row, version.name, (moment, event_type)).sealed(query.question)
    total = None if truncated or begin else rows.height
    return Page(rows.select(TIMELINE_SCHEMA.names()), limit, truncated, total, following)


def warm_timelines(documents: DocumentReader) -> None:
    """Read what timelines share: the window's texts, and where the last days' actors lie."""
    documents.window_texts.load()
    actor_timeline(documents, TimelineQuery(""), 1)


def check_actor(entity: Mapping[str, Any], actor: str) -> None:
    """Raise InvalidQueryError for an entity of the graph that isn't of the actors' type."""
    if entity["type"] != actor:
        raise InvalidQueryError(
            f"{entity['entity_id'][:80]!r} is of type {entity['type']}, and only entities of type "
            f"{actor} have documents and a timeline; ask for its neighbors in the graph "
            "(/graph/neighbors)"
        )


def _parsed(cursor: str, question: str) -> Cursor:
    begin = Cursor.parse(cursor, question)
    match begin.after:
        case (int(moment), str()) if abs(moment) < 1 << 60:
            return begin
    raise no_cursor()


def _asked(documents: DocumentReader, query: TimelineQuery) -> DocumentQuery:
    """Return which days and times to read."""
    asked = in_utc(
        DocumentQuery(
            "", query.first_day, query.last_day, query.since, query.until, actor=query.actor
        )
    )
    if asked.first_day or asked.since:
        return asked
    manifest = documents.snapshot.manifest
    end = asked.last_day or date.fromisoformat(manifest.last_day)
    if asked.until:
        # `until` itself is excluded: midnight ends the day before.
        before = asked.until - timedelta(milliseconds=1)
        end = min(end, date.fromisoformat(day_of(before, documents.zone)))
    first = date.fromisoformat(manifest.first_day)
    # A last day before the window is for `versions` to refuse.
    first = max(first, end - timedelta(days=DEFAULT_DAYS - 1))
    return asked if first > end else replace(asked, first_day=first)


def _scan(
    documents: DocumentReader,
    version: Version,
    event_type: str,
    asked: DocumentQuery,
    begin: Cursor | None,
    run: tuple[int, int] | None,
) -> pl.LazyFrame:
    """Return an actor's documents in a file, which come by time.

    A run's may be another actor's, for whom `_read` looks: to ask the file takes longer.
    """
    scan = documents.scan(version, event_type, None if run else asked.actor, run)
    assert scan is not None
    time, dtype = pl.col("timestamp"), documents.schemas[event_type]["timestamp"]
    if asked.since:
        scan = scan.filter(time >= pl.lit(asked.since, dtype=dtype))
    if asked.until:
        scan = scan.filter(time < pl.lit(asked.until, dtype=dtype))
    if begin and begin.day == version.partition:
        moment, last_type = begin.after
        last = pl.lit(moment, dtype=pl.Int64).cast(dtype)
        beyond = time > last
        if event_type > last_type:
            beyond = time >= last
        elif event_type == last_type:
            beyond = beyond | ((time == last) & (pl.col("row") > begin.row))
        scan = scan.filter(beyond)
    return scan.select(
        pl.col("timestamp").alias(_TIME),
        pl.col("row").alias(_ROW),
        pl.col("text_id").alias(_TEXT_ID),
        pl.col("actor").alias(_ACTOR),
        *documents.fields[event_type],
    )


def _read(
    actor: str,
    days: Mapping[str, Mapping[str, pl.LazyFrame]],
    most: Mapping[str, int],
    wanted: int,
) -> list[_Part]:
    """Return the days' rows, of so many days as hold the rows that are wanted, and no others."""
    parts: list[_Part] = []
    batch: list[tuple[str, str, pl.LazyFrame]] = []
    expected = found = 0
    left = len(days)
    for day, scans in days.items():
        batch += [(day, event_type, scan) for event_type, scan in scans.items()]
        expected += most[day]
        left -= 1
        if not left or expected >= wanted - found:
            read = collected_all([scan for *_, scan in batch])
            parts += [
                (day, event_type, rows)
                for (day, event_type, _), rows in zip(batch, read, strict=True)
                # All rows of a run have the same actor.
                if rows.height and rows[_ACTOR][0] == actor
            ]
            found = sum(rows.height for *_, rows in parts)
            batch, expected = [], 0
            if found >= wanted:
                break
    return parts


def _merged(parts: Sequence[_Part], most: int) -> pl.DataFrame:
    """Return the first rows of all parts, their fields as JSON."""
    if not parts:
        return pl.DataFrame(schema={**TIMELINE_SCHEMA, _TEXT_ID: pl.UInt64})
    heights = [rows.height for *_, rows in parts]
    part = np.repeat(np.arange(len(parts)), heights)
    # Each step on one of dozens of small frames takes Polars longer than the same on all rows.
    heads = pl.concat(
        pl.DataFrame([rows[_TIME].rename("timestamp"), rows[_ROW], rows[_TEXT_ID]])
        for *_, rows in parts
    )
    heads = heads.with_columns(
        part=part,
        at=np.concatenate([np.arange(height) for height in heights]),
        day=pl.Series([day for day, *_ in parts], dtype=pl.String).gather(part),
        event_type=pl.Series([name for _, name, _ in parts], dtype=pl.String).gather(part),
    )
    rows = heads.sort("timestamp", "event_type", _ROW).head(most)
    fields: dict[tuple[int, int], str] = {}
    for number, places in rows.group_by("part").agg("at").iter_rows():
        columns, chosen = parts[number][2].columns, parts[number][2][places]
        for at, row in zip(places, chosen.rows(), strict=True):
            fields[number, at] = _json(columns[_OWN:], row[_OWN:])
    pairs = zip(rows["part"], rows["at"], strict=True)
    row = pl.col(_ROW).cast(pl.String)
    return rows.with_columns(
        pl.Series("fields", [fields[pair] for pair in pairs], dtype=pl.String),
        doc_id=pl.concat_str("day", pl.lit("/"), "event_type", pl.lit("/"), row),
    )


def _with_texts(documents: DocumentReader, rows: pl.DataFrame) -> pl.DataFrame:
    wanted = {
        str(day): of_day[_TEXT_ID]
        for (day,), of_day in (rows.group_by("day") if rows.height else ())
    }
    texts = documents.texts(wanted).rename({"text_id": _TEXT_ID})
    return rows.select(pl.exclude("text")).join(
        texts, on=_TEXT_ID, how="left", maintain_order="left"
    )


def _json(names: Sequence[str], values: Sequence[Any]) -> str:
    given = {
        name: value
        for name, value in zip(names, values, strict=True)
        if value is not None and not (isinstance(value, float) and not math.isfinite(value))
    }
    return json.dumps(given, ensure_ascii=False, separators=(",", ":"), default=_iso)


def _iso(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return value.isoformat() if isinstance(value, date) else str(value)
