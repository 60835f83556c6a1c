"""Knowledge tables of a snapshot, filtered, sorted and paged; segments with their words."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import polars as pl

from stupid_dagster.errors import InvalidQueryError, NotFoundError, hint
from stupid_dagster.query.filters import Filter, condition
from stupid_dagster.query.frames import collected, hex_ids, schema_of
from stupid_dagster.query.paging import Page, check_offset
from stupid_dagster.stores.snapshots import Snapshot
from stupid_dagster.tables import TABLES, WINDOW_TABLES

# Stores of their own kind: read by what they are made for.
_NO_TABLES = {"search_index", "graph_database", "catalog"}
KNOWLEDGE_TABLES = [name for name in WINDOW_TABLES if name not in _NO_TABLES]
"""The tables that `KnowledgeReader.page` reads."""

_LABELLED = {"clusters": "cluster_id", "communities": "community_id"}
_WORDS = ("label", "description", "distinguishing")
_OFTEN_READ = (
    *("clusters", "cluster_members", "communities", "community_members", "labels"),
    *("pagerank", "degrees", "graph_statistics", "trends", "insights"),
)
# Tables up to this size stay in memory: some 20 MB for the widest.
_KEPT_ROWS = 100_000


class KnowledgeReader:
    """Reads the window tables of one snapshot, which never change."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self._kept: dict[str, pl.DataFrame] = {}
        self._lock = threading.Lock()

    def warm(self) -> None:
        """Load the tables that requests ask for, as far as they are kept in memory."""
        for table in _OFTEN_READ:
            if self.snapshot.manifest.of(table):
                self.scan(table)

    def page(
        self,
        table: str,
        filters: Sequence[Filter] = (),
        sort: str | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> Page:
        """Return rows of a knowledge table, in its own order or by `column` or `-column`.

        Clusters and communities come with their label, description and what distinguishes
        them. Raises InvalidQueryError, and MissingVersionError for a table that wasn't published.
        """
        rows = self.scan(table)
        schema = schema_of(rows)
        if table == "history":  # It holds what later windows knew too.
            last_day = self.snapshot.manifest.last_day
            filters = [*filters, Filter(field="day", op="le", value=last_day)]
        wanted = condition(filters, schema)
        if wanted is not None:
            rows = rows.filter(wanted)
        if sort:
            column, descending = _order(sort, schema)
            rows = rows.sort(column, descending=descending, nulls_last=True, maintain_order=True)
        check_offset(offset)
        found = collected(rows.slice(offset, limit))
        if 0 < found.height < limit:
            total = offset + found.height
        elif wanted is None:
            total = self.snapshot.window(table).rows
        else:
            total = collected(rows.select(pl.len())).item()
        return Page(hex_ids(found), limit, offset + found.height < total, total)

    def scan(self, table: str) -> pl.LazyFrame:
        """Return a knowledge table's rows, with words where it has them; raises as `page`."""
        if table not in KNOWLEDGE_TABLES:
            raise InvalidQueryError(
                f"there is no knowledge table {table[:80]!r}{hint(table[:80], KNOWLEDGE_TABLES)}; "
                f"there are {', '.join(KNOWLEDGE_TABLES)}"
            )
        if self.snapshot.window(table).rows > _KEPT_ROWS:
            return self._stored(table)
        with self._lock:
            if table not in self._kept:
                self._kept[table] = collected(self._stored(table))
            return self._kept[table].lazy()

    def check_values(self, table: str, column: str, values: Sequence[str]) -> None:
        """Raise InvalidQueryError for a value that no row of the table has."""
        if not values:
            return
        known = collected(self.scan(table).select(pl.col(column).drop_nulls().unique().sort()))[
            column
        ]
        for value in values:
            if value not in known:
                raise InvalidQueryError(
                    f"{column} {value[:80]!r}: {table} has none of it{hint(value[:80], known)}; "
                    f"there are {', '.join(known)}"
                )

    def cluster(self, cluster_id: str, limit: int, offset: int = 0) -> tuple[dict[str, Any], Page]:
        """Return a segment of actors and its members, nearest to its centre first.

        Raises NotFoundError.
        """
        segment = self._one("clusters", cluster_id)
        mine = [Filter(field="cluster_id", op="eq", value=cluster_id)]
        return segment, self.page("cluster_members", mine, "distance", limit, offset)

    def community(
        self, community_id: str, limit: int, offset: int = 0
    ) -> tuple[dict[str, Any], Page]:
        """Return a community and its members with their PageRank, highest first.

        Raises NotFoundError.
        """
        community = self._one("communities", community_id)
        check_offset(offset)
        ranks = self.scan("pagerank").select("entity_id", "score", "rank")
        members = (
            self.scan("community_members")
            .filter(pl.col("community_id") == community_id)
            .join(ranks, on="entity_id", how="left")
            .sort("rank", "entity_id", nulls_last=True)
        )
        found = collected(members.slice(offset, limit))
        total = int(community["size"])
        return community, Page(found, limit, offset + found.height < total, total)

    def _one(self, table: str, key: str) -> dict[str, Any]:
        column = _LABELLED[table]
        found = collected(self.scan(table).filter(pl.col(column) == key))
        if found.is_empty():
            # Enough for a hint: comparing with all could take seconds.
            ids = collected(self.scan(table).select(column).head(200))[column].to_list()
            raise NotFoundError(
                f"{table} of the window ending on {self.snapshot.manifest.last_day} have no "
                f"{key[:80]!r}{hint(key[:80], ids)}; there are {self.snapshot.window(table).rows}"
            )
        return found.row(0, named=True)

    def _stored(self, table: str) -> pl.LazyFrame:
        rows = self.snapshot.scan(table)
        key = _LABELLED.get(table)
        if key is None:
            return rows
        labels = TABLES["labels"].empty().lazy()
        if self.snapshot.manifest.of("labels"):
            labels = self.snapshot.scan("labels")
        words = labels.select(pl.col("subject").alias(key), *_WORDS)
        return rows.join(words, on=key, how="left", maintain_order="left")


def _order(sort: str, schema: dict[str, pl.DataType]) -> tuple[str, bool]:
    column = sort.removeprefix("-")
    orderable = [name for name, dtype in schema.items() if not dtype.is_nested()]
    if column not in orderable:
        raise InvalidQueryError(
            f"sort: {column[:80]!r} is no column to sort by{hint(column[:80], orderable)}; there "
            f"are {', '.join(orderable)}, and a - before one turns the order round"
        )
    return column, sort.startswith("-")
