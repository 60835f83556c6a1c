"""Draft an event model from sample events (see `stupid-dagster infer`)."""

from stupid_dagster.event_model.inference.draft import Draft, infer_model
from stupid_dagster.event_model.inference.errors import InferenceError

__all__ = ["Draft", "InferenceError", "infer_model"]
