"""Knowledge."""

from __future__ import annotations

from typing import Any

from stupid_dagster.api.examples.parts import PAGE, made

STORM = {
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
    "size": 934,
    "share": 0.473,
    "features": [{"feature": "flights", "mean": 1.3, "deviation": 0.57, "z": -0.58}],
    "centroid": [-0.539],
    "label": "Occasional aircraft with few kilometres (2,023 km a week)",
    "description": "934 aircraft, 47% of all aircraft. On average 1.4 events a week (all: 2.9).",
    "distinguishing": ["few events: 1.4 events a week (all: 2.9)"],
}

INSIGHT = {
    "insight_id": "trend/cancellations/up",
    "rank": 2,
    "kind": "trend",
    "severity": "critical",
    "status": "ongoing",
    "since": "2013-02-08",
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

KNOWLEDGE: dict[str, Any] = {
    "clusters": {**PAGE, "total": 6, "rows": [_CLUSTER]},
    "cluster": {
        **PAGE,
        "total": 934,
        "cluster": _CLUSTER,
        "made": made(
            "clusters",
            "k-means segments of actors.",
            parameters={"settings": {"max_clusters": 20, "seed": 7}},
            chosen={"k": 6, "silhouette": 0.287, "inertia": 6354.0, "chosen": True},
        ),
        "rows": [{"actor": "aircraft:N26215", "cluster_id": "cluster:0", "distance": 0.452}],
    },
    "communities": {**PAGE, "total": 12, "rows": [_COMMUNITY]},
    "community": {
        **PAGE,
        "total": 1035,
        "community": _COMMUNITY,
        "made": made(
            "communities",
            "Groups of nodes that are more connected with each other than with the rest.",
            parameters={"settings": {"community_algorithm": "leiden", "seed": 7}},
            chosen={"algorithm": "leiden", "communities": 12, "modularity": 0.539, "chosen": True},
        ),
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
        **PAGE,
        "total": 4851,
        "rows": [
            {
                "entity_id": "airport:EWR",
                "type": "Airport",
                "score": 0.048,
                "rank": 1,
                "type_rank": 1,
                "previous_score": 0.048,
                "previous_type_rank": 1,
            }
        ],
    },
    "degrees": {
        **PAGE,
        "total": 4851,
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
    "trends": {**PAGE, "total": 2, "rows": [STORM]},
    "insights": {
        **PAGE,
        "total": 15,
        "rows": [
            INSIGHT,
        ],
    },
}
