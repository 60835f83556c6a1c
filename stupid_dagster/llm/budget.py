"""What language models may take: tokens and money, whoever is asked, any number at once."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stupid_dagster.errors import LanguageModelError
from stupid_dagster.llm.protocol import Message, Usage

Prices = Mapping[str, tuple[float, float]]
"""By `provider/model`: dollars per million tokens of prompts, and of answers."""
CHARACTERS_PER_TOKEN = 3
"""English prose has about 4, the prompts here, of JSON and numbers, 2.9 (SmolLM2's tokenizer)."""
USUAL_ANSWER = 500
"""Tokens that an answer is expected to take, until a longer one has come."""
_MILLION = 1_000_000


class BudgetExhaustedError(LanguageModelError):
    """A call would take more than may be taken: it isn't made."""


@dataclass(frozen=True)
class _Reserved:
    tokens: int
    cost: float


def cost_of(model_id: str, usage: Usage, prices: Prices) -> float | None:
    """Return the dollars of so many tokens; None for a model without a price."""
    if model_id not in prices:
        return None
    prompt, answer = prices[model_id]
    return (usage.prompt_tokens * prompt + usage.completion_tokens * answer) / _MILLION


def expected(messages: Sequence[Message], answer_tokens: int = USUAL_ANSWER) -> Usage:
    """Return about what a call takes, before it is made."""
    characters = sum(len(message.content) for message in messages)
    return Usage(characters // CHARACTERS_PER_TOKEN + 1, answer_tokens)


class Budget:
    """Limits of what calls take together; None is no limit. Any number of threads may use one.

    What a call is expected to take is reserved before it is made, so that calls at the same time
    don't each spend the same rest; what it took is known afterwards, and may be more. So at most
    the calls that are under way go beyond a limit, each by what its answer is longer than expected.
    `token_setting` and `cost_setting` are named where a limit is reached.
    """

    def __init__(
        self,
        tokens: int | None,
        cost: float | None = None,
        prices: Prices | None = None,
        *,
        token_setting: str = "llm_run_tokens",
        cost_setting: str = "llm_run_cost",
    ) -> None:
        self.tokens, self.cost = tokens, cost
        self._prices = prices or {}
        self._token_setting, self._cost_setting = token_setting, cost_setting
        self._taken = _Reserved(0, 0)
        self._reserved: list[_Reserved] = []
        self._longest = USUAL_ANSWER
        self._changed = threading.Condition()

    def reserve(self, model_id: str, messages: Sequence[Message]) -> _Reserved:
        """Reserve what a call is expected to take; `settle` gives it back.

        Waits for calls under way where they may leave enough. Raises BudgetExhaustedError.
        """
        with self._changed:
            while True:
                usage = expected(messages, self._longest)
                wanted = _Reserved(_sum(usage), cost_of(model_id, usage, self._prices) or 0)
                why = self._lacks(wanted)
                if why is None:
                    self._reserved.append(wanted)
                    return wanted
                if not self._reserved:
                    raise BudgetExhaustedError(why)
                self._changed.wait()

    def settle(self, reserved: _Reserved, model_id: str, usage: Usage) -> None:
        """Count what a call took instead of what was reserved for it."""
        with self._changed:
            self._reserved.remove(reserved)
            self.count(model_id, usage)
            self._longest = max(self._longest, usage.completion_tokens)
            self._changed.notify_all()

    def count(self, model_id: str, usage: Usage) -> None:
        """Count what was taken."""
        cost = cost_of(model_id, usage, self._prices) or 0
        with self._changed:  # It may be held already.
            taken = self._taken
            self._taken = _Reserved(taken.tokens + _sum(usage), taken.cost + cost)

    def _lacks(self, wanted: _Reserved) -> str | None:
        """Return which limit a call would go beyond; None if none."""
        tokens = self._taken.tokens + sum(one.tokens for one in self._reserved) + wanted.tokens
        if self.tokens is not None and tokens > self.tokens:
            return (
                f"the budget of {self.tokens:,} tokens is used up (setting {self._token_setting})"
            )
        cost = self._taken.cost + sum(one.cost for one in self._reserved) + wanted.cost
        # What costs nothing may go on when the money is spent.
        if self.cost is not None and wanted.cost > 0 and cost > self.cost:
            return f"the budget of ${self.cost:,.4g} is used up (setting {self._cost_setting})"
        return None


def _sum(usage: Usage) -> int:
    return usage.prompt_tokens + usage.completion_tokens
