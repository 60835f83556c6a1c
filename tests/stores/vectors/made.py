"""Small texts and vectors."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl

FIRST = date(2013, 1, 11)


def unit(matrix: np.ndarray) -> np.ndarray:
    return (matrix / np.linalg.norm(matrix, axis=-1, keepdims=True)).astype(np.float32)


def texts_of(texts: list[str], event_type: str = "Departure") -> pl.DataFrame:
    return pl.DataFrame(
        {
            "text_id": pl.Series(range(len(texts)), dtype=pl.UInt64),
            "event_type": pl.Series([event_type] * len(texts), dtype=pl.String),
            "text": pl.Series(texts, dtype=pl.String),
            "count": pl.Series([1] * len(texts), dtype=pl.UInt32),
            "days": pl.Series([[FIRST]] * len(texts), dtype=pl.List(pl.Date)),
            "example": pl.Series([f"2013-01-11/Departure/{i}" for i in range(len(texts))]),
        },
        schema_overrides={"example": pl.String},
    )


def axis(rows: int, dimension: int = 8) -> np.ndarray:
    return np.eye(dimension, dtype=np.float32)[np.arange(rows) % dimension]
