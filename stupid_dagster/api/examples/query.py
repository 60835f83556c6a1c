"""Questions in plain words."""

from __future__ import annotations

from typing import Any

from stupid_dagster.api.examples.parts import ONE

_QUESTION = "Which carriers cancelled most flights on 8 February?"
_PLAN: dict[str, Any] = {
    "steps": [
        {
            "id": "s1",
            "op": "documents.scan",
            "params": {
                "event_type": "Cancellation",
                "first_day": "2013-02-08",
                "last_day": "2013-02-08",
                "columns": ["carrier_name"],
            },
        },
        {
            "id": "s2",
            "op": "table.aggregate",
            "depends_on": ["s1"],
            "params": {"rows": {"ref": "s1"}, "by": ["carrier_name"], "limit": 3},
        },
    ],
    "render": {"type": "table", "step": "s2", "title": "Cancellations by carrier"},
}
_STEPS: list[dict[str, Any]] = [
    {
        "id": "s1",
        "op": "documents.scan",
        "status": "ok",
        "count": 472,
        "total": 472,
        "truncated": False,
        "partial": False,
        "seconds": 0.0061,
        "notes": [],
    },
    {
        "id": "s2",
        "op": "table.aggregate",
        "status": "ok",
        "count": 3,
        "total": 13,
        "truncated": True,
        "partial": False,
        "seconds": 0.0012,
        "notes": [],
    },
]
_SESSION: dict[str, Any] = {
    "id": "Yb3c9Qm2f8T1xKwZ0aLrNs4P",
    "created": "2013-02-10T08:00:00+00:00",
    "forgotten": 0,
    "turns": [
        {
            "question": _QUESTION,
            "plan": _PLAN,
            "snapshot": ONE["snapshot"],
            "found": {"carrier_name": ["ExpressJet Airlines Inc."]},
        }
    ],
}
QUERY: dict[str, Any] = {
    "query": {
        **ONE,
        "total": 13,
        "limit": 1000,
        "truncated": True,
        "question": _QUESTION,
        "session": _SESSION["id"],
        "text": "ExpressJet Airlines Inc. cancelled most, 88 flights.",
        "text_by": "ollama/some-model",
        "sentences_removed": 0,
        "usage": {"prompt_tokens": 5120, "completion_tokens": 187},
        "seconds": {"plan": 2.1, "run": 0.009, "text": 1.2, "total": 3.309},
        "plan": _PLAN,
        "model": "ollama/some-model",
        "repairs": 0,
        "cached": False,
        "steps": _STEPS,
        "render": {
            "type": "table",
            "step": "s2",
            "title": "Cancellations by carrier",
            "y": [],
        },
        "rows": [{"carrier_name": "ExpressJet Airlines Inc.", "count": 88}],
    },
    "session": {**ONE, "session": _SESSION},
    "sessions": {**ONE, "sessions": 3, "most": 1000},
}
EVENTS = (
    'event: text\ndata: {"text":"ExpressJet Airlines Inc. cancelled most, 88 flights.",'
    '"replaces":false}\n\n'
)
