"""Query plans."""

from __future__ import annotations

from typing import Any

from stupid_dagster.api.examples.parts import ONE, PAGE

PLAN_BODY: dict[str, Any] = {
    "steps": [
        {
            "id": "unusual",
            "op": "knowledge.read",
            "params": {
                "table": "anomalies",
                "columns": ["actor", "score"],
                "sort": "rank",
                "limit": 20,
            },
        },
        {
            "id": "late",
            "op": "documents.scan",
            "params": {
                "event_type": "Departure",
                "first_day": "2013-02-08",
                "last_day": "2013-02-09",
                "actor": {"ref": "unusual", "field": "actor"},
                "filters": [{"field": "dep_delay", "op": "gt", "value": 15}],
                "columns": ["timestamp", "actor", "origin", "dep_delay"],
            },
        },
        {
            "id": "airports",
            "op": "table.aggregate",
            "params": {
                "rows": {"ref": "late"},
                "by": ["origin"],
                "measures": [{"op": "count"}, {"op": "mean", "field": "dep_delay"}],
            },
        },
    ],
    "render": {
        "type": "bar",
        "step": "airports",
        "title": "Where unusual aircraft left late",
        "x": "origin",
        "y": ["count"],
    },
}
PLANS: dict[str, Any] = {"plan": {}, "plan_validated": {}, "plan_explained": {}}
