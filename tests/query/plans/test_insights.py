"""Every insight's plan is valid, and runs."""

from __future__ import annotations

import json

from stupid_dagster.query import SnapshotReader
from stupid_dagster.query.plans import explain_plan, run_plan, validate_plan


def test_every_insights_plan_runs(reader: SnapshotReader) -> None:
    insights = reader.knowledge("insights").rows
    assert insights.height > 5
    for title, raw in insights.select("title", "plan").iter_rows():
        plan = validate_plan(reader, json.loads(raw))
        result = run_plan(reader, plan)
        assert {one.error for one in result.steps.values()} == {None}, title
        assert result.rendered.rows is not None
        assert not result.rendered.rows.is_empty(), title
        assert len(explain_plan(reader, plan).steps) == len(plan.steps)
