"""Each actor's symbols in time order."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from stupid_dagster.event_model import EventModel
from stupid_dagster.event_model.expressions import text_of
from stupid_dagster.tables import TABLES, conform


def build_sequences(model: EventModel, documents: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Return the table `sequences`; events of one moment are in the order of their symbols.

    Test actors are left out.
    """
    frames = []
    for name, frame in documents.items():
        symbol = model.events[name].symbol
        if symbol is None:
            continue
        parts = [pl.lit(symbol.code)]
        if symbol.field:
            parts.append(text_of(pl.col(symbol.field)))
        frames.append(
            frame.lazy()
            .filter(pl.col("actor").is_not_null() & ~pl.col("is_test"))
            .select(
                "actor",
                "timestamp",
                symbol=pl.concat_str(parts, separator=":", ignore_nulls=True),
            )
        )
    if not frames:
        return TABLES["sequences"].empty()
    table = (
        pl.concat(frames)
        .sort("actor", "timestamp", "symbol")
        .group_by("actor", maintain_order=True)
        .agg(symbols="symbol", times="timestamp")
        .collect()
    )
    return conform("sequences", table)
