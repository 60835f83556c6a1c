"""What language models took for a table: kept with its version, shown, counted by later calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stupid_dagster.llm.budget import Budget, cost_of
from stupid_dagster.llm.chain import Chain
from stupid_dagster.llm.protocol import Usage
from stupid_dagster.settings import Settings

SPENT = "language_models"
"""In the metadata of a table's version."""
_ABOUT_TO_END = 1.0


def window_budget(settings: Settings, *made: Mapping[str, Any]) -> Budget:
    """Return the budget of a window, less what was spent by the metadata of tables made before."""
    budget = Budget(settings.llm_run_tokens, settings.llm_run_cost, settings.llm_prices)
    for metadata in made:
        for model_id, one in metadata.get(SPENT, {}).items():
            budget.count(model_id, Usage(one["prompt_tokens"], one["completion_tokens"]))
    return budget


def spending(chain: Chain, *, under_way: bool = False) -> dict[str, Any]:
    """Return requests and tokens by model, and dollars where it has a price, as plain data.

    Requests `under_way` that nobody waits for count at what is expected of them; but many are
    about to end, and took nothing.
    """
    if under_way:
        chain.meter.settle(_ABOUT_TO_END)
    found: dict[str, Any] = {}
    requests = chain.meter.requests()
    for model_id, usage in chain.meter.spent(under_way=under_way).items():
        found[model_id] = {
            "requests": requests[model_id],
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
        }
        if (cost := cost_of(model_id, usage, chain.prices)) is not None:
            found[model_id]["dollars"] = round(cost, 6)
    return found


def spending_told(spent: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `spending` found as materialisations show it."""
    told: dict[str, Any] = {}
    for model_id, one in spent.items():
        told[f"{model_id}: requests"] = one["requests"]
        sent, received = one["prompt_tokens"], one["completion_tokens"]
        told[f"{model_id}: tokens"] = f"{sent} sent, {received} received"
        if "dollars" in one:
            told[f"{model_id}: dollars"] = one["dollars"]
    return told
