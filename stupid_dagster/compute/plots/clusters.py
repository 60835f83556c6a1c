"""How actors are divided into segments."""

from __future__ import annotations

import polars as pl

from stupid_dagster.compute.plots.canvas import (
    INK,
    QUIET,
    SEVERITY_COLOURS,
    floats,
    new_figure,
    png,
    say,
    tidy,
)

MAX_BARS = 12


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
    if largest.is_empty():
        say(bars, "no actors")
    else:
        names, sizes = largest["cluster_id"].to_list(), largest["size"].to_list()
        drawn = bars.barh(names, sizes, color=QUIET)
        bars.bar_label(drawn, [f"{size:,}" for size in sizes], fontsize=8, padding=2)
        bars.invert_yaxis()
        bars.margins(x=0.15)
    return png(figure)
