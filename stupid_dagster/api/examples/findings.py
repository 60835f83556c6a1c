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
    "actors": 560,
    "support": 0.386,
    "lift": 1.12,
    "median_seconds": 172800.0,
    "status": "continued",
    "previous_support": 0.371,
    "examples": ["aircraft:N107US", "aircraft:N108UW", "aircraft:N11107"],
}
_ANOMALY = {
    "actor": "aircraft:N909EV",
    "score": 0.129,
    "severity": "normal",
    "rank": 1,
    "statistical": 0.101,
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
    "left": "airport:CMH",
    "right": "airport:XNA",
    "left_actors": 22,
    "right_actors": 10,
    "both_actors": 6,
    "support": 0.0045,
    "lift": 36.4,
    "pmi": 5.18,
    "npmi": 0.665,
    "pmi_low": 1.68,
    "rank": 1,
}
_LINKED = {
    "cluster_id": "cluster:0",
    "relation": "DepartedFrom",
    "incoming": False,
    "type": "Airport",
    "entity_id": "airport:EWR",
    "actors": 560,
    "share": 0.363,
    "overall": 0.301,
    "lift": 1.21,
    "lift_rank": 1,
    "share_rank": 1,
}
_JETBLUE = {
    "kind": "entity",
    "name": "OperatedBy",
    "value": "carrier:B6",
    "set": 0.625,
    "rest": 0.0033,
    "z": 2.02,
    "lift": 5.89,
    "actors": 150,
}

FINDINGS: dict[str, Any] = {
    "patterns": {**PAGE, "total": 26, "rows": [_PATTERN]},
    "cooccurrence": {**PAGE, "total": 353, "rows": [_PAIR]},
    "anomalies": {**PAGE, "total": 425, "rows": [_ANOMALY]},
    "history": {
        **PAGE,
        "total": 92,
        "rows": [{"day": "2013-02-06", "kind": "metric", "name": "aircraft", "value": 657.0}],
    },
    "table": {**PAGE, "total": 26, "rows": [_LINKED]},
    "contrast": {
        **PAGE,
        "total": 60,
        "asked": 511,
        "actors": 240,
        "rest": 1211,
        "rows": [_JETBLUE],
    },
    "pattern": {
        **ONE,
        "item": _PATTERN,
        "segments": [
            {"actor": "aircraft:N107US", "cluster_id": "cluster:0", "distance": 1.43},
        ],
        "anomalies": [],
        "made": made(
            "patterns",
            "Frequent sequences of what actors do, over the last days of the window.",
            parameters={
                "days": ["2013-02-06", "2013-02-07", "2013-02-08", "2013-02-09"],
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
            {"actor": "aircraft:N909EV", "cluster_id": "cluster:0", "distance": 2.91},
        ],
        "bots": [],
        "made": made("anomalies", "How unusual each actor of the last day is, and why.", {}),
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
