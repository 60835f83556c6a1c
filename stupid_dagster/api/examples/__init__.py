"""Answers for the OpenAPI page, shortened: the flights sample, as `make demo` has it, after
the window that ends a day earlier.

FastAPI takes nulls out of examples, so that none has any.
"""

from __future__ import annotations

from typing import Any

from stupid_dagster.api.examples.catalog import CATALOG
from stupid_dagster.api.examples.documents import DOCUMENTS
from stupid_dagster.api.examples.findings import FINDINGS
from stupid_dagster.api.examples.graph import GRAPH
from stupid_dagster.api.examples.knowledge import KNOWLEDGE
from stupid_dagster.api.examples.plans import PLANS
from stupid_dagster.api.examples.query import QUERY

EXAMPLES: dict[str, dict[str, Any]] = (
    CATALOG | DOCUMENTS | FINDINGS | GRAPH | KNOWLEDGE | PLANS | QUERY
)


def example(name: str) -> dict[int | str, dict[str, Any]]:
    """Return what a route's `responses` says of its answer."""
    return {200: {"content": {"application/json": {"example": EXAMPLES[name]}}}}
