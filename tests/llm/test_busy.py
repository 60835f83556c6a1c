"""Servers that are busy: for how long they are asked again, and what is counted of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import pytest
from pydantic import BaseModel

from stupid_dagster.llm import provider
from stupid_dagster.llm.budget import Budget
from stupid_dagster.llm.chain import Chain
from stupid_dagster.llm.ending import Ending, OverError
from stupid_dagster.llm.openai import OpenAIModel
from stupid_dagster.llm.protocol import Message, Usage
from stupid_dagster.llm.provider import ProviderError
from stupid_dagster.llm.spending import spending
from tests.llm.servers import COMPLETION_TOKENS, PROMPT_TOKENS, Act, Fail, Say
from tests.llm.servers import model_server as served

HELLO = [Message("user", "Hello?")]
BLUE = Say('{"name": "blue"}')
BUSY = Fail(429, "too many", {"retry-after": "0.05"})
ONE = Usage(PROMPT_TOKENS, COMPLETION_TOKENS)


class Colour(BaseModel):
    name: str


@pytest.fixture
def chain() -> Iterator[Callable[..., Chain]]:
    made: list[Chain] = []

    def make(*urls: str, ending: Ending | None = None, budget: Budget | None = None) -> Chain:
        models = [OpenAIModel(f"m{n}", url, 20) for n, url in enumerate(urls, 1)]
        for model in models:
            model._connect()  # The first import takes a while.
        made.append(Chain(models, budget, ending=ending))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_a_run_waits_as_long_as_its_server_names_short_times(chain: Callable[..., Chain]) -> None:
    with served("openai", [*[BUSY] * 5, BLUE, *[BUSY] * 3, Say("Blue.")]) as server:
        made = chain(server.url, ending=Ending(20))
        assert made.complete(HELLO, Colour).value.name == "blue"
        assert "".join(made.stream(HELLO)) == "Blue."
        assert made.meter.spent() == {"openai/m1": ONE + ONE}, "who was refused took nothing"
        assert not made.failures


def test_all_threads_are_answered_by_a_server_that_is_busy_every_other_time(
    chain: Callable[..., Chain],
) -> None:
    numbers = count()
    with served("openai", lambda body: BUSY if next(numbers) % 2 else BLUE) as server:
        made = chain(server.url, ending=Ending(20))
        with ThreadPoolExecutor(4) as pool:
            done = [*pool.map(lambda _: made.complete(HELLO, Colour), range(12))]
        assert len(done) == 12 and not made.failures


def test_it_waits_until_the_end_at_most(chain: Callable[..., Chain]) -> None:
    with served("openai", lambda body: BUSY) as server:
        started = time.monotonic()
        with pytest.raises((OverError, ProviderError)):
            chain(server.url, ending=Ending(0.8)).complete(HELLO, Colour)
        assert time.monotonic() - started < 2 and len(server.requests) > 2


@pytest.mark.parametrize("seconds", [20, None])
def test_a_time_that_goes_beyond_the_end_is_a_failure_at_once(
    chain: Callable[..., Chain], seconds: float | None
) -> None:
    ending = Ending(seconds) if seconds else None
    busy = Fail(429, "too many", {"retry-after": "3600"})
    with served("openai", [busy]) as server, pytest.raises(ProviderError, match="wait for 3600 s"):
        chain(server.url, ending=ending).complete(HELLO, Colour)


def test_a_server_that_names_no_time_is_left_after_a_while(
    chain: Callable[..., Chain], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider, "_PATIENCE", 0.8)
    with (
        served("openai", lambda body: Fail(503, "busy")) as server,
        pytest.raises(ProviderError, match="HTTP 503"),
    ):
        chain(server.url, ending=Ending(20)).complete(HELLO, Colour)
    assert len(server.requests) == 2


def test_where_another_may_be_asked_none_is_waited_for_long(chain: Callable[..., Chain]) -> None:
    with served("openai", [BUSY, BUSY]) as one, served("openai", [BUSY, BUSY, BLUE]) as two:
        done = chain(one.url, two.url, ending=Ending(20)).complete(HELLO, Colour)
        assert (done.model_id, len(one.requests), len(two.requests)) == ("openai/m2", 2, 3)


def test_a_question_waits_once(chain: Callable[..., Chain]) -> None:
    with served("openai", [BUSY, BUSY]) as server, pytest.raises(ProviderError):
        chain(server.url).complete(HELLO, Colour)
    assert len(server.requests) == 2


def test_requests_that_are_about_to_be_refused_count_nothing(chain: Callable[..., Chain]) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def slow(body: dict[str, Any]) -> Act:
        asked.set()
        assert go_on.wait(10)
        return Fail(401, "wrong key")

    with served("openai", slow) as server, ThreadPoolExecutor(1) as pool:
        made = chain(server.url, ending=Ending(20))
        failing = pool.submit(made.complete, HELLO, Colour)
        assert asked.wait(10)
        threading.Timer(0.2, go_on.set).start()
        assert made.meter.spent(under_way=True) != {"openai/m1": Usage()}
        spent = spending(made, under_way=True)["openai/m1"]
        assert (spent["prompt_tokens"], spent["completion_tokens"]) == (0, 0)
        assert isinstance(failing.exception(10), ProviderError)


def test_who_waits_for_the_budget_is_woken_by_the_end() -> None:
    budget, ending, raised = Budget(700), Ending(), []
    budget.reserve("m", HELLO)

    def wait() -> None:
        try:
            budget.reserve("m", HELLO, ending=ending)
        except OverError as error:
            raised.append(error)

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    time.sleep(0.2)
    assert thread.is_alive()
    ending.now()
    thread.join(2)
    assert raised and not thread.is_alive()
