"""Documents and searches."""

from __future__ import annotations

from typing import Any

from stupid_dagster.api.examples.parts import ONE, PAGE

DOCUMENTS: dict[str, Any] = {
    "documents": {
        **PAGE,
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
        **ONE,
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
    "timeline": {
        **PAGE,
        "next_cursor": "WyIyMDEzLTAyLTA4IiwyODMsIjIwMjYxMTIyVDIyNDEzNTk5OC0wNmQ4NjUiXQ",
        "rows": [
            {
                "doc_id": "2013-02-04/Departure/237",
                "timestamp": "2013-02-05T00:05:00+00:00",
                "event_type": "Departure",
                "text": "American Airlines Inc. flight from John F Kennedy Intl to Los Angeles "
                "Intl in the evening, on time",
                "fields": {"carrier": "AA", "origin": "JFK", "dest": "LAX", "dep_delay": 1.0},
            }
        ],
    },
    "segments": {
        **ONE,
        "total": 90,
        "limit": 90,
        "truncated": False,
        "rows": [
            {
                "day": "2013-01-11",
                "event_type": "Departure",
                "documents": 919,
                "bytes": 39583,
                "version": "20261123T115546297-afc2c2",
                "day_rejects": 0,
            }
        ],
    },
    "search": {
        **PAGE,
        "total": 1,
        "limit": 10,
        "truncated": False,
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
}
