"""The rows of landing files that belong to one day, as clean strings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl

from stupid_dagster.errors import IngestError
from stupid_dagster.event_model import EventModel
from stupid_dagster.event_model.expressions import cleaned
from stupid_dagster.ingest import readers
from stupid_dagster.ingest.landing import LandingFile, read_timestamps, timestamp_columns
from stupid_dagster.ingest.rejects import Rejects
from stupid_dagster.tables import TIME

# No field's name begins with a colon.
_BASE = {
    ":file": pl.String,
    ":row": pl.UInt32,
    "timestamp": TIME,
    "timestamp_missing": pl.Boolean,
}


@dataclass
class DayReader:
    """Reads files for one day, and counts and reports what it meets.

    What concerns a file as a whole (junk columns, unusable times) is reported only on the day
    that the file is dated with, so that it is told once.
    """

    model: EventModel
    folder: Path
    day: date
    partitions: tuple[date, date]
    rejects: Rejects
    rows: int = 0
    dropped_columns: dict[str, list[str]] = field(default_factory=dict)

    def no_rows(self, event_type: str) -> pl.DataFrame:
        """Return what `read` returns of a file with no rows of the day."""
        fields = dict.fromkeys(self.model.events[event_type].fields, pl.String)
        return pl.DataFrame(schema=_BASE | fields)

    def read(self, file: LandingFile, event_type: str) -> pl.DataFrame:
        """Return the file's rows of the day: file, row, time, and the kept fields as strings.

        Raises IngestError when the file can't be read.
        """
        path = self.folder / file.path
        columns = readers.column_names(path)
        times, texts = read_timestamps(self.model, path, columns)
        kept = {
            name: [s for s in (name, *self.model.aliases.get(name, [])) if s in columns]
            for name in self.model.events[event_type].fields
        }
        # Once each: a column may be the spelling of several fields.
        spellings = list(dict.fromkeys(spelling for found in kept.values() for spelling in found))
        # The prefix keeps a file's columns apart from the ones that are added here.
        raw = readers.read_strings(path, spellings).select(pl.all().name.prefix("raw:"))
        if raw.width and raw.height != len(times):
            raise IngestError(f"{path.name}: the file changed while it was read; run the day again")
        local_day = times.dt.convert_time_zone(self.model.timezone).dt.date()
        base = pl.DataFrame(
            {
                ":file": pl.Series([file.path]).new_from_index(0, len(times)),
                ":row": pl.Series(range(len(times)), dtype=pl.UInt32),
                "timestamp": times.fill_null(pl.lit(self._midnight(), dtype=TIME)),
                "timestamp_missing": times.is_null(),
            }
        )
        belongs = local_day == self.day
        if file.date == self.day.isoformat():
            self._report_columns(file, event_type, columns, spellings)
            self._report_times(file, base.hstack([local_day.alias(":day"), texts.alias(":text")]))
            belongs = belongs | local_day.is_null()
        rows = base.hstack(raw).filter(belongs.fill_null(value=False))
        self.rows += rows.height
        return rows.select(
            *_BASE, *(self._value(found).alias(name) for name, found in kept.items())
        )

    def _midnight(self) -> datetime:
        return datetime.combine(self.day, datetime.min.time(), self.model.zone).astimezone(UTC)

    def _value(self, spellings: list[str]) -> pl.Expr:
        if not spellings:
            return pl.lit(None, dtype=pl.String)
        return pl.coalesce(cleaned(f"raw:{spelling}", self.model.nulls) for spelling in spellings)

    def _report_columns(
        self, file: LandingFile, event_type: str, columns: Iterable[str], used: Iterable[str]
    ) -> None:
        rule = self.model.junk_columns
        dropped = self.dropped_columns.setdefault(event_type, [])
        for column in sorted({*columns} - {*used, *timestamp_columns(self.model)}):
            if len(column) > rule.longer_than or any(part in column for part in rule.containing):
                self.rejects.add_column(file.path, file.rows, column)
            elif column not in dropped:
                dropped.append(column)

    def _report_times(self, file: LandingFile, rows: pl.DataFrame) -> None:
        fields = ", ".join(self.model.timestamp.fields)
        if rows.height and rows[":text"].null_count() == rows.height:
            reason = f"no timestamp in {fields}: its rows are dated {file.date}"
            self.rejects.add_file_part(file.path, rows.height, "column", fields, reason)
        else:
            missing = rows.filter(pl.col("timestamp_missing"))
            reason = f"is no known time: dated {file.date}"
            self.rejects.add_values(missing, fields, ":text", reason)
        first, last = self.partitions
        self.rejects.add_values(
            rows.filter(~pl.col(":day").is_between(first, last)),
            fields,
            ":text",
            f"lies outside the partitions ({first} to {last})",
            scope="row",
        )
