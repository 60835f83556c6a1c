"""Every table of the lake: its grain, columns, types and meaning, in one place.

Checks, the UI's column schemas, the catalog and the documentation are made from it.
Columns that come from the event model are described by `model_columns`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

Grain = Literal["day", "window"]

TIME = pl.Datetime("ms", "UTC")
STRINGS = pl.List(pl.String)


@dataclass(frozen=True)
class Column:
    """A column: name, Polars type, meaning (with its unit)."""

    name: str
    dtype: Any
    description: str


@dataclass(frozen=True)
class Table:
    """A table of the lake, one partition a day; a window's partition is its last day."""

    name: str
    grain: Grain
    description: str
    columns: tuple[Column, ...] = ()
    model_columns: str | None = None

    @property
    def schema(self) -> dict[str, Any]:
        """Column names to Polars types, without the event model's own columns."""
        return {column.name: column.dtype for column in self.columns}

    def empty(self) -> pl.DataFrame:
        """Return the table with no rows."""
        return pl.DataFrame(schema=self.schema)


_ENTITY_ID = "Entity id `<prefix>:<key>`."
_SEEN = (
    Column("first_seen", TIME, "Time of the first event that shows it."),
    Column("last_seen", TIME, "Time of the last event that shows it."),
)
_IS_TEST = Column("is_test", pl.Boolean, "Belongs to a test account; left out of knowledge.")
_ACTOR = Column("actor", pl.String, "Entity id of the actor.")

_DAY_TABLES = (
    Table(
        "documents",
        "day",
        "Normalised, typed events; a file per event type, sorted by actor and time.",
        (
            Column("event_type", pl.String, "Event type, in the event model's spelling."),
            Column("row", pl.UInt32, "Row within day and event type: `<day>/<event type>/<row>`."),
            Column("timestamp", TIME, "Time of the event."),
            Column("timestamp_missing", pl.Boolean, "No usable time: midnight of its file's date."),
            Column("actor", pl.String, "Entity id of the actor; null where the event has none."),
            Column("text_id", pl.UInt64, "Hash of the event's text."),
            _IS_TEST,
        ),
        "The event type's kept fields, typed.",
    ),
    Table(
        "rejects",
        "day",
        "What could not be used, and why.",
        (
            Column("file", pl.String, "Landing file, relative to the landing folder."),
            Column("row", pl.UInt32, "First such row in that file, from 0; null for a whole file."),
            Column("rows", pl.UInt32, "Rows of the file that it concerns."),
            Column("scope", pl.String, "file, column, row or value: how much was set aside."),
            Column("field", pl.String, "The field at fault, where there is one."),
            Column("reason", pl.String, "Why, and what was found."),
            Column("raw", pl.String, "The row as JSON, or the value or column name."),
        ),
    ),
    Table(
        "entities",
        "day",
        "The things that the day's events speak of.",
        (
            Column("entity_id", pl.String, _ENTITY_ID),
            Column("type", pl.String, "Entity type."),
            Column("key", pl.String, "Its key, normalised."),
            Column("events", pl.UInt32, "Events that speak of it."),
            *_SEEN,
            _IS_TEST,
        ),
        "properties: struct of the model's entity properties, last known values as strings.",
    ),
    Table(
        "edges",
        "day",
        "Connections between entities, with their number of occurrences.",
        (
            Column("source", pl.String, _ENTITY_ID),
            Column("target", pl.String, _ENTITY_ID),
            Column("type", pl.String, "Edge type."),
            Column("weight", pl.UInt32, "Events that show it."),
            *_SEEN,
        ),
    ),
    Table(
        "texts",
        "day",
        "The day's distinct texts.",
        (
            Column("text_id", pl.UInt64, "Hash of event type and text."),
            Column("event_type", pl.String, "Event type."),
            Column("text", pl.String, "The text, with no ids and no times."),
            Column("count", pl.UInt32, "Events of the day with this text."),
            Column("example", pl.String, "Id of a document with this text."),
        ),
    ),
    Table(
        "vectors",
        "day",
        "The embedding of each of the day's distinct texts.",
        (Column("text_id", pl.UInt64, "The text."),),
        "vector: fixed-size array of float16, a unit vector.",
    ),
    Table(
        "activity",
        "day",
        "What each actor did, in numbers that add up over days.",
        (
            _ACTOR,
            Column("events", pl.UInt32, "Events of the actor."),
            *_SEEN,
            _IS_TEST,
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
            _ACTOR,
            Column("symbols", STRINGS, "Symbols of its events."),
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
            Column("member", pl.String, "Value of that field; empty for the whole."),
            Column("value", pl.Float64, "Count, sum, mean or number of distinct values."),
            Column("events", pl.UInt32, "Events behind the value."),
            Column("actors", pl.UInt32, "Distinct actors behind the value."),
        ),
    ),
)

