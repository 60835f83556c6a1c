"""A small log in which every publication plants a value of its own in every store."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

MODEL = """
name: soak
actor: Member
timestamp: {fields: ["@timestamp"]}
fields: {round: {type: integer}}
entities:
  Member: {prefix: member, key: member, properties: round}
  Device: {prefix: device, key: device}
edges:
  Used: {from: Member, to: Device}
events:
  Login:
    fields: [member, device, word, round]
    entities: [Member, Device]
    edges: [Used]
    text: "Login {word} on {device}"
    symbol: {code: L}
features:
  columns: {logins: {count: Login}, devices: {distinct: device}}
metrics:
  logins: {count: Login, by: device}
"""
FIRST = date(2025, 3, 1)
WINDOW_DAYS = 3
ROUNDS_A_DAY = 2
"""Publications of one and the same window, before it moves forward by a day."""
EVENTS_A_DAY = 300
PLANTED = "planted"
"""The member, and the word, of the planted events; no other has them."""
MEMBERS, DEVICES = 40, 12


def make_world(root: Path, grace_seconds: float) -> None:
    """Write the settings and the event model of a project into a new folder."""
    root.mkdir(parents=True)
    (root / "model.yaml").write_text(MODEL, encoding="utf-8")
    (root / "stupid.toml").write_text(
        'landing = "landing"\ndata_root = "lake"\nevent_model = "model.yaml"\n'
        f"partitions_start = {FIRST}\npartitions_end = {FIRST + timedelta(days=3650)}\n"
        f"window_days = {WINDOW_DAYS}\nkept_windows = 1\nkept_snapshots = 1\n"
        f"garbage_minutes = {grace_seconds / 60}\n",
        encoding="utf-8",
    )


def days_of(number: int) -> list[str]:
    """Return the days of a round's window; what is planted is in its last two."""
    last = FIRST + timedelta(days=WINDOW_DAYS - 1 + number // ROUNDS_A_DAY)
    return [(last - timedelta(days=n)).isoformat() for n in reversed(range(WINDOW_DAYS))]


def copies(number: int) -> int:
    """Return how many events a round plants in each of its two days."""
    return 1 + number % 7


def expected(number: int) -> Mapping[str, Any]:
    """Return what each store must answer of the snapshot that a round published."""
    weight = 2 * copies(number)
    return {
        "documents": [number] * weight,
        "search": [f"Login {PLANTED} on r{number}"],
        "node": str(number),
        "edge": [[f"device:r{number}", weight]],
        "knowledge": [f"device:r{number}"],
        "catalog": WINDOW_DAYS * EVENTS_A_DAY + weight,
    }


def land(landing: Path, number: int) -> list[str]:
    """Write the landing files that a round changes, and return the days that they touch.

    Files of days before the window are cleared out. Two days change, so that a window of both
    states can be told from each other state.
    """
    days = days_of(number)
    for file in landing.glob("*/*.parquet"):
        if file.stem < days[0]:
            file.unlink()
    changed = days if number == 0 else days[-2:]
    if number and number % ROUNDS_A_DAY == 0:
        changed = days  # The first has left the two, and loses what was planted in it.
    for day in changed:
        planted = copies(number) if day in days[-2:] else 0
        _write(landing / "Login" / f"{day}.parquet", day, number, planted)
    return changed


def clone(source: Path, target: Path) -> None:
    """Copy a project without its lake."""
    target.mkdir(parents=True)
    for name in ("model.yaml", "stupid.toml"):
        shutil.copy(source / name, target / name)
    shutil.copytree(source / "landing", target / "landing")


def _write(file: Path, day: str, number: int, planted: int) -> None:
    begin = datetime.fromisoformat(f"{day}T00:00:00")
    # The same of a day whenever it's asked for; a multiplier spreads members over devices.
    numbers = [(n * 7919 + begin.toordinal() * 31) for n in range(EVENTS_A_DAY)]
    rows = [
        (n, f"m{k % MEMBERS}", f"d{(k // 7) % DEVICES}", f"w{k % 5}", None)
        for n, k in enumerate(numbers)
    ]
    rows += [(n, PLANTED, f"r{number}", PLANTED, str(number)) for n in range(planted)]
    columns = ["n", "member", "device", "word", "round"]
    frame = pl.DataFrame(
        {name: [row[place] for row in rows] for place, name in enumerate(columns)},
        schema={"n": pl.Int64} | dict.fromkeys(columns[1:], pl.String),
    )
    moments = pl.lit(begin) + pl.duration(minutes=pl.col("n") * 4)
    frame = frame.with_columns(moments.dt.strftime("%Y-%m-%dT%H:%M:%S.000Z").alias("@timestamp"))
    file.parent.mkdir(parents=True, exist_ok=True)
    # In one step, as a careful owner does.
    temporary = file.with_suffix(".writing")
    frame.drop("n").write_parquet(temporary)
    temporary.replace(file)
