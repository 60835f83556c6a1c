"""The tables of what a window's actors do; a partition is named by the window's last day."""

from __future__ import annotations

import polars as pl

from stupid_dagster.tables.schema import (
    ACTOR,
    ENTITY_ID,
    STRINGS,
    Column,
    Table,
    group_changes,
    group_moves,
)

BEHAVIOUR = (
    Table(
        "features",
        "window",
        "Each actor's behaviour over the feature window.",
        (ACTOR, Column("events", pl.UInt32, "Events in the feature window.")),
        "Per feature of the model: a float64 in its unit; null where undefined.",
        algorithm=(
            "Counts, sums, means, distinct values, last values, sessions and ratios over the "
            "last `features.window_days`; sessions joined across midnight; without test "
            "accounts."
        ),
    ),
    Table(
        "clusters",
        "window",
        "k-means segments of actors.",
        (
            Column(
                "cluster_id",
                pl.String,
                "Id, `cluster:<n>`; kept from window to window while it is the same segment.",
            ),
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
        algorithm=(
            "k-means (k-means++ and the previous window's centres as starts) on robustly "
            "scaled features; k by silhouette over 2 to `max_clusters`. Averages of few "
            "events are shrunk towards all actors', and such actors shape no segment."
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
        algorithm="The nearest centre of `clusters`.",
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
        algorithm="Silhouette (Rousseeuw 1987) and inertia.",
    ),
    Table(
        "cluster_entities",
        "window",
        "What the actors of each segment are linked to, most often and more often than others.",
        (
            Column("cluster_id", pl.String, "Segment."),
            Column("relation", pl.String, "Edge type."),
            Column("incoming", pl.Boolean, "The edges end at the actors."),
            Column("type", pl.String, "Entity type at the other end."),
            Column("entity_id", pl.String, ENTITY_ID, "entity"),
            Column("actors", pl.UInt32, "Actors of the segment that have such an edge."),
            Column("share", pl.Float64, "Share of the segment's edges of this kind, by weight."),
            Column("overall", pl.Float64, "The same share of all actors' edges."),
            Column("lift", pl.Float64, "share / overall."),
            Column("lift_rank", pl.UInt32, "Place by share * log2(lift) within the relation."),
            Column("share_rank", pl.UInt32, "Place by share within the relation."),
        ),
        algorithm="Per edge type: the highest shares, and the highest share * log2(lift).",
    ),
    group_changes("cluster_changes", "Segments"),
    group_moves("cluster_moves", "segments", "actors"),
    Table(
        "event_clusters",
        "window",
        "DBSCAN clusters of the last day's distinct texts, weighted by their events.",
        (
            Column("event_cluster_id", pl.String, "Id, `event_cluster:<n>`, or `noise`."),
            Column("event_types", STRINGS, "Its event type; of noise all, most events first."),
            Column("texts", pl.UInt32, "Distinct texts."),
            Column("events", pl.UInt32, "Events with these texts."),
            Column("actors", pl.UInt32, "Actors that have any of them."),
            Column("similarity", pl.Float64, "Mean cosine of its events to their mean direction."),
            Column("text", pl.String, "The text nearest to that direction.", "said"),
            Column("example", pl.String, "Id of a document with this text.", "document"),
        ),
        algorithm=(
            "DBSCAN (Ester et al. 1996) of the distinct texts of each event type by cosine "
            "distance (`dbscan_eps`), each weighing its events (`dbscan_min_events`); the "
            "part that all texts of a type share is taken off."
        ),
    ),
    Table(
        "text_clusters",
        "window",
        "Which event cluster each of the last day's distinct texts is in.",
        (
            Column("text_id", pl.UInt64, "The text.", "text"),
            Column("event_cluster_id", pl.String, "Its event cluster, or `noise`."),
            Column("core", pl.Boolean, "At least min_pts events lie within eps of it."),
            Column("count", pl.UInt32, "Events with this text."),
        ),
        algorithm="As `event_clusters`.",
    ),
    Table(
        "actor_noise",
        "window",
        "How much of what each actor did on the last day is noise by DBSCAN.",
        (
            ACTOR,
            Column("events", pl.UInt32, "Events of the actor on the last day."),
            Column("texts", pl.UInt32, "Distinct texts among them."),
            Column("noise_events", pl.UInt32, "Events whose text is noise."),
            Column("noise_ratio", pl.Float64, "noise_events / events."),
        ),
        algorithm="Counted from `text_clusters`.",
    ),
    Table(
        "bot_candidates",
        "window",
        "Tight groups of actors that repeated few texts over and over on the last day.",
        (
            Column("group_id", pl.String, "Id, `bots:<n>`, 0 is the largest."),
            ACTOR,
            Column("events", pl.UInt32, "Events of the actor."),
            Column("texts", pl.UInt32, "Distinct texts among them."),
            Column("repetition", pl.Float64, "Share of the events that repeat an earlier text."),
            Column("interval_seconds", pl.Float64, "Median time between events."),
            Column(
                "regularity",
                pl.Float64,
                "Share of the gaps between events within 5 % (or a second) of their median.",
            ),
            Column("text", pl.String, "The text that the group repeats most.", "said"),
            Column(
                "example",
                pl.String,
                "Id of a document of the actor with its commonest text.",
                "document",
            ),
        ),
        algorithm="Few texts, over and over, at regular intervals, shared by several actors.",
    ),
    Table(
        "patterns",
        "window",
        "Frequent sequences of what actors do, over the last days of the window.",
        (
            Column("pattern_id", pl.String, "Id, `pattern:<hash of the symbols>`."),
            Column(
                "symbols", STRINGS, "Symbols in time order, others may lie between them.", "words"
            ),
            Column("length", pl.UInt16, "Symbols."),
            Column("category", pl.String, "Category of the event model, or `Other`."),
            Column("actors", pl.UInt32, "Actors who show it; of a vanished one, now."),
            Column("support", pl.Float64, "Share of the actors with a sequence."),
            Column(
                "lift",
                pl.Float64,
                "support over that expected if its last symbol were independent of those before.",
            ),
            Column("median_seconds", pl.Float64, "Median time from its first to its last symbol."),
            Column("status", pl.String, "new, continued or vanished; null in the first window."),
            Column(
                "previous_support",
                pl.Float64,
                "In the previous window; null if below the minimum then.",
            ),
            Column("examples", STRINGS, "Actors who show it, at most 3.", "entity"),
        ),
        algorithm=(
            "PrefixSpan (Pei et al. 2004) for the best by support (TKS, Fournier-Viger et al. "
            "2013) over the last `pattern_days`; block by block (SON, Savasere et al. 1995) "
            "where actors are many; new and vanished ones against the previous window."
        ),
    ),
    Table(
        "cooccurrence",
        "window",
        "Entities that the same actors are linked to, more or less often than chance.",
        (
            Column("pair", pl.String, "Entity types, such as `Game x Platform`."),
            Column("left", pl.String, ENTITY_ID, "entity"),
            Column("right", pl.String, ENTITY_ID, "entity"),
            Column(
                "left_actors",
                pl.UInt32,
                "Actors linked to the left one, of those with links of both types.",
            ),
            Column("right_actors", pl.UInt32, "Actors linked to the right one, of the same."),
            Column("both_actors", pl.UInt32, "Actors linked to both."),
            Column("support", pl.Float64, "both_actors over the actors with links of both types."),
            Column("lift", pl.Float64, "both_actors over those expected by chance."),
            Column("pmi", pl.Float64, "Pointwise mutual information in bits: log2(lift)."),
            Column("npmi", pl.Float64, "pmi over -log2(support); -1 to 1."),
            Column("pmi_low", pl.Float64, "Lower confidence bound of pmi; ranks the pairs."),
            Column("rank", pl.UInt32, "1 is the highest pmi_low of the pair of types."),
        ),
        algorithm=(
            "Pointwise mutual information (Church and Hanks 1990) and lift; ranked by the "
            "lower confidence bound of PMI, so that rare pairs don't lead."
        ),
    ),
)
