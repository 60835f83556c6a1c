"""Questions to a published snapshot, answered with Polars frames and plain dicts."""

from stupid_dagster.query.current import CurrentSnapshot
from stupid_dagster.query.filters import Filter, parse_filter
from stupid_dagster.query.paging import Page
from stupid_dagster.query.reader import SnapshotReader

__all__ = ["CurrentSnapshot", "Filter", "Page", "SnapshotReader", "parse_filter"]
