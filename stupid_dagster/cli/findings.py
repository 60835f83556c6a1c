"""What a run of the demo found, printed: segments, communities, ranks, trends, insights."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
from rich.markup import escape
from rich.padding import Padding

from stupid_dagster.cli.console import console, show_table
from stupid_dagster.project import Project
from stupid_dagster.stores.snapshots import Snapshot, open_snapshot


def show_findings(project: Project, *, ranked: Sequence[str], most: int = 8) -> None:
    """Print counts, segments, communities, the `ranked` entity types' best, trends, insights."""
    snapshot = open_snapshot(project.lake)
    _show_counts(snapshot)
    _show_clusters(snapshot, project.model.actor)
    _show_communities(snapshot)
    ranks = snapshot.scan("pagerank")
    for entity_type in ranked:
        best = ranks.filter(type=entity_type).sort("type_rank").head(most).collect()
        show_table(
            f"{entity_type}: highest PageRank",
            ["rank", entity_type.lower(), "score"],
            [
                (r, entity, f"{s:.4f}")
                for r, entity, s in best.select("type_rank", "entity_id", "score").iter_rows()
            ],
        )
    _show_trends(snapshot, project.model.timezone)
    _show_insights(snapshot)


def _show_counts(snapshot: Snapshot) -> None:
    manifest = snapshot.manifest
    documents = sum(version.rows for version in manifest.of("documents").values())
    show_table(
        f"Window {manifest.first_day} to {manifest.last_day}",
        ["what", "number"],
        [
            ("days", len(manifest.days)),
            ("documents", documents),
            ("entities", snapshot.window("graph_nodes").rows),
            ("edges", snapshot.window("graph_edges").rows),
            ("distinct texts", snapshot.window("search_index").rows),
        ],
    )


def _labelled(snapshot: Snapshot, table: str, key: str) -> pl.DataFrame:
    labels = snapshot.scan("labels").select(pl.col("subject").alias(key), "label", "description")
    return snapshot.scan(table).join(labels, on=key, how="left").collect()


def _show_clusters(snapshot: Snapshot, actor: str) -> None:
    clusters = _labelled(snapshot, "clusters", "cluster_id").sort("size", descending=True)
    show_table(
        f"Segments of {actor.lower()}",
        ["segment", "size", "share", "label"],
        [
            (name, size, f"{share:.0%}", label)
            for name, size, share, label in clusters.select(
                "cluster_id", "size", "share", "label"
            ).iter_rows()
        ],
    )


def _show_communities(snapshot: Snapshot, most: int = 5) -> None:
    found = _labelled(snapshot, "communities", "community_id").sort("size", descending=True)
    show_table(
        f"Largest communities (of {found.height})",
        ["community", "size", "label", "key members"],
        [
            (name, size, label, ", ".join(members[:4]))
            for name, size, label, members in found.head(most)
            .select("community_id", "size", "label", "key_members")
            .iter_rows()
        ],
    )


def _show_trends(snapshot: Snapshot, zone: str, most: int = 12) -> None:
    loud = (
        snapshot.scan("trends")
        .filter(grain="day", dimension="", severity="critical")
        .with_columns(day=pl.col("time").dt.convert_time_zone(zone).dt.date().cast(pl.String))
        .sort(pl.col("z").abs(), descending=True)
        .head(most)
        .sort("day", "metric")
        .collect()
    )
    show_table(
        "Critical days, against the days before them",
        ["day", "metric", "value", "baseline", "z", "driven by"],
        [
            (
                row["day"],
                row["metric"],
                row["value"],
                row["baseline"],
                row["z"],
                ", ".join(
                    f"{d['member']} {d['contribution']:.0%}" for d in (row["drivers"] or [])[:3]
                ),
            )
            for row in loud.iter_rows(named=True)
        ],
    )


def _show_insights(snapshot: Snapshot, most: int = 5) -> None:
    insights = snapshot.scan("insights").sort("rank").head(most).collect()
    console.print("[bold]Insights[/]")
    if snapshot.manifest.of("digest"):
        [digest] = snapshot.scan("digest").collect().get_column("text")
        console.print(f"{escape(digest)}\n")
    for severity, title, text in insights.select("severity", "title", "text").iter_rows():
        console.print(f"[dim]{severity}[/]: [bold]{escape(title)}[/]")
        console.print(Padding(escape(text), (0, 0, 0, 4)))
    console.print()
