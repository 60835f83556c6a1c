"""Answers for the OpenAPI page, shortened: the flights sample, as `make demo` has it.

FastAPI takes nulls out of examples, so that none has any.
"""

from __future__ import annotations

from typing import Any

_ONE = {
    "snapshot": "20130210T060512345-1f2e3d",
    "window": {"first_day": "2013-01-11", "last_day": "2013-02-09", "days": 30},
}
_PAGE = {**_ONE, "total": 95, "limit": 1, "truncated": True}
_STORM = {
    "grain": "day",
    "time": "2013-02-08T05:00:00+00:00",
    "metric": "cancellations",
    "dimension": "",
    "member": "",
    "value": 472.0,
    "baseline": 11.0,
    "scale": 26.2,
    "z": 17.6,
    "severity": "critical",
    "direction": "up",
    "since": "2013-02-08T05:00:00+00:00",
    "drivers": [
        {"dimension": "origin", "member": "EWR", "contribution": 0.37},
        {"dimension": "origin", "member": "JFK", "contribution": 0.34},
    ],
}
_COMMUNITY = {
    "community_id": "community:0",
    "size": 1035,
    "actors": 558,
    "internal_weight": 14596.0,
    "external_weight": 14918.0,
    "key_members": ["carrier:UA", "airport:SFO", "route:JFK-SFO"],
    "types": [{"type": "Aircraft", "members": 558}, {"type": "Flight", "members": 446}],
    "label": "Around United Air Lines Inc., SFO and DEN: 558 aircraft",
    "description": "1,035 members, 21% of all. Among them 558 aircraft (18% of all).",
    "distinguishing": ["flight carrier UA: 99% (all: 31%)", "route haul long: 82% (all: 25%)"],
}
_CLUSTER = {
    "cluster_id": "cluster:0",
    "size": 721,
    "share": 0.365,
    "features": [{"feature": "flights", "mean": 1.3, "deviation": 0.53, "z": -0.58}],
    "centroid": [-0.53],
    "label": "Occasional aircraft with few evening flights (0.22 a week)",
    "description": "721 aircraft, 37% of all aircraft. On average 1.4 events a week (all: 2.9).",
    "distinguishing": ["few events: 1.4 events a week (all: 2.9)"],
}

EXAMPLES: dict[str, dict[str, Any]] = {
    "documents": {
        **_PAGE,
        "total": 457,
        "next_cursor": "WyIyMDEzLTAyLTA4Iiw2LCIyMDI2MTEyMlQyMjQxMzU5OTgtMDZkODM1Il0",
        "rows": [
            {
                "doc_id": "2013-02-08/Departure/6",
                "timestamp": "2013-02-08T13:27:00+00:00",
                "actor": "aircraft:N11194",
                "origin": "EWR",
                "dest": "MYR",
                "dep_delay": 67.0,
            }
        ],
    },
    "document": {
        **_ONE,
        "document": {
            "doc_id": "2013-02-08/Departure/17",
            "event_type": "Departure",
            "timestamp": "2013-02-08T13:40:00+00:00",
            "actor": "aircraft:N12216",
            "text_id": "89d32305ba33d50a",
            "origin": "EWR",
            "dest": "SAN",
            "dep_delay": 0.0,
        },
        "text": "United Air Lines Inc. flight from Newark Liberty Intl to San Diego Intl in the "
        "morning, on time",
    },
    "search": {
        **_ONE,
        "limit": 1,
        "truncated": True,
        "rows": [
            {
                "text_id": "d41f4ff2daef890e",
                "event_type": "Cancellation",
                "text": "Cancelled ExpressJet Airlines Inc. flight from Newark Liberty Intl to "
                "Manchester Regional Airport in the evening",
                "count": 4,
                "days": ["2013-01-28", "2013-01-31", "2013-02-08", "2013-02-09"],
                "example": "2013-02-09/Cancellation/10",
                "score": 0.76,
            }
        ],
    },
    "node": {
        **_ONE,
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
        **_PAGE,
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
    "statistics": {**_ONE, "rows": [{"statistic": "edges", "type": "FlewTo", "value": 12910.0}]},
    "clusters": {**_PAGE, "total": 8, "rows": [_CLUSTER]},
    "cluster": {
        **_PAGE,
        "total": 721,
        "cluster": _CLUSTER,
        "rows": [{"actor": "aircraft:N3AEAA", "cluster_id": "cluster:0", "distance": 0.43}],
    },
    "communities": {**_PAGE, "total": 16, "rows": [_COMMUNITY]},
    "community": {
        **_PAGE,
        "total": 1035,
        "community": _COMMUNITY,
        "rows": [
            {
                "entity_id": "carrier:UA",
                "type": "Carrier",
                "community_id": "community:0",
                "louvain": 0,
                "leiden": 0,
                "label_propagation": 0,
                "score": 0.023,
                "rank": 4,
            }
        ],
    },
    "pagerank": {
        **_PAGE,
        "rows": [
            {
                "entity_id": "airport:EWR",
                "type": "Airport",
                "score": 0.048,
                "rank": 1,
                "type_rank": 1,
                "previous_score": 0.049,
                "previous_type_rank": 1,
            }
        ],
    },
    "degrees": {
        **_PAGE,
        "rows": [
            {
                "entity_id": "airport:EWR",
                "type": "Airport",
                "in_degree": 1836,
                "out_degree": 0,
                "degree": 1836,
                "weighted_degree": 18922.0,
            }
        ],
    },
    "trends": {**_PAGE, "total": 1, "limit": 100, "truncated": False, "rows": [_STORM]},
    "insights": {
        **_PAGE,
        "total": 10,
        "rows": [
            {
                "insight_id": "trend/cancellations/up",
                "rank": 1,
                "kind": "trend",
                "severity": "critical",
                "status": "new",
                "since": "2013-02-09",
                "title": "Cancellations above usual: 472 on Friday 8 February, usually 11",
                "text": "Cancellations: 472 on Friday 8 February (usually 11, 43 times that).",
                "subjects": ["cancellations"],
                "evidence": {"table": "trends", "where": {"metric": "cancellations"}},
                "plan": {
                    "steps": [{"id": "s1", "op": "knowledge.read", "params": {"table": "trends"}}],
                    "render": {"kind": "timeline", "step": "s1"},
                },
                "series": [8.0, 4.0, 472.0, 393.0],
            }
        ],
    },
}


def example(name: str) -> dict[int | str, dict[str, Any]]:
    """Return what a route's `responses` says of its answer."""
    return {200: {"content": {"application/json": {"example": EXAMPLES[name]}}}}
