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
from stupid_dagster.query.actor_rows import ACTOR_ROWS
from stupid_dagster.query.days import day_of, snapshot_days, utc
from stupid_dagster.query.filters import Filter, condition
from stupid_dagster.query.frames import (
    collected,
    collected_all,
    hex_ids,
    hex_row,
    scanned,
    schema_of,
)
from stupid_dagster.query.mistakes import Mistakes
from stupid_dagster.query.paging import Cursor, Page, no_cursor, replaced, sort_order
from stupid_dagster.query.sorting import cursor_after, first_sorted, order_version
from stupid_dagster.query.texts import WindowTexts
from stupid_dagster.stores.documents import file_of, parse_document_id
from stupid_dagster.stores.snapshots import Snapshot
from stupid_dagster.stores.version import Version
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
    sort: str | None = None

    @property
    def question(self) -> str:
        """What tells which documents these are, and in which order, whatever columns are read."""
        return repr(replace(in_utc(self), columns=None, filters=tuple(self.filters)))


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
        self.fields = {name: list(event["fields"]) for name, event in catalog["events"].items()}
        """The event types' own columns."""
        self.window_texts = WindowTexts(snapshot)
        self._changed: dict[tuple[str, str], list[pl.Expr]] = {}

    def schema(self, event_type: str) -> dict[str, pl.DataType]:
        """Return the columns of an event type's documents; raises InvalidQueryError."""
        if event_type not in self.schemas:
            raise InvalidQueryError(
                f"there is no event type {event_type[:80]!r}{hint(event_type[:80], self.schemas)}; "
                f"there are {', '.join(self.schemas)}"
            )
        return self.schemas[event_type]

    def page(
        self,
        query: DocumentQuery,
        limit: int,
        cursor: str | None = None,
        mistakes: Mistakes | None = None,
    ) -> Page:
        """Return at most `limit` documents, by day and within a day by actor and time.

        With `sort`, by `column` or `-column`, missing values last, ties in the order above.
        Columns: doc_id, then those asked for, else all. `total` is given where no condition
        but days narrows the documents. Raises InvalidQueryError, which has all that is wrong,
        `mistakes` that were found before included.
        """
        query, schema, columns, wanted = self._checked(query, mistakes or Mistakes())
        begin = Cursor.parse(cursor, query.question) if cursor else None
        if query.sort:
            return self._sorted(query, query.sort, wanted, columns, limit, begin)
        if begin and begin.after:
            raise no_cursor()
        versions = self.versions(query, begin)
        scans = []
        for version, scan in self._scans(versions, query, wanted):
            if begin and begin.day == version.partition:
                scan = scan.filter(pl.col("row") > begin.row)
            doc_id = doc_ids(version.partition, query.event_type)
            scans.append(scan.select(doc_id, *columns).head(limit + 1))
        rows = _first_rows(scans, limit + 1)
        if rows is None:
            rows = self._no_rows(schema, columns)
        truncated = rows.height > limit
        rows = rows.head(limit)
        following = self._cursor_after(rows["doc_id"][-1]) if truncated else None
        total = None if begin else _total(query, wanted, versions)
        next_cursor = following and following.sealed(query.question)
        return Page(hex_ids(rows), limit, truncated, total, next_cursor)

    def _checked(
        self, query: DocumentQuery, mistakes: Mistakes
    ) -> tuple[DocumentQuery, dict[str, pl.DataType], list[str], pl.Expr | None]:
        """Return the question, its event type's columns, those to read, and the condition.

        Raises InvalidQueryError with every mistake.
        """
        mistakes.attempt("first_day", lambda: self._days(query), [])
        query = mistakes.attempt("since", lambda: in_utc(query), query)
        schema = mistakes.attempt("event_type", lambda: self.schema(query.event_type), {})
        columns: list[str] = []
        wanted: pl.Expr | None = None
        if schema:
            columns = mistakes.attempt("columns", lambda: self._columns(query, schema), [])
            wanted = mistakes.attempt("filter", lambda: self._condition(query, schema), None)
            if query.sort:
                sort = query.sort
                mistakes.attempt("sort", lambda: sort_order(sort, schema), ("", False))
        mistakes.raise_any()
        return query, schema, columns, wanted

    def _sorted(
        self,
        query: DocumentQuery,
        sort: str,
        wanted: pl.Expr | None,
        columns: Sequence[str],
        limit: int,
        begin: Cursor | None,
    ) -> Page:
        schema = self.schema(query.event_type)
        column, descending = sort_order(sort, schema)
        versions = self.versions(query)
        version = order_version(sort, versions)
        if begin and len(begin.after) != 1:
            raise no_cursor()
        if begin and begin.version != version:
            raise replaced()
        days = [
            (
                version.partition,
                scan.with_columns(doc_ids(version.partition, query.event_type)),
            )
            for version, scan in self._scans(versions, query, wanted)
        ]
        if not days:
            return Page(self._no_rows(schema, columns), limit, False)
        rows = first_sorted(
            days, ["doc_id", *columns], column, schema[column], descending, limit + 1, begin
        )
        truncated = rows.height > limit
        rows = rows.head(limit)
        following = cursor_after(rows, version).sealed(query.question) if truncated else None
        total = None if begin else _total(query, wanted, versions)
        return Page(hex_ids(rows.select("doc_id", *columns)), limit, truncated, total, following)

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
        # Documents are numbered as they lie in the file, which ends the reading at the row.
        stored = row < row_count(version, event_type)
        scan = self.scan(version, event_type, run=(row, 1)) if stored else None
        if scan is None:
            raise NotFoundError(
                f"{doc_id[:400]!r}: that day has {row_count(version, event_type)} documents of "
                f"{event_type}, counted from 0"
            )
        found = collected(scan.select(*self.schemas[event_type]))
        texts = self.texts({day: found["text_id"]})
        columns = {"doc_id": doc_id, **hex_row(found)}
        return columns, texts["text"].item(0) if texts.height else None

    def versions(self, query: DocumentQuery, begin: Cursor | None = None) -> list[Version]:
        """Return the days' documents that a question is about, from a cursor's day on.

        Raises InvalidQueryError, also for a cursor into documents that were replaced.
        """
        days = self._days(query)
        # A document's day is that of its time in the model's zone.
        if query.since:
            days = [d for d in days if d >= day_of(query.since, self.zone)]
        if query.until:
            days = [d for d in days if d <= day_of(query.until, self.zone)]
        if begin:
            at = self.snapshot.day("documents", begin.day)
            if at is None or at.name != begin.version:
                raise replaced()
            days = [d for d in days if d >= begin.day]
        return [v for day in days if (v := self.snapshot.day("documents", day))]

    def _days(self, query: DocumentQuery) -> list[str]:
        return snapshot_days(self.snapshot.manifest, query.first_day, query.last_day)

    def _scans(
        self, versions: Sequence[Version], query: DocumentQuery, wanted: pl.Expr | None
    ) -> list[tuple[Version, pl.LazyFrame]]:
        scans = [(v, self.scan(v, query.event_type, query.actor)) for v in versions]
        return [
            (version, scan if wanted is None else scan.filter(wanted))
            for version, scan in scans
            if scan is not None
        ]

    def _no_rows(self, schema: Mapping[str, pl.DataType], columns: Sequence[str]) -> pl.DataFrame:
        types = {column: schema[column] for column in columns}
        return hex_ids(pl.DataFrame(schema={"doc_id": pl.String(), **types}))

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
        filtered = condition(query.filters, schema)
        if filtered is not None:
            conditions.append(filtered)
        return pl.all_horizontal(conditions) if conditions else None

    def scan(
        self,
        version: Version,
        event_type: str,
        actor: str | None = None,
        run: tuple[int, int] | None = None,
    ) -> pl.LazyFrame | None:
        """Return a day's rows in the catalog's columns, whatever event model made that day.

        Where it is known which rows are the actor's, no others are read. `run` is the first row
        and the number of rows to read. None without a file.
        """
        file = file_of(self.snapshot.lake, version, event_type)
        if file is None:
            return None
        scan = file.scan()
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
        if actor is not None:
            runs = ACTOR_ROWS.known(file)
            scan = (scan.slice(*runs.run(actor)) if runs else scan).filter(pl.col("actor") == actor)
        if run:
            scan = scan.slice(*run)
        return scan.with_columns(changed) if (changed := self._changed[key]) else scan

    def _cursor_after(self, doc_id: str) -> Cursor:
        day, _, row = parse_document_id(doc_id)
        version = self.snapshot.day("documents", day)
        return Cursor(day, row, version.name if version else "")

    def texts(self, wanted: Mapping[str, pl.Series]) -> pl.DataFrame:
        """Return text_id and text of each day's `text_id`s, as far as they are stored."""
        sought = pl.concat([pl.Series(dtype=pl.UInt64), *wanted.values()]).drop_nulls()
        sought = sought.unique() if len(sought) > 1 else sought
        held = self.window_texts.find(sought)
        if held.height == len(sought):
            return held
        scans = []
        for day, text_ids in wanted.items():
            missing = text_ids.drop_nulls().unique()
            missing = missing.filter(~missing.is_in(held["text_id"].implode()))
            version = self.snapshot.day("texts", day) if len(missing) else None
            if version is not None:
                scan = self.snapshot.lake.scan_versions([version])
                scan = scan.filter(pl.col("text_id").is_in(missing.implode()))
                scans.append(scan.select("text_id", "text"))
        return pl.concat([held, *collected_all(scans)]).unique("text_id") if scans else held


