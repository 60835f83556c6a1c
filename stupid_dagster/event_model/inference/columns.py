"""The columns of a sample: how often filled, how many values, and of what kind.

Everything is taken from the distinct values of a column and their counts, which are few
compared with its cells.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import polars as pl

from stupid_dagster.event_model.inference import names
from stupid_dagster.event_model.inference.times import TimeFit, fit_times
from stupid_dagster.event_model.values import FALSE, TRUE

Kind = Literal[
    "empty", "boolean", "integer", "float", "time", "clock", "json", "url", "ip", "prose", "word"
]
_LOOKED_AT = 2000
"""Distinct values, the commonest first, that a column's kind is read from."""
_FITS = 0.995
"""Share of values that must be of a type; the rest is taken for dirt."""
_DECIMALS_FIT = 0.9
_WORD_PAIRS = [{yes, no} for yes, no in zip(TRUE, FALSE, strict=True) if yes.isalpha()]
_TRUTHS = {*TRUE, *FALSE}
_IP = r"^(\d{1,3}(\.\d{1,3}){3}|[0-9a-fA-F]{0,4}(:[0-9a-fA-F]{0,4}){3,7})$"
_URL = r"^([a-zA-Z][a-zA-Z0-9+.-]*://|/[^/ ]*/)"
_OPAQUE = r"^([0-9a-fA-F]{8}-[0-9a-fA-F-]{27}|[0-9a-fA-F]{16,}|\d+|[A-Za-z0-9_-]{20,})$"


def count_values(values: pl.Series) -> pl.DataFrame:
    """Return (value, count) of a column's non-null values without surrounding white space."""
    counted = (
        values.alias("value").drop_nulls().to_frame().group_by("value").agg(pl.len().alias("count"))
    )
    clean = counted["value"].str.strip_chars()
    if not (clean != counted["value"]).any():
        return counted
    return _summed(counted.with_columns(clean))


def _summed(counts: pl.DataFrame) -> pl.DataFrame:
    return counts.drop_nulls("value").group_by("value").agg(pl.col("count").sum())


