"""Rows of the table `trends`, as tests of what is made of it need them."""

from __future__ import annotations

import datetime as dt

import polars as pl

from stupid_dagster.tables import TABLES

FIRST, LAST = dt.date(2025, 3, 1), dt.date(2025, 3, 14)


def trend_rows(
    severities: str, metric: str = "visits", member: str = "", direction: str = "up"
) -> pl.DataFrame:
    """Return trends of 14 days: a letter each, n(otable), s(ignificant), c(ritical) or dot."""
    names = {".": "normal", "n": "notable", "s": "significant", "c": "critical"}
    sign = 1 if direction == "up" else -1
    rows = []
    for n, letter in enumerate(severities):
        z = sign * {".": 0.0, "n": 2.5, "s": 3.5, "c": 10.0 + n}[letter]
        day = FIRST + dt.timedelta(days=n)
        rows.append(
            {
                "grain": "day",
                "time": dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC)
                - dt.timedelta(hours=7),
                "metric": metric,
                "dimension": "platform" if member else "",
                "member": member,
                "value": 100.0 + 10 * z,
                "baseline": 100.0,
                "scale": 10.0,
                "z": z,
                "severity": names[letter],
                "direction": direction if z else "flat",
                "drivers": [{"dimension": "platform", "member": "web", "contribution": 0.7}]
                if letter != "."
                else [],
            }
        )
    return pl.DataFrame(rows, schema=TABLES["trends"].schema)
