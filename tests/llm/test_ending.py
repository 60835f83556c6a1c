"""The end of all asking: nothing is asked after it, and who is asked then is left in peace."""

from __future__ import annotations

import importlib
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel

from stupid_dagster.llm.anthropic import AnthropicModel
from stupid_dagster.llm.budget import expected
from stupid_dagster.llm.chain import Chain
from stupid_dagster.llm.ending import Ending, OverError
from stupid_dagster.llm.ollama import OllamaModel
from stupid_dagster.llm.openai import OpenAIModel
from stupid_dagster.llm.protocol import Completion, Message
from stupid_dagster.llm.provider import Provider
from stupid_dagster.llm.schemas import strict_schema
from tests.llm.servers import Act, Fail, Protocol, Say, Silence
from tests.llm.servers import model_server as served

HELLO = [Message("user", "Hello?")]
MAKERS: dict[Protocol, type[Provider]] = {
    "openai": OpenAIModel,
    "anthropic": AnthropicModel,
    "ollama": OllamaModel,
}


class Colour(BaseModel):
    name: str = "none"


EXPECTED = expected(HELLO, strict_schema(Colour))


@pytest.fixture(autouse=True, scope="module")
def _imported() -> None:
    """Import the clients, which takes seconds when first asked for."""
    for protocol in MAKERS:
        importlib.import_module(protocol)


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")


class Asking:
    """A chain that is asked in a thread of its own."""

    def __init__(self, chain: Chain) -> None:
        self.error: Exception | None = None
        self.done: Completion[Colour] | None = None
        self._chain = chain
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def _work(self) -> None:
        try:
            self.done = self._chain.complete(HELLO, Colour)
        except Exception as error:
            self.error = error

    def join(self) -> None:
        self._thread.join(10)
        assert not self._thread.is_alive()


def until(true: Callable[[], Any]) -> None:
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize(
    "first",
    [
        [Fail(500, "it broke", {})],
        [Say("nonsense")],
        [Fail(429, "busy", {"retry-after": "5"})],
        [Fail(400, "the schema is too large")],
    ],
    ids=["next model", "repair", "retry", "schema in words"],
)
def test_nothing_is_asked_after_the_end(first: list[Act]) -> None:
    ending, at_it, go_on = Ending(), threading.Event(), threading.Event()
    script = iter(first)

    def slow(body: dict[str, Any]) -> Act:
        act = next(script)
        at_it.set()
        assert go_on.wait(10)
        return act

    with served("openai", slow) as one, served("openai", lambda body: Say("{}")) as two:
        chain = Chain(
            [OpenAIModel("m", one.url, 20), OpenAIModel("paid", two.url, 20)], ending=ending
        )
        asking = Asking(chain)
        assert at_it.wait(10)
        busy = first[0] == Fail(429, "busy", {"retry-after": "5"})
        if busy:  # It waits to ask again when the end comes.
            go_on.set()
            until(lambda: chain.meter.spent())
        ending.now()
        go_on.set()
        started = time.monotonic()
        asking.join()
        assert time.monotonic() - started < 2
        assert isinstance(asking.error, OverError)
        assert (len(one.requests), len(two.requests)) == (1, 0)
        assert chain.meter.requests() == {"openai/m": 1}
        chain.close()


@pytest.mark.parametrize("protocol", MAKERS)
def test_a_request_waits_until_the_end_at_most(protocol: Protocol) -> None:
    with (
        served(protocol, lambda body: Silence(2)) as one,
        served("openai", lambda body: Say("{}")) as two,
    ):
        models = [MAKERS[protocol]("m", one.url, 20), OpenAIModel("paid", two.url, 20)]
        chain, started = Chain(models, ending=Ending(0.3)), time.monotonic()
        with pytest.raises(OverError) as raised:
            chain.complete(HELLO, Colour)
        assert 0.3 <= time.monotonic() - started < 1.5
        assert raised.value.usage == EXPECTED == chain.meter.spent()[f"{protocol}/m"]
        assert not two.requests
        [failure] = chain.failures
        assert "(setting llm_run_seconds)" in failure.reason
        chain.close()


@pytest.mark.parametrize("protocol", MAKERS)
def test_closing_breaks_no_call_under_way(protocol: Protocol) -> None:
    """The connections go when the last call has ended."""
    with served(protocol, lambda body: Silence(0.5)) as server:
        model = MAKERS[protocol]("m", server.url, 20)
        chain = Chain([model])
        asking = Asking(chain)
        until(lambda: server.requests)
        assert model._connected is not None
        client = model._connected.client
        client = getattr(client, "_client", client)
        chain.close()
        assert not client.is_closed
        assert chain.meter.spent() == {}
        assert chain.meter.spent(under_way=True) == {f"{protocol}/m": EXPECTED}
        asking.join()
        assert asking.done is not None, asking.error
        assert client.is_closed
        assert chain.complete(HELLO, Colour).value == Colour(), "it connects again"
        chain.close()
