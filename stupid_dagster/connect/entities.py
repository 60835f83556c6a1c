"""The things that a day's events speak of."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from stupid_dagster.event_model import EventModel
from stupid_dagster.event_model.expressions import entity_id, text_of
from stupid_dagster.tables import TABLES, conform


def build_entities(model: EventModel, documents: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Return the table `entities`: one row an entity, sorted by id.

    A property is the last value that any of the day's events gives. An entity is a test's when
    only test events speak of it.
    """
    properties = property_names(model)
    frames = [
        _seen(model, citation, frame.lazy(), frame.columns, properties)
        for name, frame in documents.items()
        for citation in model.events[name].entities
    ]
    if not frames:
        return TABLES["entities"].empty().with_columns(properties=pl.struct(pl.lit(None)))
    seen = pl.concat(frames)
    last = [pl.col(p).drop_nulls().last() for p in properties]
    table = (
        seen.sort("last_seen")
        .group_by("entity_id", "type")
        .agg(
            pl.col("events").sum(),
            pl.col("first_seen").min(),
            pl.col("last_seen").max(),
            pl.col("is_test").all(),
            *last,
        )
        .with_columns(
            key=pl.col("entity_id").str.splitn(":", 2).struct.field("field_1"),
            properties=pl.struct(properties) if properties else pl.struct(pl.lit(None)),
        )
        .drop(properties)
        .sort("entity_id")
        .collect()
    )
    return conform("entities", table)


def property_names(model: EventModel) -> list[str]:
    """Return the names of all entity types' properties, sorted."""
    return sorted({p for entity in model.entities.values() for p in entity.properties})


def _seen(
    model: EventModel,
    citation: str,
    frame: pl.LazyFrame,
    columns: list[str],
    properties: list[str],
) -> pl.LazyFrame:
    """Return one row per entity that this role of this event type speaks of."""
    entity, _ = model.entity_role(citation)
    known = [p for p in entity.properties if p in columns]
    return (
        frame.select(
            "timestamp",
            "is_test",
            *known,
            entity_id=entity_id(model, citation, columns),
        )
        .filter(pl.col("entity_id").is_not_null())
        .sort("timestamp")
        .group_by("entity_id")
        .agg(
            events=pl.len(),
            first_seen=pl.col("timestamp").min(),
            last_seen=pl.col("timestamp").max(),
            is_test=pl.col("is_test").all(),
            **{
                p: text_of(pl.col(p).drop_nulls().last())
                if p in known
                else pl.lit(None, dtype=pl.String)
                for p in properties
            },
        )
        .with_columns(type=pl.lit(citation.partition(".")[0]))
        .select("entity_id", "type", "events", "first_seen", "last_seen", "is_test", *properties)
    )
