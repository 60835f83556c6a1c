"""Several language models as one: the first that answers does."""

from __future__ import annotations

import copy
import threading
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import structlog

from stupid_dagster.llm.anthropic import AnthropicModel
from stupid_dagster.llm.budget import Budget, BudgetExhaustedError, Prices
from stupid_dagster.llm.ending import Ending, OverError
from stupid_dagster.llm.meter import Meter
from stupid_dagster.llm.ollama import OllamaModel
from stupid_dagster.llm.openai import OpenAIModel
from stupid_dagster.llm.protocol import Answer, CallError, Completion, Message, Usage
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


class Chain:
    """A LanguageModel that asks others in turn until one answers.

    `failures` are the last ones with their reasons. With a `budget`, a request is only made while
    it lasts; a model that costs nothing may be asked when the money is spent. After the `ending`
    nobody is asked. `prices` are for those who tell the cost. Any number of threads may use one.
    """

    def __init__(
        self,
        models: Sequence[Provider],
        budget: Budget | None = None,
        prices: Prices | None = None,
        ending: Ending | None = None,
    ) -> None:
        self.models = models
        self.prices = prices or {}
        self.failures: deque[Failure] = deque(maxlen=_KEPT_FAILURES)
        self.meter = Meter(budget, ending)
        self._lock = threading.Lock()

    @property
    def model_id(self) -> str:
        """`provider/model` of all, in their order."""
        return ", ".join(model.model_id for model in self.models)

    def complete(self, messages: Sequence[Message], schema: type[Answer]) -> Completion[Answer]:
        """Return the first answer; raises ProviderError with each model's reason.

        Its usage includes what models took that failed before. Raises BudgetExhaustedError where
        no model may be asked, and OverError after the end.
        """
        spent, failures = Usage(), []
        for model in self.models:
            try:
                done = model.complete(messages, schema, self.meter_of(model))
            except OverError as error:
                error.usage += spent
                raise
            except CallError as error:
                spent += error.usage
                failures.append(self._failed(model, error))
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
        limited.meter = self.meter.within(budget)
        return limited

    def meter_of(self, model: Provider) -> Meter:
        """Return a model's meter: while there is another to ask, none waits for long."""
        return self.meter.waiting() if model is self.models[-1] else self.meter

    def close(self) -> None:
        """Close all connections that nobody uses, the others after that; the next call opens new.

        Whoever doesn't want calls under way to go on with another request ends them before.
        """
        for model in self.models:
            model.close()

    def _failed(self, model: Provider, error: CallError) -> Failure:
        no_budget = isinstance(error, BudgetExhaustedError)
        failure = Failure(model.model_id, str(error), no_budget)
        if not no_budget:
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
            stream, begun = model.stream(messages, chain.meter_of(model)), False
            try:
                for piece in stream:
                    begun, self._model_id = True, model.model_id
                    yield piece
            except OverError as error:
                error.usage += spent
                raise
            except CallError as error:
                spent += error.usage
                failures.append(chain._failed(model, error))
                if begun:
                    yield spent
                    raise
                continue
            yield spent + stream.usage
            return
        raise _none(failures, spent)


def configured_model(
    settings: Settings, budget: Budget | None = None, ending: Ending | None = None
) -> Chain | None:
    """Return the language model of the settings, None where none is set; asks nobody yet."""
    models = [
        _PROVIDERS[name](
            getattr(settings, f"llm_{name}_model"),
            getattr(settings, f"llm_{name}_url"),
            settings.llm_seconds,
        )
        for name in settings.llm
    ]
    return Chain(models, budget, settings.llm_prices, ending) if models else None


def _none(failures: Sequence[Failure], spent: Usage) -> CallError:
    if all(failure.no_budget for failure in failures):
        return BudgetExhaustedError("; ".join(dict.fromkeys(one.reason for one in failures)), spent)
    return ProviderError(
        f"no language model answered: {'; '.join(failure.reason for failure in failures)}", spent
    )
