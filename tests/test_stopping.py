"""Requests that are given up, whatever their servers do: embedders' and language models'."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from stupid_dagster.deadline import Stop, Stopped, current_stop, deadline, stoppable
from stupid_dagster.embed.ollama import OllamaEmbedder
from stupid_dagster.embed.openai import OpenAIEmbedder
from stupid_dagster.embed.remote import Remote, RemoteEmbedder
from stupid_dagster.errors import EmbedderError, TimedOutError
from stupid_dagster.keys import NAMES
from stupid_dagster.llm.protocol import Message
from stupid_dagster.llm.provider import MOST_TEXT, Provider, ProviderError
from stupid_dagster.stopping import TookTooLongError, limited
from tests.dripping import EVENTS, HEAD, LINES, Dripping, dripping, unreachable
from tests.llm.servers import Fail, Hang, Say, model_server
from tests.llm.test_providers import PROVIDERS

ASKED = [Message("user", "Who?")]
EMBEDDERS: dict[str, type[RemoteEmbedder]] = {"openai": OpenAIEmbedder, "ollama": OllamaEmbedder}
MODELS: dict[str, type[Provider]] = {**PROVIDERS}
CLIENTS = ("openai", "ollama")
"""One of each HTTP library."""


class Name(BaseModel):
    name: str


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.setenv(name, "sk-secret")
    for name in ("HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest) -> str:
    return request.param


def model_of(client: str, base: str, seconds: float = 30) -> Provider:
    model = MODELS[client]("m", base + ("/v1" if client == "openai" else ""), seconds)
    return model


def embedder_of(client: str, port: int, **more: Any) -> RemoteEmbedder:
    path = "/v1" if client == "openai" else ""
    made = EMBEDDERS[client](Remote("m", f"http://127.0.0.1:{port}{path}", **more))
    assert made.client
    return made


def ends_within(seconds: float, true: Callable[[], bool]) -> bool:
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.02)
    return true()


def asking() -> bool:
    return any(thread.name.endswith("_asks") for thread in threading.enumerate())


def stopped(model: Provider, begun: Callable[[], bool]) -> float:
    """Return the seconds from a stop, when a call has begun, to the call's end."""
    stop, times = Stop(), []

    def end() -> None:
        assert ends_within(5, begun)
        time.sleep(0.1)
        times.append(time.monotonic())
        stop.stop()

    ending = threading.Thread(target=end)
    ending.start()
    with stoppable(stop), pytest.raises(Stopped):
        model.complete(ASKED, Name)
    times.append(time.monotonic())
    ending.join()
    return times[1] - times[0]


def test_an_embedder_that_drips_keeps_no_thread(client: str) -> None:
    with dripping(HEAD, drip=b" ") as server:
        made = embedder_of(client, server.port, seconds=20)
        for _ in range(2):
            started = time.monotonic()
            with deadline(0.4), pytest.raises(TimedOutError, match="mode=text"):
                made.embed(["what"])
            assert time.monotonic() - started < 1.5
        assert ends_within(2, lambda: not asking())
        assert server.left.wait(2)


def test_an_embedder_that_drips_takes_no_longer_than_its_setting(client: str) -> None:
    with dripping(HEAD, drip=b" ") as server:
        made = embedder_of(client, server.port, seconds=0.4, patience=0.1)
        with pytest.raises(EmbedderError, match=r"no answer in 0.4 s \(setting embedder_seconds"):
            made.embed(["what"])


def test_who_reads_no_more_parts_leaves_no_request(client: str) -> None:
    with dripping() as server:
        made = embedder_of(client, server.port, seconds=20)
        ended = threading.Event()
        stop = Stop()

        def work() -> None:
            with stoppable(stop), pytest.raises(Stopped):
                made.embed(["what"])
            ended.set()

        thread = threading.Thread(target=work)
        thread.start()
        assert server.asked.wait(5)
        stop.stop()
        assert ended.wait(2) and server.left.wait(2)
        thread.join()


