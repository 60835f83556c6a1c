"""How actors are divided into segments."""

from __future__ import annotations

import polars as pl

from stupid_dagster.compute.plots.canvas import (
    INK,
    MAX_BARS,
    SEVERITY_COLOURS,
    floats,
    labelled_bars,
    new_figure,
    png,
    say,
    tidy,
)


def cluster_plot(clusters: pl.DataFrame, choice: pl.DataFrame) -> bytes:
    """Return two plots side by side: the silhouette of each k, and the segments' sizes.

    `clusters` and `choice` are the tables `clusters` and `cluster_choice`. At most 12 segments
    are drawn, the largest.
    """
    from matplotlib.ticker import MaxNLocator

    figure = new_figure()
    curve, bars = figure.subplots(1, 2)
    tidy(curve, "Silhouette by number of segments")
    known = choice.filter(pl.col("silhouette").is_not_null()).sort("k")
    if known.is_empty():
        say(curve, "too few actors to compare")
    else:
        curve.plot(known["k"].to_list(), floats(known["silhouette"]), color=INK, marker=".")
        taken = known.filter("chosen")
        red = SEVERITY_COLOURS["critical"]
        at = taken["k"].to_list(), floats(taken["silhouette"])
        curve.scatter(*at, color=red, s=48, zorder=3, label="chosen")
        curve.xaxis.set_major_locator(MaxNLocator(integer=True))
        curve.legend(fontsize=8, frameon=False)
    tidy(bars, "Actors by segment")
    largest = clusters.sort("size", "cluster_id", descending=[True, False]).head(MAX_BARS)
    labelled_bars(bars, largest["cluster_id"], largest["size"], nothing="no actors")
    return png(figure)
