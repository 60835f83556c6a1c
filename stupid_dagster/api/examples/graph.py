"""The graph."""

from __future__ import annotations

from typing import Any

from stupid_dagster.api.examples.parts import ONE, PAGE

GRAPH: dict[str, Any] = {
    "node": {
        **ONE,
        "node": {
            "entity_id": "carrier:B6",
            "type": "Carrier",
            "key": "B6",
            "properties": {"carrier_name": "JetBlue Airways"},
            "events": 4148,
            "days": 30,
            "first_seen": "2013-01-11T10:40:00+00:00",
            "last_seen": "2013-02-10T04:59:00+00:00",
            "is_test": False,
        },
    },
    "neighbors": {
        **PAGE,
        "total": 2,
        "entity_id": "route:JFK-LAX",
        "rows": [
            {
                "neighbor": "airport:JFK",
                "neighbor_type": "Airport",
                "edge_type": "StartsAt",
                "direction": "out",
                "weight": 888,
                "days": 30,
                "first_seen": "2013-01-11T11:01:00+00:00",
                "last_seen": "2013-02-10T02:35:00+00:00",
            }
        ],
    },
    "statistics": {**ONE, "rows": [{"statistic": "edges", "type": "FlewTo", "value": 12910.0}]},
}
