"""Embeddings by OpenAI, and by servers that speak its protocol (llama.cpp, vLLM, TEI, ...)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar
from urllib.parse import urlsplit

from stupid_dagster.embed.remote import ODD_ANSWER, RemoteEmbedder, Reply
from stupid_dagster.providers import RequestFailed, key_for, openai_failures
from stupid_dagster.stopping import STOPPED_WITH_WORK

KEY = "OPENAI_API_KEY"
# The client reads it itself; a model's id tells whose the model is.
_URL = "OPENAI_BASE_URL"
_HOST = "api.openai.com"


class OpenAIEmbedder(RemoteEmbedder):
    """A model of OpenAI's embeddings endpoint; the key is the environment's `OPENAI_API_KEY`."""

    name: ClassVar[str] = "openai"
    texts_a_request: ClassVar[int] = 512

    def _connect(self) -> Any:
        from openai import DefaultHttpxClient, OpenAI

        # Its retries would know nothing of the others'.
        return OpenAI(
            api_key=key_for(KEY, self._url),
            base_url=self._url,
            max_retries=0,
            http_client=DefaultHttpxClient(event_hooks=STOPPED_WITH_WORK),
        )

    def _ask(self, texts: Sequence[str], seconds: float) -> Reply:
        more = {"dimensions": self.remote.dimensions} if self.remote.dimensions else {}
        answer = self.client.embeddings.create(
            model=self.remote.model, input=list(texts), timeout=seconds, **more
        )
        # A server that isn't one of embeddings may answer anything.
        data = getattr(answer, "data", None)
        if not isinstance(data, list):
            raise RequestFailed(ODD_ANSWER)
        given = {getattr(one, "index", None): getattr(one, "embedding", None) for one in data}
        if [*sorted(given, key=str)] != sorted(range(len(texts)), key=str):
            raise RequestFailed(f"gave {len(data)} vectors for {len(texts)} texts")
        usage = getattr(answer, "usage", None)
        tokens = getattr(usage, "total_tokens", None) or 0
        return Reply([given[place] or () for place in range(len(texts))], tokens)

    def _failures(self) -> AbstractContextManager[None]:
        return openai_failures(self._terms())

    def _place(self) -> str:
        if not self._url:
            return ""
        # Servers of one host have models of one name; what else an URL may have is no place.
        url = urlsplit(self._url)
        port = f":{url.port}" if url.port else ""
        place = f"{url.hostname}{port}{url.path.rstrip('/')}"
        return "" if url.hostname == _HOST else f" at {place}"

    @property
    def _url(self) -> str | None:
        return self.remote.url or os.environ.get(_URL)
