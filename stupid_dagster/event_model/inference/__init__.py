"""Draft an event model from sample events (see `stupid-dagster infer`)."""

from stupid_dagster.event_model.inference.draft import Draft, infer_model

__all__ = ["Draft", "infer_model"]
