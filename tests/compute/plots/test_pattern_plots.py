"""Plots of patterns and co-occurrence: PNG with bars, whatever the rows."""

from __future__ import annotations

import polars as pl

from stupid_dagster.compute.plots.patterns import cooccurrence_plot, pattern_plot
from stupid_dagster.tables import TABLES
from tests.compute.plots.test_plots import count, pixels

INK = (0x1F, 0x29, 0x37)


def patterns(status: str | None) -> pl.DataFrame:
    rows = [
        {
            "symbols": ["A$x", f"{n}" * 40, "_^{"],
            "category": "Other" if n % 2 else "Lost $1",
            "actors": 9 + n,
            "support": 0.01 * n,
            "status": status,
        }
        for n in range(20)
    ]
    return pl.DataFrame(rows, schema=TABLES["patterns"].schema)


def pairs(names: int) -> pl.DataFrame:
    rows = [
        {"pair": f"A x {n % names}", "left": f"a:{n}", "right": "b:$", "pmi_low": n - 3.0}
        for n in range(30)
    ]
    return pl.DataFrame(rows, schema=TABLES["cooccurrence"].schema)


def test_patterns_are_bars_and_vanished_ones_are_left_out() -> None:
    shown, gone = (count(pixels(pattern_plot(patterns(s))), INK) for s in (None, "vanished"))
    assert shown > 5_000 > 500 > gone


def test_cooccurrence_is_bars() -> None:
    for names in (1, 3, 20):
        assert count(pixels(cooccurrence_plot(pairs(names))), INK) > 5_000


def test_empty_tables_are_drawn_and_row_order_does_not_matter() -> None:
    assert count(pixels(pattern_plot(TABLES["patterns"].empty())), INK) < 500
    assert count(pixels(cooccurrence_plot(TABLES["cooccurrence"].empty())), INK) < 500
    assert pattern_plot(patterns(None)) == pattern_plot(patterns(None).reverse())
    assert cooccurrence_plot(pairs(3)) == cooccurrence_plot(pairs(3).reverse())
