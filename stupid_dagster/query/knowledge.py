"""Knowledge tables of a snapshot, filtered, sorted and paged; segments with their words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from stupid_dagster.errors import InvalidQueryError, NotFoundError, hint
from stupid_dagster.query.filters import Filter, condition
from stupid_dagster.query.frames import collected, hex_ids, schema_of
from stupid_dagster.query.mistakes import Mistakes
from stupid_dagster.query.paging import Page, check_offset, sort_order
from stupid_dagster.query.resident import Order, ResidentTables
from stupid_dagster.stores.snapshots import Snapshot
from stupid_dagster.tables import TABLES, WINDOW_TABLES

# Stores of their own kind: read by what they are made for.
_NO_TABLES = {"search_index", "graph_database", "catalog"}
KNOWLEDGE_TABLES = [name for name in WINDOW_TABLES if name not in _NO_TABLES]
"""The tables that `KnowledgeReader.page` reads."""

_LABELLED = {
    **{"clusters": "cluster_id", "communities": "community_id"},
    **{"event_clusters": "event_cluster_id", "patterns": "pattern_id"},
}
_WORDS = ("label", "description", "distinguishing")
_OFTEN_READ = (
    *("clusters", "cluster_members", "communities", "community_members", "labels"),
    *("pagerank", "degrees", "graph_statistics", "trends", "insights"),
    *("anomalies", "patterns"),
)
_RANKED = "community_members by rank"
_ORDERS: dict[str, list[Order]] = {
    "pagerank": [
        *[(("entity_id", False),), (("type", False),)],
        *[(("rank", False),), (("type", False), ("rank", False))],
    ],
    "degrees": [
        *[(("entity_id", False),), (("type", False),)],
        *[(("degree", True),), (("type", False), ("degree", True))],
    ],
    "anomalies": [(("actor", False),)],
    "cluster_members": [(("cluster_id", False),), (("cluster_id", False), ("distance", False))],
}
"""The orders in which large tables are asked for most."""


def no_such_table(table: str) -> str:
    """Return what is wrong with the name of a table that isn't in KNOWLEDGE_TABLES."""
    wrong = f"there is no knowledge table {table[:80]!r}{hint(table[:80], KNOWLEDGE_TABLES)}"
    if table in TABLES and TABLES[table].grain != "window":
        told = "; `stupid-dagster evict` tells of the newest audit" if table == "audit" else ""
        wrong = (
            f"{table!r} isn't a knowledge table, for it isn't a window's: the asset of that name "
            f"in Dagster's UI shows it{told}"
        )
    return f"{wrong}; there are {', '.join(KNOWLEDGE_TABLES)}"


def _chosen(
    table: str, columns: Sequence[str] | None, schema: Mapping[str, pl.DataType]
) -> list[str]:
    chosen = [name.strip() for name in columns or schema]
    for name in chosen:
        if name not in schema:
            raise InvalidQueryError(
                f"{table} has no column {name[:80]!r}{hint(name[:80], schema)}; there are "
                f"{', '.join(schema)}"
            )
    return list(dict.fromkeys(chosen))


