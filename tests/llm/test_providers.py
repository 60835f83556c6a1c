"""The three providers' real clients against servers on loopback."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, Literal, get_args

import jsonschema
import pytest
from pydantic import BaseModel

from stupid_dagster.keys import NAMES
from stupid_dagster.llm.anthropic import AnthropicModel
from stupid_dagster.llm.ollama import OllamaModel
from stupid_dagster.llm.openai import OpenAIModel
from stupid_dagster.llm.protocol import Message, Usage
from stupid_dagster.llm.provider import Provider, ProviderError
from stupid_dagster.llm.schemas import strict_schema
from stupid_dagster.query.plans.model import Plan
from tests.llm.servers import (
    COMPLETION_TOKENS,
    PROMPT_TOKENS,
    BreakOff,
    Fail,
    Protocol,
    Raw,
    Say,
    Silence,
    model_server,
)

PROVIDERS: dict[Protocol, type[Provider]] = {
    "openai": OpenAIModel,
    "anthropic": AnthropicModel,
    "ollama": OllamaModel,
}
ALL: tuple[Protocol, ...] = get_args(Protocol)
HAVE_REFUSALS: tuple[Protocol, ...] = ("openai", "anthropic")
SECRET = "sk-secret-of-the-tests"
ONE = Usage(PROMPT_TOKENS, COMPLETION_TOKENS)
HELLO = [Message("system", "Be brief."), Message("user", "Hello?")]


class Colour(BaseModel):
    name: str
    shade: Literal["light", "dark"] = "light"


MADE: list[Provider] = []


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "OLLAMA_API_KEY"):
        monkeypatch.setenv(name, SECRET)
    yield
    while MADE:
        MADE.pop().close()


def made(protocol: Protocol, url: str | None, seconds: float = 20) -> Provider:
    MADE.append(PROVIDERS[protocol]("some-model", url, seconds))
    return MADE[-1]


def held_schema(protocol: Protocol, request: dict[str, Any]) -> dict[str, Any] | None:
    """Return the schema that a request holds its answer to."""
    match protocol:
        case "openai":
            told = request.get("response_format")
            if told:
                assert told["type"] == "json_schema"
                assert told["json_schema"]["strict"] is True
            return told and told["json_schema"]["schema"]
        case "anthropic":
            told = request.get("output_config")
            return told and told["format"]["schema"]
    return request.get("format")


@pytest.mark.parametrize("protocol", ALL)
def test_a_structured_answer(protocol: Protocol) -> None:
    said = '{"name": "blue", "shade": "dark"}'
    with model_server(protocol, [Say(said)]) as server:
        done = made(protocol, server.url).complete(HELLO, Colour)

    assert done.value == Colour(name="blue", shade="dark")
    assert done.model_id == f"{protocol}/some-model"
    assert done.usage == ONE
    request = server.requests[0]
    schema = held_schema(protocol, request)
    assert schema is not None
    assert schema["properties"]["shade"]["enum"] == ["light", "dark"]
    assert schema["required"] == ["name", "shade"]
    assert schema["additionalProperties"] is False
    roles = [message["role"] for message in request["messages"]]
    if protocol == "anthropic":
        assert (request["system"], roles) == ("Be brief.", ["user"])
        assert "temperature" not in request
    else:
        assert roles == ["system", "user"]
    assert server.headers[0]["authorization"] == f"Bearer {SECRET}"
    if protocol == "ollama":
        assert request["options"]["num_ctx"] > 8000, "a longer prompt would be cut silently"


@pytest.mark.parametrize("protocol", ALL)
@pytest.mark.parametrize("key", [f"{SECRET}\r\nX: y", f"{SECRET}\u00fc"])
def test_a_key_that_no_header_can_hold_is_told_nowhere(
    protocol: Protocol, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in NAMES:
        monkeypatch.setenv(name, key)
    with (
        model_server(protocol, [Say('{"name": "blue"}')]) as server,
        pytest.raises(ProviderError) as raised,
    ):
        made(protocol, server.url).complete(HELLO, Colour)
    assert SECRET not in str(raised.value)
    assert f"{protocol.upper()}_API_KEY in the environment has characters" in str(raised.value)
    assert server.requests == []


@pytest.mark.parametrize("protocol", ALL)
def test_the_line_end_that_a_file_leaves_is_no_part_of_a_key(
    protocol: Protocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in NAMES:
        monkeypatch.setenv(name, f"{SECRET}\n")
    with model_server(protocol, [Say('{"name": "blue"}')]) as server:
        assert made(protocol, server.url).complete(HELLO, Colour).value.name == "blue"
    sent = server.headers[0]
    assert SECRET in sent["x-api-key" if "x-api-key" in sent else "authorization"]


def test_a_key_of_white_space_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_API_KEY", " \n")
    with model_server("ollama", [Say('{"name": "blue"}')]) as server:
        made("ollama", server.url).complete(HELLO, Colour)
    assert "authorization" not in server.headers[0]


@pytest.mark.parametrize("protocol", ALL)
def test_a_server_that_ignores_the_schema_is_asked_once_more(protocol: Protocol) -> None:
    script = [Say("It is blue."), Say('```json\n{"name": "blue"}\n```')]
    with model_server(protocol, [*script]) as server:
        done = made(protocol, server.url).complete(HELLO, Colour)

    assert done.value == Colour(name="blue")
    assert done.usage == ONE + ONE
    told = server.requests[1]["messages"]
    assert told[-2] == {"role": "assistant", "content": "It is blue."}
    assert "Invalid JSON" in told[-1]["content"]
    assert '"shade"' in told[-1]["content"], "the schema, in words"


@pytest.mark.parametrize("protocol", ALL)
def test_after_that_it_is_an_error_that_tells_why_and_what_it_took(protocol: Protocol) -> None:
    with (
        model_server(protocol, [Say('{"shade": "red"}'), Say('{"shade": "red"}')]) as server,
        pytest.raises(ProviderError, match="asked twice: name: Field required; shade: ") as raised,
    ):
        made(protocol, server.url).complete(HELLO, Colour)
    assert raised.value.usage == ONE + ONE


@pytest.mark.parametrize("protocol", ALL)
def test_a_schema_that_the_server_refuses_is_put_in_words(protocol: Protocol) -> None:
    """As Anthropic does with a grammar too large, and servers that know no schemas."""
    refused = Fail(400, "format.schema: The compiled grammar is too large")
    script = [refused, Say('{"name": "blue"}'), Say('{"name": "red"}')]
    with model_server(protocol, [*script]) as server:
        model = made(protocol, server.url)
        assert model.complete(HELLO, Colour).value == Colour(name="blue")
        assert model.complete(HELLO, Colour).value == Colour(name="red")

    held = [held_schema(protocol, request) is not None for request in server.requests]
    assert held == [True, False, False], "it isn't offered again"
    assert '"shade"' in server.requests[1]["messages"][-1]["content"]


@pytest.mark.parametrize("protocol", ALL)
def test_text_as_it_is_written(protocol: Protocol) -> None:
    text = "Snow fell, and 472 flights were cancelled, a third of all."
    with model_server(protocol, [Say(text)]) as server:
        stream = made(protocol, server.url).stream(HELLO)
        pieces = [*stream]

    assert len(pieces) > 3
    assert "".join(pieces) == text
    assert stream.usage == ONE
    assert stream.model_id == f"{protocol}/some-model"


@pytest.mark.parametrize("protocol", ALL)
@pytest.mark.parametrize("way", ["complete", "stream"])
@pytest.mark.parametrize(
    ("act", "reason"),
    [
        (Fail(401, f"wrong key {SECRET}"), r"HTTP 401: .*wrong key.*is the key in the environment"),
        (Fail(404, "no such model"), r"HTTP 404: .*no such model.*is the model's name right"),
        (Fail(500, "it broke"), r"HTTP 500: .*it broke"),
        (Raw(b"<html>a proxy's page</html>", "text/html"), r"is the URL right|broke off|answered"),
        (Raw(b'{"name"', "application/json"), r"is the URL right|broke off"),
        (Silence(1.5), r"no answer in 0\.4 s \(setting llm_seconds\)"),
        (Say('{"name": "bl', "length"), r"cut off after 7 tokens"),
    ],
    ids=["key", "model", "failure", "page", "nonsense", "silence", "length"],
)
def test_each_failure_has_its_reason(protocol: Protocol, way: str, act: Any, reason: str) -> None:
    with model_server(protocol, [act]) as server:
        model = made(protocol, server.url, 0.4)
        with pytest.raises(ProviderError, match=rf"^{protocol}/some-model.*({reason})") as raised:
            _ask(model, way)
    assert len(server.requests) == 1, "nothing that helps nothing is tried again"
    assert SECRET not in str(raised.value)
    assert "Error code" not in str(raised.value), "the status is told once"
    if isinstance(act, Say):
        assert raised.value.usage == ONE


@pytest.mark.parametrize("protocol", HAVE_REFUSALS)
@pytest.mark.parametrize("way", ["complete", "stream"])
def test_a_refusal(protocol: Protocol, way: str) -> None:
    with (
        model_server(protocol, [Say("I'd rather not.", "refusal")]) as server,
        pytest.raises(ProviderError, match="refused to answer"),
    ):
        _ask(made(protocol, server.url), way)


@pytest.mark.parametrize("protocol", ALL)
@pytest.mark.parametrize("way", ["complete", "stream"])
def test_nobody_listens(protocol: Protocol, way: str) -> None:
    with model_server(protocol, []) as server:
        pass
    with pytest.raises(ProviderError, match="can't be reached"):
        _ask(made(protocol, server.url), way)


@pytest.mark.parametrize("protocol", ALL)
@pytest.mark.parametrize("way", ["complete", "stream"])
def test_a_busy_server_is_asked_again_when_it_says(protocol: Protocol, way: str) -> None:
    script = [Fail(429, "too many", {"retry-after": "0.1"}), Say('{"name": "blue"}')]
    with model_server(protocol, [*script]) as server:
        started = time.monotonic()
        _ask(made(protocol, server.url), way)
    # Without that header it were a second.
    assert 0.1 <= time.monotonic() - started < 1
    assert len(server.requests) == 2


@pytest.mark.parametrize("protocol", ALL)
def test_it_may_say_so_by_a_date(protocol: Protocol) -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    started = time.monotonic()
    with (
        model_server(protocol, [Fail(429, "too many", {"retry-after": later})]) as server,
        pytest.raises(ProviderError, match=r"it asks to wait for 3[56]\d\d"),
    ):
        _ask(made(protocol, server.url), "complete")
    assert time.monotonic() - started < 3


@pytest.mark.parametrize("protocol", ALL)
def test_busy_for_good(protocol: Protocol) -> None:
    busy = Fail(503, "too many", {"retry-after": "0"})
    with model_server(protocol, [busy, busy]) as server, pytest.raises(ProviderError):
        _ask(made(protocol, server.url), "stream")
    assert len(server.requests) == 2


@pytest.mark.parametrize("protocol", ALL)
@pytest.mark.parametrize("way", ["complete", "stream"])
def test_one_that_wants_us_to_wait_long_is_left(protocol: Protocol, way: str) -> None:
    started = time.monotonic()
    with (
        model_server(protocol, [Fail(429, "too many", {"retry-after": "3600"})]) as server,
        pytest.raises(ProviderError, match=r"HTTP 429: .*it asks to wait for 3600 s"),
    ):
        _ask(made(protocol, server.url), way)
    assert time.monotonic() - started < 3


@pytest.mark.parametrize("protocol", ALL)
def test_a_text_that_breaks_off(protocol: Protocol) -> None:
    with model_server(protocol, [BreakOff("Snow fell, and ")]) as server:
        stream = made(protocol, server.url).stream(HELLO)
        pieces = []
        with pytest.raises(ProviderError, match="broke off"):
            for piece in stream:
                pieces.append(piece)
    assert "".join(pieces) == "Snow fell, and "


@pytest.mark.parametrize("protocol", HAVE_REFUSALS)
def test_a_missing_key_is_told(protocol: Protocol, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"{protocol.upper()}_API_KEY"
    monkeypatch.delenv(name)
    with pytest.raises(ProviderError, match=f"set {name} in the environment"):
        made(protocol, None).complete(HELLO, Colour)
    with model_server(protocol, [Say('{"name": "blue"}')]) as server:
        assert made(protocol, server.url).complete(HELLO, Colour).value.name == "blue"


def test_the_strict_schema_of_a_plan_is_within_what_servers_enforce() -> None:
    """OpenAI's guide "Structured model outputs": supported schemas."""
    schema = strict_schema(Plan)
    jsonschema.Draft202012Validator.check_schema(schema)
    for part in _parts(schema):
        assert not {"oneOf", "default", "discriminator", "allOf"} & part.keys()
        if part.get("type") == "object":
            assert part["additionalProperties"] is False
            assert part["required"] == [*part["properties"]]
    for holder in _parts(schema):
        for part in [*holder.get("properties", {}).values(), *holder.get("anyOf", [])]:
            assert {"type", "anyOf", "$ref", "enum", "const"} & part.keys(), part
    assert len(json.dumps(schema)) < 20_000


def _parts(tree: Any) -> Iterator[dict[str, Any]]:
    if isinstance(tree, dict):
        if not isinstance(tree.get("type"), dict):
            yield tree
        for part in tree.values():
            yield from _parts(part)
    elif isinstance(tree, list):
        for part in tree:
            yield from _parts(part)


def _ask(model: Provider, way: str) -> None:
    if way == "complete":
        model.complete(HELLO, Colour)
    else:
        list(model.stream(HELLO))
