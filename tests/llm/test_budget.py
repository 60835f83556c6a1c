"""What calls may take together, one after the other and at the same time."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from pydantic import BaseModel

from stupid_dagster.errors import LanguageModelError
from stupid_dagster.llm.budget import Budget, BudgetExhaustedError, cost_of, expected
from stupid_dagster.llm.chain import Chain
from stupid_dagster.llm.ending import Ending, OverError
from stupid_dagster.llm.ollama import OllamaModel
from stupid_dagster.llm.openai import OpenAIModel
from stupid_dagster.llm.protocol import Message, Usage
from stupid_dagster.llm.provider import ProviderError
from stupid_dagster.llm.schemas import strict_schema
from tests.llm.servers import COMPLETION_TOKENS, PROMPT_TOKENS, Act, Fail, Raw, Say, Silence
from tests.llm.servers import model_server as served

HELLO = [Message("user", "x" * 399)]
EXPECTED = 134 + 500
ONE = PROMPT_TOKENS + COMPLETION_TOKENS
BLUE = Say('{"name": "blue"}')
PRICES = {"openai/m": (2.0, 10.0), "ollama/m": (0.0, 0.0)}


class Colour(BaseModel):
    name: str


SCHEMA = strict_schema(Colour)
WITH_SCHEMA = sum(vars(expected(HELLO, SCHEMA)).values())


def test_what_a_call_is_expected_to_take() -> None:
    assert expected(HELLO) == Usage(134, 500)
    sent = 399 + len(json.dumps(SCHEMA, separators=(",", ":")))
    assert expected(HELLO, SCHEMA, 80) == Usage(sent // 3 + 1, 80)
    assert cost_of("openai/m", Usage(1_000_000, 500_000), PRICES) == 7.0
    assert cost_of("ollama/m", Usage(9, 9), PRICES) == 0
    assert cost_of("anthropic/m", Usage(9, 9), PRICES) is None


def test_tokens_are_counted_as_they_were_taken() -> None:
    budget = Budget(EXPECTED + 50)
    budget.settle(budget.reserve("m", HELLO), "m", Usage(30, 20))
    budget.settle(budget.reserve("m", HELLO), "m", Usage(1, 0))
    with pytest.raises(BudgetExhaustedError, match=r"budget of 684 tokens .*llm_run_tokens"):
        budget.reserve("m", HELLO)


def test_a_long_answer_teaches_what_to_expect() -> None:
    budget = Budget(10_000)
    budget.settle(budget.reserve("m", HELLO), "m", Usage(100, 6000))
    with pytest.raises(BudgetExhaustedError):
        budget.reserve("m", HELLO)


def test_money_is_counted_and_what_is_free_goes_on() -> None:
    # A call is expected to cost (134 * 2 + 500 * 10) / 1e6.
    budget = Budget(None, 0.0079, PRICES)
    budget.settle(budget.reserve("openai/m", HELLO), "openai/m", Usage(100, 500))
    with pytest.raises(BudgetExhaustedError, match=r"budget of \$0.0079 .*llm_run_cost"):
        budget.reserve("openai/m", HELLO)
    budget.settle(budget.reserve("ollama/m", HELLO), "ollama/m", Usage(100, 500))


def test_what_was_taken_before_counts() -> None:
    budget = Budget(EXPECTED)
    budget.count("m", Usage(1, 0))
    with pytest.raises(BudgetExhaustedError):
        budget.reserve("m", HELLO)


def test_calls_at_once_wait_for_what_others_leave() -> None:
    """Each is expected to take more than half: they go one after the other, and all fit."""
    budget, at_once, most = Budget(1200), 0, 0
    lock = threading.Lock()

    def call(_: int) -> None:
        nonlocal at_once, most
        reserved = budget.reserve("m", HELLO)
        with lock:
            at_once += 1
            most = max(most, at_once)
        time.sleep(0.01)
        with lock:
            at_once -= 1
        budget.settle(reserved, "m", Usage(10, 10))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(call, range(20)))
    assert most == 1
    with pytest.raises(BudgetExhaustedError):
        budget.reserve("m", [Message("user", "x" * 1000)])


def test_a_chain_asks_while_the_budget_lasts() -> None:
    with served("openai", lambda body: BLUE) as server:
        chain = Chain([OpenAIModel("m", server.url, 5)], Budget(WITH_SCHEMA + 2 * ONE - 1))
        assert chain.complete(HELLO, Colour).value.name == "blue"
        assert chain.complete(HELLO, Colour).value.name == "blue"
        for _ in range(2):
            with pytest.raises(BudgetExhaustedError):
                chain.complete(HELLO, Colour)
            with pytest.raises(BudgetExhaustedError):
                "".join(chain.stream([*HELLO, *HELLO]))
        assert len(server.requests) == 2 == chain.meter.requests()["openai/m"]
        assert not chain.failures
        chain.close()


def test_another_model_answers_when_the_money_is_spent() -> None:
    with served("openai", lambda body: BLUE) as one, served("ollama", lambda body: BLUE) as two:
        models = [OpenAIModel("m", one.url, 5), OllamaModel("m", two.url, 5)]
        chain = Chain(models, Budget(None, 0.001, PRICES), PRICES)
        done = chain.complete(HELLO, Colour)
        chain.close()
        assert (done.model_id, len(one.requests)) == ("ollama/m", 0)


def test_a_refused_request_took_nothing_and_a_broken_one_what_was_expected() -> None:
    answers: list[Act] = [Fail(404, "no such model"), BLUE, Say("Blue.")]
    with served("openai", answers) as server:
        chain = Chain([OpenAIModel("m", server.url, 5)]).within(Budget(WITH_SCHEMA + ONE))
        with pytest.raises(LanguageModelError, match="no such model"):
            chain.complete(HELLO, Colour)
        assert chain.meter.spent() == {"openai/m": Usage()}
        chain.complete(HELLO, Colour)
        assert "".join(chain.stream(HELLO)) == "Blue."
        with pytest.raises(BudgetExhaustedError):
            chain.complete(HELLO, Colour)
        chain.close()


@pytest.mark.parametrize("act", [Fail(500, "it broke"), Silence(0.6), Raw(b"<html>")])
def test_a_request_that_may_have_been_worked_at_counts_as_expected(act: Act) -> None:
    with served("openai", [act]) as server:
        chain = Chain([OpenAIModel("m", server.url, 0.3)], Budget(2 * WITH_SCHEMA - 1))
        with pytest.raises(ProviderError) as raised:
            chain.complete(HELLO, Colour)
        assert chain.meter.spent() == {"openai/m": raised.value.usage}
        assert sum(vars(raised.value.usage).values()) == WITH_SCHEMA
        with pytest.raises(BudgetExhaustedError):
            chain.complete(HELLO, Colour)
        assert len(server.requests) == 1
        chain.close()


def test_a_server_that_nobody_reached_took_nothing() -> None:
    with served("openai", []) as server:
        pass
    chain = Chain([OpenAIModel("m", server.url, 5)], Budget(WITH_SCHEMA))
    for _ in range(2):
        with pytest.raises(ProviderError, match="can't be reached"):
            chain.complete(HELLO, Colour)
    assert chain.meter.spent() == {"openai/m": Usage()}
    assert chain.meter.requests() == {"openai/m": 2}


def test_a_text_that_nobody_reads_to_its_end_counts_as_expected() -> None:
    with served("openai", [Say("Snow fell, and 472 flights were cancelled.")]) as server:
        chain = Chain([OpenAIModel("m", server.url, 5)], Budget(10_000))
        assert chain.meter.spent() == {}
        pieces = iter(chain.stream(HELLO))
        next(pieces)
        assert chain.meter.spent() == {}
        assert chain.meter.spent(under_way=True) == {"openai/m": Usage(134, 500)}
        del pieces
        chain.close()
    assert chain.meter.spent() == {"openai/m": Usage(134, 500)}


def test_the_schema_is_reserved_too() -> None:
    with served("openai", lambda body: BLUE) as server:
        chain = Chain([OpenAIModel("m", server.url, 5)], Budget(WITH_SCHEMA - 1))
        with pytest.raises(BudgetExhaustedError):
            chain.complete(HELLO, Colour)
        assert not server.requests
        chain.close()


def test_another_try_has_to_fit_as_well() -> None:
    """What the first took is told with the error, and no second is made."""
    with served("openai", lambda body: Say("It is blue.")) as server:
        chain = Chain([OpenAIModel("m", server.url, 5)], Budget(WITH_SCHEMA + ONE))
        with pytest.raises(BudgetExhaustedError) as raised:
            chain.complete(HELLO, Colour)
        assert raised.value.usage == Usage(PROMPT_TOKENS, COMPLETION_TOKENS)
        assert len(server.requests) == 1
        chain.close()


def test_what_can_never_fit_waits_for_nobody() -> None:
    budget = Budget(2000)
    reserved = budget.reserve("m", HELLO)
    started = time.monotonic()
    with pytest.raises(BudgetExhaustedError):
        budget.reserve("m", [Message("user", "x" * 6000)])
    assert time.monotonic() - started < 1
    budget.settle(reserved, "m", Usage(1, 1))


def test_who_waits_for_the_budget_waits_until_the_end_at_most() -> None:
    budget = Budget(EXPECTED + 100)
    budget.reserve("m", HELLO)
    started = time.monotonic()
    with pytest.raises(OverError, match="setting llm_run_seconds"):
        budget.reserve("m", HELLO, ending=Ending(0.2))
    assert 0.2 <= time.monotonic() - started < 2
