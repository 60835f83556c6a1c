"""Embedders' servers on loopback: OpenAI's `/v1/embeddings` and Ollama's `/api/embed`.

As their documentation has them: OpenAI's gives base64 of little-endian float32 where that is asked
for, which its client does by itself; Ollama's gives numbers.
"""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np

from tests.loopback import JSON, Handler, serving

Protocol = Literal["openai", "ollama"]
PATHS = {"openai": "/v1/embeddings", "ollama": "/api/embed"}
DIMENSIONS = 12


class Fail(NamedTuple):
    """The server answers with an error status."""

    status: int
    headers: Mapping[str, str] = {}
    message: str = "no"
    code: str | None = None


class Raw(NamedTuple):
    """The server answers with anything."""

    body: bytes


class Vectors(NamedTuple):
    """The server answers with these, whatever it was asked."""

    vectors: list[list[float]]


class Silence(NamedTuple):
    """The server takes its time, then answers as it should."""

    seconds: float


Act = Fail | Raw | Vectors | Silence | None


@dataclass
class Served:
    """A running server: its URL as the setting has it, and what it was asked, and when."""

    url: str
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    most_at_once: int = 0

    @property
    def texts(self) -> list[str]:
        """All texts that it was sent, those of failed requests too."""
        return [text for request in self.requests for text in request["input"]]


def vector_of(text: str, dimensions: int = DIMENSIONS) -> np.ndarray:
    """Return the vector that the servers give a text: not of length 1."""
    seed = int.from_bytes(text.encode()[:64], "little")
    return np.random.default_rng(seed).normal(size=dimensions).astype(np.float32)


@contextmanager
def embedding_server(
    protocol: Protocol,
    acts: list[Act] | Callable[[int], Act] = lambda _: None,
    seconds: float = 0.0,
) -> Iterator[Served]:
    """Serve a model on a free port; `acts` are the first answers, or make one of a number.

    None of them answers as it should. Each answer takes `seconds`.
    """
    assert protocol in PATHS, f"give {protocol} a path in PATHS here, and an answer in _answer"
    lock = threading.Lock()
    working = 0

    class Model(Handler):
        def do_POST(self) -> None:
            nonlocal working
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            with lock:
                number = len(served.requests)
                served.requests.append(body)
                served.headers.append({k.lower(): v for k, v in self.headers.items()})
                served.times.append(time.monotonic())
                working += 1
                served.most_at_once = max(served.most_at_once, working)
            time.sleep(seconds)
            if isinstance(acts, list):
                act = acts[number] if number < len(acts) else None
            else:
                act = acts(number)
            if self.path != PATHS[protocol]:
                act = Fail(404)
            with suppress(BrokenPipeError, ConnectionResetError):  # The client may have left.
                self._act(act, body)
            with lock:
                working -= 1

        def _act(self, act: Act, body: dict[str, Any]) -> None:
            if isinstance(act, Silence):
                time.sleep(act.seconds)
                act = None
            if isinstance(act, Fail):
                error: Any = act.message
                if protocol == "openai":
                    error = {"message": act.message, "code": act.code, "type": "x"}
                raw = json.dumps({"error": error}).encode()
                self.answer(act.status, raw, {**JSON, **act.headers})
            elif isinstance(act, Raw):
                self.answer(200, act.body)
            else:
                size = body.get("dimensions") or DIMENSIONS
                vectors = act.vectors if act else [vector_of(t, size) for t in body["input"]]
                self.answer(200, json.dumps(_answer(protocol, vectors, body)).encode())

    with serving(Model) as url:
        served = Served(f"{url}/v1" if protocol == "openai" else url)
        yield served


def _answer(protocol: Protocol, vectors: Any, body: dict[str, Any]) -> dict[str, Any]:
    rows = [[float(value) for value in vector] for vector in vectors]
    tokens = sum(len(text.split()) for text in body["input"])
    if protocol == "ollama":
        return {"model": body["model"], "embeddings": rows, "prompt_eval_count": tokens}
    data: list[dict[str, Any]] = [
        {"object": "embedding", "index": index, "embedding": _encoded(row, body)}
        for index, row in enumerate(rows)
    ]
    return {
        "object": "list",
        "model": body["model"],
        # The protocol promises no order.
        "data": data[::-1],
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def _encoded(row: list[float], body: dict[str, Any]) -> Any:
    if body.get("encoding_format") != "base64":
        return row
    return base64.b64encode(np.array(row, "<f4").tobytes()).decode()
