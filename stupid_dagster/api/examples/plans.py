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
PLANS: dict[str, Any] = {
    "plan": {
        **PAGE,
        "total": 3,
        "limit": 100000,
        "truncated": False,
        "render": {
            "type": "bar",
            "step": "airports",
            "title": "Where unusual aircraft left late",
            "x": "origin",
            "y": ["count"],
        },
        "status": "ok",
        "notes": [],
        "seconds": 0.0216,
        "steps": [
            {
                "id": "unusual",
                "op": "knowledge.read",
                "status": "ok",
                "count": 20,
                "total": 425,
                "truncated": True,
                "partial": False,
                "seconds": 0.0084,
                "notes": [],
            },
            {
                "id": "late",
                "op": "documents.scan",
                "status": "ok",
                "count": 6,
                "truncated": False,
                "partial": True,
                "seconds": 0.0053,
                "notes": [
                    "unusual is truncated to 20 rows: what follows from its others is missing"
                ],
            },
            {
                "id": "airports",
                "op": "table.aggregate",
                "status": "ok",
                "count": 3,
                "total": 3,
                "truncated": False,
                "partial": True,
                "seconds": 0.0008,
                "notes": [],
            },
        ],
        "rows": [
            {"origin": "JFK", "count": 3, "dep_delay_mean": 119.3333},
            {"origin": "EWR", "count": 2, "dep_delay_mean": 69.5},
            {"origin": "LGA", "count": 1, "dep_delay_mean": 30.0},
        ],
    },
    "plan_validated": {
        **ONE,
        "valid": False,
        "problems": [
            {
                "where": "steps[1].params.event_type",
                "message": "there is no event type 'Departures' (did you mean 'Departure'?); "
                "there are Departure, Cancellation, WeatherReport",
            }
        ],
    },
    "plan_explained": {
        **ONE,
        "steps": [
            {
                "id": "unusual",
                "op": "knowledge.read",
                "level": 1,
                "depends_on": [],
                "store": "Parquet, a file per table",
                "files": 1,
                "bytes": 10685,
                "stored_rows": 425,
                "estimated_rows": 20,
                "most_rows": 20,
                "pushed_down": [],
                "columns": ["actor", "score"],
            },
            {
                "id": "late",
                "op": "documents.scan",
                "level": 2,
                "depends_on": ["unusual"],
                "store": "Parquet, a file per day and event type",
                "files": 2,
                "bytes": 44521,
                "stored_rows": 749,
                "estimated_rows": 3,
                "most_rows": 100000,
                "pushed_down": [
                    "first_day 2013-02-08",
                    "last_day 2013-02-09",
                    "actor unusual.actor",
                    "dep_delay gt 15",
                    "columns timestamp, actor, origin, dep_delay",
                ],
                "columns": ["doc_id", "timestamp", "actor", "origin", "dep_delay"],
            },
            {
                "id": "airports",
                "op": "table.aggregate",
                "level": 3,
                "depends_on": ["late"],
                "store": "memory",
                "files": 0,
                "bytes": 0,
                "most_rows": 100000,
                "pushed_down": [],
                "columns": ["origin", "count", "dep_delay_mean"],
            },
        ],
        "shown": "airports",
    },
}
