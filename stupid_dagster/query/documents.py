"""Documents of a snapshot: an event type's, page by page, and one by its id.

Days are read, in growing batches, until a page is full. Conditions go down to the Parquet
readers, which skip the row groups that can't meet them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from stupid_dagster.errors import InvalidQueryError, NotFoundError, hint
from stupid_dagster.event_model.expressions import POLARS_TYPES
from stupid_dagster.query.days import day_of, snapshot_days, utc
from stupid_dagster.query.filters import Filter, condition
from stupid_dagster.query.frames import collected, collected_all, hex_ids, schema_of
from stupid_dagster.query.paging import Cursor, Page
from stupid_dagster.stores.documents import parse_document_id, scan_event_type
from stupid_dagster.stores.lake import Version
from stupid_dagster.stores.snapshots import Snapshot
from stupid_dagster.tables import TABLES

_BASE = {name: dtype for name, dtype in TABLES["documents"].schema.items() if name != "row"}


@dataclass(frozen=True)
class DocumentQuery:
    """Which documents to read; days and times are both ends of a range, `until` excluded."""

    event_type: str
    first_day: date | None = None
    last_day: date | None = None
    since: datetime | None = None
    until: datetime | None = None
    actor: str | None = None
    filters: Sequence[Filter] = ()
    columns: Sequence[str] | None = None


class DocumentReader:
    """Reads the documents of one snapshot; `catalog` tells their event types and fields."""

    def __init__(self, snapshot: Snapshot, catalog: Mapping[str, Any]) -> None:
        self.snapshot = snapshot
        self.zone = ZoneInfo(catalog["timezone"])
        self.schemas: dict[str, dict[str, pl.DataType]] = {
            name: {
                column: dtype if isinstance(dtype, pl.DataType) else dtype()
                for column, dtype in (
                    *_BASE.items(),
                    *((f, POLARS_TYPES[rule["type"]]) for f, rule in event["fields"].items()),
                )
                if column != "doc_id"
            }
            for name, event in catalog["events"].items()
        }
        self._changed: dict[tuple[str, str], list[pl.Expr]] = {}

    def schema(self, event_type: str) -> dict[str, pl.DataType]:
        """Return the columns of an event type's documents; raises InvalidQueryError."""
        if event_type not in self.schemas:
            raise InvalidQueryError(
                f"there is no event type {event_type[:80]!r}{hint(event_type[:80], self.schemas)}; "
                f"there are {', '.join(self.schemas)}"
            )
        return self.schemas[event_type]

    def page(self, query: DocumentQuery, limit: int, cursor: str | None = None) -> Page:
        """Return at most `limit` documents, by day and within a day by actor and time.

        Columns: doc_id, then those asked for, else all. `total` is given where no condition
        but days narrows the documents. Raises InvalidQueryError.
        """
        since = query.since and utc(query.since, "since")
        until = query.until and utc(query.until, "until")
        if since and until and since >= until:
            raise InvalidQueryError(f"since, {since.isoformat()}, must be before until")
        query = replace(query, since=since, until=until)
        schema = self.schema(query.event_type)
        columns = self._columns(query, schema)
        wanted = self._condition(query, schema)
        begin = Cursor.parse(cursor) if cursor else None
        versions = self._versions(query, begin)
        scans = []
        for version in versions:
            scan = self._scan(version, query.event_type)
            if scan is None:
                continue
            if begin and begin.day == version.partition:
                scan = scan.filter(pl.col("row") > begin.row)
            if wanted is not None:
                scan = scan.filter(wanted)
            doc_id = _doc_id(version.partition, query.event_type)
            scans.append(scan.select(doc_id, *columns).head(limit + 1))
        rows = _first_rows(scans, limit + 1)
        if rows is None:
            types = {"doc_id": pl.String(), **{column: schema[column] for column in columns}}
            rows = pl.DataFrame(schema=types)
        truncated = rows.height > limit
        rows = rows.head(limit)
        total = None
        if wanted is None and begin is None:
            total = sum(_rows(version, query.event_type) for version in versions)
        following = self._cursor_after(rows["doc_id"][-1]) if truncated else None
        return Page(hex_ids(rows), limit, truncated, total, following)

    def document(self, doc_id: str) -> tuple[dict[str, Any], str | None]:
        """Return a document's columns, and its text; raises NotFoundError."""
        # Longer ones can't be ids, and int() refuses thousands of digits.
        day, event_type, row = parse_document_id(doc_id[:400])
        version = self.snapshot.day("documents", day)
        if version is None or event_type not in self.schemas:
            manifest = self.snapshot.manifest
            raise NotFoundError(
                f"{doc_id[:400]!r}: the snapshot has documents of the days from "
                f"{manifest.first_day} to {manifest.last_day} and of the event types "
                f"{', '.join(self.schemas)}"
            )
        scan = self._scan(version, event_type)
        if scan is None or row >= _rows(version, event_type):
            raise NotFoundError(
                f"{doc_id[:400]!r}: that day has {_rows(version, event_type)} documents of "
                f"{event_type}, counted from 0"
            )
        one = scan.filter(pl.col("row") == row).select(
            _doc_id(day, event_type), *self.schemas[event_type]
        )
        document = hex_ids(collected(one)).row(0, named=True)
        return document, self._text(day, document["text_id"])

    def _versions(self, query: DocumentQuery, begin: Cursor | None) -> list[Version]:
        days = snapshot_days(self.snapshot.manifest, query.first_day, query.last_day)
        # A document's day is that of its time in the model's zone.
        if query.since:
            days = [d for d in days if d >= day_of(query.since, self.zone)]
        if query.until:
            days = [d for d in days if d <= day_of(query.until, self.zone)]
        if begin:
            at = self.snapshot.day("documents", begin.day)
            if at is None or at.name != begin.version:
                raise InvalidQueryError(
                    "cursor: the documents of its day have been replaced or evicted since; "
                    "leave it out to begin anew"
                )
            days = [d for d in days if d >= begin.day]
        return [v for day in days if (v := self.snapshot.day("documents", day))]

    def _columns(self, query: DocumentQuery, schema: Mapping[str, pl.DataType]) -> list[str]:
        if query.columns is None:
            return list(schema)
        chosen = list(dict.fromkeys(c for c in query.columns if c != "doc_id"))
        unknown = [column for column in chosen if column not in schema]
        if unknown:
            near = hint(unknown[0][:80], schema)
            raise InvalidQueryError(
                f"columns: {query.event_type} has no {', '.join(unknown)[:80]}{near}; "
                f"it has doc_id, {', '.join(schema)}"
            )
        return chosen

    def _condition(self, query: DocumentQuery, schema: Mapping[str, pl.DataType]) -> pl.Expr | None:
        conditions = []
        time = pl.col("timestamp")
        if query.since:
            conditions.append(time >= pl.lit(query.since, dtype=schema["timestamp"]))
        if query.until:
            conditions.append(time < pl.lit(query.until, dtype=schema["timestamp"]))
        if query.actor is not None:
            conditions.append(pl.col("actor") == query.actor)
        filtered = condition(query.filters, schema)
        if filtered is not None:
            conditions.append(filtered)
        return pl.all_horizontal(conditions) if conditions else None

    def _scan(self, version: Version, event_type: str) -> pl.LazyFrame | None:
        """Return a day's rows in the catalog's columns, whatever event model made that day."""
        scan = scan_event_type(self.snapshot.lake, version, event_type)
        if scan is None:
            return None
        key = (version.partition, event_type)
        if key not in self._changed:
            stored = schema_of(scan)
            self._changed[key] = [
                pl.col(name).cast(dtype, strict=False)
                if name in stored
                else pl.lit(None, dtype=dtype).alias(name)
                for name, dtype in self.schemas[event_type].items()
                if stored.get(name) != dtype
            ]
        return scan.with_columns(changed) if (changed := self._changed[key]) else scan

    def _cursor_after(self, doc_id: str) -> str:
        day, _, row = parse_document_id(doc_id)
        version = self.snapshot.day("documents", day)
        return str(Cursor(day, row, version.name if version else ""))

    def _text(self, day: str, text_id: str | None) -> str | None:
        version = self.snapshot.day("texts", day)
        if version is None or text_id is None:
            return None
        scan = self.snapshot.lake.scan_versions([version])
        found = collected(scan.filter(pl.col("text_id") == int(text_id, 16)).select("text"))
        return found["text"].item(0) if found.height else None


def _first_rows(scans: Sequence[pl.LazyFrame], most: int) -> pl.DataFrame | None:
    """Return the first `most` rows of the scans, None where there are no scans.

    Scans are read in growing batches: the first few often have enough.
    """
    frames: list[pl.DataFrame] = []
    rows, batch = 0, 1
    while len(frames) < len(scans) and rows < most:
        read = collected_all(scans[len(frames) : len(frames) + batch])
        frames += read
        rows += sum(frame.height for frame in read)
        batch = min(4, batch * 2)
    return pl.concat(frames).head(most) if frames else None


def _rows(version: Version, event_type: str) -> int:
    return version.metadata.get("event_types", {}).get(event_type, {}).get("rows", 0)


def _doc_id(day: str, event_type: str) -> pl.Expr:
    row = pl.col("row").cast(pl.String)
    return pl.concat_str(pl.lit(f"{day}/{event_type}/"), row).alias("doc_id")
