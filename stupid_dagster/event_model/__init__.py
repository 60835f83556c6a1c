"""The event model: a domain described as data (see docs/event-model.md)."""

from stupid_dagster.event_model.load import (
    bundled_models,
    load_event_model,
    model_hash,
    parse_event_model,
)
from stupid_dagster.event_model.references import available_fields, measured_event_types
from stupid_dagster.event_model.schema import LOCAL_HOUR, EventModel, EventType

__all__ = [
    "LOCAL_HOUR",
    "EventModel",
    "EventType",
    "available_fields",
    "bundled_models",
    "load_event_model",
    "measured_event_types",
    "model_hash",
    "parse_event_model",
]
