"""Small pictures for the metadata of assets, as PNG."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

from stupid_dagster.compute import words

WIDTH, HEIGHT, DPI = 7.0, 3.0, 100
"""Inches and dots an inch: 700 x 300 pixels."""
INK, QUIET, BAND = "#1f2937", "#9ca3af", "#e5e7eb"
SEVERITY_COLOURS = {"notable": "#eab308", "significant": "#f97316", "critical": "#dc2626"}
MAX_BARS, MAX_TICKS = 12, 10


def trend_plot(trends: pl.DataFrame, metric: str) -> bytes:
    """Return a metric's days as a line, with its baseline, a band of 2 scales, and severities.

    `trends` is the table of that name; the whole's rows are drawn. A metric without rows gives
    an empty plot that says so.
    """
    from matplotlib.dates import date2num

    rows = trends.filter(pl.col("metric") == metric, pl.col("dimension") == "").sort("time")
    figure = _figure()
    axes = figure.add_subplot()
    _tidy(axes, words.capitalised(words.humanise(metric)))
    if rows["value"].null_count() == len(rows):
        _say(axes, "no data")
        return _png(figure)
    # Local days start within half a day of UTC's.
    days = rows["time"].dt.offset_by("12h").dt.date().to_list()
    baseline, scale = rows["baseline"], rows["scale"].fill_null(0.0)
    low, high = baseline - 2 * scale, baseline + 2 * scale
    if (rows["value"].drop_nulls() >= 0).all():
        low = low.clip(lower_bound=0)
    axes.fill_between(days, _floats(low), _floats(high), color=BAND, linewidth=0, label="usual")
    axes.plot(days, _floats(baseline), color=QUIET, linewidth=1, linestyle="--")
    axes.plot(days, _floats(rows["value"]), color=INK, linewidth=1.5, marker=".", markersize=4)
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
    return _png(figure)


def cluster_plot(clusters: pl.DataFrame, choice: pl.DataFrame) -> bytes:
    """Return two plots side by side: the silhouette of each k, and the segments' sizes.

    `clusters` and `choice` are the tables `clusters` and `cluster_choice`. At most 12 segments
    are drawn, the largest.
    """
    from matplotlib.ticker import MaxNLocator

    figure = _figure()
    curve, bars = figure.subplots(1, 2)
    _tidy(curve, "Silhouette by number of segments")
    known = choice.filter(pl.col("silhouette").is_not_null()).sort("k")
    if known.is_empty():
        _say(curve, "too few actors to compare")
    else:
        curve.plot(known["k"].to_list(), _floats(known["silhouette"]), color=INK, marker=".")
        taken = known.filter("chosen")
        red = SEVERITY_COLOURS["critical"]
        at = taken["k"].to_list(), _floats(taken["silhouette"])
        curve.scatter(*at, color=red, s=48, zorder=3, label="chosen")
        curve.xaxis.set_major_locator(MaxNLocator(integer=True))
        curve.legend(fontsize=8, frameon=False)
    _tidy(bars, "Actors by segment")
    largest = clusters.sort("size", "cluster_id", descending=[True, False]).head(MAX_BARS)
    if largest.is_empty():
        _say(bars, "no actors")
    else:
        names, sizes = largest["cluster_id"].to_list(), largest["size"].to_list()
        drawn = bars.barh(names, sizes, color=QUIET)
        bars.bar_label(drawn, [f"{size:,}" for size in sizes], fontsize=8, padding=2)
        bars.invert_yaxis()
        bars.margins(x=0.15)
    return _png(figure)


def _figure() -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(WIDTH, HEIGHT), dpi=DPI, layout="constrained")


def _tidy(axes: Axes, title: str) -> None:
    axes.set_title(title, fontsize=10, color=INK, loc="left")
    axes.tick_params(labelsize=8, colors=INK)
    axes.spines[["top", "right"]].set_visible(False)


def _say(axes: Axes, text: str) -> None:
    axes.set_axis_off()
    axes.text(0.5, 0.5, text, ha="center", va="center", color=QUIET, transform=axes.transAxes)


def _floats(values: pl.Series) -> list[float]:
    return values.cast(pl.Float64).fill_null(float("nan")).to_list()


def _png(figure: Figure) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
