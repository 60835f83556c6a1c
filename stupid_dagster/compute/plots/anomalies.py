"""How unusual actors are."""

from __future__ import annotations

import numpy as np
import polars as pl

from stupid_dagster.compute.anomalies.scores import CRITICAL, NOTABLE, SIGNIFICANT
from stupid_dagster.compute.plots.canvas import (
    QUIET,
    SEVERITY_COLOURS,
    new_figure,
    png,
    say,
    tidy,
)

BARS = 40
"""Of a width of 0.025, so that each severity begins with one."""


def anomaly_plot(anomalies: pl.DataFrame) -> bytes:
    """Return the number of actors by score, coloured by severity; the counts' scale is logarithmic.

    `anomalies` is the table of that name. Without actors the plot says so.
    """
    figure = new_figure()
    axes = figure.add_subplot()
    tidy(axes, "Actors by score")
    if anomalies.is_empty():
        say(axes, "no actors")
        return png(figure)
    bounds = np.linspace(0.0, 1.0, BARS + 1)
    # Rounded, so that a score of just 0.3 isn't drawn below it.
    places = np.minimum((anomalies["score"].to_numpy() * BARS + 1e-9).astype(np.int64), BARS - 1)
    counts = np.bincount(places, minlength=BARS)
    levels = dict(zip(SEVERITY_COLOURS, (NOTABLE, SIGNIFICANT, CRITICAL), strict=True))
    colours = [QUIET] * BARS
    for severity, least in levels.items():
        first = round(least * BARS)
        colours[first:] = [SEVERITY_COLOURS[severity]] * (BARS - first)
    axes.bar(bounds[:-1], counts, width=1 / BARS, align="edge", color=colours)
    axes.set_yscale("symlog", linthresh=1)
    axes.set_xlim(0, 1)
    axes.set_ylim(bottom=0)
    for severity, least in levels.items():
        axes.axvline(least, color=SEVERITY_COLOURS[severity], linewidth=1, label=severity)
    axes.legend(loc="upper right", fontsize=8, frameon=False, ncols=3)
    return png(figure)
