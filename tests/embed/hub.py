"""A hub of models on loopback, with as much of Hugging Face's protocol as a download needs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.loopback import Handler, serving

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """A running hub, and the paths that were asked for."""

    url: str
    asked: list[str] = field(default_factory=list)


@contextmanager
def hub_of(repository: str, folder: Path) -> Iterator[Hub]:
    """Serve one repository's files."""

    class Files(Handler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            hub.asked.append(f"{self.command} {path}")
            api = f"/api/models/{repository}"
            files = f"/{repository}/resolve/{COMMIT}/"
            if path == f"{api}/revision/main":
                siblings = [{"rfilename": name} for name in _names(folder)]
                about = {"id": repository, "sha": COMMIT, "siblings": siblings}
                self.answer(200, json.dumps(about).encode())
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
                self.answer(200, json.dumps(entries).encode())
            elif path.startswith(files) and (folder / path.removeprefix(files)).is_file():
                file = folder / path.removeprefix(files)
                headers = {"etag": f'"{_digest(file)}"', "x-repo-commit": COMMIT}
                self.answer(200, file.read_bytes(), headers)
            else:
                self.answer(404, b"{}")

        do_HEAD = do_GET

    with serving(Files) as url:
        hub = Hub(url)
        yield hub


def _names(folder: Path) -> list[str]:
    return sorted(str(f.relative_to(folder)) for f in folder.rglob("*") if f.is_file())


def _digest(file: Path) -> str:
    return hashlib.sha1(file.read_bytes()).hexdigest()
