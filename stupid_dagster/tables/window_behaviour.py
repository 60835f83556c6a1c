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
        (ACTOR, Column("events", pl.UInt32, "Events in the feature window.", unit="events")),
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
            Column("size", pl.UInt32, "Actors in it.", unit="actors"),
            Column("share", pl.Float64, "Share of all clustered actors.", unit="share, 0 to 1"),
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
                "Per feature: mean and standard deviation in the segment, in the feature's unit; "
                "z of the mean against all actors, in their standard deviations.",
            ),
            Column(
                "centroid",
                pl.List(pl.Float64),
                "Centre in scaled features, in the features' order.",
                unit="scaled units",
            ),
        ),
        algorithm=(
            "k-means (Lloyd 1982; starts by k-means++, Arthur and Vassilvitskii 2007, and the "
            "previous window's centres) on robustly scaled features; k by silhouette (Rousseeuw "
            "1987) over 2 to `max_clusters`. Averages of few events are shrunk towards all "
            "actors' (James and Stein 1961), and such actors shape no segment."
        ),
    ),
    Table(
        "cluster_members",
        "window",
        "Which segment each actor is in.",
        (
            ACTOR,
            Column("cluster_id", pl.String, "Its segment."),
            Column(
                "distance",
                pl.Float64,
                "Distance to the centre in scaled features.",
                unit="scaled units",
            ),
        ),
        algorithm="The nearest centre of `clusters`, by Euclidean distance.",
    ),
    Table(
        "cluster_choice",
        "window",
        "How well each number of segments fits.",
        (
            Column("k", pl.UInt32, "Number of segments that was tried.", unit="segments"),
            Column(
                "silhouette",
                pl.Float64,
                "Mean silhouette on a sample; more is better.",
                unit="-1 to 1",
            ),
            Column(
                "inertia",
                pl.Float64,
                "Sum of the actors' squared distances to the nearest centre.",
                unit="scaled units, squared",
            ),
            Column("chosen", pl.Boolean, "The number that was taken."),
        ),
        algorithm="Silhouette (Rousseeuw 1987) and inertia.",
    ),
    Table(
        "cluster_entities",
        "window",
        "What the actors of each segment are linked to, most often and more often than others.",
        (
            Column("cluster_id", pl.String, "Segment."),
            Column("relation", pl.String, "Edge type that links actors to it."),
            Column(
                "incoming", pl.Boolean, "The edges end at the actors, instead of starting there."
            ),
            Column("type", pl.String, "Entity type at the other end."),
            Column("entity_id", pl.String, ENTITY_ID, "entity"),
            Column(
                "actors", pl.UInt32, "Actors of the segment that have such an edge.", unit="actors"
            ),
            Column(
                "share",
                pl.Float64,
                "Share of the segment's edges of this kind, by weight.",
                unit="share, 0 to 1",
            ),
            Column(
                "overall",
                pl.Float64,
                "The same share of the edges of all segments' actors.",
                unit="share, 0 to 1",
            ),
            Column("lift", pl.Float64, "share / overall.", unit="times"),
            Column(
                "lift_rank",
                pl.UInt32,
                "1 is the highest share * log2(lift) within segment and relation.",
                unit="place",
            ),
            Column(
                "share_rank",
                pl.UInt32,
                "1 is the highest share within segment and relation.",
                unit="place",
            ),
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
            Column("texts", pl.UInt32, "Distinct texts in it.", unit="texts"),
            Column("events", pl.UInt32, "Events of the last day with these texts.", unit="events"),
            Column("actors", pl.UInt32, "Actors that have any of them.", unit="actors"),
            Column(
                "similarity",
                pl.Float64,
                "Mean cosine of its events to their mean direction.",
                unit="cosine, -1 to 1",
            ),
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
            Column("text_id", pl.UInt64, "The text, in `texts`.", "text", unit="64-bit hash"),
            Column("event_cluster_id", pl.String, "Its event cluster, or `noise`."),
            Column(
                "core",
                pl.Boolean,
                "At least `dbscan_min_events` events, its own among them, lie within `dbscan_eps` "
                "of it.",
            ),
            Column("count", pl.UInt32, "Events of the last day with this text.", unit="events"),
        ),
        algorithm="As `event_clusters`.",
    ),
    Table(
        "actor_noise",
        "window",
        "How much of what each actor did on the last day is noise by DBSCAN.",
        (
            ACTOR,
            Column("events", pl.UInt32, "Events of the actor on the last day.", unit="events"),
            Column("texts", pl.UInt32, "Distinct texts among them.", unit="texts"),
            Column("noise_events", pl.UInt32, "Events whose text is noise.", unit="events"),
            Column("noise_ratio", pl.Float64, "noise_events / events.", unit="share, 0 to 1"),
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
            Column("events", pl.UInt32, "Events of the actor on the last day.", unit="events"),
            Column("texts", pl.UInt32, "Distinct texts among them.", unit="texts"),
            Column(
                "repetition",
                pl.Float64,
                "Share of the events that repeat an earlier text.",
                unit="share, 0 to 1",
            ),
            Column("interval_seconds", pl.Float64, "Median time between events.", unit="seconds"),
            Column(
                "regularity",
                pl.Float64,
                "Share of the gaps between events within 5 % (or a second) of their median.",
                unit="share, 0 to 1",
            ),
            Column("text", pl.String, "The text that the group repeats most.", "said"),
            Column(
                "example",
                pl.String,
                "Id of a document of the actor with its commonest text.",
                "document",
            ),
        ),
        algorithm=(
            "The project's own: at least 20 events, four of five repeat a text, half of the gaps "
            "alike, and three actors or more that share a main text."
        ),
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
            Column("length", pl.UInt16, "Number of its symbols.", unit="symbols"),
            Column("category", pl.String, "Category of the event model, or `Other`."),
            Column(
                "actors",
                pl.UInt32,
                "Actors who show it in this window, also of a vanished one.",
                unit="actors",
            ),
            Column(
                "support",
                pl.Float64,
                "These over all actors with a sequence.",
                unit="share, 0 to 1",
            ),
            Column(
                "lift",
                pl.Float64,
                "support over that expected if its last symbol were independent of those before.",
                unit="times",
            ),
            Column(
                "median_seconds",
                pl.Float64,
                "Median time from its first to its last symbol.",
                unit="seconds",
            ),
            Column("status", pl.String, "new, continued or vanished; null in the first window."),
            Column(
                "previous_support",
                pl.Float64,
                "Support in the previous window; null if below the minimum then.",
                unit="share, 0 to 1",
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
            Column("left", pl.String, "The one entity, `<prefix>:<key>`.", "entity"),
            Column("right", pl.String, "The other.", "entity"),
            Column(
                "left_actors",
                pl.UInt32,
                "Actors linked to the left one, of those with links of both types.",
                unit="actors",
            ),
            Column(
                "right_actors",
                pl.UInt32,
                "Actors linked to the right one, of the same.",
                unit="actors",
            ),
            Column("both_actors", pl.UInt32, "Actors linked to both.", unit="actors"),
            Column(
                "support",
                pl.Float64,
                "both_actors over the actors with links of both types.",
                unit="share, 0 to 1",
            ),
            Column("lift", pl.Float64, "both_actors over those expected by chance.", unit="times"),
            Column("pmi", pl.Float64, "Pointwise mutual information: log2(lift).", unit="bits"),
            Column("npmi", pl.Float64, "pmi over -log2(support).", unit="-1 to 1"),
            Column(
                "pmi_low",
                pl.Float64,
                "Lower confidence bound of pmi; ranks the pairs.",
                unit="bits",
            ),
            Column(
                "rank", pl.UInt32, "1 is the highest pmi_low of the pair of types.", unit="place"
            ),
        ),
        algorithm=(
            "Pointwise mutual information (Church and Hanks 1990), normalised (Bouma 2009), and "
            "lift; ranked by a lower confidence bound of PMI (Clopper and Pearson 1934), so that "
            "rare pairs don't lead."
        ),
    ),
)
