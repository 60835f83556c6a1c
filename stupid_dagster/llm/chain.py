"""Several language models as one: the first that answers does."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import structlog

from stupid_dagster.errors import LanguageModelError
from stupid_dagster.llm.anthropic import AnthropicModel
from stupid_dagster.llm.ollama import OllamaModel
from stupid_dagster.llm.openai import OpenAIModel
from stupid_dagster.llm.protocol import Answer, Completion, Message, Usage
from stupid_dagster.llm.provider import Pieces, Provider, ProviderError, TextStream
from stupid_dagster.settings import Settings

log = structlog.get_logger(__name__)
_PROVIDERS = {provider.name: provider for provider in (OpenAIModel, AnthropicModel, OllamaModel)}
_KEPT_FAILURES = 100


class Failure(NamedTuple):
    """Why a model didn't answer."""

    model_id: str
    reason: str


class Chain:
    """A LanguageModel that asks others in turn until one answers.

    `failures` are the last ones with their reasons, `usage` the tokens that each model took,
    failures included. Any number of threads may use one.
    """

    def __init__(self, models: Sequence[Provider]) -> None:
        self.models = models
        self.failures: deque[Failure] = deque(maxlen=_KEPT_FAILURES)
        self.usage: dict[str, Usage] = {}
        self._lock = threading.Lock()

    @property
    def model_id(self) -> str:
        """`provider/model` of all, in their order."""
        return ", ".join(model.model_id for model in self.models)

    def complete(self, messages: Sequence[Message], schema: type[Answer]) -> Completion[Answer]:
        """Return the first answer; raises ProviderError with each model's reason.

        Its usage includes what models took that failed before.
        """
        spent, failures = Usage(), []
        for model in self.models:
            try:
                done = model.complete(messages, schema)
            except LanguageModelError as error:
                failures.append(self._failed(model, error))
                spent += _usage(error)
                continue
            self._count(model.model_id, done.usage)
            return Completion(done.value, done.model_id, spent + done.usage)
        raise _none(failures, spent)

    def stream(self, messages: Sequence[Message]) -> TextStream:
        """Return the text of the first model that begins one; raises ProviderError as it is read.

        A text that breaks off isn't begun anew by another.
        """
        return _ChainStream(self.model_id, self, messages)

    def spent(self) -> dict[str, Usage]:
        """Return the tokens that each model took until now, failures included."""
        with self._lock:
            return {**self.usage}

    def close(self) -> None:
        """Close all connections; the next call opens new ones."""
        for model in self.models:
            model.close()

    def _failed(self, model: Provider, error: LanguageModelError) -> Failure:
        failure = Failure(model.model_id, str(error))
        log.warning("language model failed", model=model.model_id, problem=str(error))
        with self._lock:
            self.failures.append(failure)
        self._count(model.model_id, _usage(error))
        return failure

    def _count(self, model_id: str, usage: Usage) -> None:
        with self._lock:
            self.usage[model_id] = self.usage.get(model_id, Usage()) + usage


class _ChainStream(TextStream):
    def __init__(self, model_id: str, chain: Chain, messages: Sequence[Message]) -> None:
        super().__init__(model_id, self._text(chain, messages))

    def _text(self, chain: Chain, messages: Sequence[Message]) -> Pieces:
        spent, failures = Usage(), []
        for model in chain.models:
            stream, begun = model.stream(messages), False
            try:
                for piece in stream:
                    begun, self._model_id = True, model.model_id
                    yield piece
            except LanguageModelError as error:
                failures.append(chain._failed(model, error))
                spent += _usage(error)
                if begun:
                    yield spent
                    raise
                continue
            chain._count(model.model_id, stream.usage)
            yield spent + stream.usage
            return
        raise _none(failures, spent)


def configured_model(settings: Settings) -> Chain | None:
    """Return the language model of the settings, None where none is set; asks nobody yet."""
    models = [
        _PROVIDERS[name](
            getattr(settings, f"llm_{name}_model"),
            getattr(settings, f"llm_{name}_url"),
            settings.llm_seconds,
        )
        for name in settings.llm
    ]
    return Chain(models) if models else None


def _usage(error: LanguageModelError) -> Usage:
    return error.usage if isinstance(error, ProviderError) else Usage()


def _none(failures: Sequence[Failure], spent: Usage) -> ProviderError:
    return ProviderError(
        f"no language model answered: {'; '.join(failure.reason for failure in failures)}", spent
    )