@dataclass
class Column:
    """A column of the sample, all its spellings together, over all event types that have it."""

    name: str
    spellings: list[str]
    rows: Mapping[str, int] = field(repr=False)
    """Event type to its sampled rows, for the event types that have the column."""
    counts: Mapping[str, pl.DataFrame] = field(repr=False)
    """Event type to (value, count), in no order."""

    @cached_property
    def values(self) -> pl.DataFrame:
        """(value, count) over all event types, in no order."""
        tables = [table for table in self.counts.values() if table.height]
        if not tables:
            return pl.DataFrame(schema={"value": pl.String, "count": pl.UInt32})
        return tables[0] if len(tables) == 1 else _summed(pl.concat(tables))

    @property
    def distinct(self) -> int:
        """Number of different values."""
        return self.values.height

    @cached_property
    def filled(self) -> int:
        """Number of cells that have a value."""
        return int(self.values["count"].sum())

    @property
    def repeats(self) -> float:
        """Mean number of events a value."""
        return self.filled / max(self.distinct, 1)

    @cached_property
    def _filled_shares(self) -> dict[str, float]:
        return {e: int(table["count"].sum()) / self.rows[e] for e, table in self.counts.items()}

    def filled_share(self, event_type: str) -> float:
        """Return the share of an event type's rows that have a value (0 to 1)."""
        return self._filled_shares.get(event_type, 0.0)

    @property
    def most_filled(self) -> float:
        """The share of rows that have a value (0 to 1) where it is highest."""
        return max(self._filled_shares.values(), default=0.0)

    def distinct_in(self, event_type: str) -> int:
        """Return the number of different values in an event type."""
        table = self.counts.get(event_type)
        return 0 if table is None else table.height

    @cached_property
    def event_types(self) -> list[str]:
        """The event types in which the column has any value."""
        return [event_type for event_type, table in self.counts.items() if table.height]

    @cached_property
    def times(self) -> TimeFit | None:
        """How the column can be read as times, if it can."""
        return fit_times(self.name, self.looked_at["value"])

    @cached_property
    def looked_at(self) -> pl.DataFrame:
        """The commonest of `values`, which the kind is read from."""
        order = ["count", "value"]
        most = self.values.top_k(_LOOKED_AT, by=order, reverse=[False, True])
        return most.sort(order, descending=[True, False])

    def share(self, condition: pl.Expr) -> float:
        """Return the share of cells whose `value` meets a condition (of those looked at)."""
        table = self.looked_at
        met = int(table.filter(condition)["count"].sum())
        return met / max(int(table["count"].sum()), 1)

    @cached_property
    def kind(self) -> Kind:
        """What the values are; digits that name something are words."""
        if not self.distinct:
            return "empty"
        if self._is_boolean():
            return "boolean"
        if self.times:
            return "time"
        if number := self._number():
            return number
        value = pl.col("value")
        if self.share(value.str.contains(r"^\s*[\[{].*[\]}]\s*$")) > 0.5:
            return "json"
        if self.share(value.str.contains(_URL)) > 0.5:
            return "url"
        if self.share(value.str.contains(_IP)) > 0.9:
            return "ip"
        blanks = value.str.count_matches(" ")
        if self.share((blanks >= 4) | (value.str.len_chars() > 60)) > 0.3:
            return "prose"
        return "word"

    @cached_property
    def opaque(self) -> bool:
        """Whether the values mean nothing to a reader: digits, hexadecimal, long random codes."""
        return self.kind == "word" and self.share(pl.col("value").str.contains(_OPAQUE)) > 0.5

    @cached_property
    def common(self) -> int:
        """Number of values that at least 1 cell in 200 has: how many there are without the dirt."""
        return int((self.values["count"] * 200 >= self.filled).sum())

    @cached_property
    def entropy(self) -> float:
        """Entropy of the values looked at, in bits."""
        shares = self.looked_at["count"] / max(int(self.looked_at["count"].sum()), 1)
        return float(-(shares * shares.log(2)).sum()) if len(shares) else 0.0

    @cached_property
    def per_event(self) -> bool:
        """Whether (nearly) every event has a value of its own."""
        enough = self.filled >= 20 or (self.filled >= 5 and names.has(self.name, names.PASSING))
        return enough and self.repeats < 1.06

    def _is_boolean(self) -> bool:
        if self.distinct > len(_TRUTHS) * 3:
            return False
        found = set(self.values["value"].str.to_lowercase().to_list())
        if not found <= _TRUTHS:
            return False
        if found <= {"0", "1"}:
            return names.has(self.name, names.BOOLEAN)
        # A lone `n` or `t` may be any code.
        return bool(found & {"true", "false"}) or any(pair <= found for pair in _WORD_PAIRS)

    def _number(self) -> Literal["integer", "float", "clock"] | None:
        value = pl.col("value")
        number = value.cast(pl.Float64, strict=False)
        # Numbers with decimals are amounts and measures, whatever else a few cells hold.
        decimal = self.share(value.str.contains(r"^[+-]?\d*\.\d+$")) > 0.5
        least = _DECIMALS_FIT if decimal else _FITS
        if self.share(number.is_finite().fill_null(value=False)) < least:
            return None
        coded = names.is_key(self.name) or names.is_person(self.name)
        whole = self.share(value.str.contains(r"^[+-]?\d+$")) >= _FITS
        if whole and (coded or names.has(self.name, names.CODED)):
            return None
        if self.looked_at["value"].str.contains(r"^[+-]?0\d").any():
            return None
        if whole and self.share(value.str.len_bytes() > 18) > 0:
            return None
        if whole and self._is_clock():
            return "clock"
        return "integer" if whole else "float"

    def _is_clock(self) -> bool:
        """Tell hours and minutes written as a number: 1459, then 1500."""
        if self.distinct < 60:
            return False
        number = self.looked_at["value"].cast(pl.Int64, strict=False).drop_nulls()
        return bool((number.is_between(0, 2400) & (number % 100 < 60)).all())

    def describe(self) -> str:
        """Return the column's evidence in words: `412 distinct in 20,000 rows`."""
        rows = sum(self.rows.values())
        empty = 1 - self.filled / max(rows, 1)
        words = f", {empty:.0%} empty" if empty >= 0.01 else ""
        return f"{self.distinct:,} distinct in {rows:,} rows{words}"

    @cached_property
    def folds_to(self) -> Literal["none", "lower", "upper"]:
        """The case that values should be brought to, where many differ in case only."""
        value = self.looked_at["value"]
        if self.kind != "word" or value.str.to_lowercase().n_unique() > 0.9 * len(value):
            return "none"
        commonest = str(value[0])
        return "upper" if commonest == commonest.upper() else "lower"

    @cached_property
    def cardinality(self) -> float:
        """log(distinct) / log(filled): 0 for a constant, 1 for a value of its own each."""
        return math.log(max(self.distinct, 1)) / math.log(max(self.filled, 2))
