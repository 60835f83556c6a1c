"""What actors do one after the other, and what they have in common."""

from __future__ import annotations

import polars as pl

from stupid_dagster.compute import words
from stupid_dagster.compute.plots.canvas import INK, floats, new_figure, png, say, tidy
from stupid_dagster.compute.sequences.patterns import VANISHED

MAX_BARS = 15
MAX_LABEL = 70


def pattern_plot(patterns: pl.DataFrame) -> bytes:
    """Return bars of the support of each category's most frequent patterns, 15 in all.

    `patterns` is the table `patterns`; vanished ones are left out.
    """
    current = patterns.filter(pl.col("status").fill_null("") != VANISHED).with_columns(
        label=pl.col("symbols").list.join(" > ")
    )
    shown = _best_of_each(current, "category", "actors")
    return _bars(shown, "category", "support", "Share of actors who show it, by pattern")


def cooccurrence_plot(cooccurrence: pl.DataFrame) -> bytes:
    """Return bars of the lower bound of PMI of each pair of types' best entities, 15 in all.

    `cooccurrence` is the table of that name.
    """
    named = cooccurrence.with_columns(label=pl.concat_str("left", "right", separator=" + "))
    shown = _best_of_each(named, "pair", "pmi_low")
    return _bars(shown, "pair", "pmi_low", "PMI at least, in bits, by pair of entities")


def _best_of_each(rows: pl.DataFrame, group: str, by: str) -> pl.DataFrame:
    each = max(1, MAX_BARS // max(1, rows[group].n_unique()))
    ranked = rows.sort(by, "label", descending=[True, False], nulls_last=True)
    return ranked.group_by(group, maintain_order=True).head(each).head(MAX_BARS)


def _bars(rows: pl.DataFrame, group: str, value: str, title: str) -> bytes:
    figure = new_figure()
    axes = figure.subplots()
    tidy(axes, title)
    if rows.is_empty():
        say(axes, "none found")
        return png(figure)
    labels = [
        words.tidy(f"{name}: {label}", MAX_LABEL)
        for name, label in rows.select(group, "label").iter_rows()
    ]
    axes.barh(range(len(labels)), floats(rows[value]), color=INK, height=0.7)
    # "$" would begin a formula.
    axes.set_yticks(range(len(labels)), [label.replace("$", r"\$") for label in labels])
    axes.tick_params(axis="y", labelsize=6)
    axes.invert_yaxis()
    return png(figure)
