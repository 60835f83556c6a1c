"""Requests that nobody awaits any more: given up, and no model is asked instead."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import get_args

import pytest
from pydantic import BaseModel

from stupid_dagster.deadline import Stop, Stopped, stoppable
from stupid_dagster.llm.chain import Chain
from stupid_dagster.llm.protocol import Message
from tests.llm.servers import Act, Hang, Protocol, Say, model_server
from tests.llm.test_providers import PROVIDERS

ASKED = [Message("user", "Who?")]


class Name(BaseModel):
    """What is asked for."""

    name: str


def complete(chain: Chain) -> object:
    return chain.complete(ASKED, Name).value


def stream(chain: Chain) -> object:
    return "".join(chain.stream(ASKED))


@pytest.mark.parametrize("protocol", get_args(Protocol))
@pytest.mark.parametrize(
    ("ask", "begins"), [(complete, ""), (stream, ""), (stream, "I am not yet sure. ")]
)
def test_what_is_stopped_is_given_up_at_once(
    protocol: Protocol, ask: Callable[[Chain], object], begins: str
) -> None:
    hang, stop = Hang(threading.Event(), threading.Event(), begins), Stop()

    def stopped(chain: Chain) -> float:
        with stoppable(stop), pytest.raises(Stopped):
            ask(chain)
        return time.monotonic()

    with (
        model_server(protocol, [hang]) as server,
        model_server("openai", []) as next_server,
        ThreadPoolExecutor(1) as thread,
    ):
        models = [
            PROVIDERS[protocol]("m", server.url, 30),
            PROVIDERS["openai"]("n", next_server.url, 30),
        ]
        chain = Chain(models)
        waiting = thread.submit(stopped, chain)
        assert hang.asked.wait(10)
        started = time.monotonic()
        stop.stop()
        assert waiting.result(10) - started < 1
        assert hang.left.wait(2), "the server would go on"
        stopped(chain)
        chain.close()
    assert len(server.requests) == 1
    assert next_server.requests == []
    assert not chain.failures


@pytest.mark.parametrize("protocol", get_args(Protocol))
def test_what_is_not_stopped_is_answered(protocol: Protocol) -> None:
    acts: list[Act] = [Say('{"name": "Ada"}'), Say("It is Ada."), Say('{"name": "Bob"}')]
    with model_server(protocol, acts) as server:
        model = PROVIDERS[protocol]("m", server.url, 30)
        with stoppable(Stop()):
            assert model.complete(ASKED, Name).value.name == "Ada"
            assert [*model.stream(ASKED)]
            pieces = iter(model.stream(ASKED))
            assert next(pieces)
            del pieces  # Nobody reads on: no failure.
        model.close()
