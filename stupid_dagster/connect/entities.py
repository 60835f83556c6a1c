"""The things that a day's events speak of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import polars as pl

from stupid_dagster.event_model import EventModel
from stupid_dagster.event_model.expressions import entity_key, id_of_key, text_of
from stupid_dagster.tables import TABLES, TIME, conform


def build_entities(model: EventModel, documents: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Return the table `entities`: one row an entity, sorted by id.

    A property is the last value that any of the day's events gives. An entity is a test's when
    only test events speak of it.
    """
    properties = property_names(model)
    frames = [
        _seen(model, citation, earlier, frame, properties)
        for name, frame in documents.items()
        for citation, earlier in _roles(model.events[name].entities)
    ]
    if not frames:
        return TABLES["entities"].empty().with_columns(properties=pl.struct(pl.lit(None)))
    merged = _grouped(
        pl.concat(frames),
        ["entity_id", "type"],
        [
            pl.col("events").sum(),
            pl.col("first_seen").min(),
            pl.col("last_seen").max(),
            pl.col("is_test").all(),
        ],
        properties,
    )
    values = [pl.col(f"value:{p}").alias(p) for p in properties]
    table = merged.select(
        *("entity_id", "type", "events", "first_seen", "last_seen", "is_test"),
        key=pl.col("entity_id").str.splitn(":", 2).struct.field("field_1"),
        properties=pl.struct(values or [pl.lit(None)]),
    )
    return conform("entities", table.sort("entity_id"))


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
) -> pl.DataFrame:
    """Return one row per entity that this role, but no earlier one, of an event speaks of.

    `value:<property>` is the last known value, `time:<property>` its time.
    """
    entity, _ = model.entity_role(citation)
    known = [p for p in entity.properties if p in frame.columns]
    key = entity_key(model, citation, frame.columns)
    new = [key.ne_missing(entity_key(model, other, frame.columns)) for other in earlier]
    events = frame.filter(pl.all_horizontal(key.is_not_null(), *new)).select(
        "timestamp",
        "is_test",
        key.alias("key"),
        *(text_of(pl.col(p)).alias(f"value:{p}") for p in known),
        *(pl.col("timestamp").alias(f"time:{p}") for p in known),
    )
    # Keys become ids when there is one of each left.
    seen = _grouped(
        events,
        ["key"],
        [
            pl.len().alias("events"),
            pl.col("timestamp").min().alias("first_seen"),
            pl.col("timestamp").max().alias("last_seen"),
            pl.col("is_test").all(),
        ],
        known,
    )
    unknown = [p for p in properties if p not in known]
    return seen.select(
        id_of_key(model, citation, pl.col("key")).alias("entity_id"),
        pl.lit(citation.partition(".")[0]).alias("type"),
        *("events", "first_seen", "last_seen", "is_test"),
        *(f"{kind}:{p}" for p in known for kind in ("value", "time")),
        *(pl.lit(None, dtype=pl.String).alias(f"value:{p}") for p in unknown),
        *(pl.lit(None, dtype=TIME).alias(f"time:{p}") for p in unknown),
    ).select(
        *("entity_id", "type", "events", "first_seen", "last_seen", "is_test"),
        *(f"{kind}:{p}" for p in properties for kind in ("value", "time")),
    )


def _grouped(
    rows: pl.DataFrame, by: list[str], aggregates: list[pl.Expr], properties: list[str]
) -> pl.DataFrame:
    """Return one row a group: the aggregates, and of each property the value of greatest time.

    Of values of one time, the later row's counts. A value's time and row make one number, whose
    maximum is found many times faster than by sorting.
    """
    place = pl.int_range(pl.len(), dtype=pl.Int64)
    moments = []
    for p in properties:
        time = pl.col(f"time:{p}").to_physical()
        moment = (time - time.min()) * max(1, rows.height) + place
        moments.append(pl.when(pl.col(f"value:{p}").is_not_null()).then(moment).alias(f"last:{p}"))
    grouped = (
        rows.lazy()
        .with_columns(moments)
        .group_by(by)
        .agg(*aggregates, *(pl.col(f"last:{p}").max() for p in properties))
        .collect()
    )
    last = {p: (grouped[f"last:{p}"] % max(1, rows.height)).cast(pl.UInt32) for p in properties}
    return grouped.with_columns(
        rows[f"{kind}:{p}"].gather(last[p]) for p in properties for kind in ("value", "time")
    )
