"""A hub of models on loopback, with as much of Hugging Face's protocol as a download needs."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """A running hub, and the paths that were asked for."""

    url: str
    asked: list[str] = field(default_factory=list)


@contextmanager
def hub_of(repository: str, folder: Path) -> Iterator[Hub]:
    """Serve one repository's files."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            hub.asked.append(f"{self.command} {path}")
            api = f"/api/models/{repository}"
            files = f"/{repository}/resolve/{COMMIT}/"
            if path == f"{api}/revision/main":
                siblings = [{"rfilename": name} for name in _names(folder)]
                self._send(json.dumps({"id": repository, "sha": COMMIT, "siblings": siblings}))
            elif path == f"{api}/tree/{COMMIT}":
                entries = [
                    {
                        "type": "file",
                        "path": name,
                        "size": (folder / name).stat().st_size,
                        "oid": _digest(folder / name),
                    }
                    for name in _names(folder)
                ]
                self._send(json.dumps(entries))
            elif path.startswith(files) and (folder / path.removeprefix(files)).is_file():
                self._file(folder / path.removeprefix(files))
            else:
                self._send("{}", 404)

        do_HEAD = do_GET

        def _file(self, file: Path) -> None:
            self.send_response(200)
            self.send_header("etag", f'"{_digest(file)}"')
            self.send_header("x-repo-commit", COMMIT)
            self._body(file.read_bytes())

        def _send(self, text: str, status: int = 200) -> None:
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self._body(text.encode())

        def _body(self, raw: bytes) -> None:
            self.send_header("content-length", str(len(raw)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(raw)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub = Hub(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _names(folder: Path) -> list[str]:
    return sorted(str(f.relative_to(folder)) for f in folder.rglob("*") if f.is_file())


def _digest(file: Path) -> str:
    return hashlib.sha1(file.read_bytes()).hexdigest()
