"""What a snapshot holds, computed when it is published."""

from stupid_dagster.catalog.build import build_catalog
from stupid_dagster.catalog.summary import summarise

__all__ = ["build_catalog", "summarise"]
