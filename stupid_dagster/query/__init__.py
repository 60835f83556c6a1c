"""Questions to a published snapshot, answered with Polars frames and plain dicts."""

from stupid_dagster.query.filters import Filter, parse_filter
from stupid_dagster.query.kept import KeptSnapshots
from stupid_dagster.query.paging import Page
from stupid_dagster.query.reader import SnapshotReader

__all__ = ["Filter", "KeptSnapshots", "Page", "SnapshotReader", "parse_filter"]
