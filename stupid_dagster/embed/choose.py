"""The embedder that settings name."""

from __future__ import annotations

from dataclasses import replace

from stupid_dagster.embed.bundled import bundled_embedder
from stupid_dagster.embed.hub import model_folder
from stupid_dagster.embed.ollama import OllamaEmbedder
from stupid_dagster.embed.onnx import MAX_BATCH, MAX_TOKENS, OnnxEmbedder
from stupid_dagster.embed.openai import OpenAIEmbedder
from stupid_dagster.embed.protocol import Embedder
from stupid_dagster.embed.remote import Remote
from stupid_dagster.errors import SettingsError, hint
from stupid_dagster.settings import Settings
from stupid_dagster.settings.table import BACKENDS, REMOTE_BACKENDS

REMOTE = {"openai": OpenAIEmbedder, "ollama": OllamaEmbedder}
"""The embedders of `REMOTE_BACKENDS`."""


def make_embedder(settings: Settings) -> Embedder:
    """Return the embedder of the settings; raises EmbedderError where its model isn't there.

    Nothing is loaded or asked before it is needed; but a model that is named by its repository is
    fetched, if it wasn't before.
    """
    if settings.embedder_backend == "bundled":
        return bundled_embedder()
    model = settings.embedder_model or ""
    if settings.embedder_backend == "onnx":
        return _onnx(settings, model)
    return REMOTE[settings.embedder_backend](
        Remote(
            model,
            settings.embedder_url,
            settings.embedder_dimensions,
            settings.embedder_max_tokens,
            settings.embedder_batch,
            settings.embedder_concurrency,
            settings.embedder_per_minute,
            settings.embedder_seconds,
        )
    )


def embedder_of(spec: str, settings: Settings) -> Embedder:
    """Return the embedder that a text names: `bundled`, `onnx:DIR`, `openai:MODEL`, ...

    Behind `@` there may be the pooling of onnx or the dimensions of the others:
    `onnx:models/bge@cls`, `openai:text-embedding-3-small@256`. What it leaves open is as in the
    settings. Raises SettingsError for any other text, else as `make_embedder`.
    """
    backend, _, rest = spec.partition(":")
    if backend not in BACKENDS:
        named = ", ".join(f"{name}:MODEL" for name in REMOTE_BACKENDS)
        raise SettingsError(
            f"{spec!r} is no embedder{hint(backend, BACKENDS)}: name one as bundled, onnx:DIR, "
            f"{named}"
        )
    if (backend == "bundled") != (not rest):
        raise SettingsError(
            f"{spec!r}: bundled stands alone, and the others need a model, as in onnx:DIR"
        )
    changes: dict[str, object] = {"embedder_backend": backend}
    if backend != settings.embedder_backend:
        changes |= {
            f"embedder_{name}": None for name in ("url", "dimensions", "max_tokens", "batch")
        } | {"embedder_pooling": "mean"}
    model, at, option = rest.rpartition("@")
    if at and backend == "onnx" and option in ("mean", "cls"):
        changes["embedder_pooling"] = option
    elif at and backend in REMOTE and option.isascii() and option.isdigit() and int(option):
        changes["embedder_dimensions"] = int(option)
    else:
        model = rest
    return make_embedder(replace(settings, **changes, embedder_model=model or None))


def _onnx(settings: Settings, model: str) -> OnnxEmbedder:
    folder = model_folder(model, settings.root)
    max_tokens = settings.embedder_max_tokens or MAX_TOKENS
    # A repository's own name: that of the folder that it is kept in is its commit.
    name = model.rstrip("/").rpartition("/")[2] if "/" in model else folder.name
    return OnnxEmbedder(
        folder,
        # What is cut elsewhere has other vectors.
        name=name if max_tokens == MAX_TOKENS else f"{name}:{max_tokens}",
        pooling=settings.embedder_pooling,
        max_tokens=max_tokens,
        max_batch=settings.embedder_batch or MAX_BATCH,
        execution=settings.embedder_execution,
    )
