"""Embeddings by models that an Ollama server runs."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar

from stupid_dagster.embed.remote import RemoteEmbedder, Reply
from stupid_dagster.providers import ollama_client, ollama_failures, ollama_within


class OllamaEmbedder(RemoteEmbedder):
    """A model of an Ollama server; by default the one at `OLLAMA_HOST`, else this machine's.

    One that wants a key gets the environment's `OLLAMA_API_KEY`. The server itself cuts a text to
    what the model can read.
    """

    name: ClassVar[str] = "ollama"
    texts_a_request: ClassVar[int] = 64

    def _connect(self) -> Any:
        return ollama_client(self.remote.url)

    def _ask(self, texts: Sequence[str], seconds: float) -> Reply:
        ollama_within(seconds)
        answer = self.client.embed(
            model=self.remote.model, input=list(texts), dimensions=self.remote.dimensions
        )
        return Reply(answer.embeddings, answer.prompt_eval_count or 0)

    def _failures(self) -> AbstractContextManager[None]:
        return ollama_failures(self._terms())

    def _place(self) -> str:
        return ""  # Mostly they get their models from one registry, under its names.
