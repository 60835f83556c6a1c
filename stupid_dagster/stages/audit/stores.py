"""Audit what isn't Parquet: partitions on the disk, snapshots, LanceDB, Kuzu, the catalog."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta

import polars as pl

from stupid_dagster.compute.references import Cited, fingerprint, json_dates
from stupid_dagster.stages.audit.scope import Scope
from stupid_dagster.stores.graph.contents import GraphContents
from stupid_dagster.stores.sessions import FOLDER as SESSIONS
from stupid_dagster.stores.sessions import KeptSession, read_session
from stupid_dagster.stores.vectors import read_texts
from stupid_dagster.stores.version import Version
from stupid_dagster.tables import TABLES

SLACK = timedelta(minutes=5)
"""How long after its grace a version may lie on the disk until a collection comes by."""


def audit_partitions(scope: Scope, table: str) -> Cited:
    """Return the versions of a table that ought to be gone: live, named, or left on the disk."""
    lake = scope.project.lake
    cited = Cited()
    for version in scope.versions.get(table, ()):
        if scope.is_gone(table, version.partition):
            cited += Cited(1, f"partition {version.partition}, which is still there")
    due = {left.held.address: left.due for left in scope.left.versions}
    named = {
        version.address
        for manifest in scope.manifests.values()
        for version in manifest.of(table).values()
    }
    named |= {version.address for version in scope.versions.get(table, ())}
    for held in lake.inventory.partitions(table):
        if not scope.is_gone(table, held.partition):
            continue
        left = [version.address for version in held.versions if version.address not in named]
        waiting = [one for one in left if one in due and due[one] > scope.left.now - SLACK]
        if count := len(left) - len(waiting) + len(held.others):
            cited += Cited(count, f"partition {held.partition}, left on the disk")
    return cited


def audit_snapshots(scope: Scope) -> tuple[int, Cited]:
    """Return the number of kept manifests, and the days and partitions that they still name."""
    cited = Cited()
    for name, manifest in scope.manifests.items():
        days = [day for day in manifest.days if day < scope.horizon.day.isoformat()]
        gone = [
            f"{table} {partition}"
            for table, partitions in manifest.versions.items()
            for partition in partitions
            if scope.is_gone(table, partition)
        ]
        if days or gone:
            cited += Cited(len(days) + len(gone), f"{name}: {[*days, *gone][0]}")
    return len(scope.manifests), cited


def audit_sessions(scope: Scope) -> tuple[int, Cited]:
    """Return how many turns a bucket's sessions keep, and those of snapshots that are gone."""
    lake, sessions = scope.project.lake, list[KeptSession]()
    there = {*lake.ledger.ids()}
    for entry in lake.files.below(SESSIONS):
        with suppress(FileNotFoundError):
            sessions.append(read_session(lake.files, entry.key)[0])
    # Those that were published meanwhile, too.
    there.update(lake.ledger.ids())
    named = [turn["snapshot"] for session in sessions for turn in session.turns]
    gone = [name for name in named if name not in there]
    return len(named), Cited(len(gone), f"a turn of {gone[0]}, which is gone" if gone else None)


def audit_search_index(scope: Scope) -> tuple[Cited, Cited]:
    """Return what the search indices hold of evicted days, and texts that no kept day has."""
    references, orphans = Cited(), Cited()
    horizon = scope.horizon.day
    for version in scope.kept("search_index"):
        with scope.project.lake.lent(version) as directory:
            texts = read_texts(directory, "text_id", "count", "days", "example").lazy()
            named = (directory / "search_index.json").read_text(encoding="utf-8")
        old = texts.select(
            days=pl.col("days").explode().filter(pl.col("days").explode() < horizon).len(),
            documents=(pl.col("example") < horizon.isoformat()).sum(),
            alone=(pl.col("days").list.max() < horizon).sum(),
        )
        days, documents, alone = old.collect().row(0)
        listed = sum(day < horizon.isoformat() for day in json.loads(named)["days"])
        if total := days + documents + listed:
            references += Cited(total, "days of texts and their examples")
            orphans += Cited(alone, "texts of evicted days alone" if alone else None)
            continue
        parts, _ = scope.days_of(version, "texts")
        rows = scope.scan(parts, TABLES["texts"].empty().lazy())
        count, seen = pl.col("count"), pl.col("days").list.len()
        expected = fingerprint(rows, ["text_id"], count, pl.lit(1))
        if fingerprint(texts, ["text_id"], count, seen) == expected:
            continue
        summed = rows.group_by("text_id").agg(
            pl.col("count").cast(pl.UInt64).sum().alias("sum"), pl.len().alias("shown")
        )
        lost, other = (
            texts.join(summed, on="text_id", how="left")
            .select(
                lost=pl.col("sum").is_null().sum(),
                other=((pl.col("sum") != count) | (pl.col("shown") != seen)).sum(),
            )
            .collect()
            .row(0)
        )
        orphans += Cited(lost, "text_id, of no kept day" if lost else None)
        references += Cited(other, "count, which isn't the sum of the days'" if other else None)
    return references, orphans


