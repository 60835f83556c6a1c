"""The things that a day's events speak of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import polars as pl

from stupid_dagster.event_model import EventModel
from stupid_dagster.event_model.expressions import entity_id, text_of
from stupid_dagster.tables import TABLES, TIME, conform


def build_entities(model: EventModel, documents: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Return the table `entities`: one row an entity, sorted by id.

    A property is the last value that any of the day's events gives. An entity is a test's when
    only test events speak of it.
    """
    properties = property_names(model)
    ordered = {name: frame.sort("timestamp", "row") for name, frame in documents.items()}
    frames = [
        _seen(model, citation, earlier, frame, properties)
        for name, frame in ordered.items()
        for citation, earlier in _roles(model.events[name].entities)
    ]
    if not frames:
        return TABLES["entities"].empty().with_columns(properties=pl.struct(pl.lit(None)))
    last = [
        pl.col(f"value:{p}").sort_by(f"time:{p}", maintain_order=True).drop_nulls().last().alias(p)
        for p in properties
    ]
    table = (
        pl.concat(frames)
        .group_by("entity_id", "type")
        .agg(
            pl.col("events").sum(),
            pl.col("first_seen").min(),
            pl.col("last_seen").max(),
            pl.col("is_test").all(),
            properties=pl.struct(last) if last else pl.struct(pl.lit(None)).first(),
        )
        .with_columns(key=pl.col("entity_id").str.splitn(":", 2).struct.field("field_1"))
        .sort("entity_id")
        .collect()
    )
    return conform("entities", table)


def property_names(model: EventModel) -> list[str]:
    """Return the names of all entity types' properties, sorted."""
    return sorted({p for entity in model.entities.values() for p in entity.properties})


def _roles(citations: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield each citation with the earlier ones of the same entity type."""
    earlier: dict[str, list[str]] = {}
    for citation in citations:
        others = earlier.setdefault(citation.partition(".")[0], [])
        yield citation, list(others)
        others.append(citation)


def _seen(
    model: EventModel,
    citation: str,
    earlier: list[str],
    frame: pl.DataFrame,
    properties: list[str],
) -> pl.LazyFrame:
    """Return one row per entity that this role, but no earlier one, of an event speaks of.

    `frame` is in the order of time. `value:<property>` is the last known value, `time:<property>`
    its time.
    """
    entity, _ = model.entity_role(citation)
    known = [p for p in entity.properties if p in frame.columns]
    this = entity_id(model, citation, frame.columns)
    new = [this.ne_missing(entity_id(model, other, frame.columns)) for other in earlier]
    return (
        frame.lazy()
        .filter(pl.all_horizontal(this.is_not_null(), *new))
        .select(
            "timestamp",
            "is_test",
            this.alias("entity_id"),
            *(text_of(pl.col(p)).alias(f"value:{p}") for p in known),
        )
        .group_by("entity_id")
        .agg(
            pl.lit(citation.partition(".")[0]).alias("type"),
            pl.len().alias("events"),
            pl.col("timestamp").min().alias("first_seen"),
            pl.col("timestamp").max().alias("last_seen"),
            pl.col("is_test").all(),
            *(expr for p in properties for expr in _last(p, known)),
        )
    )


def _last(name: str, known: Sequence[str]) -> list[pl.Expr]:
    if name not in known:
        return [
            pl.lit(None, dtype=pl.String).alias(f"value:{name}"),
            pl.lit(None, dtype=TIME).alias(f"time:{name}"),
        ]
    value = pl.col(f"value:{name}")
    return [
        value.drop_nulls().last(),
        pl.col("timestamp").filter(value.is_not_null()).last().alias(f"time:{name}"),
    ]
