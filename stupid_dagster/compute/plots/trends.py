"""A metric over the days, or the hours."""

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
WEEK_HOURS = 7 * 24


def trend_plot(trends: pl.DataFrame, metric: str, grain: str = "day") -> bytes:
    """Return a metric's days as a line, with its baseline, a band of 2 scales, and severities.

    `trends` is the table of that name; the whole's rows are drawn. Of hours (`grain` hour) the
    week around the one with the largest |z| is. A metric without rows gives an empty plot that
    says so.
    """
    from matplotlib.dates import date2num

    rows = trends.filter(
        pl.col("grain") == grain, pl.col("metric") == metric, pl.col("dimension") == ""
    ).sort("time")
    figure = new_figure()
    axes = figure.add_subplot()
    title = words.capitalised(words.humanise(metric))
    tidy(axes, f"{title} by the hour (UTC)" if grain == "hour" else title)
    if rows["value"].null_count() == len(rows):
        say(axes, "no data")
        return png(figure)
    if grain == "hour":
        loudest = rows["z"].abs().fill_null(-1).arg_max() or 0
        rows = rows.slice(max(0, loudest - WEEK_HOURS // 2), WEEK_HOURS)
        times = rows["time"].to_list()
        midnights = [time for time in times if time.hour == 0]
        ticks = midnights or times[:1]
    else:
        # Local days start within half a day of UTC's.
        times = rows["time"].dt.offset_by("12h").dt.date().to_list()
        ticks = times[:: -(-len(times) // MAX_TICKS)]
    at = date2num(times)
    baseline, scale = rows["baseline"], rows["scale"].fill_null(0.0)
    low, high = baseline - 2 * scale, baseline + 2 * scale
    if (rows["value"].drop_nulls() >= 0).all():
        low = low.clip(lower_bound=0)
    axes.fill_between(at, floats(low), floats(high), color=BAND, linewidth=0, label="usual")
    axes.plot(at, floats(baseline), color=QUIET, linewidth=1, linestyle="--")
    axes.plot(
        at,
        floats(rows["value"]),
        color=INK,
        linewidth=1.5,
        marker=".",
        markersize=4 if grain == "day" else 2,
    )
    for severity, colour in SEVERITY_COLOURS.items():
        marked = (rows["severity"] == severity).fill_null(value=False)
        if marked.any():
            here, values = at[marked.to_numpy()], floats(rows["value"].filter(marked))
            axes.scatter(here, values, color=colour, s=36, zorder=3, label=severity)
    # Matplotlib's own date ticks warn about spans of a day or less.
    axes.set_xticks(date2num(ticks), [f"{day:%m-%d}" for day in ticks])
    axes.legend(loc="upper left", fontsize=8, frameon=False, ncols=4)
    bottom, top = axes.get_ylim()
    axes.set_ylim(bottom, top + 0.25 * (top - bottom))  # room for the legend
    return png(figure)
