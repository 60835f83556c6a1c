"""`--as-of`: the published window, or an earlier one that is kept."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import click

from stupid_dagster.cli.data import DAY

if TYPE_CHECKING:
    from stupid_dagster.stores.lake import Lake
    from stupid_dagster.stores.snapshots import Snapshot

as_of_option = click.option(
    "--as-of",
    type=DAY,
    help="Ask the kept window that ended on this day; default: the published one.",
)


def snapshot_as_of(lake: Lake, as_of: datetime | None) -> Snapshot:
    """Return the snapshot of the window ending on a day, or the published; raises SnapshotError."""
    from stupid_dagster.stores.snapshots import open_snapshot, open_window

    return open_window(lake, as_of.date().isoformat()) if as_of else open_snapshot(lake)
