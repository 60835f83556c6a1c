"""Tables of a snapshot that are held in memory, within bounds, and the orders they are asked in."""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence

import polars as pl

from stupid_dagster.query.filters import Filter
from stupid_dagster.query.frames import collected

MOST_TABLE_BYTES = 100_000_000
"""What a larger table holds is read from its file."""
MOST_BYTES = 300_000_000
"""All tables of a snapshot, with their orders; beyond, those asked longest ago are let go."""
_SAMPLED = 10_000
_LOOKED_UP = 10_000
"""Rows from which a table is searched by its orders and not from end to end."""
_MOST_ORDERS = 12
"""Orders of one table that are kept, each 4 bytes a row."""
KEYS = ("entity_id", "actor", "type", "cluster_id", "community_id")
"""Columns by one value of which large tables are asked."""
Order = tuple[tuple[str, bool], ...]


class ResidentTable:
    """A table in memory; orders of its rows are made when they are first asked for."""

    def __init__(self, rows: pl.DataFrame) -> None:
        self.rows = rows
        self._rows_bytes = int(rows.estimated_size())
        self._lock = threading.Lock()
        self._orders: dict[Order, pl.Series] = {}
        """The order that was asked last comes last."""
        self._values: dict[str, pl.Series] = {}

    @property
    def bytes(self) -> int:
        """Bytes in memory."""
        parts = [*self._orders.values(), *self._values.values()]
        return self._rows_bytes + sum(int(part.estimated_size()) for part in parts)

    def order(self, *columns: tuple[str, bool]) -> pl.Series:
        """Return the row numbers by columns, each with whether it's descending.

        Equal rows come as they stand, missing values last.
        """
        with self._lock:
            order = self._orders.pop(columns, None)
            if order is None:
                names, descending = zip(*columns, strict=True)
                place = pl.arg_sort_by(
                    *names, descending=list(descending), nulls_last=True, maintain_order=True
                )
                order = self.rows.select(place).to_series()
                for oldest in list(self._orders)[: len(self._orders) + 1 - _MOST_ORDERS]:
                    del self._orders[oldest]
            self._orders[columns] = order
            return order

    def values(self, column: str) -> pl.Series:
        """Return a column's different values, ascending."""
        with self._lock:
            if column not in self._values:
                self._values[column] = self.rows[column].drop_nulls().unique().sort()
            return self._values[column]

    def find(
        self,
        filters: Sequence[Filter],
        wanted: pl.Expr | None,
        sort: tuple[str, bool] | None,
        offset: int,
        limit: int,
        *,
        alone: bool,
    ) -> tuple[pl.DataFrame, int]:
        """Return the `wanted` rows, from `offset` on, and how many there are.

        They meet all filters, which were checked; `alone` says that there is but one condition.
        In the table's order, or by a column and whether it's descending.
        """
        rows = self.rows
        exact = next((f for f in filters if self._is_key(f)), None)
        if exact:
            places = self._places(exact)
            if len(places) < _LOOKED_UP:
                return _read(rows[places], wanted, sort, offset, limit)
            if alone:
                places = self._places(exact, sort) if sort else places
                return rows[places.slice(offset, limit)], len(places)
        if sort is None or rows.height < _LOOKED_UP:
            return _read(rows, wanted, sort, offset, limit)
        order = self.order(sort)
        if wanted is None:
            return rows[order.slice(offset, limit)], rows.height
        fitting = rows.select(wanted.fill_null(value=False)).to_series().gather(order).arg_true()
        return rows[order.gather(fitting.slice(offset, limit))], len(fitting)

    def _is_key(self, one: Filter) -> bool:
        return one.op == "eq" and one.field in KEYS and self.rows.height >= _LOOKED_UP

    def _places(self, exact: Filter, *order: tuple[str, bool]) -> pl.Series:
        """Return the numbers of the rows with a value, in their order or that of a column."""
        cells = self.rows[exact.field]
        places = self.order((exact.field, False), *order)
        known = range(len(cells) - cells.null_count())

        def cell(place: int) -> str:
            return cells[places[place]]

        first = bisect_left(known, exact.value, key=cell)
        end = bisect_right(known, exact.value, lo=first, key=cell)
        return places.slice(first, end - first)


def _read(
    rows: pl.DataFrame,
    wanted: pl.Expr | None,
    sort: tuple[str, bool] | None,
    offset: int,
    limit: int,
) -> tuple[pl.DataFrame, int]:
    found = rows if wanted is None else rows.filter(wanted)
    if sort:
        column, descending = sort
        found = found.sort(column, descending=descending, nulls_last=True, maintain_order=True)
    return found.slice(offset, limit), found.height


class ResidentTables:
    """The tables of one snapshot that are asked for, as far as they are small enough."""

    def __init__(self, read: Callable[[str], pl.LazyFrame]) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._tables: dict[str, ResidentTable] = {}
        """The table that was asked last comes last."""
        self._too_large: set[str] = set()

    def get(self, table: str, rows: int) -> ResidentTable | None:
        """Return a table of that many rows, None for one that is too large."""
        with self._lock:
            held = self._tables.pop(table, None)
            if held is None and table not in self._too_large:
                held = self._load(table, rows)
            if held is None:
                self._too_large.add(table)
                return None
            self._tables[table] = held
            spare = [name for name in self._tables if name != table]
            while spare and self._bytes() > MOST_BYTES:
                del self._tables[spare.pop(0)]
            return held

    def _load(self, table: str, rows: int) -> ResidentTable | None:
        scan = self._read(table)
        if rows > _SAMPLED:
            sample = collected(scan.head(_SAMPLED))
            # Twice: the first rows may be shorter than the others.
            if sample.estimated_size() / _SAMPLED * rows > 2 * MOST_TABLE_BYTES:
                return None
        held = ResidentTable(collected(scan).rechunk())
        return held if held.bytes <= MOST_TABLE_BYTES else None

    def _bytes(self) -> int:
        return sum(table.bytes for table in self._tables.values())
