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
    "traverse": {
        **PAGE,
        "rows": [
            {
                "entity_id": "aircraft:N380HA",
                "type": "Aircraft",
                "depth": 1,
                "parent": "carrier:HA",
                "order": 1,
            }
        ],
    },
    "path": {
        **ONE,
        "found": True,
        "distance": 2.0,
        "exact": True,
        "nodes": [
            {"entity_id": "airport:JFK", "type": "Airport", "key": "JFK"},
            {"entity_id": "aircraft:N12109", "type": "Aircraft", "key": "N12109"},
            {"entity_id": "airport:LAX", "type": "Airport", "key": "LAX"},
        ],
        "edges": [
            {
                "step": 1,
                "near": "airport:JFK",
                "far": "aircraft:N12109",
                "edge_type": "DepartedFrom",
                "direction": "in",
                "weight": 2,
            },
            {
                "step": 2,
                "near": "aircraft:N12109",
                "far": "airport:LAX",
                "edge_type": "FlewTo",
                "direction": "out",
                "weight": 2,
            },
        ],
    },
    "subgraph": {
        **ONE,
        "limit": 2,
        "truncated": True,
        "nodes": [
            {
                "id": "airport:JFK",
                "type": "Airport",
                "key": "JFK",
                "degree": 527,
                "depth": 0,
                "start": True,
            },
            {
                "id": "route:JFK-LAX",
                "type": "Route",
                "key": "JFK-LAX",
                "degree": 7,
                "depth": 1,
                "start": False,
            },
        ],
        "links": [
            {
                "source": "route:JFK-LAX",
                "target": "airport:JFK",
                "type": "StartsAt",
                "weight": 118,
            }
        ],
    },
    "statistics": {
        **PAGE,
        "total": 1,
        "truncated": False,
        "rows": [{"statistic": "edges", "type": "FlewTo", "value": 12910.0}],
    },
}
