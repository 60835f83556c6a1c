"""Models that an Ollama server runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar

from stupid_dagster.llm.protocol import Message, Usage
from stupid_dagster.llm.provider import MOST_TOKENS, CallFailed, Pieces, Provider, Reply
from stupid_dagster.providers import Terms, ollama_client, ollama_failures, ollama_within

# By default the server silently cuts prompts to its own length, often 4096 tokens.
_OPTIONS = {"num_ctx": 16_384, "num_predict": MOST_TOKENS, "temperature": 0}


class OllamaModel(Provider):
    """A model of an Ollama server; by default the one at `OLLAMA_HOST`, else this machine's.

    One that wants a key gets the environment's `OLLAMA_API_KEY`.
    """

    name: ClassVar[str] = "ollama"

    def _connect(self) -> Any:
        return ollama_client(self.url)

    def _ask(
        self,
        client: Any,
        messages: Sequence[Message],
        seconds: float,
        name: str,
        schema: Mapping[str, Any] | None,
    ) -> Reply:
        ollama_within(seconds)
        answer = client.chat(
            model=self.model,
            messages=_plain(messages),
            format=dict(schema) if schema else None,
            options=_OPTIONS,
        )
        usage = _usage(answer)
        _check(answer.done_reason, usage)
        return Reply(answer.message.content or "", usage)

    def _pieces(self, client: Any, messages: Sequence[Message], seconds: float) -> Pieces:
        ollama_within(seconds)
        stream = client.chat(
            model=self.model, messages=_plain(messages), options=_OPTIONS, stream=True
        )
        usage, reason, ended = Usage(), None, False
        for part in stream:
            if part.message.content:
                yield part.message.content
            if part.done:
                usage, reason, ended = _usage(part), part.done_reason, True
        if not ended:
            raise CallFailed("its answer broke off")
        yield usage
        _check(reason, usage)

    def _failures(self, terms: Terms) -> AbstractContextManager[None]:
        return ollama_failures(terms)


def _plain(messages: Sequence[Message]) -> list[Any]:
    return [{"role": m.role, "content": m.content} for m in messages]


def _usage(told: Any) -> Usage:
    return Usage(told.prompt_eval_count or 0, told.eval_count or 0)


def _check(reason: str | None, usage: Usage) -> None:
    if reason == "length":
        raise CallFailed(
            f"was cut off after {usage.completion_tokens} tokens; ask for less", usage=usage
        )