def in_utc(query: DocumentQuery) -> DocumentQuery:
    """Return the question with its times in UTC; raises InvalidQueryError."""
    since = query.since and utc(query.since, "since")
    until = query.until and utc(query.until, "until")
    if since and until and since >= until:
        raise InvalidQueryError(f"since, {since.isoformat()}, must be before until")
    return replace(query, since=since, until=until)


def _first_rows(scans: Sequence[pl.LazyFrame], most: int) -> pl.DataFrame | None:
    """Return the first `most` rows of the scans, None where there are no scans.

    Scans are read in growing batches: the first few often have enough.
    """
    frames: list[pl.DataFrame] = []
    rows, batch = 0, 1
    while len(frames) < len(scans) and rows < most:
        read = scanned(scans[len(frames) : len(frames) + batch])
        frames += read
        rows += sum(frame.height for frame in read)
        batch = min(4, batch * 2)
    return pl.concat(frames).head(most) if frames else None


def _total(query: DocumentQuery, wanted: pl.Expr | None, versions: Sequence[Version]) -> int | None:
    if wanted is not None or query.actor is not None:
        return None
    return sum(row_count(version, query.event_type) for version in versions)


def row_count(version: Version, event_type: str) -> int:
    """Return how many documents of an event type a day has."""
    return version.metadata.get("event_types", {}).get(event_type, {}).get("rows", 0)


def doc_ids(day: str, event_type: str) -> pl.Expr:
    """Return the ids of a file's documents."""
    row = pl.col("row").cast(pl.String)
    return pl.concat_str(pl.lit(f"{day}/{event_type}/"), row).alias("doc_id")
