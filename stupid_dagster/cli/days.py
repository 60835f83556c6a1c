"""How commands are given days; `--as-of`: the published window, or an earlier one that is kept."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from stupid_dagster.stores.lake import Lake
    from stupid_dagster.stores.snapshots import Snapshot

DAY = click.DateTime(formats=["%Y-%m-%d"])

as_of_option = click.option(
    "--as-of",
    type=DAY,
    help="Ask the kept window that ended on this day; default: the published one.",
)


def snapshot_as_of(lake: Lake, as_of: datetime | None) -> Snapshot:
    """Return the snapshot of the window ending on a day, or the published; raises SnapshotError."""
    from stupid_dagster.stores.snapshots import open_snapshot, open_window

    return open_window(lake, as_of.date().isoformat()) if as_of else open_snapshot(lake)
