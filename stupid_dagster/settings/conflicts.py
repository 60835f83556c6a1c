"""Settings that are right each by itself, and can't be used together."""

from __future__ import annotations

import json
from pathlib import Path

from stupid_dagster.settings.table import PROVIDERS, Settings


def conflicts(settings: Settings) -> list[str]:
    """Return what is wrong with settings that are right each by itself."""
    problems = []
    first, last = settings.partitions_start, settings.partitions_end
    if last and last < first:
        problems.append(f"partitions_end = {last}: must not be before partitions_start = {first}")
    if settings.api_key is not None and not settings.api_key.strip():
        problems.append("api_key is empty: give a key, or leave it out for none")
    problems += [
        f"llm has {name}, so llm_{name}_model must name the model"
        for name in settings.llm
        if not getattr(settings, f"llm_{name}_model")
    ]
    problems += _price_conflicts(settings)
    problems += _embedder_conflicts(settings)
    landing = Path(settings.landing_location.removeprefix("file://"))
    lake = settings.path(settings.data_root)
    if landing.is_relative_to(lake) or lake.is_relative_to(landing):
        problems.append(
            f"landing = {landing} and data_root = {lake}: neither may lie in the other, for one "
            "is only read and the other only written"
        )
    if (inbox := settings.inbox_folder) and any(
        inbox.is_relative_to(other) or other.is_relative_to(inbox) for other in (landing, lake)
    ):
        problems.append(
            f"inbox = {inbox}: must neither lie in landing = {landing} or data_root = {lake}, nor "
            "have them in it"
        )
    return problems


def _price_conflicts(settings: Settings) -> list[str]:
    prices = settings.llm_prices or {}
    used = [f"{name}/{getattr(settings, f'llm_{name}_model')}" for name in settings.llm]
    problems = [
        f"llm_prices has {name!r}: name a model as provider/model, such as openai/my-model"
        for name in prices
        if not (name.partition("/")[0] in PROVIDERS and name.partition("/")[2])
    ]
    if settings.llm_run_cost is not None:
        problems += [
            f"llm_run_cost needs the price of {name}: in stupid.toml add {json.dumps(name)} = "
            "[dollars per million tokens of prompts, of answers] to [llm_prices], [0, 0] for one "
            "that costs nothing"
            for name in used
            if name not in prices
        ]
    return problems


_EMBEDDER_USES = {
    "bundled": set(),
    "onnx": {"model", "pooling", "execution", "max_tokens", "batch"},
    **dict.fromkeys(
        ("openai", "ollama"),
        {"model", "url", "dimensions", "max_tokens", "batch", "concurrency", "per_minute"}
        | {"seconds"},
    ),
}


def _embedder_conflicts(settings: Settings) -> list[str]:
    backend = settings.embedder_backend
    used = {f"embedder_{name}" for name in _EMBEDDER_USES[backend]} | {"embedder_backend"}
    unused = [n for n in settings.sources if n.startswith("embedder_") and n not in used]
    problems = [
        f"{name} is set, which embedder_backend = {backend} has no use for: leave it out, or set "
        "another backend"
        for name in unused
    ]
    if backend != "bundled" and not (settings.embedder_model or "").strip():
        problems.append(f"embedder_backend is {backend}, so embedder_model must name the model")
    return problems
