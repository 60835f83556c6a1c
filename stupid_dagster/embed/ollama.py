"""Embeddings by models that an Ollama server runs."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

from stupid_dagster.embed.pace import retry_after
from stupid_dagster.embed.remote import (
    RemoteEmbedder,
    Reply,
    RequestDelayed,
    RequestFailed,
    status_failure,
)


class OllamaEmbedder(RemoteEmbedder):
    """A model of an Ollama server; by default the one at `OLLAMA_HOST`, else this machine's.

    One that wants a key gets the environment's `OLLAMA_API_KEY`. The server itself cuts a text to
    what the model can read.
    """

    name: ClassVar[str] = "ollama"
    texts_a_request: ClassVar[int] = 64

    def _connect(self) -> Any:
        from ollama import Client

        told = self._told = threading.local()

        def note(response: Any) -> None:
            told.retry_after = retry_after(response.headers)

        # The client itself waits for ever, and keeps an answer's headers to itself.
        return Client(
            host=self.remote.url,
            timeout=self.remote.seconds,
            event_hooks={"response": [note]},
        )

    def _ask(self, texts: Sequence[str]) -> Reply:
        answer = self.client.embed(
            model=self.remote.model, input=list(texts), dimensions=self.remote.dimensions
        )
        return Reply(answer.embeddings, answer.prompt_eval_count or 0)

    @contextmanager
    def _failures(self) -> Iterator[None]:
        import httpx
        import ollama

        try:
            yield
        except httpx.TimeoutException as error:
            raise RequestDelayed(
                f"no answer in {self.remote.seconds:g} s (setting embedder_seconds)"
            ) from error
        except ollama.ResponseError as error:
            raise status_failure(
                error.status_code,
                error.error,
                self._told.retry_after,
            ) from error
        except (ConnectionError, httpx.HTTPError) as error:
            raise RequestDelayed(f"can't be reached: {error}") from error
        except (ValueError, TypeError, AttributeError) as error:
            raise RequestFailed("answered what are no embeddings; is embedder_url right?") from (
                error
            )

    def _place(self) -> str:
        return ""  # All servers get their models from one registry.
