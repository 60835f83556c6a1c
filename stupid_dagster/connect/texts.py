"""A day's distinct texts."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from stupid_dagster.event_model import EventModel
from stupid_dagster.event_model.expressions import rendered, with_derived
from stupid_dagster.tables import TABLES, conform


def enrich(model: EventModel, documents: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """Return the documents of each event type with the model's derived fields."""
    return {
        name: with_derived(frame, model, model.events[name]) for name, frame in documents.items()
    }


def build_texts(model: EventModel, documents: Mapping[str, pl.DataFrame], day: str) -> pl.DataFrame:
    """Return the table `texts`, sorted by text id; `example` is the text's first document."""
    frames = [
        # The text is rendered for one document of each text, not for all of them.
        frame.lazy()
        .sort("row")
        .with_columns(pl.len().over("text_id").alias(":count"))
        .unique("text_id", keep="first", maintain_order=True)
        .select(
            "text_id",
            "event_type",
            pl.col(":count").alias("count"),
            text=rendered(model.events[name].text),
            example=pl.concat_str(pl.lit(f"{day}/{name}/"), pl.col("row").cast(pl.String)),
        )
        for name, frame in documents.items()
        if frame.height
    ]
    if not frames:
        return TABLES["texts"].empty()
    return conform("texts", pl.concat(frames).sort("text_id").collect())
