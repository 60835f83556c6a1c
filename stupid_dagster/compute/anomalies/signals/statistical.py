"""The statistical signal: features and degrees far from the other actors'."""

from __future__ import annotations

import numpy as np
import polars as pl

from stupid_dagster.compute.anomalies.signals.evidence import Evidence, columns_of, compared
from stupid_dagster.compute.arrays import Floats


def statistical_evidence(
    actors: pl.Series, features: pl.DataFrame, degrees: pl.DataFrame
) -> Evidence:
    """Return how far the actors' features and degrees are from those of the other actors.

    `features` has actor and a number per feature, `degrees` has actor and the number of
    entities that it is linked to, per relation. The actors are compared with each other, not
    with all that the window knows: who comes on many days is on any day a large part of those
    there, and would be far from the many who came once. Numbers that are the same for all are
    left out.
    """
    named = [name for name in features.columns if name not in ("actor", "events")]
    counted = [name for name in degrees.columns if name != "actor"]
    values = np.column_stack(
        [columns_of(actors, features, named), np.nan_to_num(columns_of(actors, degrees, counted))]
    )
    names = [*named, *(f"{relation}:degree" for relation in counted)]
    items: dict[str, tuple[Floats, ...]] = {}
    for name, column in zip(names, values.T, strict=True):
        known = column[np.isfinite(column)]
        if known.size and known.min() < known.max():
            items[name] = (column, *compared(column))
    return Evidence.of("statistical", items, len(actors))
