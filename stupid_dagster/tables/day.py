"""The tables of a day."""

from __future__ import annotations

import polars as pl

from stupid_dagster.tables.schema import (
    ACTOR,
    ENTITY_ID,
    IS_TEST,
    SEEN,
    STRINGS,
    TIME,
    Column,
    Table,
)

DAY = (
    Table(
        "documents",
        "day",
        "Normalised, typed events; a file per event type, sorted by actor and time.",
        (
            Column("event_type", pl.String, "Event type, in the event model's spelling."),
            Column("row", pl.UInt32, "Row within day and event type: `<day>/<event type>/<row>`."),
            Column("timestamp", TIME, "Time of the event."),
            Column("timestamp_missing", pl.Boolean, "No usable time: midnight of its file's date."),
            Column(
                "actor",
                pl.String,
                "Entity id of the actor; null where the event has none.",
                "entity",
            ),
            Column("text_id", pl.UInt64, "Hash of the event's text.", "text"),
            IS_TEST,
        ),
        "The event type's kept fields, typed.",
    ),
    Table(
        "rejects",
        "day",
        "What could not be used, and why.",
        (
            Column("file", pl.String, "Landing file, relative to the landing folder.", "words"),
            Column("row", pl.UInt32, "First such row in that file, from 0; null for a whole file."),
            Column("rows", pl.UInt32, "Rows of the file that it concerns."),
            Column("scope", pl.String, "file, column, row or value: how much was set aside."),
            Column("field", pl.String, "The field at fault, where there is one.", "words"),
            Column("reason", pl.String, "Why, and what was found.", "words"),
            Column("raw", pl.String, "The row as JSON, or the value or column name.", "words"),
        ),
    ),
    Table(
        "entities",
        "day",
        "The things that the day's events speak of.",
        (
            Column("entity_id", pl.String, ENTITY_ID, "entity"),
            Column("type", pl.String, "Entity type."),
            Column("key", pl.String, "Its key, normalised.", "words"),
            Column("events", pl.UInt32, "Events that speak of it."),
            *SEEN,
            IS_TEST,
        ),
        "properties: struct of the model's entity properties, last known values as strings.",
    ),
    Table(
        "edges",
        "day",
        "Connections between entities, with their number of occurrences.",
        (
            Column("source", pl.String, ENTITY_ID, "entity"),
            Column("target", pl.String, ENTITY_ID, "entity"),
            Column("type", pl.String, "Edge type."),
            Column("weight", pl.UInt32, "Events that show it."),
            *SEEN,
        ),
    ),
    Table(
        "texts",
        "day",
        "The day's distinct texts.",
        (
            Column("text_id", pl.UInt64, "Hash of event type and text."),
            Column("event_type", pl.String, "Event type."),
            Column("text", pl.String, "The text, with no ids and no times.", "said"),
            Column("count", pl.UInt32, "Events of the day with this text."),
            Column("example", pl.String, "Id of a document with this text.", "document"),
        ),
    ),
    Table(
        "vectors",
        "day",
        "The embedding of each of the day's distinct texts.",
        (Column("text_id", pl.UInt64, "The text.", "text"),),
        "vector: fixed-size array of int8 that has the embedding's direction; not of unit length.",
    ),
    Table(
        "actor_texts",
        "day",
        "Which texts each actor's events had; by event type, then row.",
        (
            ACTOR,
            Column("text_id", pl.UInt64, "The text.", "text"),
            Column("count", pl.UInt32, "Events of the actor with this text."),
            Column("row", pl.UInt32, "Row of the first of them within day and event type."),
        ),
    ),
    Table(
        "activity",
        "day",
        "What each actor did, in numbers that add up over days.",
        (
            ACTOR,
            Column("events", pl.UInt32, "Events of the actor."),
            *SEEN,
            IS_TEST,
            Column(
                "sessions",
                pl.List(pl.Struct({"start": TIME, "end": TIME, "events": pl.UInt32})),
                "Runs of events with no longer gap than the model's session gap, in time order.",
            ),
        ),
        "Per feature: `f` (count, sum; values for distinct; last value), `f__n` (terms of a mean).",
    ),
    Table(
        "sequences",
        "day",
        "Each actor's symbols in time order.",
        (
            ACTOR,
            Column("symbols", STRINGS, "Symbols of its events.", "words"),
            Column("times", pl.List(TIME), "Their times."),
        ),
    ),
    Table(
        "metrics",
        "day",
        "The model's metrics by hour and for the day.",
        (
            Column("grain", pl.String, "hour or day."),
            Column("time", TIME, "Start of the hour, or of the (local) day."),
            Column("metric", pl.String, "Metric."),
            Column("dimension", pl.String, "Field it is split by; empty for the whole."),
            Column("member", pl.String, "Value of that field; empty for the whole.", "words"),
            Column("value", pl.Float64, "Count, sum, mean or number of distinct values."),
            Column("events", pl.UInt32, "Events behind the value."),
            Column("actors", pl.UInt32, "Distinct actors behind the value."),
        ),
    ),
    Table(
        "field_statistics",
        "day",
        "What values the kept fields of each event type have; adds up over days.",
        (
            Column("event_type", pl.String, "Event type."),
            Column("field", pl.String, "Kept field."),
            Column("documents", pl.UInt32, "Documents of the event type."),
            Column("missing", pl.UInt32, "Those of them that have no value."),
            Column("distinct", pl.UInt32, "Distinct values of the day, counted."),
            Column(
                "sketch",
                pl.List(pl.UInt64),
                "The 1024 smallest XXH64 hashes of its values: see `connect/sketches.py`.",
            ),
            Column(
                "top_values",
                pl.List(pl.Struct({"value": pl.String, "count": pl.UInt32})),
                "The 50 most frequent values and their documents. Those of several days add up to "
                "a lower bound: a value isn't counted on days that it was not among the 50 of. "
                "Values that begin with the same 100 characters are one, cut there.",
                "words",
            ),
            Column("min", pl.String, "Smallest value, as text; cut at 100 characters.", "words"),
            Column("max", pl.String, "Largest value, as text; cut at 100 characters.", "words"),
        ),
        optional=True,
    ),
)
