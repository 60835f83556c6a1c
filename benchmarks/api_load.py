"""Many clients at once against one server process: errors, latencies by route, CPU.

    python -m benchmarks.api_load --project DIR --clients 100 --seconds 60

Each client asks one thing after the other over a connection of its own, without a pause, so that
latencies are those of a server that is full. The routes and their shares are `MIX`.
"""

from __future__ import annotations

import asyncio
import math
import os
import random
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

import click
import httpx2

from stupid_dagster.api.server import bound_socket
from stupid_dagster.project import Project

MIX = {
    "health": 2,
    "node": 4,
    "neighbors": 3,
    "document": 4,
    "knowledge": 4,
    "search": 2,
    "documents": 1,
    "documents as Arrow": 1,
}
"""How often each kind of request comes, as shares."""
ARROW = {"Accept": "application/vnd.apache.arrow.stream"}


@dataclass(frozen=True)
class Request:
    """A request of a kind."""

    kind: str
    path: str
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Load:
    """What was measured: seconds of each answer by kind, errors, and the server's CPU seconds."""

    seconds: Mapping[str, Sequence[float]]
    errors: Sequence[str]
    elapsed: float
    cpu: float

    @property
    def answers(self) -> int:
        """How many answers came."""
        return sum(map(len, self.seconds.values()))


@contextmanager
def server(root: Path) -> Iterator[tuple[str, int]]:
    """Serve a project in a process of its own; yields its URL and process id."""
    with bound_socket(Project.load(root, {"api_port": 0}).settings) as listener:
        port = listener.getsockname()[1]
    code = (
        "import logging, structlog; from stupid_dagster.api.server import serve; "
        "from stupid_dagster.project import Project; "
        # A line a request is the terminal's cost, not the server's.
        "structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR)); "
        f"serve(Project.load({str(root)!r}, {{'api_port': {port}}}))"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    url = f"http://127.0.0.1:{port}"
    try:
        _wait(url, process)
        yield url, process.pid
    finally:
        process.terminate()
        process.wait(60)


def requests(url: str, seed: int = 7) -> dict[str, list[Request]]:
    """Return requests of each kind, for things that the snapshot has."""
    with httpx2.Client(base_url=url, timeout=120) as client:

        def rows(path: str) -> list[dict]:
            answer = client.get(path)
            answer.raise_for_status()
            return answer.json()["rows"]

        catalog = client.get("/catalog").json()["catalog"]
        types = [*catalog["events"]]
        ranked = rows("/knowledge/pagerank?limit=300")
        documents = [
            row
            for name in types[:3]
            for row in rows(f"/documents?event_type={quote(name)}&limit=50")
        ]
    ids = [quote(row["entity_id"], safe="") for row in ranked]
    words = ("login", "player", "game", "flight to", "delay", "popup", "click", "late evening")
    found = {
        "health": ["/health"],
        "node": [f"/graph/nodes/{entity}" for entity in ids],
        "neighbors": [f"/graph/neighbors?id={entity}&limit=50" for entity in ids],
        "document": [f"/documents/{quote(row['doc_id'])}" for row in documents],
        "knowledge": [
            *("/knowledge/clusters?limit=20", "/knowledge/insights?limit=50"),
            *("/knowledge/trends?limit=100", "/knowledge/pagerank?limit=100"),
        ],
        "search": [f"/search?text={quote(f'{a} {b}')}" for a in words for b in words],
        "documents": [f"/documents?event_type={quote(name)}&limit=100" for name in types],
    }
    found["documents as Arrow"] = [f"/documents?event_type={quote(n)}&limit=1000" for n in types]
    shuffle = random.Random(seed)
    for paths in found.values():
        shuffle.shuffle(paths)
    return {
        kind: [Request(kind, path, ARROW if "Arrow" in kind else {}) for path in paths]
        for kind, paths in found.items()
    }


async def load(
    url: str, found: Mapping[str, Sequence[Request]], clients: int, seconds: float, pid: int
) -> Load:
    """Let so many clients ask for so long; returns what came of it."""
    times: dict[str, list[float]] = defaultdict(list)
    errors: list[str] = []
    address = urlsplit(url)
    kinds, shares = [*MIX], [*MIX.values()]

    async def ask(number: int, end: float) -> None:
        choice = random.Random(number)
        line = await asyncio.open_connection(address.hostname, address.port)
        while time.perf_counter() < end:
            (kind,) = choice.choices(kinds, shares)
            request = choice.choice(found[kind])
            started = time.perf_counter()
            try:
                async with asyncio.timeout(60):
                    status, body = await _get(*line, request)
                if status != 200:
                    errors.append(f"{status} {request.path} {body[:200]}")
            except (OSError, EOFError, TimeoutError) as error:
                errors.append(f"{error!r} {request.path}")
                line[1].close()
                line = await asyncio.open_connection(address.hostname, address.port)
            times[kind].append(time.perf_counter() - started)
        line[1].close()

    before, started = cpu_seconds(pid), time.perf_counter()
    await asyncio.gather(*(ask(number, started + seconds) for number in range(clients)))
    elapsed = time.perf_counter() - started
    return Load(times, errors, elapsed, cpu_seconds(pid) - before)


async def _get(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Request
) -> tuple[int, bytes]:
    """Return the status and body of an answer; a client of a few lines, for the CPU is shared."""
    headers = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    writer.write(f"GET {request.path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n".encode())
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
    return int(head[9:12]), await reader.readexactly(length)


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds that a process has used (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def table(measured: Load) -> str:
    """Return what was measured as lines of a Markdown table."""
    lines = ["| route | answers | p50 ms | p95 ms | p99 ms |", "|---|---:|---:|---:|---:|"]
    for kind in MIX:
        values = sorted(measured.seconds.get(kind, ()))
        if values:
            shown = (f"{1000 * _quantile(values, q):.0f}" for q in (0.5, 0.95, 0.99))
            lines.append(f"| {kind} | {len(values)} | {' | '.join(shown)} |")
    rate = measured.answers / measured.elapsed
    cores = measured.cpu / measured.elapsed
    lines += [
        "",
        f"{measured.answers} answers in {measured.elapsed:.1f} s ({rate:.0f} a second), "
        f"{len(measured.errors)} errors; the server used {measured.cpu:.1f} CPU seconds "
        f"({cores:.2f} cores, {1000 * measured.cpu / max(measured.answers, 1):.1f} ms an answer)",
    ]
    return "\n".join(lines)


def _quantile(values: Sequence[float], share: float) -> float:
    return values[min(len(values) - 1, math.ceil(share * len(values)) - 1)]


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < end:
        try:
            if httpx2.get(f"{url}/ready").status_code == 200:
                return
        except httpx2.TransportError:
            pass
        time.sleep(0.2)
    raise SystemExit("the server didn't come up")


@click.command()
@click.option("--project", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--clients", default=100, show_default=True)
@click.option("--seconds", default=60.0, show_default=True)
def main(project: Path, clients: int, seconds: float) -> None:
    """Load the API of a project with a published snapshot; fails if there was any error."""
    with server(project) as (url, pid):
        measured = asyncio.run(load(url, requests(url), clients, seconds, pid))
    click.echo(table(measured))
    for error in measured.errors[:10]:
        click.echo(error, err=True)
    sys.exit(bool(measured.errors))


if __name__ == "__main__":
    main()
