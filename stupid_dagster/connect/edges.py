"""Connections between the entities of one event."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from stupid_dagster.event_model import EventModel
from stupid_dagster.event_model.expressions import entity_key, id_of_key
from stupid_dagster.tables import TABLES, conform


def build_edges(model: EventModel, documents: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Return the table `edges`: one row per source, target and type; weight = its events."""
    frames = [
        _connected(model, edge_type, frame.lazy(), frame.columns)
        for name, frame in documents.items()
        for edge_type in model.events[name].edges
    ]
    if not frames:
        return TABLES["edges"].empty()
    table = (
        pl.concat(frames)
        .group_by("source", "target", "type")
        .agg(pl.col("weight").sum(), pl.col("first_seen").min(), pl.col("last_seen").max())
        .sort("type", "source", "target")
        .collect()
    )
    return conform("edges", table)


def _connected(
    model: EventModel, edge_type: str, frame: pl.LazyFrame, columns: list[str]
) -> pl.LazyFrame:
    edge = model.edges[edge_type]
    # Keys become ids when there is one of each pair left.
    return (
        frame.select(
            "timestamp",
            source=entity_key(model, edge.source, columns),
            target=entity_key(model, edge.target, columns),
        )
        .drop_nulls(["source", "target"])
        .group_by("source", "target")
        .agg(
            weight=pl.len(),
            first_seen=pl.col("timestamp").min(),
            last_seen=pl.col("timestamp").max(),
        )
        .with_columns(
            source=id_of_key(model, edge.source, pl.col("source")),
            target=id_of_key(model, edge.target, pl.col("target")),
            type=pl.lit(edge_type),
        )
    )
