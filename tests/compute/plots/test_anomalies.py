"""The plot of scores."""

from __future__ import annotations

import io

import numpy as np
import polars as pl
from matplotlib.image import imread

from stupid_dagster.compute.plots.anomalies import anomaly_plot
from stupid_dagster.tables import TABLES
from tests.compute.anomalies.test_scores import scored


def coloured(png: bytes, colour: tuple[int, int, int]) -> int:
    """Return the pixels of a colour in an image of the common size."""
    image = (imread(io.BytesIO(png), format="png")[:, :, :3] * 255).round().astype(int)
    assert image.shape == (300, 700, 3)
    return int((image == np.array(colour)).all(axis=2).sum())


def test_bars_have_the_colour_of_their_severity() -> None:
    calm = scored([(0.1, 0, 0, 0)] * 50)
    severe = scored([(0.1, 0, 0, 0)] * 50 + [(1, 1, 1, 1)] * 20)
    red, grey = (0xDC, 0x26, 0x26), (0x9C, 0xA3, 0xAF)
    assert coloured(anomaly_plot(severe), red) > coloured(anomaly_plot(calm), red) + 500
    assert coloured(anomaly_plot(calm), grey) > 500


def test_the_same_scores_give_the_same_bytes() -> None:
    table = scored([(0.4, 0.2, 0, 0), (0.3, 1, 1, 0)])
    assert anomaly_plot(table) == anomaly_plot(table)


def test_no_actors_are_drawn_as_that() -> None:
    empty = anomaly_plot(TABLES["anomalies"].empty())
    assert coloured(empty, (0x9C, 0xA3, 0xAF)) > 0
    assert empty != anomaly_plot(pl.concat([scored([(0, 0, 0, 0)])]))
