"""Plots: PNG of the right size that shows what it should."""

from __future__ import annotations

import io

import numpy as np
import polars as pl
from matplotlib.image import imread

from stupid_dagster.compute.plots.clusters import cluster_plot
from stupid_dagster.compute.plots.trends import trend_plot
from stupid_dagster.tables import TABLES
from tests.compute.trend_tables import trend_rows

CRITICAL = (0xDC, 0x26, 0x26)


def pixels(png: bytes) -> np.ndarray:
    assert png.startswith(b"\x89PNG")
    image = (imread(io.BytesIO(png), format="png")[:, :, :3] * 255).round().astype(int)
    assert image.shape == (300, 700, 3)
    return image


def count(image: np.ndarray, colour: tuple[int, int, int]) -> int:
    return int((image == np.array(colour)).all(axis=2).sum())


def test_trends_show_severe_days() -> None:
    calm, severe = (pixels(trend_plot(trend_rows(s), "visits")) for s in ("." * 14, "." * 13 + "c"))
    assert count(calm, CRITICAL) == 0
    assert count(severe, CRITICAL) > 20


def test_the_week_around_the_loudest_hour_is_drawn() -> None:
    days = trend_rows("." * 13 + "c")
    hours = pl.concat(
        days.with_columns(pl.col("time").dt.offset_by(f"{n}h"), grain=pl.lit("hour"))
        for n in range(24)
    )
    severe = pixels(trend_plot(pl.concat([days, hours]), "visits", grain="hour"))
    assert count(severe, CRITICAL) > 200
    assert (severe != pixels(trend_plot(days, "visits"))).any()
    early = hours.filter(pl.col("severity") == "normal")
    assert count(pixels(trend_plot(early, "visits", grain="hour")), CRITICAL) == 0
    unjudged = hours.with_columns(z=pl.lit(None, pl.Float64), severity=pl.lit("normal"))
    assert count(pixels(trend_plot(unjudged, "visits", grain="hour")), CRITICAL) == 0
    assert count(pixels(trend_plot(days, "visits", grain="hour")), CRITICAL) == 0


def test_the_same_trends_give_the_same_bytes() -> None:
    rows = trend_rows("............cs")
    assert trend_plot(rows, "visits") == trend_plot(rows, "visits")


def test_trends_without_rows_or_values_or_baselines_are_drawn() -> None:
    nothing = TABLES["trends"].empty()
    unknown = trend_rows("....").with_columns(value=pl.lit(None, pl.Float64))
    early = trend_rows("....").with_columns(
        pl.lit(None, pl.Float64).alias(name) for name in ("baseline", "scale", "z")
    )
    for rows in (nothing, unknown, early):
        assert len(np.unique(pixels(trend_plot(rows, "visits")).reshape(-1, 3), axis=0)) > 1
    one_day = trend_rows("c")
    assert count(pixels(trend_plot(one_day, "visits")), CRITICAL) > 20


def choice(rows: list[tuple[int, float | None, float, bool]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=TABLES["cluster_choice"].schema, orient="row")


def test_clusters_show_the_chosen_number() -> None:
    clusters = pl.DataFrame(
        [(f"cluster:{n}", 100 - n, 0.1, [], []) for n in range(15)],
        schema=TABLES["clusters"].schema,
        orient="row",
    )
    fits = choice([(2, 0.3, 9.0, False), (3, 0.5, 5.0, True), (4, 0.4, 4.0, False)])
    assert count(pixels(cluster_plot(clusters, fits)), CRITICAL) > 20
    one = choice([(1, None, 9.0, True)])
    assert count(pixels(cluster_plot(clusters.head(1), one)), CRITICAL) == 0
    pixels(cluster_plot(clusters.clear(), one.clear()))
