"""What language models may take: tokens and money, whoever is asked, any number at once."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stupid_dagster.llm.ending import Ending
from stupid_dagster.llm.protocol import CallError, Message, Usage
from stupid_dagster.llm.schemas import schema_text

Prices = Mapping[str, tuple[float, float]]
"""By `provider/model`: dollars per million tokens of prompts, and of answers."""
CHARACTERS_PER_TOKEN = 3
"""English prose has about 4, the prompts here, of JSON and numbers, 2.9 (SmolLM2's tokenizer)."""
USUAL_ANSWER = 500
"""Tokens that an answer is expected to take, until a longer one has come."""
_MILLION = 1_000_000


class BudgetExhaustedError(CallError):
    """A request would take more than may be taken: it isn't made."""


@dataclass(frozen=True)
class Reserved:
    """What a request is expected to take."""

    usage: Usage
    cost: float

    @property
    def tokens(self) -> int:
        """Of the prompt and the answer."""
        return self.usage.prompt_tokens + self.usage.completion_tokens


def cost_of(model_id: str, usage: Usage, prices: Prices) -> float | None:
    """Return the dollars of so many tokens; None for a model without a price."""
    if model_id not in prices:
        return None
    prompt, answer = prices[model_id]
    return (usage.prompt_tokens * prompt + usage.completion_tokens * answer) / _MILLION


def expected(
    messages: Sequence[Message],
    schema: Mapping[str, Any] | None = None,
    answer_tokens: int = USUAL_ANSWER,
) -> Usage:
    """Return about what a request takes, before it is made; its schema is sent like a message."""
    characters = sum(len(message.content) for message in messages)
    characters += len(schema_text(schema)) if schema else 0
    return Usage(characters // CHARACTERS_PER_TOKEN + 1, answer_tokens)


class Budget:
    """Limits of what requests take together; None is no limit. Any number of threads may use one.

    What a request is expected to take is reserved before it is made, so that those at the same time
    don't each spend the same rest; what it took is known afterwards, and may be more. So at most
    the requests that are under way go beyond a limit, each by what it takes more than expected.
    `token_setting` and `cost_setting` are named where a limit is reached.
    """

    def __init__(
        self,
        tokens: int | None = None,
        cost: float | None = None,
        prices: Prices | None = None,
        *,
        token_setting: str = "llm_run_tokens",
        cost_setting: str = "llm_run_cost",
    ) -> None:
        self.tokens, self.cost = tokens, cost
        self._prices = prices or {}
        self._token_setting, self._cost_setting = token_setting, cost_setting
        self._taken = Reserved(Usage(), 0)
        self._reserved: list[Reserved] = []
        self._longest = USUAL_ANSWER
        self._changed = threading.Condition()

    def reserve(
        self,
        model_id: str,
        messages: Sequence[Message],
        schema: Mapping[str, Any] | None = None,
        ending: Ending | None = None,
    ) -> Reserved:
        """Reserve what a request is expected to take; `settle` gives it back.

        Waits for requests under way where they may leave enough. Raises BudgetExhaustedError, at
        once where they can't, and OverError where it all ends meanwhile.
        """
        ending = ending or Ending()
        with ending.waking(self._wake), self._changed:
            while True:
                ending.check()
                usage = expected(messages, schema, self._longest)
                wanted = Reserved(usage, cost_of(model_id, usage, self._prices) or 0)
                if why := self._lacks(wanted, ()):
                    raise BudgetExhaustedError(why)
                if not self._lacks(wanted, self._reserved):
                    self._reserved.append(wanted)
                    return wanted
                self._changed.wait(ending.left())

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def settle(self, reserved: Reserved, model_id: str, usage: Usage) -> None:
        """Count what a request took instead of what was reserved for it."""
        with self._changed:
            self._reserved.remove(reserved)
            self.count(model_id, usage)
            self._longest = max(self._longest, usage.completion_tokens)
            self._changed.notify_all()

    def count(self, model_id: str, usage: Usage) -> None:
        """Count what was taken."""
        cost = cost_of(model_id, usage, self._prices) or 0
        with self._changed:  # It may be held already.
            self._taken = Reserved(self._taken.usage + usage, self._taken.cost + cost)

    def _lacks(self, wanted: Reserved, others: Sequence[Reserved]) -> str | None:
        """Return which limit a request would go beyond beside others; None if none."""
        tokens = self._taken.tokens + sum(one.tokens for one in others) + wanted.tokens
        if self.tokens is not None and tokens > self.tokens:
            return (
                f"the budget of {self.tokens:,} tokens is used up (setting {self._token_setting})"
            )
        cost = self._taken.cost + sum(one.cost for one in others) + wanted.cost
        # What costs nothing may go on when the money is spent.
        if self.cost is not None and wanted.cost > 0 and cost > self.cost:
            return f"the budget of ${self.cost:,.4g} is used up (setting {self._cost_setting})"
        return None
