"""Language models' servers on loopback that say what they are told to, in each protocol.

Forms are those that the clients' types document: OpenAI's chat completions, Anthropic's messages,
Ollama's chat; streams as server-sent events (Ollama: a JSON object a line).
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from tests.loopback import JSON, Handler, serving

Protocol = Literal["openai", "anthropic", "ollama"]
PROMPT_TOKENS, COMPLETION_TOKENS = 11, 7


class Say(NamedTuple):
    """The model answers with a text, or stops for another reason."""

    text: str
    stop: Literal["end", "length", "refusal"] = "end"


class Fail(NamedTuple):
    """The server answers with an error status."""

    status: int
    message: str
    headers: Mapping[str, str] = {}


class Raw(NamedTuple):
    """The server answers with anything."""

    body: bytes
    content_type: str = "application/json"


class Silence(NamedTuple):
    """The server takes its time, then answers."""

    seconds: float


class Hang(NamedTuple):
    """The server thinks for ever, a stream's after its text; `asked`, then `left` tells the end."""

    asked: threading.Event
    left: threading.Event
    text: str = ""


class BreakOff(NamedTuple):
    """A stream begins, and the connection is closed."""

    text: str


Act = Say | Fail | Raw | Silence | Hang | BreakOff
PATHS = {
    "openai": "/v1/chat/completions",
    "anthropic": "/v1/messages",
    "ollama": "/api/chat",
}


@dataclass
class Served:
    """A running server: its URL as the setting has it, and the requests that it got."""

    url: str
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)


