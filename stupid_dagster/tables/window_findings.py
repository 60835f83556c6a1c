"""The tables of what a window shows; a partition is named by the window's last day."""

from __future__ import annotations

import polars as pl

from stupid_dagster.tables.schema import ACTOR, ENTITY_ID, STRINGS, TIME, Column, Table

FINDINGS = (
    Table(
        "trends",
        "window",
        "Each hour's and day's metrics against the days before it.",
        (
            Column("grain", pl.String, "hour or day."),
            Column("time", TIME, "Start of the hour, or of the (local) day."),
            Column(
                "metric",
                pl.String,
                "Metric of the event model, or the engine's: new_actors, cluster_size, "
                "community_size.",
            ),
            Column("dimension", pl.String, "Field it is split by; empty for the whole."),
            Column(
                "member",
                pl.String,
                "Value of that field; empty for the whole. Its hours are rows where notable.",
                "words",
            ),
            Column("value", pl.Float64, "The hour's or day's value.", unit="the metric's"),
            Column(
                "baseline",
                pl.Float64,
                "Median of the baseline days, adjusted for the weekday (and hour of the day).",
                unit="the metric's",
            ),
            Column(
                "scale",
                pl.Float64,
                "How far off the baseline is usual: robust deviation of the days before.",
                unit="the metric's",
            ),
            Column(
                "z",
                pl.Float64,
                "(value - baseline) / scale; null where too few days are known.",
                unit="scales",
            ),
            Column(
                "severity", pl.String, "normal, notable (|z| >= 2), significant (3), critical (4)."
            ),
            Column(
                "direction", pl.String, "up, down or flat: where the value lies of the baseline."
            ),
            Column("since", TIME, "Start of the run of notable times this way that it belongs to."),
            Column(
                "drivers",
                pl.List(
                    pl.Struct(
                        {"dimension": pl.String, "member": pl.String, "contribution": pl.Float64}
                    )
                ),
                "Members that make up the change, as shares of it, largest first.",
                "words",
            ),
        ),
        algorithm=(
            "Against a robust baseline (median, MAD; Croux and Rousseeuw 1992) of the "
            "`trend_baseline_days` before, aware of weekday and hour; z from 2 notable, 3 "
            "significant, 4 critical; which values of which field drive it."
        ),
    ),
    Table(
        "anomalies",
        "window",
        "How unusual each actor of the last day is, and why.",
        (
            ACTOR,
            Column(
                "score",
                pl.Float64,
                "0.2 statistical + 0.3 noise + 0.3 behaviour + 0.2 graph.",
                unit="0 to 1",
            ),
            Column(
                "severity",
                pl.String,
                "normal, notable (score >= 0.3), significant (0.5), critical (0.7).",
            ),
            Column("rank", pl.UInt32, "1 is the highest score.", unit="place"),
            Column(
                "statistical", pl.Float64, "Features far from the other actors'.", unit="0 to 1"
            ),
            Column("noise", pl.Float64, "Events whose texts are noise by DBSCAN.", unit="0 to 1"),
            Column(
                "behaviour",
                pl.Float64,
                "The last day against the actor's own days before.",
                unit="0 to 1",
            ),
            Column(
                "graph",
                pl.Float64,
                "New, many and shared links, and communities touched.",
                unit="0 to 1",
            ),
            Column("signals", STRINGS, "Signals that make the score, strongest first."),
            Column(
                "features",
                pl.List(
                    pl.Struct(
                        {
                            "signal": pl.String,
                            "name": pl.String,
                            "value": pl.Float64,
                            "usual": pl.Float64,
                            "z": pl.Float64,
                        }
                    )
                ),
                "Numbers behind the signals, farthest first; of notable actors and worse: value "
                "and what is usual in the unit of what is named, z in deviations.",
            ),
            Column(
                "documents",
                STRINGS,
                "Ids of example documents of the last day, at most 3; of notable actors and worse.",
                "document",
            ),
            Column(
                "shared", STRINGS, "Entities of `anomaly_causes` that it is linked to.", "entity"
            ),
        ),
        algorithm=(
            "The project's own: 0.2 statistical + 0.3 noise + 0.3 behaviour + 0.2 graph, each 0 "
            "to 1 by how rare it is among actors; notable from 0.3, significant 0.5, critical "
            "0.7."
        ),
    ),
    Table(
        "anomaly_causes",
        "window",
        "What anomalous actors have in common: where to look for the cause.",
        (
            Column("entity_id", pl.String, ENTITY_ID, "entity"),
            Column("type", pl.String, "Entity type."),
            Column("relation", pl.String, "Edge type that links actors to it."),
            Column(
                "anomalous",
                pl.UInt32,
                "Linked actors with a score >= 0.3 or a signal > 0.5.",
                unit="actors",
            ),
            Column("actors", pl.UInt32, "All actors linked to it on the last day.", unit="actors"),
            Column(
                "share",
                pl.Float64,
                "Share of the anomalous actors that are linked to it.",
                unit="share, 0 to 1",
            ),
            Column("lift", pl.Float64, "That share over the same of all actors.", unit="times"),
            Column(
                "p_value",
                pl.Float64,
                "Chance of so many by accident, times the entities compared.",
                unit="probability",
            ),
            Column(
                "examples",
                STRINGS,
                "Anomalous actors linked to it, at most 5, highest score first.",
                "entity",
            ),
        ),
        algorithm=(
            "Hypergeometric tail of the links that anomalous actors have to an entity, "
            "Bonferroni-corrected, at most 0.05; and at least twice as common as among all "
            "actors."
        ),
    ),
    Table(
        "history",
        "window",
        "What is kept of days after their eviction: counts and measures, no ids of entities.",
        (
            Column("day", pl.Date, "The day; of what a window found, its last day."),
            Column(
                "kind",
                pl.String,
                "metric, cluster, community, graph, trends, anomalies, patterns or event_clusters.",
            ),
            Column(
                "name",
                pl.String,
                "Of metric its name; of cluster and community an id; of graph a statistic and its "
                "type; of trends and anomalies a severity; of patterns a category; of "
                "event_clusters clusters, events or noise_events.",
            ),
            Column(
                "value",
                pl.Float64,
                "The metric's value of the day; members of the group; the statistic; else how "
                "many there were.",
                unit="the metric's, else a count",
            ),
        ),
        outlives=True,
        algorithm="Counted from the other tables; what an older window knew of other days is kept.",
    ),
    Table(
        "labels",
        "window",
        "Words for segments, communities, event clusters and patterns.",
        (
            Column("subject", pl.String, "Id of the cluster, community, event cluster or pattern."),
            Column("kind", pl.String, "cluster, community, event_cluster or pattern."),
            Column("label", pl.String, "A few words, unique within its kind.", "words"),
            Column(
                "description",
                pl.String,
                "A sentence or two, every number from the profile.",
                "words",
            ),
            Column("distinguishing", STRINGS, "What sets it apart, strongest first.", "words"),
            Column("provenance", pl.String, "rule, or provider/model."),
            Column("profile_hash", pl.String, "Hash of the profile that the words describe."),
            Column("traits_hash", pl.String, "Hash of what it tells, whatever its numbers are."),
            Column("prompt", pl.String, "Version of the prompt that a model was asked with."),
            Column(
                "prompt_tokens", pl.UInt32, "Tokens that were sent for the words.", unit="tokens"
            ),
            Column("completion_tokens", pl.UInt32, "Tokens that came back.", unit="tokens"),
            Column("refused", pl.String, "Why a model's words were not taken.", "words"),
            Column("asked_hash", pl.String, "Hash of which model was asked, and of what it saw."),
            Column(
                "template", pl.String, "JSON: a model's words, with places for numbers.", "words"
            ),
        ),
        algorithm=(
            "The project's own rules, or a language model whose words are checked: docs/words.md."
        ),
    ),
    Table(
        "insights",
        "window",
        "What is worth knowing about the window's last days, ranked.",
        (
            Column("insight_id", pl.String, "Stable id: kind and subject."),
            Column("rank", pl.UInt32, "1 is the most important.", unit="place"),
            Column(
                "kind", pl.String, "trend, anomaly, cause, bots, pattern, cluster or community."
            ),
            Column("severity", pl.String, "info, notable, significant or critical."),
            Column(
                "status",
                pl.String,
                "Against the previous window: new (it didn't tell this id, or there is none), "
                "ongoing (it told it too), or resolved (it told it, and it no longer holds: said "
                "once).",
            ),
            Column(
                "since",
                pl.Date,
                "Since when it is told without a break: the last day of the first window that "
                "told it, not the day it happened on; never before this window's first day.",
            ),
            Column("title", pl.String, "What it is, in one line.", "words"),
            Column("text", pl.String, "What happened, against what, driven by what.", "words"),
            Column("subjects", STRINGS, "Ids or names that it is about."),
            Column(
                "evidence", pl.String, "JSON: tables, rows and parameters that show it.", "json"
            ),
            Column("plan", pl.String, "JSON: the query plan that follows it up.", "json"),
            Column(
                "series",
                pl.List(pl.Float64),
                "Daily values behind it, oldest first: a sparkline.",
                unit="the metric's, else a count",
            ),
        ),
        algorithm=(
            "The project's own rules over trends, anomalies and changes, ranked; new, ongoing and "
            "resolved since the previous window."
        ),
    ),
    Table(
        "digest",
        "window",
        "The insights in one paragraph: one row.",
        (
            Column(
                "text",
                pl.String,
                "The paragraph; [3] is the insight of rank 3, which shows what was said.",
                "words",
            ),
            Column(
                "sentences",
                pl.List(pl.Struct({"text": pl.String, "insights": STRINGS})),
                "Its sentences, and the ids of the insights that show each.",
                "words",
            ),
            Column("provenance", pl.String, "rule, or provider/model."),
            Column("prompt", pl.String, "Version of the prompt that a model was asked with."),
            Column("prompt_tokens", pl.UInt32, "Tokens that were sent for it.", unit="tokens"),
            Column("completion_tokens", pl.UInt32, "Tokens that came back.", unit="tokens"),
            Column("refused", pl.String, "Why a model's sentences were not taken.", "words"),
            Column("asked_hash", pl.String, "Hash of what a model was asked, and which."),
        ),
        algorithm=(
            "Titles as sentences, or a language model's, every number checked: docs/words.md."
        ),
    ),
)
