"""OpenAI, and servers that speak its chat completions (llama.cpp, vLLM, LM Studio, ...)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar

from stupid_dagster.llm.protocol import Message, Usage
from stupid_dagster.llm.provider import MOST_TOKENS, CallFailed, Pieces, Provider, Reply
from stupid_dagster.providers import Terms, key_for, openai_failures
from stupid_dagster.stopping import STOPPED_WITH_WORK

KEY = "OPENAI_API_KEY"


class OpenAIModel(Provider):
    """A model by OpenAI's chat completions; the key is the environment's `OPENAI_API_KEY`.

    The client's own `parse` would be handier, but loses the text and tokens of an answer that
    isn't of the schema's form.
    """

    name: ClassVar[str] = "openai"

    def _connect(self) -> Any:
        from openai import DefaultHttpxClient, OpenAI

        return OpenAI(
            api_key=key_for(KEY, self.url),
            base_url=self.url,
            timeout=self.seconds,
            max_retries=0,
            http_client=DefaultHttpxClient(event_hooks=STOPPED_WITH_WORK),
        )

    def _ask(
        self,
        client: Any,
        messages: Sequence[Message],
        seconds: float,
        name: str,
        schema: Mapping[str, Any] | None,
    ) -> Reply:
        more: dict[str, Any] = {}
        if schema:
            held = {"name": name, "strict": True, "schema": schema}
            more["response_format"] = {"type": "json_schema", "json_schema": held}
        answer = client.chat.completions.create(
            model=self.model,
            messages=_plain(messages),
            max_completion_tokens=MOST_TOKENS,
            timeout=seconds,
            **more,
        )
        choices = getattr(answer, "choices", None)
        if not choices or choices[0].message is None:
            raise CallFailed("answered what is no chat completion; is the URL right?")
        usage = _usage(answer.usage)
        _check(choices[0].finish_reason, choices[0].message.refusal, usage)
        return Reply(choices[0].message.content or "", usage)

    def _pieces(self, client: Any, messages: Sequence[Message], seconds: float) -> Pieces:
        stream = client.chat.completions.create(
            model=self.model,
            messages=_plain(messages),
            max_completion_tokens=MOST_TOKENS,
            timeout=seconds,
            stream=True,
            stream_options={"include_usage": True},
        )
        usage: Usage | None = None
        reason, refusal = None, ""
        with stream:
            for chunk in stream:
                if chunk.usage:
                    usage = _usage(chunk.usage)
                for choice in chunk.choices or ():
                    reason = choice.finish_reason or reason
                    refusal += choice.delta.refusal or ""
                    if choice.delta.content:
                        yield choice.delta.content
        if usage is not None:
            yield usage
        if reason is None:
            raise CallFailed("its answer broke off", usage)
        _check(reason, refusal, usage)

    def _failures(self, terms: Terms) -> AbstractContextManager[None]:
        return openai_failures(terms)


def _plain(messages: Sequence[Message]) -> list[Any]:
    return [{"role": m.role, "content": m.content} for m in messages]


def _usage(told: Any) -> Usage:
    return Usage(told.prompt_tokens or 0, told.completion_tokens or 0) if told else Usage()


def _check(reason: str | None, refusal: str | None, usage: Usage | None) -> None:
    if refusal:
        raise CallFailed(f"refused to answer: {refusal[:200]}", usage=usage)
    if reason == "length":
        after = f" after {usage.completion_tokens} tokens" if usage else ""
        raise CallFailed(f"was cut off{after}; ask for less", usage)
    if reason == "content_filter":
        raise CallFailed("its answer was held back by a content filter", usage=usage)
