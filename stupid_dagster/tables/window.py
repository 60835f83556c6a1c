"""The tables of a window; a partition is named by the window's last day."""

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

WINDOW = (
    Table("search_index", "window", "LanceDB index of the window's distinct texts."),
    Table("graph_database", "window", "Graph database of the window's nodes and edges."),
    Table(
        "graph_nodes",
        "window",
        "Entities of the window.",
        (
            Column("entity_id", pl.String, ENTITY_ID),
            Column("type", pl.String, "Entity type."),
            Column("key", pl.String, "Its key, normalised."),
            Column("events", pl.UInt32, "Events that speak of it."),
            Column("days", pl.UInt16, "Days on which it was seen."),
            *SEEN,
            IS_TEST,
        ),
        "properties: struct of the model's entity properties, last known values as strings.",
    ),
    Table(
        "graph_edges",
        "window",
        "Edges of the window, weights added up over its days.",
        (
            Column("source", pl.String, ENTITY_ID),
            Column("target", pl.String, ENTITY_ID),
            Column("type", pl.String, "Edge type."),
            Column("weight", pl.UInt32, "Events that show it."),
            Column("days", pl.UInt16, "Days on which it was seen."),
            *SEEN,
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
            Column("entity_id", pl.String, ENTITY_ID),
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
            Column("entity_id", pl.String, ENTITY_ID),
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
            Column("entity_id", pl.String, ENTITY_ID),
            Column("type", pl.String, "Entity type."),
            Column("community_id", pl.String, "Its community."),
        ),
    ),
    Table(
        "features",
        "window",
        "Each actor's behaviour over the feature window.",
        (ACTOR, Column("events", pl.UInt32, "Events in the feature window.")),
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
                "Per feature: mean and deviation in the segment; z of the mean against all.",
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
            ACTOR,
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
