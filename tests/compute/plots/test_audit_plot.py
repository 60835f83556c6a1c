"""The plot of audits."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime

import polars as pl

from stupid_dagster.compute.plots.audit import audit_plot
from stupid_dagster.tables import TABLES


def audits(*found: int) -> pl.DataFrame:
    rows = [
        {
            "audited": datetime(2013, 2, 1 + n, tzinfo=UTC),
            "horizon": date(2013, 1, 1),
            "table": table,
            "references": references,
            "orphans": 0,
            "pending": 5,
            "bytes": 10_000_000,
        }
        for n, references in enumerate(found)
        for table in ("edges", "texts")
    ]
    return pl.DataFrame(rows, schema=TABLES["audit"].schema)


def test_a_plot_of_audits_is_a_picture_that_depends_on_what_they_found() -> None:
    from matplotlib.image import imread

    pictures = [audit_plot(audits(*found)) for found in ((), (0,), (0, 0, 3), (0, 0, 0))]

    assert len({*pictures}) == len(pictures)
    assert pictures[2] == audit_plot(audits(0, 0, 3))
    for picture in pictures:
        assert imread(io.BytesIO(picture), format="png").shape[:2] == (300, 700)
