"""The gaming sample as landing files."""

from __future__ import annotations

import time
from collections import Counter
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import structlog

from stupid_dagster.errors import SettingsError
from stupid_dagster.samples.files import write_if_changed
from stupid_dagster.samples.gaming.activity import build_world
from stupid_dagster.samples.gaming.days import day_files
from stupid_dagster.samples.gaming.identity import build_vocabulary
from stupid_dagster.samples.gaming.truth import Truth
from stupid_dagster.samples.gaming.truth_files import write_truth

log = structlog.get_logger(__name__)

LEAST_EVENTS = 1_000


def write_gaming(
    out: Path, first: date, days: int, events_per_day: int = 958_000, seed: int = 7
) -> dict[str, int]:
    """Write `<out>/<event type>/YYYY-MM-DD.parquet` for `days` days from `first` on.

    Event types are Login, GameOpened, API Error, PopupModule (some of them as PopUpModule) and
    GridClick, which comes on top of `events_per_day`; every column is a string. A day's files
    depend on the seed, the first day, the day and `events_per_day` only, so that more days can be
    added later; equal files are left alone. `<out>/truth/` says what was planted in these days:
    `truth.json`, and `members.arrow` and `games.arrow` (Arrow IPC), which no reader of landing
    files takes for events. Returns the rows per event type.

    Raises SettingsError for arguments out of range, IngestError when a file can't be written.
    """
    if days < 1:
        raise SettingsError(f"no gaming sample of {days} days: ask for at least 1 with --days")
    if events_per_day < LEAST_EVENTS:
        raise SettingsError(
            f"no gaming sample of {events_per_day:,} events a day: ask for at least "
            f"{LEAST_EVENTS:,} with --events-per-day"
        )
    if seed < 0:
        raise SettingsError(f"no gaming sample of seed {seed}: give 0 or more with --seed")
    if days > (date.max - first).days:
        raise SettingsError(
            f"no gaming sample of {days:,} days from {first} on: the calendar ends on {date.max}; "
            "give an earlier day with --from"
        )
    started = time.perf_counter()
    world, vocabulary = build_world(seed, first, events_per_day), build_vocabulary(seed)
    counted: Counter[str] = Counter()
    truth = Truth(world, days)
    for day in range(days):
        name = f"{first + timedelta(days=day)}.parquet"
        for file in day_files(world, vocabulary, day):
            _write(out / file.event_type / name, file.table)
            counted[file.event_type] += file.table.num_rows
            truth.add(day, file)
    write_truth(out / "truth", truth)
    seconds = round(time.perf_counter() - started, 2)
    log.info("sample written", sample="gaming", folder=str(out), rows=counted, seconds=seconds)
    return dict(counted)


def _write(file: Path, table: pa.Table) -> None:
    sink = pa.BufferOutputStream()
    # Without Arrow's own schema, readers see plain strings instead of dictionaries.
    pq.write_table(table, sink, compression="zstd", store_schema=False, row_group_size=131_072)
    write_if_changed(file, sink.getvalue().to_pybytes())
