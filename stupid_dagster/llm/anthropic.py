"""Anthropic's models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

from stupid_dagster.keys import provider_key
from stupid_dagster.llm.protocol import Message, Usage
from stupid_dagster.llm.provider import (
    MOST_TOKENS,
    CallFailed,
    Pieces,
    Provider,
    Reply,
    status_failure,
)

KEY = "ANTHROPIC_API_KEY"


class AnthropicModel(Provider):
    """A model by Anthropic's messages; the key is the environment's `ANTHROPIC_API_KEY`.

    The client's own `parse` would be handier, but loses the text and tokens of an answer that
    isn't of the schema's form. Schemas whose grammar is too large are refused by the server.
    """

    name: ClassVar[str] = "anthropic"

    def _connect(self) -> Any:
        from anthropic import Anthropic

        key = provider_key(KEY)
        if not key and not self.url:
            raise CallFailed(f"there is no key: set {KEY} in the environment")
        return Anthropic(
            api_key=key or "none", base_url=self.url, timeout=self.seconds, max_retries=0
        )

    def _ask(
        self, messages: Sequence[Message], name: str, schema: Mapping[str, Any] | None
    ) -> Reply:
        from anthropic import transform_schema

        more: dict[str, Any] = {}
        if schema:
            held = {"type": "json_schema", "schema": transform_schema(dict(schema))}
            more["output_config"] = {"format": held}
        answer = self.client.messages.create(**self._request(messages), **more)
        if not isinstance(getattr(answer, "content", None), list):
            raise CallFailed("answered what is no message; is the URL right?")
        usage = _usage(answer.usage)
        _check(answer.stop_reason, usage)
        text = "".join(block.text for block in answer.content if block.type == "text")
        return Reply(text, usage)

    def _pieces(self, messages: Sequence[Message]) -> Pieces:
        stream = self.client.messages.create(**self._request(messages), stream=True)
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
            raise CallFailed("its answer broke off", usage=usage)
        _check(reason, usage)

    def _request(self, messages: Sequence[Message]) -> dict[str, Any]:
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

    @contextmanager
    def _failures(self) -> Iterator[None]:
        import anthropic
        import httpx2

        try:
            yield
        except (anthropic.APITimeoutError, httpx2.TimeoutException) as error:
            raise CallFailed(f"no answer in {self.seconds:g} s (setting llm_seconds)") from error
        except anthropic.APIStatusError as error:
            raise status_failure(
                error.status_code, error.message, error.response.headers
            ) from error
        except (anthropic.APIConnectionError, httpx2.HTTPError) as error:
            raise CallFailed(f"can't be reached: {error.__cause__ or error}") from error
        except anthropic.AnthropicError as error:
            raise CallFailed(str(error)) from error
        except ValueError as error:
            raise CallFailed("answered what is no JSON; is the URL right?") from error


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
