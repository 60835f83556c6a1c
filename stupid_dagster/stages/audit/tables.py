"""Audit the tables of the lake that are Parquet, by what `tables/` says of their columns."""

from __future__ import annotations

import polars as pl

from stupid_dagster.compute.references import (
    Cited,
    Leaf,
    days_cited,
    documents_lost,
    fingerprint,
    ids_lost,
    ids_named,
    json_dates,
    json_entities,
    known_ids,
    leaves,
)
from stupid_dagster.stages.audit.scope import Scope
from stupid_dagster.stores.version import Version
from stupid_dagster.tables import TABLES, TIME

SUMMED = {
    "graph_nodes": ("entities", ["entity_id"], "events"),
    "graph_edges": ("edges", ["type", "source", "target"], "weight"),
}
"""Window tables that add up a day table: its name, the key, and what is added up."""


def audit_parquet(scope: Scope, table: str) -> tuple[Cited, Cited]:
    """Return the references to evicted days in a table's kept rows, and the orphans."""
    versions = [v for v in scope.kept(table) if any(f.endswith(".parquet") for f in v.files)]
    if not versions:
        return Cited(), Cited()
    frame = scope.project.lake.scan_versions(versions)
    found = leaves(table, frame.collect_schema())
    known = TABLES.get(table)
    if known and known.outlives:
        return ids_named(frame, found, scope.prefixes), Cited()
    references = days_cited(frame, found, scope.horizon) + _in_json(scope, frame, found)
    days = {version.partition for version in scope.kept("documents")}
    # What an old document is cited for is a reference already.
    orphans = documents_lost(frame, found, days) if not references.values else Cited()
    if known and known.grain == "day":
        return references, orphans + _texts_of_days(scope, table, versions, found)
    if table in SUMMED and references.values:
        # It was made of evicted days, so that its sums are theirs too.
        begins = pl.lit(scope.horizon.begins).cast(TIME)
        alone = frame.select((pl.col("last_seen") < begins).sum()).collect(engine="streaming")
        return references, Cited(alone.item(), f"{SUMMED[table][1][0]}, of evicted days alone")
    if table in SUMMED:
        for version in versions:
            wrong, lost = _added_up(scope, version)
            references, orphans = references + wrong, orphans + lost
        return references, orphans
    for leaf in found:
        if (ids := leaf.entities(scope.prefixes)) is not None:
            orphans += ids_lost(frame.select(ids), scope.entities, leaf.name)
        if leaf.refers == "text":
            orphans += ids_lost(frame.select(leaf.values), scope.texts, leaf.name)
        if leaf.refers == "json":
            ids = json_entities(_texts(frame, leaf), scope.prefixes)
            orphans += ids_lost(ids.to_frame().lazy(), scope.entities, leaf.name)
    return references, orphans


def _texts(frame: pl.LazyFrame, leaf: Leaf) -> list[str]:
    return frame.select(leaf.values.drop_nulls()).collect().to_series().to_list()


def _in_json(scope: Scope, frame: pl.LazyFrame, found: list[Leaf]) -> Cited:
    cited = Cited()
    for leaf in found:
        if leaf.refers == "json":
            named = list(json_dates(_texts(frame, leaf), scope.horizon))
            cited += Cited(len(named), f"{leaf.name}, in {named[0]}" if named else None)
    return cited


def _texts_of_days(scope: Scope, table: str, versions: list[Version], found: list[Leaf]) -> Cited:
    """Return how many rows there are of texts that their own day hasn't.

    Of tables that have a row for each text; what else cites a text leaves with its day.
    """
    if table == "texts" or found[0].refers != "text":
        return Cited()
    lake, keys = scope.project.lake, ["day", found[0].name]
    rows = lake.scan_versions(versions, with_day=True).select(keys)
    texts = scope.kept("texts")
    if not texts:
        return Cited(sum(version.rows for version in versions), f"{found[0].name}, of no kept day")
    own = lake.scan_versions(texts, with_day=True).select(keys)
    once = (keys, pl.lit(1), pl.lit(1))
    if fingerprint(rows, *once) == fingerprint(own, *once):
        return Cited()
    return ids_lost(rows.select(pl.struct(keys)), known_ids(own.select(pl.struct(keys))), keys[1])


def _added_up(scope: Scope, version: Version) -> tuple[Cited, Cited]:
    """Return the rows of a window's nodes or edges that aren't what its kept days add up to.

    References are of rows that kept days have too, but with other numbers; orphans of others.
    """
    day_table, keys, weight = SUMMED[version.table]
    lake = scope.project.lake
    days, certain = scope.days_of(version, day_table)
    own = lake.scan_versions([version])
    total, seen = pl.col(weight), pl.col("days")
    if days:
        parts = lake.scan_versions(days)
        is_sum = fingerprint(own, keys, total, seen) == fingerprint(parts, keys, total, pl.lit(1))
        # A row of no weight and no day weighs nothing in a sum.
        none = own.select(((total == 0) | (seen == 0)).sum()).collect(engine="streaming").item()
        if is_sum and not none:
            return Cited(), Cited()
    else:
        parts = TABLES[day_table].empty().lazy()
    summed = parts.group_by(keys).agg(
        pl.col(weight).cast(pl.UInt64).sum().alias("sum"), pl.len().alias("shown")
    )
    found = (
        own.select(*keys, total, seen)
        .join(summed, on=keys, how="left")
        .select(
            lost=pl.col("sum").is_null().sum(),
            other=((pl.col("sum") != total) | (pl.col("shown") != seen)).sum(),
        )
        .collect(engine="streaming")
    )
    lost, other = found.row(0)
    wrong = Cited(other, f"{weight}, which isn't the sum of the days'") if other else Cited()
    # What an older release made may be of other versions of its days.
    references = wrong if certain else Cited()
    return references, Cited(lost, f"{', '.join(keys)}, of no kept day") if lost else Cited()
