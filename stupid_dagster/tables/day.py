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
            Column(
                "row",
                pl.UInt32,
                "Its place within its day and event type, from 0; the document's id is "
                "`<day>/<event type>/<row>`.",
                unit="number",
            ),
            Column("timestamp", TIME, "When it happened, by the event model's `timestamp`."),
            Column("timestamp_missing", pl.Boolean, "No usable time: midnight of its file's date."),
            Column(
                "actor",
                pl.String,
                "Entity id of the actor; null where the event has none.",
                "entity",
            ),
            Column(
                "text_id", pl.UInt64, "The event's text, in `texts`.", "text", unit="64-bit hash"
            ),
            IS_TEST,
        ),
        "The event type's kept fields, typed.",
        algorithm=(
            "Columns by the event model (spellings, empty values, types; derived fields are made "
            "of them when they are needed, and not stored); rows to the day "
            "that their time falls on, whichever file holds them; of duplicates (`duplicate_key`) "
            "the first stays."
        ),
    ),
    Table(
        "rejects",
        "day",
        "What was rejected, left empty or dated otherwise, and why.",
        (
            Column("file", pl.String, "Landing file, relative to the landing folder.", "words"),
            Column(
                "row",
                pl.UInt32,
                "First such row in that file, from 0; null for a whole file.",
                unit="number",
            ),
            Column("rows", pl.UInt32, "Rows of the file that it concerns.", unit="rows"),
            Column(
                "scope",
                pl.String,
                "file, row: no document is made of it; value: left empty, or of the time: midnight "
                "of the file's date instead; column: as the reason says.",
            ),
            Column("field", pl.String, "The field at fault, where there is one.", "words"),
            Column("reason", pl.String, "Why, and what was found.", "words"),
            Column("raw", pl.String, "The row as JSON, or the value or column name.", "words"),
        ),
        algorithm=(
            "Whatever could not be read or typed, or lies outside the partitions, with file, row "
            "and reason."
        ),
    ),
    Table(
        "entities",
        "day",
        "The things that the day's events speak of.",
        (
            Column("entity_id", pl.String, ENTITY_ID, "entity"),
            Column("type", pl.String, "Entity type."),
            Column(
                "key", pl.String, "Its key, normalised: what follows the prefix in its id.", "words"
            ),
            Column("events", pl.UInt32, "Events of the day that speak of it.", unit="events"),
            *SEEN,
            IS_TEST,
        ),
        "properties: struct of the model's entity properties, last known values as strings.",
        algorithm="Grouped by id over the day's documents; test accounts stay, tagged.",
    ),
    Table(
        "edges",
        "day",
        "Connections between entities, with their number of occurrences.",
        (
            Column("source", pl.String, "Entity that it starts at, `<prefix>:<key>`.", "entity"),
            Column("target", pl.String, "Entity that it leads to.", "entity"),
            Column("type", pl.String, "Edge type of the event model."),
            Column("weight", pl.UInt32, "Events of the day that show it.", unit="events"),
            *SEEN,
        ),
        algorithm="Counted by source, target and type over the day's documents.",
    ),
    Table(
        "texts",
        "day",
        "The day's distinct texts.",
        (
            Column(
                "text_id",
                pl.UInt64,
                "Hash of event type and text, the same on every day.",
                unit="64-bit hash",
            ),
            Column("event_type", pl.String, "Event type that the text is of."),
            Column("text", pl.String, "The text, with no ids and no times.", "said"),
            Column("count", pl.UInt32, "Events of the day with this text.", unit="events"),
            Column("example", pl.String, "Id of a document with this text.", "document"),
        ),
        algorithm="The event type's `text`, filled; XXH64 of event type and text is its id.",
    ),
    Table(
        "vectors",
        "day",
        "The embedding of each of the day's distinct texts.",
        (Column("text_id", pl.UInt64, "The text, in `texts`.", "text", unit="64-bit hash"),),
        "vector: fixed-size array of int8 that has the embedding's direction; not of unit length.",
        algorithm=(
            "By the embedder that is set (`embedder_backend`); bundled: static token vectors "
            "distilled from all-MiniLM-L6-v2 (Reimers and Gurevych 2019)."
        ),
    ),
    Table(
        "actor_texts",
        "day",
        "Which texts each actor's events had; by event type, then row.",
        (
            ACTOR,
            Column("text_id", pl.UInt64, "The text, in `texts`.", "text", unit="64-bit hash"),
            Column("count", pl.UInt32, "Events of the actor with this text.", unit="events"),
            Column(
                "row",
                pl.UInt32,
                "Row of the first of them within day and event type.",
                unit="number",
            ),
        ),
        algorithm="Counted by actor and text over the day's documents.",
    ),
    Table(
        "activity",
        "day",
        "What each actor did, in numbers that add up over days.",
        (
            ACTOR,
            Column("events", pl.UInt32, "Events of the actor on the day.", unit="events"),
            *SEEN,
            IS_TEST,
            Column(
                "sessions",
                pl.List(pl.Struct({"start": TIME, "end": TIME, "events": pl.UInt32})),
                "Runs of events with no longer gap than the model's session gap, in time order.",
            ),
        ),
        "Per feature: `f` (count, sum; values for distinct; last value), `f__n` (terms of a mean).",
        algorithm=(
            "Added up per actor over the day's documents; a pause above `session_gap_minutes` "
            "parts sessions."
        ),
    ),
    Table(
        "sequences",
        "day",
        "Each actor's symbols in time order.",
        (
            ACTOR,
            Column(
                "symbols",
                STRINGS,
                "Symbols of its events (`code` or `code:value`), in time order.",
                "words",
            ),
            Column("times", pl.List(TIME), "When each of these events happened."),
        ),
        algorithm=(
            "Symbols of the event model; of events at one moment in alphabetical order; without "
            "test accounts."
        ),
    ),
    Table(
        "metrics",
        "day",
        "The model's metrics by hour and for the day.",
        (
            Column("grain", pl.String, "hour or day."),
            Column("time", TIME, "Start of the hour, or of the (local) day."),
            Column(
                "metric",
                pl.String,
                "Metric of the event model; ratios are no rows, but divided of two others.",
            ),
            Column("dimension", pl.String, "Field it is split by; empty for the whole."),
            Column("member", pl.String, "Value of that field; empty for the whole.", "words"),
            Column(
                "value",
                pl.Float64,
                "The hour's or day's count, sum, mean or number of distinct values.",
                unit="the metric's",
            ),
            Column("events", pl.UInt32, "Events that the value is of.", unit="events"),
            Column("actors", pl.UInt32, "Distinct actors of these events.", unit="actors"),
        ),
        algorithm=(
            "Grouped by hour and by local day over the day's documents; without test accounts."
        ),
    ),
    Table(
        "field_statistics",
        "day",
        "What values the kept fields of each event type have; adds up over days.",
        (
            Column("event_type", pl.String, "Event type."),
            Column("field", pl.String, "Kept field that the row is of."),
            Column(
                "documents", pl.UInt32, "The day's documents of the event type.", unit="documents"
            ),
            Column("missing", pl.UInt32, "Those of them that have no value.", unit="documents"),
            Column(
                "distinct",
                pl.UInt32,
                "Distinct values of the field on the day, counted.",
                unit="values",
            ),
            Column(
                "sketch",
                pl.List(pl.UInt64),
                "The 1024 smallest XXH64 hashes of its values: see `connect/sketches.py`.",
                unit="64-bit hashes",
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
        algorithm=(
            "Counted; distinct values over days by bottom-k sketches (Bar-Yossef et al. 2002, "
            "Beyer et al. 2007)."
        ),
    ),
)
