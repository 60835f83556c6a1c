"""What the rows of a table refer to: days before a horizon, and ids that nothing has.

Driven by what `tables/` says of the columns. A column that isn't described there is judged by its
type, and by what its texts look like.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from stupid_dagster.tables import TABLES, Refers

_DAY = r"\d{4}-\d{2}-\d{2}"
_DAY_LIKE = rf"^{_DAY}(T|/|$)"
_JSON_DATED = rf'"\w+": "{_DAY}(?:T[0-9:.+Z-]*)?"'
_JSON_DOCUMENT = rf'"{_DAY}/[^"/]+/\d+"'
_NO_DATES = {"value"}
"""In JSON: keys of values that come from users' data, as those of columns of words do."""


@dataclass(frozen=True)
class Horizon:
    """The oldest day that is kept, in the timezone that days are of."""

    day: dt.date
    zone: ZoneInfo

    @property
    def begins(self) -> dt.datetime:
        """Its first moment, UTC."""
        return dt.datetime.combine(self.day, dt.time(), self.zone).astimezone(dt.UTC)


@dataclass(frozen=True)
class Leaf:
    """A column, or a part of a nested one, and what it refers to; `None`: what it looks like."""

    name: str
    dtype: Any
    values: pl.Expr
    refers: Refers | None

    def before(self, horizon: Horizon) -> pl.Expr | None:
        """Return those of the values that name a day before the horizon; None where none can."""
        if self.dtype == pl.Date:
            return self.values.filter(self.values < horizon.day)
        if isinstance(self.dtype, pl.Datetime):
            return self.values.filter(self.values < pl.lit(horizon.begins).cast(self.dtype))
        if self.dtype != pl.String or self.refers not in ("day", "document", None):
            return None
        # Days and documents both begin with the day: these texts sort as days do.
        earlier = self.values.filter(self.values < horizon.day.isoformat())
        return earlier if self.refers else earlier.filter(earlier.str.contains(_DAY_LIKE))

    def entities(self, prefixes: Collection[str]) -> pl.Expr | None:
        """Return the values that are an entity's id; None where there can be none."""
        if self.dtype != pl.String or self.refers not in ("entity", None):
            return None
        if self.refers == "entity":
            return self.values
        pattern = "^(" + "|".join(sorted(prefixes)) + "):"
        return self.values.filter(self.values.str.contains(pattern))


def leaves(table: str, schema: Mapping[str, Any]) -> list[Leaf]:
    """Return the columns of a table that are the engine's, nested ones in their parts.

    Of a table that `tables/` doesn't know all columns are.
    """
    known: dict[str, Refers | None] = {}
    if table in TABLES:
        known = {column.name: column.refers for column in TABLES[table].columns}
    return [
        leaf
        for name, dtype in schema.items()
        if name in known or table not in TABLES
        for leaf in _leaves(name, dtype, pl.col(name), known.get(name))
    ]


def _leaves(name: str, dtype: Any, values: pl.Expr, refers: Refers | None) -> Iterator[Leaf]:
    if isinstance(dtype, pl.List | pl.Array):
        yield from _leaves(name, dtype.inner, values.explode(), refers)
    elif isinstance(dtype, pl.Struct):
        for part in dtype.fields:
            inner = values.struct.field(part.name)
            yield from _leaves(f"{name}.{part.name}", part.dtype, inner, refers)
    else:
        yield Leaf(name, dtype, values, refers)


@dataclass(frozen=True)
class Cited:
    """How many values refer to what is gone, and the first column that does (maybe what)."""

    values: int = 0
    example: str | None = None

    def __add__(self, other: Cited) -> Cited:
        return Cited(self.values + other.values, self.example or other.example)


def days_cited(frame: pl.LazyFrame, found: Iterable[Leaf], horizon: Horizon) -> Cited:
    """Return how many values of the leaves name a day before the horizon."""
    dated = [(leaf, before) for leaf in found if (before := leaf.before(horizon)) is not None]
    if not dated:
        return Cited()
    counts = [before.len().alias(f"n{place}") for place, (_, before) in enumerate(dated)]
    row = frame.select(counts).collect(engine="streaming").row(0)
    cited = Cited()
    for (leaf, before), count in zip(dated, row, strict=True):
        if count:
            oldest = frame.select(before.min()).collect(engine="streaming").item()
            if isinstance(oldest, dt.datetime):
                oldest = oldest.astimezone(horizon.zone).date()
            cited += Cited(count, f"{leaf.name}, from {str(oldest)[:10]} on")
    return cited


