"""One day's files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pyarrow as pa

from stupid_dagster.samples.gaming import profile
from stupid_dagster.samples.gaming.activity import Rows, World, day_rows
from stupid_dagster.samples.gaming.columns import TIMESTAMP, Coded, columns_of, filler
from stupid_dagster.samples.gaming.dirt import Dirt, soil
from stupid_dagster.samples.gaming.events import meaningful
from stupid_dagster.samples.gaming.identity import Columns, Vocabulary
from stupid_dagster.samples.gaming.randomness import stream


@dataclass(frozen=True)
class DayFile:
    """A file's content, and what it was made from."""

    event_type: str  # the folder's name
    table: pa.Table
    rows: Rows
    columns: Columns  # of `rows`; more of them than the file has
    dirt: Dirt


def day_files(world: World, vocabulary: Vocabulary, day: int) -> Iterator[DayFile]:
    """Yield the files of day number `day`, one per event type."""
    for number, (event_type, rows) in enumerate(day_rows(world, day).items()):
        rng = stream(world.seed, 50, day, number)
        dirt = soil(rng, rows, first_day=day == 0)
        columns = meaningful(world, vocabulary, day, event_type, rows)
        known, others = columns_of(event_type, rng)
        filled: dict[str, Coded | None] = {
            name: _timestamps(world, day, dirt) if name == TIMESTAMP else columns[name]
            for name in known
        }
        filled |= {name: filler(name, rng, len(rows)) for name in others}
        parts = {event_type: dirt.order}
        if event_type == "PopupModule":
            # A duplicate stays with its original.
            new = (rng.random(len(rows)) < profile.POPUP_NEW_SHARE)[dirt.order]
            parts = {
                event_type: dirt.order[~new],
                profile.POPUP_NEW_SPELLING: dirt.order[new],
            }
        for name, order in parts.items():
            table = pa.table(
                {
                    column: coded.arrow(order) if coded else pa.nulls(len(order), pa.string())
                    for column, coded in filled.items()
                }
            )
            yield DayFile(name, table, rows, columns, Dirt(dirt.at, dirt.stamp, order))


def _timestamps(world: World, day: int, dirt: Dirt) -> Coded:
    """`2025-03-01T13:05:59.123Z`, or what stands in its place."""
    date = world.first + timedelta(days=day)
    moments = np.datetime64(date, "ms") + dirt.at.astype("timedelta64[ms]")
    texts = np.char.add(np.datetime_as_string(moments, unit="ms"), "Z")
    values = [*texts.tolist(), *profile.GARBLED]
    n = len(texts)
    codes = np.where(dirt.stamp > 0, n - 1 + dirt.stamp, np.arange(n))
    codes = np.where(dirt.stamp < 0, dirt.stamp, codes)
    return Coded(pa.array(values), codes)
