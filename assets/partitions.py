"""The daily partitions, and how a window's partition reads the days before it."""

from datetime import timedelta

import dagster as dg

from stupid_dagster.automation.executors import day_backfill
from stupid_dagster.project import Project

_PROJECT = Project.load()
_END = _PROJECT.settings.partitions_end

DAYS = dg.DailyPartitionsDefinition(
    start_date=_PROJECT.settings.partitions_start.isoformat(),
    end_date=(_END + timedelta(days=1)).isoformat() if _END else None,
    timezone=_PROJECT.model.timezone,
    # The running day has a partition too, so that it can be refreshed before it is over.
    end_offset=0 if _END else 1,
)

WINDOW = dg.TimeWindowPartitionMapping(start_offset=1 - _PROJECT.settings.window_days)
"""From a window, named by its last day, to all days that it covers."""

DAY_BACKFILL = day_backfill(_PROJECT.settings)
WINDOW_BACKFILL = dg.BackfillPolicy.multi_run(max_partitions_per_run=1)
"""In a run over a range each partition would be given the union of all windows."""
