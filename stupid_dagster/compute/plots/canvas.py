"""What all plots share: size, colours, and their way to PNG."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, HEIGHT, DPI = 7.0, 3.0, 100
"""Inches and dots an inch: 700 x 300 pixels."""
MAX_BARS = 12
INK, QUIET, BAND = "#1f2937", "#9ca3af", "#e5e7eb"
SEVERITY_COLOURS = {"notable": "#eab308", "significant": "#f97316", "critical": "#dc2626"}


def new_figure() -> Figure:
    """Return an empty figure of the common size."""
    from matplotlib.figure import Figure

    return Figure(figsize=(WIDTH, HEIGHT), dpi=DPI, layout="constrained")


def tidy(axes: Axes, title: str) -> None:
    """Give axes a title and the common look."""
    axes.set_title(title, fontsize=10, color=INK, loc="left")
    axes.tick_params(labelsize=8, colors=INK)
    axes.spines[["top", "right"]].set_visible(False)


def say(axes: Axes, text: str) -> None:
    """Write a text in place of a plot."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, text, ha="center", va="center", color=QUIET, transform=axes.transAxes)


def labelled_bars(
    axes: Axes,
    names: pl.Series,
    counts: pl.Series,
    *,
    colours: str | Sequence[str] = QUIET,
    nothing: str,
) -> None:
    """Draw a horizontal bar per name, the first on top, with its count; or say `nothing`."""
    if counts.is_empty():
        say(axes, nothing)
        return
    bars = axes.barh(names.to_list(), counts.to_list(), color=colours)
    axes.bar_label(bars, [f"{count:,}" for count in counts], fontsize=8, padding=2)
    axes.invert_yaxis()
    axes.set_xticks([])  # each bar has its number
    axes.margins(x=0.2)


def floats(values: pl.Series) -> list[float]:
    """Return numbers that can be drawn; null becomes NaN."""
    return values.cast(pl.Float64).fill_null(float("nan")).to_list()


def png(figure: Figure) -> bytes:
    """Return a figure as PNG; the same figure gives the same bytes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
