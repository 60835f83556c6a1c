"""What a day's events are about, and how much of what its actors do is like nothing else."""

from __future__ import annotations

import polars as pl

from stupid_dagster.compute.events.event_clusters import NOISE_ID
from stupid_dagster.compute.plots.canvas import (
    INK,
    MAX_BARS,
    QUIET,
    SEVERITY_COLOURS,
    floats,
    labelled_bars,
    new_figure,
    png,
    say,
    tidy,
)

BINS = 20


def event_cluster_plot(clusters: pl.DataFrame, actors: pl.DataFrame) -> bytes:
    """Return two plots side by side: events of the largest clusters, actors by noise ratio.

    `clusters` and `actors` are the tables `event_clusters` and `actor_noise`. At most 12
    clusters are drawn, noise (red) always. Actors are counted on a logarithmic scale.
    """
    figure = new_figure()
    bars, ratios = figure.subplots(1, 2)
    tidy(bars, "Events by event cluster")
    noise = pl.col("event_cluster_id") == NOISE_ID
    shown = pl.concat([clusters.filter(~noise).head(MAX_BARS), clusters.filter(noise)])
    names, red = shown["event_cluster_id"], SEVERITY_COLOURS["critical"]
    colours = [red if name == NOISE_ID else QUIET for name in names]
    labelled_bars(bars, names, shown["events"], colours=colours, nothing="no events")
    tidy(ratios, "Actors by their share of noise")
    if actors.is_empty():
        say(ratios, "no actors")
    else:
        ratios.hist(floats(actors["noise_ratio"]), bins=BINS, range=(0, 1), color=INK, log=True)
    return png(figure)
