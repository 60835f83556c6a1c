"""What there is to ask for."""

from __future__ import annotations

from typing import Any

from stupid_dagster.api.examples.parts import ONE, PAGE

CATALOG: dict[str, Any] = {
    "event_type": {
        **ONE,
        "event_type": "Departure",
        "description": "A flight that left, at its scheduled time.",
        "documents": 24456,
        "first_day": "2013-01-11",
        "last_day": "2013-02-09",
        "fields": {
            "dep_delay": {
                "type": "float",
                "unit": "minutes",
                "description": "Departure delay; negative is early.",
                "missing": 0.0,
                "distinct": 309,
                "distinct_is_exact": True,
                "min": -33.0,
                "max": 599.0,
                "top_values": [
                    {"value": -4.0, "at_least": 1978},
                    {"value": -5.0, "at_least": 1901},
                ],
            }
        },
    },
    "entity_type": {
        **ONE,
        "entity_type": "Route",
        "prefix": "route",
        "nodes": 182,
        "events": 25869,
        "properties": {
            "haul": {
                "coverage": 1.0,
                "distinct": 3,
                "top_values": [{"value": "medium", "nodes": 85}],
            }
        },
        "edges": ["FliesRoute", "StartsAt", "EndsAt"],
        "examples": ["route:JFK-LAX", "route:LGA-ATL", "route:JFK-SFO"],
    },
    "knowledge_tables": {
        **PAGE,
        "total": 1,
        "truncated": False,
        "rows": [
            {
                "table": "patterns",
                "description": "Frequent sequences of what actors do, over the last days of the "
                "window.",
                "rows": 107,
                "columns": [
                    {
                        "name": "support",
                        "type": "float",
                        "description": "Share of the actors with a sequence.",
                    }
                ],
                "parameters": {"days": ["2013-02-08", "2013-02-09"], "minimum": 50},
            }
        ],
    },
}