_WINDOW_TABLES = (
    Table("search_index", "window", "LanceDB index of the window's distinct texts."),
    Table("graph_database", "window", "Graph database of the window's nodes and edges."),
    Table(
        "graph_nodes",
        "window",
        "Entities of the window.",
        (
            Column("entity_id", pl.String, _ENTITY_ID),
            Column("type", pl.String, "Entity type."),
            Column("key", pl.String, "Its key, normalised."),
            Column("events", pl.UInt32, "Events that speak of it."),
            Column("days", pl.UInt16, "Days on which it was seen."),
            *_SEEN,
            _IS_TEST,
        ),
        "properties: struct of the model's entity properties, last known values as strings.",
    ),
    Table(
        "graph_edges",
        "window",
        "Edges of the window, weights added up over its days.",
        (
            Column("source", pl.String, _ENTITY_ID),
            Column("target", pl.String, _ENTITY_ID),
            Column("type", pl.String, "Edge type."),
            Column("weight", pl.UInt32, "Events that show it."),
            Column("days", pl.UInt16, "Days on which it was seen."),
            *_SEEN,
        ),
    ),
    Table(
        "graph_statistics",
        "window",
        "Counts, density and components of the graph.",
        (
            Column("statistic", pl.String, "nodes, edges, weight, density, components, ..."),
            Column("type", pl.String, "Entity or edge type; empty for the whole graph."),
            Column("value", pl.Float64, "Its value."),
        ),
    ),
    Table(
        "degrees",
        "window",
        "Degrees of each node.",
        (
            Column("entity_id", pl.String, _ENTITY_ID),
            Column("type", pl.String, "Entity type."),
            Column("in_degree", pl.UInt32, "Edges that end here."),
            Column("out_degree", pl.UInt32, "Edges that start here."),
            Column("degree", pl.UInt32, "Both."),
            Column("weighted_degree", pl.Float64, "Sum of both's weights."),
        ),
    ),
    Table(
        "pagerank",
        "window",
        "Weighted PageRank on the undirected graph of the window.",
        (
            Column("entity_id", pl.String, _ENTITY_ID),
            Column("type", pl.String, "Entity type."),
            Column("score", pl.Float64, "Share of the stationary probability; all add up to 1."),
            Column("rank", pl.UInt32, "1 is the highest of all."),
            Column("type_rank", pl.UInt32, "1 is the highest of its entity type."),
        ),
    ),
    Table(
        "communities",
        "window",
        "Groups of nodes that are more connected with each other than with the rest.",
        (
            Column("community_id", pl.String, "Id, `community:<n>`, 0 is the largest."),
            Column("size", pl.UInt32, "Members."),
            Column("actors", pl.UInt32, "Members that are actors."),
            Column("internal_weight", pl.Float64, "Weight of the edges inside."),
            Column("external_weight", pl.Float64, "Weight of the edges to the outside."),
            Column("key_members", STRINGS, "Members of highest PageRank, best first."),
            Column(
                "types",
                pl.List(pl.Struct({"type": pl.String, "members": pl.UInt32})),
                "Members per entity type, most first.",
            ),
        ),
    ),
    Table(
        "community_members",
        "window",
        "Which community each node is in.",
        (
            Column("entity_id", pl.String, _ENTITY_ID),
            Column("type", pl.String, "Entity type."),
            Column("community_id", pl.String, "Its community."),
        ),
    ),
    Table(
        "features",
        "window",
        "Each actor's behaviour over the feature window.",
        (_ACTOR, Column("events", pl.UInt32, "Events in the feature window.")),
        "Per feature of the model: a float64 in its unit; null where undefined.",
    ),
    Table(
        "clusters",
        "window",
        "k-means segments of actors.",
        (
            Column("cluster_id", pl.String, "Id, `cluster:<n>`, 0 is the largest."),
            Column("size", pl.UInt32, "Actors."),
            Column("share", pl.Float64, "Share of all clustered actors."),
            Column(
                "features",
                pl.List(
                    pl.Struct(
                        {
                            "feature": pl.String,
                            "mean": pl.Float64,
                            "deviation": pl.Float64,
                            "z": pl.Float64,
                        }
                    )
                ),
                "Per feature: mean and standard deviation in the segment; z of the mean against all actors.",
            ),
            Column(
                "centroid",
                pl.List(pl.Float64),
                "Centre in scaled features, in the features' order.",
            ),
        ),
    ),
    Table(
        "cluster_members",
        "window",
        "Which segment each actor is in.",
        (
            _ACTOR,
            Column("cluster_id", pl.String, "Its segment."),
            Column("distance", pl.Float64, "Distance to the centre in scaled features."),
        ),
    ),
    Table(
        "cluster_choice",
        "window",
        "How well each number of segments fits.",
        (
            Column("k", pl.UInt32, "Number of segments."),
            Column(
                "silhouette", pl.Float64, "Mean silhouette on a sample; -1 to 1, more is better."
            ),
            Column("inertia", pl.Float64, "Sum of squared distances to the centres."),
            Column("chosen", pl.Boolean, "The one that was taken."),
        ),
    ),
    Table(
        "trends",
        "window",
        "Each day's metrics against the days before it.",
        (
            Column("time", TIME, "Start of the (local) day."),
            Column("metric", pl.String, "Metric."),
            Column("dimension", pl.String, "Field it is split by; empty for the whole."),
            Column("member", pl.String, "Value of that field; empty for the whole."),
            Column("value", pl.Float64, "The day's value."),
            Column(
                "baseline", pl.Float64, "Median of the baseline days, adjusted for the weekday."
            ),
            Column("scale", pl.Float64, "Robust deviation of the baseline days."),
            Column("z", pl.Float64, "(value - baseline) / scale."),
            Column(
                "severity", pl.String, "normal, notable (|z| >= 2), significant (3), critical (4)."
            ),
            Column("direction", pl.String, "up, down or flat."),
            Column(
                "drivers",
                pl.List(
                    pl.Struct(
                        {"dimension": pl.String, "member": pl.String, "contribution": pl.Float64}
                    )
                ),
                "Members that make up the change, as shares of it, largest first.",
            ),
        ),
    ),
    Table(
        "labels",
        "window",
        "Words for segments and communities.",
        (
            Column("subject", pl.String, "Id of the cluster or community."),
            Column("kind", pl.String, "cluster or community."),
            Column("label", pl.String, "A few words, unique within its kind."),
            Column("description", pl.String, "A sentence or two, every number from the profile."),
            Column("distinguishing", STRINGS, "What sets it apart, strongest first."),
            Column("provenance", pl.String, "rule, or provider/model."),
            Column("profile_hash", pl.String, "Hash of the profile that the words describe."),
        ),
    ),
    Table(
        "insights",
        "window",
        "What is worth knowing about the window's last days, ranked.",
        (
            Column("insight_id", pl.String, "Stable id: kind and subject."),
            Column("rank", pl.UInt32, "1 is the most important."),
            Column("kind", pl.String, "trend, cluster, community, ..."),
            Column("severity", pl.String, "info, notable, significant or critical."),
            Column("title", pl.String, "One line."),
            Column("text", pl.String, "What happened, against what, driven by what."),
            Column("subjects", STRINGS, "Ids or names that it is about."),
            Column("evidence", pl.String, "JSON: tables, rows and parameters that show it."),
            Column("series", pl.List(pl.Float64), "Daily values behind it, oldest first."),
        ),
    ),
    Table(
        "catalog",
        "window",
        "What the snapshot holds: event types and fields, entity types, knowledge tables.",
    ),
)

TABLES: dict[str, Table] = {table.name: table for table in (*_DAY_TABLES, *_WINDOW_TABLES)}
DAY_TABLES = [table.name for table in _DAY_TABLES]
WINDOW_TABLES = [table.name for table in _WINDOW_TABLES]


def conform(name: str, frame: pl.DataFrame) -> pl.DataFrame:
    """Return `frame` with the table's columns first, cast to the table's types.

    Columns of the event model follow, as they are. Raises polars' own errors when a column
    is missing or can't be cast: that is a bug, not bad input.
    """
    schema = TABLES[name].schema
    extra = [column for column in frame.columns if column not in schema]
    if extra and TABLES[name].model_columns is None:
        raise ValueError(f"table {name} has no columns {extra}")
    return frame.select(*(pl.col(c).cast(t) for c, t in schema.items()), *extra)