@contextmanager
def model_server(
    protocol: Protocol, answer: Callable[[dict[str, Any]], Act] | list[Act]
) -> Iterator[Served]:
    """Serve a model on a free port; `answer` is a script, or what makes an act of a request."""
    script = iter(answer) if isinstance(answer, list) else None

    class Model(Handler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            if self.path != PATHS[protocol]:
                self._send(404, {"error": {"message": f"no such path {self.path}"}})
                return
            served.requests.append(body)
            served.headers.append({k.lower(): v for k, v in self.headers.items()})
            act = next(script) if script else answer(body)  # type: ignore[operator]
            # The client may have left.
            with suppress(BrokenPipeError, ConnectionResetError):
                self._act(act, body)

        def _act(self, act: Act, body: dict[str, Any]) -> None:
            if isinstance(act, Silence):
                time.sleep(act.seconds)
                act = Say("{}")
            if isinstance(act, Hang):
                self._hang(act, body)
            elif isinstance(act, Fail):
                self._send(act.status, _error(protocol, act), act.headers)
            elif isinstance(act, Raw):
                self.answer(200, act.body, {"content-type": act.content_type})
            elif body.get("stream"):
                self._stream(act)
                self.close_connection = True
            else:
                assert isinstance(act, Say)
                self._send(200, _whole(protocol, act, body["model"]))

        def _stream(self, act: Say | BreakOff) -> None:
            self.send_response(200)
            kind = "application/x-ndjson" if protocol == "ollama" else "text/event-stream"
            self.send_header("content-type", kind)
            self.send_header("connection", "close")
            self.end_headers()
            for piece in _streamed(protocol, act):
                self.wfile.write(piece)
                self.wfile.flush()

        def _hang(self, act: Hang, body: dict[str, Any]) -> None:
            if body.get("stream"):
                self._stream(BreakOff(act.text))
            act.asked.set()
            self.connection.settimeout(20)
            if not self.connection.recv(1):
                act.left.set()
            self.close_connection = True

        def _send(self, status: int, tree: Any, headers: Mapping[str, str] = {}) -> None:
            self.answer(status, json.dumps(tree).encode(), {**JSON, **headers})

    with serving(Model) as url:
        served = Served(f"{url}/v1" if protocol == "openai" else url)
        yield served


def _error(protocol: Protocol, act: Fail) -> dict[str, Any]:
    match protocol:
        case "openai":
            return {"error": {"message": act.message, "type": "error", "code": None}}
        case "anthropic":
            return {"type": "error", "error": {"type": "api_error", "message": act.message}}
    return {"error": act.message}


def _whole(protocol: Protocol, act: Say, model: str) -> dict[str, Any]:
    refused = act.stop == "refusal"
    match protocol:
        case "openai":
            message = {
                "role": "assistant",
                "content": None if refused else act.text,
                "refusal": act.text if refused else None,
            }
            reason = "length" if act.stop == "length" else "stop"
            return {
                "id": "chatcmpl-1",
                "object": "chat.completion",
                "created": 1,
                "model": model,
                "choices": [{"index": 0, "message": message, "finish_reason": reason}],
                "usage": _OPENAI_USAGE,
            }
        case "anthropic":
            return {
                "id": "msg_1",
                "type": "message",
                "role": "assistant",
                "model": model,
                "content": [] if refused else [{"type": "text", "text": act.text}],
                "stop_reason": _ANTHROPIC_STOPS[act.stop],
                "stop_sequence": None,
                "usage": {"input_tokens": PROMPT_TOKENS, "output_tokens": COMPLETION_TOKENS},
            }
    return {**_ollama(model, act.text), **_ollama_end(act.stop)}


def _streamed(protocol: Protocol, act: Say | BreakOff) -> Iterator[bytes]:
    pieces = [act.text[at : at + 9] for at in range(0, len(act.text), 9)]
    stop = act.stop if isinstance(act, Say) else None
    match protocol:
        case "openai":
            part = "refusal" if stop == "refusal" else "content"
            for piece in pieces:
                yield _event(_chunk([{"index": 0, "delta": {part: piece}, "finish_reason": None}]))
            if stop:
                reason = "length" if stop == "length" else "stop"
                yield _event(_chunk([{"index": 0, "delta": {}, "finish_reason": reason}]))
                yield _event({**_chunk([]), "usage": _OPENAI_USAGE})
                yield b"data: [DONE]\n\n"
        case "anthropic":
            yield _named({"type": "message_start", "message": _whole(protocol, Say(""), "m")})
            block = {"type": "text", "text": ""}
            yield _named({"type": "content_block_start", "index": 0, "content_block": block})
            for piece in pieces:
                delta = {"type": "text_delta", "text": piece}
                yield _named({"type": "content_block_delta", "index": 0, "delta": delta})
            if stop:
                yield _named({"type": "content_block_stop", "index": 0})
                end = {"stop_reason": _ANTHROPIC_STOPS[stop], "stop_sequence": None}
                usage = {"output_tokens": COMPLETION_TOKENS}
                yield _named({"type": "message_delta", "delta": end, "usage": usage})
                yield _named({"type": "message_stop"})
        case "ollama":
            for piece in pieces:
                yield json.dumps({**_ollama("m", piece), "done": False}).encode() + b"\n"
            if stop:
                yield json.dumps({**_ollama("m", ""), **_ollama_end(stop)}).encode() + b"\n"


def _chunk(choices: list[dict[str, Any]]) -> dict[str, Any]:
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return {**head, "choices": choices, "usage": None}


def _event(tree: Any) -> bytes:
    return f"data: {json.dumps(tree)}\n\n".encode()


def _named(tree: dict[str, Any]) -> bytes:
    return f"event: {tree['type']}\ndata: {json.dumps(tree)}\n\n".encode()


def _ollama(model: str, text: str) -> dict[str, Any]:
    return {
        "model": model,
        "created_at": "2026-01-01T00:00:00Z",
        "message": {"role": "assistant", "content": text},
    }


def _ollama_end(stop: str) -> dict[str, Any]:
    return {
        "done": True,
        "done_reason": "length" if stop == "length" else "stop",
        "prompt_eval_count": PROMPT_TOKENS,
        "eval_count": COMPLETION_TOKENS,
    }


_OPENAI_USAGE = {
    "prompt_tokens": PROMPT_TOKENS,
    "completion_tokens": COMPLETION_TOKENS,
    "total_tokens": PROMPT_TOKENS + COMPLETION_TOKENS,
}
_ANTHROPIC_STOPS = {"end": "end_turn", "length": "max_tokens", "refusal": "refusal"}
