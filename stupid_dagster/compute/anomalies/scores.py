"""How unusual each actor of a day is, by four signals, and the numbers and documents behind it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from stupid_dagster.compute.anomalies.signals.evidence import Evidence
from stupid_dagster.tables import conform

WEIGHTS = {"statistical": 0.2, "noise": 0.3, "behaviour": 0.3, "graph": 0.2}
NOTABLE, SIGNIFICANT, CRITICAL = 0.3, 0.5, 0.7
"""Scores from which an actor is so."""
LEAST_PART = 0.1
"""A signal that makes a smaller part of the score isn't named."""
MAX_NUMBERS, MAX_DOCUMENTS = 5, 3
LEAST_RARITY = 1.0
"""What more than one in ten shows is no evidence."""


def score_actors(actors: pl.Series, evidence: Sequence[Evidence]) -> pl.DataFrame:
    """Return the table `anomalies` of the actors, highest score first, ties by actor.

    `evidence` is one of each signal. The score is the sum of the signals, weighted by
    WEIGHTS. `documents` and `shared` are empty: see `with_documents` and `causes`.
    """
    strengths = {found.signal: found.strength() for found in evidence}
    table = (
        pl.DataFrame({"actor": actors, **strengths})
        .with_row_index("row")
        .with_columns(score=sum((pl.col(s) * w for s, w in WEIGHTS.items()), start=pl.lit(0.0)))
    )
    score = pl.col("score")
    severity = (
        pl.when(score >= CRITICAL)
        .then(pl.lit("critical"))
        .when(score >= SIGNIFICANT)
        .then(pl.lit("significant"))
        .when(score >= NOTABLE)
        .then(pl.lit("notable"))
        .otherwise(pl.lit("normal"))
    )
    table = (
        table.sort("score", "actor", descending=[True, False])
        .with_columns(severity=severity, rank=pl.int_range(1, pl.len() + 1))
        .join(_signals(table), on="row", how="left", maintain_order="left")
        .join(_numbers(table, evidence), on="row", how="left", maintain_order="left")
        .with_columns(
            pl.col("signals", "features").fill_null([]),
            documents=pl.lit([], dtype=pl.List(pl.String)),
            shared=pl.lit([], dtype=pl.List(pl.String)),
        )
    )
    return conform("anomalies", table.drop("row"))


def _signals(table: pl.DataFrame) -> pl.DataFrame:
    """Return per row the signals that make its score, the largest part first."""
    return (
        table.select("row", "score", *(pl.col(s) * w for s, w in WEIGHTS.items()))
        .unpivot(index=["row", "score"], variable_name="signal", value_name="part")
        .filter(pl.col("part") > 0, pl.col("part") >= LEAST_PART * pl.col("score"))
        .sort("part", "signal", descending=[True, False])
        .group_by("row", maintain_order=True)
        .agg(signals="signal")
    )


def _numbers(table: pl.DataFrame, evidence: Sequence[Evidence]) -> pl.DataFrame:
    """Return per row of notable score the numbers behind it, the rarest first."""
    rows = table.filter(pl.col("score") >= NOTABLE)["row"]
    frames = [
        pl.DataFrame(
            {
                "row": np.repeat(rows.to_numpy(), len(found.names)),
                "signal": [found.signal] * (len(rows) * len(found.names)),
                "name": list(found.names) * len(rows),
                **{
                    key: getattr(found, key)[rows.to_numpy()].ravel()
                    for key in ("value", "usual", "z", "rarity")
                },
            }
        )
        for found in evidence
    ]
    struct = ["signal", "name", "value", "usual", "z"]
    return (
        pl.concat(frames, how="vertical_relaxed")
        .filter(pl.col("rarity") >= LEAST_RARITY)
        .with_columns(pl.col("row").cast(pl.UInt32), pl.col("value", "usual", "z").fill_nan(None))
        .sort("rarity", "signal", "name", descending=[True, False, False])
        .group_by("row", maintain_order=True)
        .agg(features=pl.struct(struct).head(MAX_NUMBERS))
    )


def with_documents(
    anomalies: pl.DataFrame, day: str, actor_texts: pl.LazyFrame, texts: pl.LazyFrame
) -> pl.DataFrame:
    """Return `anomalies` with the ids of at most 3 documents of each notable actor.

    `actor_texts` and `texts` are the day's tables; the document is the first of the actor's with
    that text, and the day's rarest texts come first.
    """
    notable = anomalies.filter(pl.col("score") >= NOTABLE).select("actor")
    identifier = pl.concat_str(pl.lit(f"{day}/"), "event_type", pl.lit("/"), "row")
    documents = (
        actor_texts.select("actor", "text_id", "row")
        .join(notable.lazy(), on="actor", how="semi")
        .join(texts.select("text_id", "event_type", all="count"), on="text_id")
        .sort("all", "text_id")
        .group_by("actor", maintain_order=True)
        .agg(documents=identifier.head(MAX_DOCUMENTS))
        .collect()
    )
    found = anomalies.drop("documents").join(
        documents, on="actor", how="left", maintain_order="left"
    )
    return conform("anomalies", found.with_columns(pl.col("documents").fill_null([])))
