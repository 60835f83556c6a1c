"""What a day's events are about, and how much of what its actors do is like nothing else."""

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
BINS = 20


def event_cluster_plot(clusters: pl.DataFrame, actors: pl.DataFrame) -> bytes:
    """Return two plots side by side: events of the largest clusters, actors by noise ratio.

    `clusters` and `actors` are the tables `event_clusters` and `actor_noise`. At most 12
    clusters are drawn, noise (red) always. Actors are counted on a logarithmic scale.
    """
    figure = new_figure()
    bars, ratios = figure.subplots(1, 2)
    tidy(bars, "Events by event cluster")
    noise = pl.col("event_cluster_id") == "noise"
    shown = pl.concat([clusters.filter(~noise).head(MAX_BARS), clusters.filter(noise)])
    if shown.is_empty():
        say(bars, "no events")
    else:
        names, events = shown["event_cluster_id"].to_list(), shown["events"].to_list()
        red = SEVERITY_COLOURS["critical"]
        colours = [red if name == "noise" else QUIET for name in names]
        drawn = bars.barh(names, events, color=colours)
        bars.bar_label(drawn, [f"{n:,}" for n in events], fontsize=8, padding=2)
        bars.invert_yaxis()
        bars.margins(x=0.2)
    tidy(ratios, "Actors by their share of noise")
    if actors.is_empty():
        say(ratios, "no actors")
    else:
        ratios.hist(floats(actors["noise_ratio"]), bins=BINS, range=(0, 1), color=INK, log=True)
    return png(figure)
