"""Texts to vectors: the Embedder protocol, ONNX models, and the bundled one."""

from __future__ import annotations

from stupid_dagster.embed.bundled import bundled_embedder, split_words
from stupid_dagster.embed.onnx import OnnxEmbedder
from stupid_dagster.embed.protocol import Embedder

__all__ = ["Embedder", "OnnxEmbedder", "bundled_embedder", "split_words"]
