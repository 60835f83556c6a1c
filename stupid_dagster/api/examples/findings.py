"""Patterns, anomalies, one item each, contrasts."""

from __future__ import annotations

from typing import Any

from stupid_dagster.api.examples.knowledge import INSIGHT, STORM
from stupid_dagster.api.examples.parts import ONE, PAGE, made

_PATTERN = {
    "pattern_id": "pattern:958864288ff44ef8",
    "symbols": ["D:early", "away"],
    "length": 2,
    "category": "Other",
    "actors": 1164,
    "support": 0.59,
    "lift": 1.02,
    "median_seconds": 172800.0,
    "status": "continued",
    "previous_support": 0.525,
    "examples": ["aircraft:N107US", "aircraft:N108UW", "aircraft:N11106"],
    "label": "Departure early, then no departure for 2 days",
    "description": "1,164 aircraft, 59% of all, one after the other: departure (delay band early); "
    "no departure for 2 days.",
    "distinguishing": ["median time: 2 days"],
}
_ANOMALY = {
    "actor": "aircraft:N909EV",
    "score": 0.131,
    "severity": "normal",
    "rank": 1,
    "statistical": 0.114,
    "noise": 0.181,
    "behaviour": 0.0,
    "graph": 0.271,
    "signals": ["noise", "graph", "statistical"],
    "features": [],
    "documents": [],
    "shared": [],
}
_PAIR = {
    "pair": "Airport x Airport",
    "left": "airport:CRW",
    "right": "airport:XNA",
    "left_actors": 12,
    "right_actors": 35,
    "both_actors": 11,
    "support": 0.0036,
    "lift": 81.0,
    "pmi": 6.34,
    "npmi": 0.779,
    "pmi_low": 3.95,
    "rank": 1,
}
_LINKED = {
    "cluster_id": "cluster:0",
    "relation": "DepartedFrom",
    "incoming": False,
    "type": "Airport",
    "entity_id": "airport:LGA",
    "actors": 574,
    "share": 0.379,
    "overall": 0.281,
    "lift": 1.35,
    "lift_rank": 1,
    "share_rank": 1,
}
_UNITED = {
    "kind": "entity",
    "name": "OperatedBy",
    "value": "carrier:UA",
    "set": 0.966,
    "rest": 0.0016,
    "z": 2.54,
    "lift": 5.54,
    "actors": 539,
}

FINDINGS: dict[str, Any] = {
    "patterns": {**PAGE, "total": 83, "rows": [_PATTERN]},
    "cooccurrence": {**PAGE, "total": 1000, "rows": [_PAIR]},
    "anomalies": {**PAGE, "total": 425, "rows": [_ANOMALY]},
    "history": {
        **PAGE,
        "total": 270,
        "rows": [{"day": "2013-01-11", "kind": "metric", "name": "aircraft", "value": 679.0}],
    },
    "table": {**PAGE, "total": 155, "rows": [_LINKED]},
    "contrast": {
        **PAGE,
        "total": 88,
        "asked": 1035,
        "actors": 558,
        "rest": 2555,
        "rows": [_UNITED],
    },
    "pattern": {
        **ONE,
        "item": _PATTERN,
        "segments": [
            {"actor": "aircraft:N107US", "cluster_id": "cluster:0", "distance": 0.852},
        ],
        "anomalies": [],
        "made": made(
            "patterns",
            "Frequent sequences of what actors do, over the last days of the window.",
            parameters={
                "settings": {"pattern_days": 7, "pattern_min_actors": 50},
                "days": [f"2013-02-{day:02}" for day in range(3, 10)],
                "minimum": 50,
            },
        ),
    },
    "anomaly": {
        **ONE,
        "item": _ANOMALY,
        "documents": [],
        "causes": [],
        "segments": [
            {"actor": "aircraft:N909EV", "cluster_id": "cluster:2", "distance": 2.83},
        ],
        "bots": [],
        "made": made("anomalies", "How unusual each actor of the last day is, and why.", {}),
    },
    "digest": {
        **ONE,
        "digest": {
            "text": "On Friday 8 February 2013 there is 1 finding, 1 critical. Cancellations were "
            "above usual: 472 on Friday 8 February, usually 12 [1].",
            "sentences": [
                {
                    "text": "On Friday 8 February 2013 there is 1 finding, 1 critical.",
                    "insights": [],
                },
                {
                    "text": "Cancellations were above usual: 472 on Friday 8 February, usually 12.",
                    "insights": ["trend/cancellations/up"],
                },
            ],
            "provenance": "rule",
            "prompt": "1",
            "prompt_tokens": 3120,
            "completion_tokens": 204,
            "refused": "numbers that its insights don't have: 470",
            "asked_hash": "0f3b9c52d7e1a846",
        },
        "insights": [INSIGHT],
        "made": made("digest", "The insights in one paragraph: one row.", {}),
    },
    "insight": {
        **ONE,
        "item": INSIGHT,
        "made": made("insights", "What is worth knowing about the window's last days.", {}),
    },
    "trend": {
        **ONE,
        "item": STORM,
        "series": [STORM],
        "made": made(
            "trends",
            "Each hour's and day's metrics against the days before it.",
            {"settings": {"trend_baseline_days": 7}},
        ),
    },
}