def audit_graph_database(scope: Scope) -> tuple[Cited, Cited]:
    """Return what the graph databases hold that their window's nodes and edges don't."""
    references, orphans = Cited(), Cited()
    for version in scope.kept("graph_database"):
        lent = scope.project.lake.lent(version)
        with lent as directory, GraphContents(directory) as graph:
            for wrong, lost in (_nodes(scope, version, graph), *_edges(scope, version, graph)):
                references, orphans = references + wrong, orphans + lost
    return references, orphans


def _nodes(scope: Scope, version: Version, graph: GraphContents) -> tuple[Cited, Cited]:
    begins = scope.horizon.begins
    nodes = graph.nodes()
    seen, alone = nodes.select(
        (pl.col("first_seen") < begins).sum(), alone=(pl.col("last_seen") < begins).sum()
    ).row(0)
    if seen:
        return Cited(seen, "nodes seen on evicted days"), Cited(
            alone, "nodes of evicted days alone" if alone else None
        )
    own = _rows(scope, version, "graph_nodes", ["entity_id", "events", "days"])
    keys, (total, days) = ["entity_id"], (pl.col("events"), pl.col("days"))
    if fingerprint(nodes.lazy(), keys, total, days) == fingerprint(own, keys, total, days):
        return Cited(), Cited()
    return _differences(nodes.lazy(), own, keys, "events", "nodes")


def _edges(scope: Scope, version: Version, graph: GraphContents) -> Iterator[tuple[Cited, Cited]]:
    edges = _rows(scope, version, "graph_edges", ["type", "source", "target", "weight", "days"])
    totals = edges.group_by("type").agg(
        pl.len(), pl.col("weight").cast(pl.UInt64).sum(), pl.col("days").cast(pl.UInt64).sum()
    )
    expected = {row[0]: row[1:] for row in totals.collect(engine="streaming").iter_rows()}
    for edge_type, found in graph.edge_totals().items():
        if found.first_seen and found.first_seen < scope.horizon.begins:
            seen, alone = graph.edges_before(edge_type, scope.horizon.begins)
            yield (
                Cited(seen, f"{edge_type} edges seen on evicted days"),
                Cited(alone, f"{edge_type} edges of evicted days alone" if alone else None),
            )
        elif (found.rows, found.weight, found.days) != expected.get(edge_type):
            own = edges.filter(pl.col("type") == edge_type).drop("type")
            rows = graph.edges(edge_type).lazy()
            yield _differences(rows, own, ["source", "target"], "weight", f"{edge_type} edges")


def _rows(scope: Scope, version: Version, table: str, columns: list[str]) -> pl.LazyFrame:
    beside = scope.beside(version, table)
    empty = TABLES[table].empty().lazy()
    return scope.scan([beside] if beside else [], empty).select(columns)


def _differences(
    rows: pl.LazyFrame, own: pl.LazyFrame, keys: list[str], weight: str, what: str
) -> tuple[Cited, Cited]:
    lost, other = (
        rows.join(own, on=keys, how="left", suffix="_own")
        .select(
            lost=pl.col(f"{weight}_own").is_null().sum(),
            other=(
                (pl.col(f"{weight}_own") != pl.col(weight)) | (pl.col("days_own") != pl.col("days"))
            ).sum(),
        )
        .collect(engine="streaming")
        .row(0)
    )
    table = {"events": "graph_nodes", "weight": "graph_edges"}[weight]
    return (
        Cited(other, f"{what} with other numbers than {table}" if other else None),
        Cited(lost, f"{what} that {table} hasn't" if lost else None),
    )


def audit_catalog(scope: Scope) -> Cited:
    """Return the days before the horizon that catalogs name."""
    cited = Cited()
    horizon = scope.horizon.day.isoformat()
    for version in scope.kept("catalog"):
        with scope.project.lake.lent(version) as directory:
            text = (directory / "catalog.json").read_text(encoding="utf-8")
        old = [day for day in json.loads(text)["days"] if day < horizon]
        old += json_dates([text], scope.horizon)
        cited += Cited(len(old), f"catalog.json, {old[0]}" if old else None)
    return cited
