"""The rows of landing files that belong to one day, with the kept fields in their types."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import polars as pl

from stupid_dagster.errors import IngestError
from stupid_dagster.event_model import EventModel
from stupid_dagster.event_model.expressions import POLARS_TYPES, cleaned, typed_values
from stupid_dagster.event_model.schema import FieldRule
from stupid_dagster.ingest.landing import (
    LandingFile,
    read_event_types,
    read_timestamps,
    timestamp_columns,
)
from stupid_dagster.ingest.readers import Reader, open_file
from stupid_dagster.ingest.readers.base import guarded
from stupid_dagster.ingest.rejects import Rejects
from stupid_dagster.ingest.source import Source, SourceFile
from stupid_dagster.tables import TIME

# No field's name begins with a colon, so that a file's columns are kept apart from these.
_RAW = "raw:"
_ORIGIN = {":file": pl.String, ":row": pl.UInt32}
_TIMES = {"timestamp": TIME, "timestamp_missing": pl.Boolean}
_PLAIN = FieldRule()
CHANGED = "{}: the file changed while it was read; run the day again"


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

    def read(self, file: LandingFile) -> dict[str, pl.DataFrame]:
        """Return the file's rows of the day by event type, for `typed_rows`.

        They have their time, where they come from, and the columns that fields are taken from as
        they are. Raises IngestError when the file can't be read.
        """
        before = self._look(file)
        reader = open_file(self.source, file.path)
        positions = self._strays(file, before)
        times, texts = read_timestamps(self.model, reader, positions)
        types, named = read_event_types(self.model, reader, positions)
        numbers = reader.numbers()
        if positions is None:
            positions = pl.int_range(reader.height, dtype=pl.UInt32, eager=True)
        else:
            numbers = numbers.gather(positions)
        self._unchanged(reader, len(times), len(positions))
        local_day = times.dt.convert_time_zone(self.model.timezone).dt.date()
        told = pl.DataFrame(
            {"timestamp": times, ":row": numbers, ":text": texts, ":day": local_day}
        )
        if file.home(self.partitions) == self.day.isoformat():
            self._report(file, reader, told)
        belongs = local_day == self.day
        if file.date == self.day.isoformat():
            belongs |= local_day.is_null()
        rows = (
            told.select("timestamp", ":row", positions.alias(":position"))
            .filter(belongs)
            .with_columns(
                pl.lit(file.path).alias(":file"),
                pl.col("timestamp").fill_null(pl.lit(self._midnight(), dtype=TIME)),
                pl.col("timestamp").is_null().alias("timestamp_missing"),
            )
        )
        if types.n_unique() == 1 and types.null_count() == 0:
            parts = {types[0]: rows}
        else:
            rows = rows.with_columns(
                types.filter(belongs).alias(":type"), named.filter(belongs).alias(":named")
            )
            column = self.model.event_type_column or ""
            unknown = rows.filter(pl.col(":type").is_null())
            self.rejects.add_values(unknown, column, ":named", "is no event type", scope="row")
            known = rows.drop_nulls(":type").partition_by(":type", as_dict=True)
            parts = {name: part for (name,), part in known.items()}
        read = {
            name: self._columns(reader, name, part) for name, part in parts.items() if part.height
        }
        # Its columns are read one after another: they must be of one and the same file.
        if self._look(file) != before:
            raise IngestError(CHANGED.format(file.path))
        self.rows += sum(part.height for part in read.values())
        return read

    def _look(self, file: LandingFile) -> SourceFile:
        with guarded(file.path):
            return self.source.look(file.path)

    def _strays(self, file: LandingFile, now: SourceFile) -> pl.Series | None:
        """Return the positions of the day's rows where the landing index knows them."""
        strays = file.strays.get(self.day.isoformat())
        if strays is None or file.home(self.partitions) == self.day.isoformat():
            return None
        if now.state != file.state:
            raise IngestError(CHANGED.format(file.path))
        return pl.Series(strays, dtype=pl.UInt32)

    def _columns(self, reader: Reader, event_type: str, rows: pl.DataFrame) -> pl.DataFrame:
        """Return the rows with the columns that the event type's fields are taken from."""
        columns = self._spellings(reader.columns, event_type)
        # Once each: a column may be the spelling of several fields.
        used = list(dict.fromkeys(spelling for found in columns.values() for spelling in found))
        raw = reader.read(used, rows[":position"])
        if raw.width:
            self._unchanged(reader, raw.height, rows.height)
        raw.columns = [f"{_RAW}{column}" for column in raw.columns]
        return rows.select(*_TIMES, *_ORIGIN).hstack(raw)

    def typed_rows(self, event_type: str, parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
        """Return rows that were read of an event type: time and kept fields in their types.

        Values that don't fit their type become null, and are told.
        """
        nothing = pl.DataFrame(schema=_TIMES | _ORIGIN)
        # Together, for a hundred small files cost as much as a hundred large ones.
        rows = pl.concat([nothing, *parts], how="diagonal")
        present = [name.removeprefix(_RAW) for name in rows.columns if name.startswith(_RAW)]
        fields = {
            name: self._field(name, [rows[f"{_RAW}{spelling}"] for spelling in found], rows)
            for name, found in self._spellings(present, event_type).items()
        }
        return rows.select(list(_TIMES)).with_columns(**fields)

    def _field(self, name: str, spellings: list[pl.Series], rows: pl.DataFrame) -> Any:
        rule = self._rule(name)
        if not spellings:
            return pl.lit(None, dtype=POLARS_TYPES[rule.type])
        nulls = self.model.nulls
        texts = spellings[0].alias(name)
        if len(spellings) > 1:
            clean = [values.to_frame().select(cleaned(values.name, nulls)) for values in spellings]
            texts = pl.concat(clean, how="horizontal").select(pl.coalesce(pl.all()).alias(name))
            texts = texts.to_series()
        values, unread = typed_values(texts, nulls, rule)
        if len(unread):
            told = rows.select(list(_ORIGIN)).with_columns(texts.str.strip_chars())
            failed = told.filter(pl.col(name).is_in(unread.implode()))
            self.rejects.add_values(failed, name, name, f"is no {rule.type}: left empty")
        return values

    def _rule(self, name: str) -> FieldRule:
        return self.model.fields.get(name, _PLAIN)

    def _unchanged(self, reader: Reader, found: int, wanted: int) -> None:
        if found != wanted:
            raise IngestError(CHANGED.format(reader.path))

    def _spellings(self, columns: Iterable[str], event_type: str) -> dict[str, list[str]]:
        present = set(columns)
        return {
            name: [spelling for spelling in self.model.spellings(name) if spelling in present]
            for name in self.model.events[event_type].fields
        }

    def _midnight(self) -> datetime:
        return datetime.combine(self.day, datetime.min.time(), self.model.zone).astimezone(UTC)

    def _report(self, file: LandingFile, reader: Reader, rows: pl.DataFrame) -> None:
        self._report_columns(file, reader)
        rows = rows.with_columns(pl.lit(file.path).alias(":file"))
        self._report_times(file, rows)
        self.rejects.add_records(file.path, reader.bad_records)

    def _report_columns(self, file: LandingFile, reader: Reader) -> None:
        used = {*timestamp_columns(self.model), self.model.event_type_column}
        for event_type in file.event_types:
            for found in self._spellings(reader.columns, event_type).values():
                used.update(found)
        dropped = self.dropped_columns.setdefault(
            ", ".join(file.event_types) or "unknown event types", {}
        )
        unused = [column for column in reader.columns if column not in used]
        for column, values in reader.filled(unused, self.model.nulls).items():
            if why := self.model.junk_columns.why(column):
                self.rejects.add_column(file.path, values, column, why)
            else:
                dropped[column] = dropped.get(column, 0) + values

    def _report_times(self, file: LandingFile, rows: pl.DataFrame) -> None:
        fields = ", ".join(self.model.timestamp.fields)
        missing = rows.filter(pl.col("timestamp").is_null()).with_columns(
            cleaned(":text", self.model.nulls)
        )
        if not file.date:
            reason = "is no known time, and the file's name has no date: not used"
            self.rejects.add_values(missing, fields, ":text", reason, scope="row")
        elif rows.height and missing[":text"].null_count() == rows.height:
            reason = f"no timestamp in {fields}: its rows are dated {file.date}"
            self.rejects.add_file_part(file.path, rows.height, "column", fields, reason)
        else:
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
