"""The real clients against a real model: protocols, usage, and what happens when it babbles.

A model so small says little that is right, so that what it says is not judged: either it holds to
the schema, or it is refused and another is asked. What it took is counted either way.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import pytest
from pydantic import BaseModel, Field

from stupid_dagster.llm.anthropic import AnthropicModel
from stupid_dagster.llm.budget import Budget, BudgetExhaustedError
from stupid_dagster.llm.chain import Chain
from stupid_dagster.llm.openai import OpenAIModel
from stupid_dagster.llm.protocol import Message, Usage
from stupid_dagster.llm.provider import Provider, ProviderError
from stupid_dagster.llm.spending import spending
from tests.llm.smol import smol_server

pytestmark = pytest.mark.real_model
SECONDS = 120
MOST_TOKENS = 60
"""Of an answer: it babbles on and on."""
ASKED = [
    Message("system", "You answer with JSON."),
    Message("user", "What colour has the sky by day?"),
]
HELLO = [Message("user", "Say hello.")]
PRICES = {"openai/smollm2": (1.0, 2.0)}


class Colour(BaseModel):
    name: Literal["blue", "red", "green"]


class Poem(BaseModel):
    text: str = Field(min_length=20 * MOST_TOKENS)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with smol_server() as url, pytest.MonkeyPatch.context() as patch:
        for module in ("openai", "anthropic"):
            patch.setattr(f"stupid_dagster.llm.{module}.MOST_TOKENS", MOST_TOKENS)
        yield url


def openai(url: str) -> Provider:
    return OpenAIModel("smollm2", f"{url}/v1", SECONDS)


def anthropic(url: str) -> Provider:
    return AnthropicModel("smollm2", url, SECONDS)


def counted(usage: Usage, calls: int = 1) -> bool:
    return usage.prompt_tokens > 10 and 0 < usage.completion_tokens <= calls * MOST_TOKENS


def test_openai_s_protocol_holds_it_to_the_schema(server: str) -> None:
    chain = Chain([openai(server)], prices=PRICES)
    done = chain.complete(ASKED, Colour)
    assert done.value.name in ("blue", "red", "green")
    assert done.model_id == "openai/smollm2" and counted(done.usage)
    [spent] = spending(chain).values()
    assert spent["requests"] == 1 and spent["prompt_tokens"] == done.usage.prompt_tokens
    cost = done.usage.prompt_tokens + 2 * done.usage.completion_tokens
    assert spent["dollars"] == pytest.approx(cost / 1e6)
    chain.close()


def test_anthropic_s_protocol_refuses_what_is_not_of_the_form(server: str) -> None:
    """llama.cpp holds nobody to a schema there; none so small can write so long an answer."""
    chain = Chain([anthropic(server)])
    with pytest.raises(ProviderError, match=r"asked twice|cut off") as refused:
        chain.complete(ASKED, Poem)
    usage = refused.value.usage
    assert counted(usage, 2) and chain.meter.spent() == {"anthropic/smollm2": usage}
    chain.close()


@pytest.mark.parametrize("make", [openai, anthropic])
def test_text_is_streamed(server: str, make: type[Provider]) -> None:
    model = make(server)  # type: ignore[call-arg]
    stream, pieces = model.stream(HELLO), []
    try:
        pieces += stream
    except ProviderError as error:
        assert "cut off" in str(error)
    assert len(pieces) > 1 and "".join(pieces).strip()
    # At a stream's begin llama.cpp may tell no tokens of a prompt that it has seen before.
    assert 0 < stream.usage.completion_tokens <= MOST_TOKENS
    model.close()


def test_another_is_asked_where_one_babbles(server: str) -> None:
    chain = Chain([anthropic(server), openai(server)])
    done = chain.complete(ASKED, Colour)
    assert done.value.name in ("blue", "red", "green") and counted(done.usage, 3)
    assert sum((one for one in chain.meter.spent().values()), Usage()) == done.usage
    chain.close()


def test_the_budget_ends_the_asking(server: str) -> None:
    chain = Chain([openai(server)], Budget(700))
    chain.complete(ASKED, Colour)
    # What was counted is the server's number, not the estimate.
    with pytest.raises(BudgetExhaustedError):
        for _ in range(30):
            chain.complete(ASKED, Colour)
    assert 1 < chain.meter.requests()["openai/smollm2"] < 30
    assert sum(vars(chain.meter.spent()["openai/smollm2"]).values()) <= 700
    chain.close()