@pytest.mark.parametrize("servers", [lambda: dripping(HEAD, drip=b" "), unreachable])
def test_a_process_ends_whatever_a_server_does(servers: Callable) -> None:
    script = """if True:
        import sys
        from stupid_dagster.deadline import deadline
        from stupid_dagster.embed.ollama import OllamaEmbedder
        from stupid_dagster.embed.remote import Remote
        from stupid_dagster.errors import TimedOutError
        made = OllamaEmbedder(Remote("m", sys.argv[1], seconds=30))
        assert made.client
        try:
            with deadline(0.4):
                made.embed(["what"])
        except TimedOutError as error:
            print(type(error).__name__, flush=True)
    """
    with servers() as server:
        port = server.port if isinstance(server, Dripping) else server
        with subprocess.Popen(
            [sys.executable, "-c", script, f"http://127.0.0.1:{port}"],
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            try:
                assert process.stdout.readline() == "TimedOutError\n"
                process.wait(3)
            finally:
                process.kill()
    assert process.returncode == 0


def test_a_server_that_is_silent_in_the_handshake(client: str) -> None:
    with dripping() as server:
        model = model_of(client, f"https://127.0.0.1:{server.port}")
        assert stopped(model, server.asked.is_set) < 1
        assert server.left.wait(2)


def test_a_server_that_is_silent_behind_a_proxy(
    client: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with dripping(b"HTTP/1.1 200 Connection established\r\n\r\n") as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        model = model_of(client, "https://models.invalid")
        assert stopped(model, proxy.asked.is_set) < 1, "in the handshake"
        assert proxy.left.wait(2)


def test_who_waits_for_a_busy_server_is_stopped_too(client: str) -> None:
    busy = Fail(429, "busy", {"retry-after": "9"})
    with model_server("openai" if client == "openai" else "ollama", [busy]) as server:
        model = model_of(client, server.url.removesuffix("/v1"))
        assert stopped(model, lambda: bool(server.requests)) < 1


def test_a_connection_of_before_is_stopped_as_well(client: str) -> None:
    hang = Hang(threading.Event(), threading.Event())
    acts = [Say('{"name": "Ada"}'), hang]
    with model_server("openai" if client == "openai" else "ollama", acts) as server:
        model = model_of(client, server.url.removesuffix("/v1"))
        assert model.complete(ASKED, Name).value.name == "Ada"
        assert stopped(model, hang.asked.is_set) < 1
        assert hang.left.wait(2)
        model.close()


@pytest.mark.parametrize("way", ["complete", "stream"])
def test_a_model_that_drips_takes_no_longer_than_its_setting(client: str, way: str) -> None:
    # What a stream sends is none of its text: comments, and empty lines.
    head = {"complete": HEAD, "stream": EVENTS if client == "openai" else LINES}[way]
    drip = b": ping\n\n" if way == "stream" and client == "openai" else b" "
    with dripping(head, drip=drip) as server:
        model = model_of(client, f"http://127.0.0.1:{server.port}", 0.5)
        started = time.monotonic()
        with pytest.raises(ProviderError, match=r"no answer in 0.5 s \(setting llm_seconds\)"):
            _ = model.complete(ASKED, Name) if way == "complete" else [*model.stream(ASKED)]
        assert time.monotonic() - started < 2
        assert server.left.wait(2)


def piece_of(client: str, text: str) -> bytes:
    if client == "ollama":
        told = {"model": "m", "message": {"role": "assistant", "content": text}, "done": False}
        return json.dumps(told).encode() + b"\n"
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    told = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return b"data: " + json.dumps({**told, "choices": [choice]}).encode() + b"\n\n"


@pytest.mark.parametrize(
    ("text", "seconds", "why"), [("word " * 200, 30, "24,576 characters"), ("w ", 0.6, "0.6 s")]
)
def test_a_text_without_end(client: str, text: str, seconds: float, why: str) -> None:
    head = EVENTS if client == "openai" else LINES
    with dripping(head, drip=piece_of(client, text), seconds=0.01) as server:
        stream = model_of(client, f"http://127.0.0.1:{server.port}", seconds).stream(ASKED)
        written = 0
        with pytest.raises(ProviderError, match=why) as raised:
            for piece in stream:
                assert current_stop() is None, "who reads is not stopped with it"
                written += len(piece)
        assert server.left.wait(2)
    assert 0 < written <= MOST_TEXT
    taken = raised.value.usage.completion_tokens
    assert taken >= written // 3 and taken >= 500, "it counts by what came"


def test_a_limit_stops_its_own_work_alone() -> None:
    def wait() -> Iterator[None]:
        woken = threading.Event()
        current = current_stop()
        assert current is not None
        current.then(woken.set)
        assert woken.wait(5)
        current.check()
        yield

    outer = Stop()
    with stoppable(outer):
        with limited(0.05) as limit, pytest.raises(TookTooLongError), limit.working():
            next(wait())
        assert not outer.stopped
        outer_stopped = limited(20)
        with outer_stopped as limit:
            outer.stop()
            with pytest.raises(Stopped), limit.working():
                next(wait())
