"""How a graph's nodes are ranked and linked, and how it is divided into communities."""

from __future__ import annotations

import numpy as np
import polars as pl

from stupid_dagster.compute import words
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

MAX_LINES = 8
POINTS = 60
"""Drawn of each line: the ranks or degrees are spaced evenly on the logarithmic axis."""


def rank_plot(pagerank: pl.DataFrame) -> bytes:
    """Return each entity type's scores by rank, on logarithmic axes.

    `pagerank` is the table of that name. At most 8 types are drawn, those of most entities.
    """
    figure = new_figure()
    axes = figure.add_subplot()
    tidy(axes, "PageRank by rank within the type")
    types = (
        pagerank.group_by("type").len("entities").sort("entities", "type", descending=[True, False])
    )
    if types.is_empty():
        say(axes, "no entities")
        return png(figure)
    drawn = pagerank.filter(pl.col("type_rank").is_in(_spaced(pagerank["type_rank"])))
    for name, entities in types.head(MAX_LINES).iter_rows():
        line = drawn.filter(pl.col("type") == name).sort("type_rank")
        label = f"{words.tidy(name, 20)} ({entities:,})"
        at = floats(line["type_rank"]), floats(line["score"])
        axes.loglog(*at, marker=".", markersize=3, linewidth=1, label=label)
    axes.legend(fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    axes.minorticks_off()  # Half of the time to draw, and no labels of their own.
    return png(figure)


def degree_plot(degrees: pl.DataFrame) -> bytes:
    """Return the share of nodes that have so many edges or more, on logarithmic axes.

    `degrees` is the table of that name. Nodes without edges can't be drawn; the title counts them.
    """
    figure = new_figure()
    axes = figure.add_subplot()
    linked = degrees.filter(pl.col("degree") > 0)
    title = "Share of nodes with so many edges or more"
    if alone := degrees.height - linked.height:
        title += f" ({alone:,} have none)"
    tidy(axes, title)
    if linked.is_empty():
        say(axes, "no edges")
        return png(figure)
    values = np.sort(linked["degree"].to_numpy())
    at = np.array(_spaced(linked["degree"]))
    share = (len(values) - np.searchsorted(values, at)) / degrees.height
    axes.loglog(at.tolist(), share.tolist(), color=INK, marker=".", markersize=4, linewidth=1)
    axes.minorticks_off()
    return png(figure)


def community_plot(communities: pl.DataFrame, methods: pl.DataFrame) -> bytes:
    """Return two plots side by side: the largest communities' sizes, each algorithm's modularity.

    `communities` and `methods` are the tables `communities` and `community_methods`. At most 12
    communities are drawn; the chosen algorithm is marked.
    """
    figure = new_figure()
    sizes, quality = figure.subplots(1, 2)
    tidy(sizes, "Members by community")
    largest = communities.sort("size", "community_id", descending=[True, False]).head(MAX_BARS)
    labelled_bars(sizes, largest["community_id"], largest["size"], nothing="no communities")
    tidy(quality, "Modularity by algorithm")
    colours = [SEVERITY_COLOURS["critical"] if chosen else QUIET for chosen in methods["chosen"]]
    names = [words.humanise(name) for name in methods["algorithm"]]
    bars = quality.bar(names, floats(methods["modularity"]), color=colours)
    quality.bar_label(bars, fmt="%.3f", fontsize=8)
    quality.margins(y=0.15)
    return png(figure)


def _spaced(values: pl.Series) -> list[int]:
    """Return whole numbers from 1 to the largest value, evenly spaced by their logarithms."""
    most = int(np.asarray(values.max()))
    return np.unique(np.geomspace(1, most, POINTS).round().astype(np.int64)).tolist()
