"""What audits found, over time."""

from __future__ import annotations

import polars as pl

from stupid_dagster.compute.plots.canvas import (
    INK,
    SEVERITY_COLOURS,
    floats,
    new_figure,
    png,
    say,
    tidy,
)


def audit_plot(audits: pl.DataFrame) -> bytes:
    """Return the bytes on the disk and the references over the audits of the table `audit`.

    Audits stand at equal distances: some are minutes apart, some months. References are all that
    was found, orphans included.
    """
    rows = (
        audits.group_by("audited")
        .agg(
            pl.col("bytes", "pending").sum(), found=(pl.col("references") + pl.col("orphans")).sum()
        )
        .sort("audited")
    )
    figure = new_figure()
    above, below = figure.subplots(2, sharex=True)
    tidy(above, "Megabytes on the disk")
    tidy(below, "References to evicted days")
    if rows.is_empty():
        say(above, "no audit")
        below.set_axis_off()
        return png(figure)
    at = list(range(rows.height))
    used, pending = (floats(rows[name] / 1e6) for name in ("bytes", "pending"))
    above.plot(at, used, color=INK, linewidth=1.5, marker=".", markersize=4)
    above.fill_between(at, pending, color=SEVERITY_COLOURS["notable"], linewidth=0)
    above.set_ylim(bottom=0)
    below.bar(at, floats(rows["found"]), color=SEVERITY_COLOURS["critical"])
    below.set_ylim(0, max(1, rows["found"].max()))  # pyright: ignore[reportArgumentType]
    ticks = at[:: -(-len(at) // 8)]
    days = rows["audited"].dt.strftime("%m-%d")
    below.set_xticks(ticks, [days[place] for place in ticks])
    return png(figure)
