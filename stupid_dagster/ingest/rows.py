"""The rows of landing files that belong to one day, as clean strings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

import polars as pl

from stupid_dagster.errors import IngestError
from stupid_dagster.event_model import EventModel
from stupid_dagster.event_model.expressions import cleaned
from stupid_dagster.ingest.landing import (
    LandingFile,
    read_event_types,
    read_timestamps,
    timestamp_columns,
)
from stupid_dagster.ingest.readers import Reader, open_file
from stupid_dagster.ingest.rejects import Rejects
from stupid_dagster.ingest.source import Source
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
    that is the file's home, so that it is told once. `dropped_columns` has the number of values
    of the columns that no field keeps, by event type and column.
    """

    model: EventModel
    source: Source
    day: date
    partitions: tuple[date, date]
    rejects: Rejects
    rows: int = 0
    dropped_columns: dict[str, dict[str, int]] = field(default_factory=dict)

    def no_rows(self, event_type: str) -> pl.DataFrame:
        """Return what `read` returns of a file with no rows of the day and type."""
        fields = dict.fromkeys(self.model.events[event_type].fields, pl.String)
        return pl.DataFrame(schema=_BASE | fields)

    def read(self, file: LandingFile) -> dict[str, pl.DataFrame]:
        """Return the file's rows of the day by event type.

        Their columns are file, row, time, and the event type's kept fields as strings. Raises
        IngestError when the file can't be read.
        """
        reader = open_file(self.source, file.path)
        times, texts = read_timestamps(self.model, reader)
        types, named = read_event_types(self.model, reader)
        local_day = times.dt.convert_time_zone(self.model.timezone).dt.date()
        rows = pl.DataFrame(
            {
                "timestamp": times.fill_null(pl.lit(self._midnight(), dtype=TIME)),
                "timestamp_missing": times.is_null(),
                ":type": types,
                ":named": named,
                ":text": texts,
                ":day": local_day,
                ":row": reader.numbers(),
            }
        ).with_columns(pl.lit(file.path).alias(":file"))
        belongs = pl.col(":day") == self.day
        if file.date == self.day.isoformat():
            belongs = belongs | pl.col(":day").is_null()
        if file.home(self.partitions) == self.day.isoformat():
            self._report_columns(file, reader)
            self._report_times(file, rows)
            for bad in reader.bad_records:
                self.rejects.add_record(file.path, bad.row, bad.reason, bad.raw)
        rows = rows.with_row_index(":position").filter(belongs.fill_null(value=False))
        unknown = rows.filter(pl.col(":type").is_null())
        column = self.model.event_type_column or ""
        self.rejects.add_values(unknown, column, ":named", "is no event type", scope="row")
        by_type = rows.drop_nulls(":type").partition_by(
            ":type", as_dict=True, include_key=False, maintain_order=True
        )
        return {name: self._fields(reader, name, part) for (name,), part in by_type.items()}

    def _fields(self, reader: Reader, event_type: str, rows: pl.DataFrame) -> pl.DataFrame:
        """Return the rows with the event type's fields."""
        kept = self._spellings(reader.columns, event_type)
        # Once each: a column may be the spelling of several fields.
        used = list(dict.fromkeys(spelling for found in kept.values() for spelling in found))
        raw = reader.read(used, rows[":position"])
        if raw.width and raw.height != rows.height:
            raise IngestError(
                f"{reader.path}: the file changed while it was read; run the day again"
            )
        self.rows += rows.height
        # The prefix keeps a file's columns apart from the ones that are added here.
        whole = rows.select(list(_BASE)).hstack(raw.select(pl.all().name.prefix("raw:")))
        return whole.select(
            *_BASE, *(self._value(found).alias(name) for name, found in kept.items())
        )

    def _spellings(self, columns: Iterable[str], event_type: str) -> dict[str, list[str]]:
        present = set(columns)
        return {
            name: [s for s in (name, *self.model.aliases.get(name, [])) if s in present]
            for name in self.model.events[event_type].fields
        }

    def _midnight(self) -> datetime:
        return datetime.combine(self.day, datetime.min.time(), self.model.zone).astimezone(UTC)

    def _value(self, spellings: list[str]) -> pl.Expr:
        if not spellings:
            return pl.lit(None, dtype=pl.String)
        return pl.coalesce(cleaned(f"raw:{spelling}", self.model.nulls) for spelling in spellings)

    def _report_columns(self, file: LandingFile, reader: Reader) -> None:
        used = {*timestamp_columns(self.model), self.model.event_type_column}
        for event_type in file.event_types:
            for found in self._spellings(reader.columns, event_type).values():
                used.update(found)
        rule = self.model.junk_columns
        dropped = self.dropped_columns.setdefault(", ".join(file.event_types), {})
        unused = [column for column in reader.columns if column not in used]
        for column, values in reader.filled(unused, self.model.nulls).items():
            if len(column) > rule.longer_than or any(part in column for part in rule.containing):
                self.rejects.add_column(file.path, values, column)
            else:
                dropped[column] = dropped.get(column, 0) + values

    def _report_times(self, file: LandingFile, rows: pl.DataFrame) -> None:
        fields = ", ".join(self.model.timestamp.fields)
        if not file.date:
            reason = "is no known time, and the file's name has no date: not used"
            self.rejects.add_values(
                rows.filter("timestamp_missing"), fields, ":text", reason, scope="row"
            )
        elif rows.height and rows[":text"].null_count() == rows.height:
            reason = f"no timestamp in {fields}: its rows are dated {file.date}"
            self.rejects.add_file_part(file.path, rows.height, "column", fields, reason)
        else:
            reason = f"is no known time: dated {file.date}"
            self.rejects.add_values(rows.filter("timestamp_missing"), fields, ":text", reason)
        first, last = self.partitions
        self.rejects.add_values(
            rows.filter(~pl.col(":day").is_between(first, last)),
            fields,
            ":text",
            f"lies outside the partitions ({first} to {last})",
            scope="row",
        )
