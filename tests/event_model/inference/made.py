"""A made-up shop's events, as strings."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

import polars as pl

ROWS = 2000
Columns = dict[str, list[str | None]]


def strings(columns: Mapping[str, Sequence[str | None]]) -> pl.DataFrame:
    return pl.DataFrame({name: pl.Series(v, dtype=pl.String) for name, v in columns.items()})


def orders(seed: int = 1, rows: int = ROWS) -> Columns:
    """Return events of a shop: customers with a city each, products with a brand each."""
    chance = random.Random(seed)
    customers = [chance.randrange(60) for _ in range(rows)]
    products = [chance.randrange(80) for _ in range(rows)]
    return {
        "time": [f"2025-03-01T{n % 24:02}:{n % 60:02}:00Z" for n in range(rows)],
        "customerId": [f"c{n:04}" for n in customers],
        "city": [("Oslo", "Rome", "Bonn", "Lima")[n % 4] for n in customers],
        "product": [f"p-{n}" for n in products],
        "brand": [f"brand {n % 7}" for n in products],
        "amount": [f"{chance.random() * 100:.2f}" for _ in range(rows)],
        "requestId": [f"{chance.getrandbits(64):016x}" for _ in range(rows)],
        "isTest": [("false", "true")[n == 7] for n in customers],
        "shop": ["main"] * rows,
        "comment": [None] * rows,
    }
