"""A metric over the days."""

from __future__ import annotations

import polars as pl

from stupid_dagster.compute import words
from stupid_dagster.compute.plots.canvas import (
    BAND,
    INK,
    QUIET,
    SEVERITY_COLOURS,
    floats,
    new_figure,
    png,
    say,
    tidy,
)

MAX_TICKS = 10


def trend_plot(trends: pl.DataFrame, metric: str) -> bytes:
    """Return a metric's days as a line, with its baseline, a band of 2 scales, and severities.

    `trends` is the table of that name; the whole's rows are drawn. A metric without rows gives
    an empty plot that says so.
    """
    from matplotlib.dates import date2num

    rows = trends.filter(pl.col("metric") == metric, pl.col("dimension") == "").sort("time")
    figure = new_figure()
    axes = figure.add_subplot()
    tidy(axes, words.capitalised(words.humanise(metric)))
    if rows["value"].null_count() == len(rows):
        say(axes, "no data")
        return png(figure)
    # Local days start within half a day of UTC's.
    days = rows["time"].dt.offset_by("12h").dt.date().to_list()
    baseline, scale = rows["baseline"], rows["scale"].fill_null(0.0)
    low, high = baseline - 2 * scale, baseline + 2 * scale
    if (rows["value"].drop_nulls() >= 0).all():
        low = low.clip(lower_bound=0)
    axes.fill_between(days, floats(low), floats(high), color=BAND, linewidth=0, label="usual")
    axes.plot(days, floats(baseline), color=QUIET, linewidth=1, linestyle="--")
    axes.plot(days, floats(rows["value"]), color=INK, linewidth=1.5, marker=".", markersize=4)
    for severity, colour in SEVERITY_COLOURS.items():
        marked = [(d, v) for d, v, s in zip(days, rows["value"], rows["severity"], strict=True)
                  if s == severity]  # fmt: skip
        if marked:
            axes.scatter(*zip(*marked, strict=True), color=colour, s=36, zorder=3, label=severity)
    # Matplotlib's own date ticks warn about spans of a day or less.
    ticks = days[:: -(-len(days) // MAX_TICKS)]
    axes.set_xticks(date2num(ticks), [f"{day:%m-%d}" for day in ticks])
    axes.legend(loc="upper left", fontsize=8, frameon=False, ncols=4)
    bottom, top = axes.get_ylim()
    axes.set_ylim(bottom, top + 0.25 * (top - bottom))  # room for the legend
    return png(figure)
