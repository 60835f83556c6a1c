"""The API under a real uvicorn: concurrent requests while snapshots change, and the process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import polars as pl

from stupid_dagster.api.server import bound_socket
from stupid_dagster.project import Project
from stupid_dagster.stages.publish import publish_window
from stupid_dagster.stores.snapshots import published_id
from tests.api.serving import seconds_until, served
from tests.pipeline import write_window_table

LAST_DAY = "2013-02-09"


def mark(project: Project, number: int) -> None:
    """Write `number` into two tables of the window, as a publication would change both."""
    for table, column in (("pagerank", "rank"), ("degrees", "degree")):
        frame = project.lake.read(table, LAST_DAY)
        marked = frame.with_columns(pl.lit(number, frame[column].dtype).alias(column))
        write_window_table(project, table, LAST_DAY, marked)


def test_answers_never_mix_two_snapshots(flights_copy: Project) -> None:
    """Publish four times under load: no error, and every answer is of the snapshot it states."""
    project = Project.load(flights_copy.settings.root, {"api_port": 0, "garbage_minutes": 0})
    mark(project, 1)
    numbers = {publish_window(project, LAST_DAY).manifest.id: 1}
    stop = threading.Event()
    answered: set[str] = set()

    with served(project) as url:

        def read() -> list[tuple[str, str, list[int]]]:
            seen = []
            with httpx2.Client(base_url=url, timeout=30) as client:
                while not stop.is_set():
                    for table, column in (("pagerank", "rank"), ("degrees", "degree")):
                        response = client.get(f"/knowledge/{table}?limit=50")
                        assert response.status_code == 200, response.text
                        tree = response.json()
                        values = sorted({row[column] for row in tree["rows"]})
                        seen.append((table, tree["snapshot"], values))
                        answered.add(tree["snapshot"])
                    for path in ("/graph/neighbors?id=airport:JFK", "/search?text=snow"):
                        response = client.get(path)
                        assert response.status_code == 200, response.text
                        seen.append((path, response.json()["snapshot"], []))
            return seen

        def moved() -> bool:
            return published_id(project.lake) in answered

        with ThreadPoolExecutor(4) as pool:
            readers = [pool.submit(read) for _ in range(4)]
            waits = []
            for number in range(2, 6):
                mark(project, number)
                numbers[publish_window(project, LAST_DAY).manifest.id] = number
                waits.append(seconds_until(moved))
            stop.set()
            seen = [answer for reader in readers for answer in reader.result()]

    for path, snapshot, values in seen:
        if not path.startswith("/"):
            assert values == [numbers[snapshot]], path
    # Two seconds on a machine that has nothing else to do.
    assert max(waits) < 6


def test_many_clients_at_once(flights_project: Project) -> None:
    project = Project.load(flights_project.settings.root, {"api_port": 0})
    paths = [
        "/ready",
        "/documents?event_type=Departure&limit=10",
        "/documents/2013-02-08/Departure/17",
        "/search?text=storm&mode=hybrid",
        "/graph/neighbors?id=airport:JFK",
        "/knowledge/communities/community:0?limit=10",
        "/documents?event_type=Nothing",
    ]
    with served(project) as url, httpx2.Client(base_url=url, timeout=60) as client:

        def ask(number: int) -> tuple[int, int]:
            return number, client.get(paths[number % len(paths)]).status_code

        with ThreadPoolExecutor(30) as pool:
            statuses = list(pool.map(ask, range(140)))
    assert all(
        status == (422 if "Nothing" in paths[number % len(paths)] else 200)
        for number, status in statuses
    )


def test_a_server_of_its_own_starts_serves_and_stops(
    flights_project: Project, tmp_path: Path
) -> None:
    """As `stupid-dagster serve` does; the published files are as they were afterwards."""
    root = flights_project.settings.root
    before = {f: f.stat().st_mtime_ns for f in root.rglob("*") if f.is_file()}
    with bound_socket(Project.load(root, {"api_port": 0}).settings) as listener:
        port = listener.getsockname()[1]
    code = (
        "from stupid_dagster.api.server import serve; from stupid_dagster.project import Project; "
        f"serve(Project.load({str(root)!r}))"
    )
    environment = {**os.environ, "STUPID_API_PORT": str(port), "STUPID_API_KEY": "k"}
    with (tmp_path / "log").open("wb") as log:
        command = [sys.executable, "-c", code]
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_for_answer(url, process)
        assert httpx2.get(f"{url}/snapshot").status_code == 401
        answer = httpx2.get(f"{url}/snapshot", headers={"X-API-Key": "k"})
        assert answer.json()["snapshot"] == published_id(flights_project.lake)
        # A client that leaves the dots in a path, as curl's --path-as-is does.
        raw = httpx2.get(f"{url}/documents/..%2f..%2fSNAPSHOT", headers={"X-API-Key": "k"})
        assert raw.status_code == 404
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)
    assert process.returncode in (0, -signal.SIGTERM)
    assert {f: f.stat().st_mtime_ns for f in root.rglob("*") if f.is_file()} == before


def wait_for_answer(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while True:
        assert process.poll() is None
        assert time.monotonic() < deadline
        try:
            if httpx2.get(f"{url}/ready").status_code == 200:
                return
        except httpx2.TransportError:
            pass
        time.sleep(0.1)


def test_where_it_is_served_is_told_when_it_can_be_asked(flights_project: Project) -> None:
    root = str(flights_project.settings.root)
    command = [sys.executable, "-m", "stupid_dagster.cli", "--root", root, "serve", "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout
            told = process.stdout.readline()
            assert told.startswith("query API: http://127.0.0.1:") and ":0/" not in told
            url = told.split()[-1].removesuffix("/docs")
            assert httpx2.get(f"{url}/health").status_code == 200
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)
