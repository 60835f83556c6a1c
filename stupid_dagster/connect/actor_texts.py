"""Which texts each actor's events had."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from stupid_dagster.tables import TABLES, conform


def build_actor_texts(documents: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Return the table `actor_texts`, without test actors.

    It is in the documents' order: by event type as they are given, then by `row`, which is by
    actor. Rows that only rise take few bytes (see `stages.day`).
    """
    frames = [
        frame.lazy()
        .filter(pl.col("actor").is_not_null() & ~pl.col("is_test"))
        .group_by("actor", "text_id")
        .agg(count=pl.len(), row=pl.col("row").min())
        .sort("row")
        for frame in documents.values()
    ]
    if not frames:
        return TABLES["actor_texts"].empty()
    return conform("actor_texts", pl.concat(frames).collect())
