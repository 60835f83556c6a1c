"""Anthropic's models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar

from stupid_dagster.llm.protocol import Message, Usage
from stupid_dagster.llm.provider import MOST_TOKENS, CallFailed, Pieces, Provider, Reply
from stupid_dagster.providers import Terms, anthropic_failures, key_for
from stupid_dagster.stopping import STOPPED_WITH_WORK

KEY = "ANTHROPIC_API_KEY"


class AnthropicModel(Provider):
    """A model by Anthropic's messages; the key is the environment's `ANTHROPIC_API_KEY`.

    The client's own `parse` would be handier, but loses the text and tokens of an answer that
    isn't of the schema's form. Schemas whose grammar is too large are refused by the server.
    """

    name: ClassVar[str] = "anthropic"

    def _connect(self) -> Any:
        from anthropic import Anthropic, DefaultHttpxClient

        return Anthropic(
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
        from anthropic import transform_schema

        more: dict[str, Any] = {}
        if schema:
            held = {"type": "json_schema", "schema": transform_schema(dict(schema))}
            more["output_config"] = {"format": held}
        answer = client.messages.create(**self._told(messages), timeout=seconds, **more)
        if not isinstance(getattr(answer, "content", None), list):
            raise CallFailed("answered what is no message; is the URL right?")
        usage = _usage(answer.usage)
        _check(answer.stop_reason, usage)
        text = "".join(block.text for block in answer.content if block.type == "text")
        return Reply(text, usage)

    def _pieces(self, client: Any, messages: Sequence[Message], seconds: float) -> Pieces:
        stream = client.messages.create(**self._told(messages), timeout=seconds, stream=True)
        usage, reason = Usage(), None
        with stream:
            for event in stream:
                if event.type == "message_start":
                    usage = _usage(event.message.usage)
                elif event.type == "content_block_delta" and event.delta.type == "text_delta":
                    yield event.delta.text
                elif event.type == "message_delta":
                    reason = event.delta.stop_reason
                    # The count so far, not what has come since.
                    usage = Usage(usage.prompt_tokens, event.usage.output_tokens)
        yield usage
        if reason is None:
            raise CallFailed("its answer broke off", usage)
        _check(reason, usage)

    def _told(self, messages: Sequence[Message]) -> dict[str, Any]:
        request: dict[str, Any] = {
            "model": self.model,
            "max_tokens": MOST_TOKENS,
            "messages": [
                {"role": m.role, "content": m.content} for m in messages if m.role != "system"
            ],
        }
        if told := "\n\n".join(m.content for m in messages if m.role == "system"):
            request["system"] = told
        return request

    def _failures(self, terms: Terms) -> AbstractContextManager[None]:
        return anthropic_failures(terms)


def _usage(told: Any) -> Usage:
    """Return the tokens; those of the prompt that a cache held are told apart by the server."""
    cached = (told.cache_creation_input_tokens or 0) + (told.cache_read_input_tokens or 0)
    return Usage((told.input_tokens or 0) + cached, told.output_tokens or 0)


def _check(reason: str | None, usage: Usage) -> None:
    if reason == "refusal":
        raise CallFailed("refused to answer", usage=usage)
    if reason in ("max_tokens", "model_context_window_exceeded"):
        raise CallFailed(
            f"was cut off after {usage.completion_tokens} tokens ({reason}); ask for less",
            usage=usage,
        )
