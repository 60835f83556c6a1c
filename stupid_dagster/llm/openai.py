"""OpenAI, and servers that speak its chat completions (llama.cpp, vLLM, LM Studio, ...)."""

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

KEY = "OPENAI_API_KEY"


class OpenAIModel(Provider):
    """A model by OpenAI's chat completions; the key is the environment's `OPENAI_API_KEY`.

    The client's own `parse` would be handier, but loses the text and tokens of an answer that
    isn't of the schema's form.
    """

    name: ClassVar[str] = "openai"

    def _connect(self) -> Any:
        from openai import OpenAI

        key = provider_key(KEY)
        if not key and not self.url:
            raise CallFailed(f"there is no key: set {KEY} in the environment")
        # Servers of one's own mostly want none.
        return OpenAI(api_key=key or "none", base_url=self.url, timeout=self.seconds, max_retries=0)

    def _ask(
        self, messages: Sequence[Message], name: str, schema: Mapping[str, Any] | None
    ) -> Reply:
        more: dict[str, Any] = {}
        if schema:
            held = {"name": name, "strict": True, "schema": schema}
            more["response_format"] = {"type": "json_schema", "json_schema": held}
        answer = self.client.chat.completions.create(
            model=self.model,
            messages=_plain(messages),
            max_completion_tokens=MOST_TOKENS,
            **more,
        )
        choices = getattr(answer, "choices", None)
        if not choices or choices[0].message is None:
            raise CallFailed("answered what is no chat completion; is the URL right?")
        usage = _usage(answer.usage)
        _check(choices[0].finish_reason, choices[0].message.refusal, usage)
        return Reply(choices[0].message.content or "", usage)

    def _pieces(self, messages: Sequence[Message]) -> Pieces:
        stream = self.client.chat.completions.create(
            model=self.model,
            messages=_plain(messages),
            max_completion_tokens=MOST_TOKENS,
            stream=True,
            stream_options={"include_usage": True},
        )
        usage, reason, refusal = Usage(), None, ""
        with stream:
            for chunk in stream:
                if chunk.usage:
                    usage = _usage(chunk.usage)
                for choice in chunk.choices or ():
                    reason = choice.finish_reason or reason
                    refusal += choice.delta.refusal or ""
                    if choice.delta.content:
                        yield choice.delta.content
        yield usage
        if reason is None:
            raise CallFailed("its answer broke off", usage=usage)
        _check(reason, refusal, usage)

    @contextmanager
    def _failures(self) -> Iterator[None]:
        import httpx2
        import openai

        try:
            yield
        except (openai.APITimeoutError, httpx2.TimeoutException) as error:
            raise CallFailed(f"no answer in {self.seconds:g} s (setting llm_seconds)") from error
        except openai.APIStatusError as error:
            raise status_failure(
                error.status_code, error.message, error.response.headers
            ) from error
        except (openai.APIConnectionError, httpx2.HTTPError) as error:
            raise CallFailed(f"can't be reached: {error.__cause__ or error}") from error
        except openai.OpenAIError as error:
            raise CallFailed(str(error)) from error
        except ValueError as error:
            raise CallFailed("answered what is no JSON; is the URL right?") from error


def _plain(messages: Sequence[Message]) -> list[Any]:
    return [{"role": m.role, "content": m.content} for m in messages]


def _usage(told: Any) -> Usage:
    return Usage(told.prompt_tokens or 0, told.completion_tokens or 0) if told else Usage()


def _check(reason: str | None, refusal: str | None, usage: Usage) -> None:
    if refusal:
        raise CallFailed(f"refused to answer: {refusal[:200]}", usage=usage)
    if reason == "length":
        raise CallFailed(
            f"was cut off after {usage.completion_tokens} tokens; ask for less", usage=usage
        )
    if reason == "content_filter":
        raise CallFailed("its answer was held back by a content filter", usage=usage)