def ids_named(frame: pl.LazyFrame, found: Iterable[Leaf], prefixes: Collection[str]) -> Cited:
    """Return how many values look like the id of an entity or a document, or like a day."""
    cited = Cited()
    for leaf in found:
        if leaf.dtype == pl.String:
            wanted = _DAY_LIKE + "|^(" + "|".join(sorted(prefixes)) + "):"
            count = frame.select(leaf.values.str.contains(wanted).sum()).collect().item()
            cited += Cited(count, f"{leaf.name}, which must name none" if count else None)
    return cited


def documents_lost(frame: pl.LazyFrame, found: Iterable[Leaf], days: Collection[str]) -> Cited:
    """Return how many documents are cited whose day isn't one of `days`."""
    cited = Cited()
    for leaf in found:
        if leaf.refers == "document":
            there = leaf.values.str.head(10).is_in(list(days))
            lost = frame.select((~there).sum()).collect(engine="streaming").item()
            cited += Cited(lost, f"{leaf.name}, of a day that has none" if lost else None)
    return cited


def ids_lost(ids: pl.LazyFrame, known: pl.DataFrame, name: str) -> Cited:
    """Return how many of `ids` (one column) aren't among the hashes that `known_ids` returned."""
    (column,) = ids.collect_schema()
    lost = (
        ids.drop_nulls()
        .select(pl.col(column).hash().alias("id"))
        .join(known.lazy(), on="id", how="anti")
        .select(pl.len())
        .collect(engine="streaming")
        .item()
    )
    return Cited(lost, f"{name}, of no kept day") if lost else Cited()


def known_ids(ids: pl.LazyFrame) -> pl.DataFrame:
    """Return the distinct hashes of ids (one column): an eighth of the room that they take.

    That two of a million are the same has a chance of 3 in 100 million.
    """
    (column,) = ids.collect_schema()
    hashes = ids.drop_nulls().select(pl.col(column).hash().alias("id")).unique()
    return hashes.collect(engine="streaming")


def json_dates(texts: Iterable[str | None], horizon: Horizon) -> Iterator[str]:
    """Yield what JSON names of days before the horizon: dated keys, and documents.

    Left out are values of users' data, which may be any date.
    """
    words = _NO_DATES.union(
        {
            c.name
            for table in TABLES.values()
            for c in table.columns
            if c.refers in ("words", "said")
        }
    )
    day = horizon.day.isoformat()
    series = pl.Series("json", list(texts), dtype=pl.String)
    for found in series.str.extract_all(_JSON_DATED).explode().drop_nulls():
        key, _, value = found.partition(": ")
        if key.strip('"') not in words and value.strip('"') < day:
            yield key.strip('"')
    for found in series.str.extract_all(_JSON_DOCUMENT).explode().drop_nulls():
        if found.strip('"') < day:
            yield "a document"


def json_entities(texts: Iterable[str | None], prefixes: Collection[str]) -> pl.Series:
    """Return the entity ids that JSON names, distinct."""
    pattern = '"((?:' + "|".join(sorted(prefixes)) + '):(?:[^"\\\\]|\\\\.)*)"'
    series = pl.Series("json", list(texts), dtype=pl.String)
    found = series.str.extract_all(pattern).explode().drop_nulls()
    decoded = found.str.json_decode(pl.String) if len(found) else found.cast(pl.String)
    return decoded.unique().alias("id")


def fingerprint(
    frame: pl.LazyFrame, keys: Iterable[str], weight: pl.Expr, days: pl.Expr
) -> tuple[int, int]:
    """Return two sums modulo 2^64 over rows, hash(keys) times `weight`, and times `days`.

    They add up over parts: those of a window's edges equal the sum of those of its days exactly
    if each edge has the days' weights and days added up (else by a chance of 1 in 2^64). A
    linear sketch, as the random fingerprints of Freivalds (1977) are.
    """
    mixed = pl.lit(0, pl.UInt64)
    for seed, key in enumerate(keys, start=1):
        mixed = mixed * 31 + pl.col(key).hash(seed)
    factor = mixed.hash(97)
    sums = frame.select(
        (factor * weight.cast(pl.UInt64)).sum().alias("weight"),
        (factor * days.cast(pl.UInt64)).sum().alias("days"),
    )
    return sums.collect(engine="streaming").row(0)
