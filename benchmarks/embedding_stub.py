"""An embeddings server that costs next to nothing: `python -m benchmarks.embedding_stub`.

It speaks OpenAI's `/v1/embeddings` and Ollama's `/api/embed`, gives each text the same vector, made
once, and prints its port. So what is measured against it is what the client costs.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

from benchmarks.machine import REPOSITORY

OPENAI_DIMENSIONS, OLLAMA_DIMENSIONS = 1536, 768
"""As text-embedding-3-small and nomic-embed-text have."""


def _vector(dimensions: int) -> np.ndarray:
    return np.random.default_rng(7).normal(size=dimensions).astype("<f4")


_BASE64 = base64.b64encode(_vector(OPENAI_DIMENSIONS).tobytes()).decode()
_NUMBERS = json.dumps(_vector(OLLAMA_DIMENSIONS).astype(float).round(7).tolist())


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # The head and the body are written apart: without it the second waits for the first's receipt.
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        texts = body.get("input", [])
        if self.path == "/v1/embeddings":
            rows = [
                f'{{"object":"embedding","index":{number},"embedding":"{_BASE64}"}}'
                for number in range(len(texts))
            ]
            used = '"usage":{"prompt_tokens":1,"total_tokens":1}'
            self._send(f'{{"object":"list","model":"stub","data":[{",".join(rows)}],{used}}}')
        elif self.path == "/api/embed":
            rows = [_NUMBERS] * len(texts)
            self._send(f'{{"model":"stub","embeddings":[{",".join(rows)}],"prompt_eval_count":1}}')
        else:
            self._send("{}", 404)

    def do_GET(self) -> None:
        model = {"name": "stub:latest", "model": "stub:latest", "digest": "0" * 64}
        self._send(json.dumps({"models": [model]}), 200 if self.path == "/api/tags" else 404)

    def _send(self, text: str, status: int = 200) -> None:
        raw = text.encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def embedding_stub() -> Iterator[str]:
    """Run the server in a process of its own, so that its CPU isn't the client's; yield its URL."""
    command = [sys.executable, "-m", "benchmarks.embedding_stub"]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    print(server.server_port, flush=True)
    server.serve_forever()