class KnowledgeReader:
    """Reads the window tables of one snapshot, which never change."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self._tables = ResidentTables(self._stored)

    def warm(self) -> None:
        """Load the tables that requests ask for, as far as they are kept in memory."""
        for table in _OFTEN_READ:
            if self.snapshot.manifest.of(table):
                held = self._tables.get(table, self.snapshot.window(table).rows)
                if held:
                    for order in _ORDERS.get(table, ()):
                        held.order(*order)
        if self.snapshot.manifest.of("community_members"):
            self._tables.get(_RANKED, self.snapshot.window("community_members").rows)

    def page(
        self,
        table: str,
        filters: Sequence[Filter] = (),
        sort: str | None = None,
        limit: int = 100,
        offset: int = 0,
        any_of: Sequence[Filter] = (),
        columns: Sequence[str] | None = None,
        mistakes: Mistakes | None = None,
    ) -> Page:
        """Return rows of a knowledge table, in its own order or by `column` or `-column`.

        They meet all `filters`, and at least one of `any_of` if there are; they have `columns`,
        or all. Groups and patterns come with their label, description and what distinguishes
        them. Raises InvalidQueryError with all that is wrong, `mistakes` that were found before
        included, and MissingVersionError for a table that wasn't published.
        """
        mistakes = mistakes or Mistakes()
        rows = self.scan(table)
        schema = schema_of(rows)
        chosen = mistakes.attempt("columns", lambda: _chosen(table, columns, schema), [])
        if table == "history":  # It holds what later windows knew too.
            last_day = self.snapshot.manifest.last_day
            filters = [*filters, Filter(field="day", op="le", value=last_day)]
        either = [condition([one], schema) for one in any_of]
        wanted = mistakes.attempt("filter", lambda: condition(filters, schema), None)
        order = mistakes.attempt("sort", lambda: sort_order(sort, schema) if sort else None, None)
        mistakes.attempt("offset", lambda: check_offset(offset), None)
        mistakes.raise_any()
        if either:
            wanted = pl.all_horizontal(
                pl.any_horizontal(either), *([] if wanted is None else [wanted])
            )
        held = self._tables.get(table, self.snapshot.window(table).rows)
        if held:
            found, total = held.find(
                filters, wanted, order, offset, limit, alone=len(filters) == 1 and not any_of
            )
            found = found.select(chosen)
        else:
            found, total = self._read_page(table, wanted, order, limit, offset, chosen)
        return Page(hex_ids(found), limit, offset + found.height < total, total)

    def scan(self, table: str) -> pl.LazyFrame:
        """Return a knowledge table's rows, with words where it has them; raises as `page`."""
        if table not in KNOWLEDGE_TABLES:
            raise InvalidQueryError(no_such_table(table))
        held = self._tables.get(table, self.snapshot.window(table).rows)
        return held.rows.lazy() if held else self._stored(table)

    def check_values(self, table: str, column: str, values: Sequence[str]) -> None:
        """Raise InvalidQueryError for a value that no row of the table has."""
        if not values:
            return
        held = self._tables.get(table, self.snapshot.window(table).rows)
        if held:
            known = held.values(column)
        else:
            all_values = self.scan(table).select(pl.col(column).drop_nulls().unique().sort())
            known = collected(all_values)[column]
        mistakes = Mistakes()
        for value in values:
            if value not in known:
                mistakes.add(
                    column,
                    f"{column} {value[:80]!r}: {table} has none of it{hint(value[:80], known)}; "
                    f"there are {', '.join(known)}",
                )
        mistakes.raise_any()

    def cluster(self, cluster_id: str, limit: int, offset: int = 0) -> tuple[dict[str, Any], Page]:
        """Return a segment of actors and its members, nearest to its centre first.

        Raises NotFoundError.
        """
        segment = self.one("clusters", cluster_id=cluster_id)
        mine = [Filter(field="cluster_id", op="eq", value=cluster_id)]
        return segment, self.page("cluster_members", mine, "distance", limit, offset)

    def community(
        self, community_id: str, limit: int, offset: int = 0
    ) -> tuple[dict[str, Any], Page]:
        """Return a community and its members with their PageRank, highest first.

        Raises NotFoundError.
        """
        community = self.one("communities", community_id=community_id)
        check_offset(offset)
        total = int(community["size"])
        found = collected(self._members(community_id).slice(offset, limit))
        return community, Page(found, limit, offset + found.height < total, total)

    def one(self, table: str, **key: str) -> dict[str, Any]:
        """Return the row of a table that has these values; raises NotFoundError."""
        filters = [Filter(field=column, op="eq", value=value) for column, value in key.items()]
        found = self.page(table, filters, limit=1).rows
        if found.is_empty():
            column, value = next(iter(key.items()))
            # Enough for a hint: comparing with all could take seconds.
            ids = collected(self.scan(table).select(column).head(200))[column].to_list()
            near = hint(value[:80], ids) or (f" (one is {ids[0]!r})" if ids else "")
            raise NotFoundError(
                f"{table} of the window ending on {self.snapshot.manifest.last_day} have no "
                f"{value[:80]!r}{near}; there are "
                f"{self.snapshot.window(table).rows}"
            )
        return found.row(0, named=True)

    def entities(self, table: str, filters: Sequence[Filter], most: int) -> pl.Series:
        """Return the different actors, or else entities, in the rows that meet all filters.

        Raises InvalidQueryError for more than `most`, or a table that has neither.
        """
        rows = self.scan(table)
        schema = schema_of(rows)
        column = next((name for name in ("actor", "entity_id") if name in schema), None)
        if column is None:
            raise InvalidQueryError(f"{table} has no column actor or entity_id, so names no actors")
        wanted = condition(filters, schema)
        rows = rows if wanted is None else rows.filter(wanted)
        found = collected(rows.select(pl.col(column).unique()))[column]
        if len(found) > most:
            raise InvalidQueryError(
                f"{len(found)} entities of {table} meet the filters, and at most {most} can be "
                "asked for: filter more"
            )
        return found

    def members(self, table: str, group_id: str) -> pl.Series:
        """Return all actors of a cluster or entities of a community; raises NotFoundError."""
        if table == "clusters":
            self.one(table, cluster_id=group_id)
            rows = self.scan("cluster_members").filter(pl.col("cluster_id") == group_id)
            return collected(rows.select("actor")).to_series()
        self.one(table, community_id=group_id)
        return collected(self._members(group_id).select("entity_id")).to_series()

    def _members(self, community_id: str) -> pl.LazyFrame:
        """Return a community's members with their PageRank, highest first."""
        held = self._tables.get(_RANKED, self.snapshot.window("community_members").rows)
        if held is None:
            return self._stored(_RANKED).filter(pl.col("community_id") == community_id)
        column = held.rows["community_id"]
        first, end = (column.search_sorted(community_id, side) for side in ("left", "right"))
        return held.rows[first:end].lazy()

    def _read_page(
        self,
        table: str,
        wanted: pl.Expr | None,
        order: tuple[str, bool] | None,
        limit: int,
        offset: int,
        columns: Sequence[str],
    ) -> tuple[pl.DataFrame, int]:
        rows = self._stored(table)
        if wanted is not None:
            rows = rows.filter(wanted)
        if order:
            column, descending = order
            rows = rows.sort(column, descending=descending, nulls_last=True, maintain_order=True)
        found = collected(rows.slice(offset, limit).select(columns))
        if 0 < found.height < limit:
            return found, offset + found.height
        if wanted is None:
            return found, self.snapshot.window(table).rows
        return found, collected(rows.select(pl.len())).item()

    def _stored(self, table: str) -> pl.LazyFrame:
        if table == _RANKED:
            ranks = self.snapshot.scan("pagerank").select("entity_id", "score", "rank")
            members = self.snapshot.scan("community_members")
            order = ("community_id", "rank", "entity_id")
            return members.join(ranks, on="entity_id", how="left").sort(order, nulls_last=True)
        rows = self.snapshot.scan(table)
        key = _LABELLED.get(table)
        if key is None:
            return rows
        labels = TABLES["labels"].empty().lazy()
        if self.snapshot.manifest.of("labels"):
            labels = self.snapshot.scan("labels")
        words = labels.select(pl.col("subject").alias(key), *_WORDS)
        return rows.join(words, on=key, how="left", maintain_order="left")
