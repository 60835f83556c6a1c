"""Settings that are right each by itself, and can't be used together."""

from __future__ import annotations

import json
from pathlib import Path

from stupid_dagster.settings.table import PROVIDERS, REMOTE_BACKENDS, Settings


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
    return problems + _place_conflicts(settings)


def _place_conflicts(settings: Settings) -> list[str]:
    problems = []
    landing, lake = _place(settings.landing_location), _place(settings.lake_location)
    if landing.is_relative_to(lake) or lake.is_relative_to(landing):
        problems.append(
            f"landing = {settings.landing_location} and data_root = {settings.lake_location}: "
            "neither may lie in the other, for one is only read and the other only written"
        )
    location = settings.inbox_location
    inbox = _place(location) if location else None
    if inbox and any(
        inbox.is_relative_to(other) or other.is_relative_to(inbox) for other in (landing, lake)
    ):
        problems.append(
            f"inbox = {location}: must neither lie in landing = {settings.landing_location} or "
            f"data_root = {settings.lake_location}, nor have them in it"
        )
    # A lake in a folder has no use for it.
    if "://" in str(settings.data_root):
        workplace = settings.path(settings.workplace)
        others = {"landing": landing, "inbox": inbox}
        problems += [
            f"workplace = {workplace}: must neither lie in {name} = {other}, nor have it in it, "
            "for it is written, and emptied, as the lake needs it"
            for name, other in others.items()
            if other and (workplace.is_relative_to(other) or other.is_relative_to(workplace))
        ]
    return problems


def _place(location: str | Path) -> Path:
    """Return what places are compared by: a bucket's URL is compared as a path is.

    Of URLs that fsspec chains (`simplecache::s3://...`), the last says where the files are.
    """
    if isinstance(location, Path):
        return location
    scheme, separator, rest = location.rpartition("::")[2].rpartition("://")
    scheme = scheme.lower()
    if not separator or scheme in {"file", "local"}:
        return Path(rest).resolve()
    return Path(f"{'s3' if scheme == 's3a' else scheme}://{rest}")


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
        REMOTE_BACKENDS,
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
