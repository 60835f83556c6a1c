"""Several language models as one: the first that answers does."""

from __future__ import annotations

import copy
import threading
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import structlog

from stupid_dagster.errors import LanguageModelError
from stupid_dagster.llm.anthropic import AnthropicModel
from stupid_dagster.llm.budget import Budget, BudgetExhaustedError, Prices
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
    no_budget: bool = False


class _Call:
    """A call under way, and what it took."""

    usage = Usage()


class Chain:
    """A LanguageModel that asks others in turn until one answers.

    `failures` are the last ones with their reasons, `usage` the tokens that each model took, and
    `calls` how often it was asked, failures included. With a `budget`, a model is only asked while
    it lasts; one that costs nothing may be when the money is spent. `prices` are for those who
    tell the cost. Any number of threads may use one.
    """

    def __init__(
        self,
        models: Sequence[Provider],
        budget: Budget | None = None,
        prices: Prices | None = None,
    ) -> None:
        self.models = models
        self.budget = budget
        self.prices = prices or {}
        self.failures: deque[Failure] = deque(maxlen=_KEPT_FAILURES)
        self.usage: dict[str, Usage] = {}
        self.calls: Counter[str] = Counter()
        self._lock = threading.Lock()

    @property
    def model_id(self) -> str:
        """`provider/model` of all, in their order."""
        return ", ".join(model.model_id for model in self.models)

    def complete(self, messages: Sequence[Message], schema: type[Answer]) -> Completion[Answer]:
        """Return the first answer; raises ProviderError with each model's reason.

        Its usage includes what models took that failed before. Raises BudgetExhaustedError where
        no model may be asked.
        """
        spent, failures = Usage(), []
        for model in self.models:
            try:
                with self._call(model, messages) as call:
                    done = model.complete(messages, schema)
                    call.usage = done.usage
            except LanguageModelError as error:
                failures.append(self._failed(model, error))
                spent += _usage(error)
                continue
            return Completion(done.value, done.model_id, spent + done.usage)
        raise _none(failures, spent)

    def stream(self, messages: Sequence[Message]) -> TextStream:
        """Return the text of the first model that begins one; raises ProviderError as it is read.

        A text that breaks off isn't begun anew by another.
        """
        return _ChainStream(self.model_id, self, messages)

    def within(self, budget: Budget) -> Chain:
        """Return the same models with a budget: connections, failures and usage are shared."""
        limited = copy.copy(self)
        limited.budget = budget
        return limited

    def spent(self) -> dict[str, Usage]:
        """Return the tokens that each model took until now, failures included."""
        with self._lock:
            return {**self.usage}

    def close(self) -> None:
        """Close all connections; the next call opens new ones."""
        for model in self.models:
            model.close()

    @contextmanager
    def _call(self, model: Provider, messages: Sequence[Message]) -> Iterator[_Call]:
        """Reserve what a call may take, and count what it took, also if it fails."""
        call = _Call()
        reserved = self.budget.reserve(model.model_id, messages) if self.budget else None
        try:
            yield call
        except LanguageModelError as error:
            call.usage = _usage(error)
            raise
        finally:
            if self.budget and reserved:
                self.budget.settle(reserved, model.model_id, call.usage)
            with self._lock:
                before = self.usage.get(model.model_id, Usage())
                self.usage[model.model_id] = before + call.usage
                self.calls[model.model_id] += 1

    def _failed(self, model: Provider, error: LanguageModelError) -> Failure:
        spent = isinstance(error, BudgetExhaustedError)
        failure = Failure(model.model_id, str(error), spent)
        if not spent:
            log.warning("language model failed", model=model.model_id, problem=str(error))
            with self._lock:
                self.failures.append(failure)
        return failure


class _ChainStream(TextStream):
    def __init__(self, model_id: str, chain: Chain, messages: Sequence[Message]) -> None:
        super().__init__(model_id, self._text(chain, messages))

    def _text(self, chain: Chain, messages: Sequence[Message]) -> Pieces:
        spent, failures = Usage(), []
        for model in chain.models:
            stream, begun = model.stream(messages), False
            try:
                with chain._call(model, messages) as call:
                    for piece in stream:
                        begun, self._model_id = True, model.model_id
                        yield piece
                    call.usage = stream.usage
            except LanguageModelError as error:
                failures.append(chain._failed(model, error))
                spent += _usage(error)
                if begun:
                    yield spent
                    raise
                continue
            yield spent + stream.usage
            return
        raise _none(failures, spent)


def configured_model(settings: Settings, budget: Budget | None = None) -> Chain | None:
    """Return the language model of the settings, None where none is set; asks nobody yet."""
    models = [
        _PROVIDERS[name](
            getattr(settings, f"llm_{name}_model"),
            getattr(settings, f"llm_{name}_url"),
            settings.llm_seconds,
        )
        for name in settings.llm
    ]
    return Chain(models, budget, settings.llm_prices) if models else None


def _usage(error: LanguageModelError) -> Usage:
    return error.usage if isinstance(error, ProviderError) else Usage()


def _none(failures: Sequence[Failure], spent: Usage) -> LanguageModelError:
    if all(failure.no_budget for failure in failures):
        return BudgetExhaustedError("; ".join(dict.fromkeys(one.reason for one in failures)))
    return ProviderError(
        f"no language model answered: {'; '.join(failure.reason for failure in failures)}", spent
    )
