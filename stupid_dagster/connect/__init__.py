"""Documents in; entities, edges, texts, activity, sequences, metrics, field statistics out.

All that build take `documents`: event type to a day's documents with derived fields
(`enrich`), and return one table of `stupid_dagster.tables`.
"""

from stupid_dagster.connect.activity import build_activity
from stupid_dagster.connect.actor_texts import build_actor_texts
from stupid_dagster.connect.edges import build_edges
from stupid_dagster.connect.entities import build_entities
from stupid_dagster.connect.field_statistics import (
    build_field_statistics,
    most_frequent,
    shortened,
)
from stupid_dagster.connect.metrics import build_metrics
from stupid_dagster.connect.sequences import build_sequences
from stupid_dagster.connect.sketches import bottom_k, distinct_values
from stupid_dagster.connect.texts import build_texts, enrich

__all__ = [
    "bottom_k",
    "build_activity",
    "build_actor_texts",
    "build_edges",
    "build_entities",
    "build_field_statistics",
    "build_metrics",
    "build_sequences",
    "build_texts",
    "distinct_values",
    "enrich",
    "most_frequent",
    "shortened",
]
