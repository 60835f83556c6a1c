"""What is worth knowing about a window: what changed since the one before, ranked."""

from stupid_dagster.compute.insights.actors import entities_told
from stupid_dagster.compute.insights.build import Insights, build_insights
from stupid_dagster.compute.insights.findings import Findings, Previous

__all__ = ["Findings", "Insights", "Previous", "build_insights", "entities_told"]
