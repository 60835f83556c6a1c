"""Embeddings by OpenAI, and by servers that speak its protocol (llama.cpp, vLLM, TEI, ...)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar
from urllib.parse import urlsplit

from stupid_dagster.embed.pace import retry_after
from stupid_dagster.embed.remote import (
    RemoteEmbedder,
    Reply,
    RequestDelayed,
    RequestFailed,
    status_failure,
)
from stupid_dagster.keys import provider_key

KEY = "OPENAI_API_KEY"
# The client reads it itself; a model's id tells whose the model is.
_URL = "OPENAI_BASE_URL"
_HOST = "api.openai.com"


class OpenAIEmbedder(RemoteEmbedder):
    """A model of OpenAI's embeddings endpoint; the key is the environment's `OPENAI_API_KEY`."""

    name: ClassVar[str] = "openai"
    texts_a_request: ClassVar[int] = 512

    def _connect(self) -> Any:
        from openai import OpenAI

        key = provider_key(KEY)
        if not key and not self._url:
            raise RequestFailed(f"there is no key: set {KEY} in the environment")
        # Servers of one's own mostly want none. Its retries would know nothing of the others'.
        return OpenAI(
            api_key=key or "none",
            base_url=self._url,
            timeout=self.remote.seconds,
            max_retries=0,
        )

    def _ask(self, texts: Sequence[str]) -> Reply:
        more = {"dimensions": self.remote.dimensions} if self.remote.dimensions else {}
        answer = self.client.embeddings.create(model=self.remote.model, input=list(texts), **more)
        # A server that isn't one of embeddings may answer anything.
        data = getattr(answer, "data", None)
        if not isinstance(data, list):
            raise RequestFailed("answered what are no embeddings; is embedder_url right?")
        given = {getattr(one, "index", None): getattr(one, "embedding", None) for one in data}
        if [*sorted(given, key=str)] != sorted(range(len(texts)), key=str):
            raise RequestFailed(f"gave {len(data)} vectors for {len(texts)} texts")
        usage = getattr(answer, "usage", None)
        tokens = getattr(usage, "total_tokens", None) or 0
        return Reply([given[place] or () for place in range(len(texts))], tokens)

    @contextmanager
    def _failures(self) -> Iterator[None]:
        import httpx2
        import openai

        try:
            yield
        except (openai.APITimeoutError, httpx2.TimeoutException) as error:
            raise RequestDelayed(
                f"no answer in {self.remote.seconds:g} s (setting embedder_seconds)"
            ) from error
        except openai.APIStatusError as error:
            raise status_failure(
                error.status_code,
                error.message.removeprefix(f"Error code: {error.status_code} - "),
                retry_after(error.response.headers),
                # What is paid for is used up: that doesn't pass by waiting.
                passing=error.code != "insufficient_quota",
            ) from error
        except (openai.APIConnectionError, httpx2.HTTPError) as error:
            raise RequestDelayed(f"can't be reached: {error.__cause__ or error}") from error
        except openai.OpenAIError as error:
            raise RequestFailed(str(error)) from error
        except (ValueError, TypeError, AttributeError) as error:
            raise RequestFailed("answered what are no embeddings; is embedder_url right?") from (
                error
            )

    def _place(self) -> str:
        host = urlsplit(self._url).hostname if self._url else _HOST
        return "" if host == _HOST else f" at {host}"

    @property
    def _url(self) -> str | None:
        return self.remote.url or os.environ.get(_URL)
