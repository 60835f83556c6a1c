"""What serves the graph: the adjacency in memory beside Kuzu and ladybug, on one snapshot.

`python -m benchmarks.graph_serving PROJECT [--ladybug]` prints the table of docs/graph-serving.md.
Each engine runs in a process of its own, because the two crash together.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import click

from benchmarks import report

HUBS, SOME = 10, 100
CLIENTS = 8
SLOW = 10
"""Runs of what takes an engine seconds."""
_TWO_HOPS = """
MATCH (n:Entity {entity_id: $id})-[]-(:Entity)-[]-(m:Entity)
RETURN DISTINCT m.entity_id AS id LIMIT 100
"""
_PATH = """
MATCH p = (a:Entity {entity_id: $source})-[* SHORTEST 1..10]-(b:Entity {entity_id: $target})
RETURN length(p) AS hops
"""


@click.command()
@click.argument("project", type=click.Path(exists=True, path_type=Path))
@click.option("--ladybug", is_flag=True, help="Build a ladybug database too; half a minute.")
@click.option("--engine", hidden=True, help="Measure this one, and print JSON.")
@click.option("--database", hidden=True, type=click.Path(path_type=Path))
def main(project: Path, ladybug: bool, engine: str | None, database: Path | None) -> None:
    """Measure nodes, neighbours, two hops and paths of PROJECT's published snapshot."""
    if engine:
        measure = measure_memory if engine == "memory" else measure_engine
        click.echo(json.dumps(measure(project, database)))
        return
    engines = {"memory": [], "kuzu": []}
    with tempfile.TemporaryDirectory() as folder:
        if ladybug:
            built = Path(folder) / "ladybug"
            engines["ladybug"] = ["--database", str(built)]
        found = {name: _run(project, name, more) for name, more in engines.items()}
    asked = list(found["memory"])
    rows = [[name, *(_shown(found[one].get(name)) for one in engines)] for name in asked]
    click.echo(report.table(["ms: p50 / p95 / CPU", *engines], rows))


def measure_memory(project: Path, _: Path | None) -> dict[str, Any]:
    """Return milliseconds of each question to a SnapshotReader."""
    from stupid_dagster.project import Project
    from stupid_dagster.query import SnapshotReader
    from stupid_dagster.stores.snapshots import open_snapshot

    loaded = Project.load(project)
    with SnapshotReader(loaded, open_snapshot(loaded.lake)) as reader:
        opened = _times(lambda _: reader._graph.warm(), 1)  # pyright: ignore[reportPrivateUsage]
        some, hubs = _entities(loaded)
        ask: dict[str, Callable[[int], Any]] = {
            "node": lambda i: reader.node(some[i % SOME]),
            "neighbours": lambda i: reader.neighbors(some[i % SOME], limit=100),
            "neighbours of a hub": lambda i: reader.neighbors(hubs[i % HUBS], limit=100),
            "two hops": lambda i: reader.traverse(some[i % SOME], depth=2, limit=100),
            "path": lambda i: reader.path(some[i % SOME], some[-1 - i % SOME]),
            "weighted path": lambda i: reader.path(
                some[i % SOME], some[-1 - i % SOME], weighted=True
            ),
        }
        return {"open": opened, **_measured(ask, SOME)}


def measure_engine(project: Path, database: Path | None) -> dict[str, Any]:
    """Return the same of a graph database: the snapshot's, or ladybug's, which is built."""
    from stupid_dagster.project import Project
    from stupid_dagster.stores.graph import GraphReader, build_graph_database
    from stupid_dagster.stores.snapshots import open_snapshot

    loaded = Project.load(project)
    snapshot = open_snapshot(loaded.lake)
    if database:
        tables = [snapshot.path(name) for name in ("graph_nodes", "graph_edges")]
        build_graph_database(database, *tables, engine="ladybug")
    some, hubs = _entities(loaded)
    started, cpu = time.perf_counter(), time.process_time()
    with GraphReader.open(database or snapshot.path("graph_database")) as graph:
        opened = [
            (end() - begun) * 1000
            for end, begun in ((time.perf_counter, started), (time.process_time, cpu))
        ]
        ask: dict[str, Callable[[int], Any]] = {
            "node": lambda i: graph.node(some[i % SOME]),
            "neighbours": lambda i: graph.neighbors(some[i % SOME]),
            "neighbours of a hub": lambda i: graph.neighbors(hubs[i % HUBS]),
        }
        slow: dict[str, Callable[[int], Any]] = {
            "two hops": lambda i: graph.frame(_TWO_HOPS, {"id": some[i]}),
            "path": lambda i: graph.frame(_PATH, {"source": some[i], "target": some[-1 - i]}),
        }
        return {"open": opened, **_measured(ask, SOME), **_measured(slow, SLOW, clients=False)}


def _entities(project: Any) -> tuple[list[str], list[str]]:
    """Return some entities, and those with most edges."""
    from stupid_dagster.stores.snapshots import open_snapshot

    degrees = open_snapshot(project.lake).scan("degrees").select("entity_id", "degree").collect()
    ids = degrees.sort("entity_id")["entity_id"]
    hubs = degrees.sort("degree", descending=True)["entity_id"].head(HUBS)
    return ids.sample(SOME, seed=1).to_list(), hubs.to_list()


def _measured(
    ask: dict[str, Callable[[int], Any]], runs: int, *, clients: bool = True
) -> dict[str, list[float]]:
    found = {name: _times(one, runs) for name, one in ask.items()}
    if clients:
        with ThreadPoolExecutor(CLIENTS) as pool:
            for name in ("node", "neighbours", "neighbours of a hub"):
                timed = partial(_time, ask[name])
                cpu = time.process_time()
                times = list(pool.map(timed, range(4 * runs)))
                cpu = (time.process_time() - cpu) * 1000 / len(times)
                found[f"{name}, {CLIENTS} threads"] = [*times, cpu]
    return found


def _times(ask: Callable[[int], Any], runs: int) -> list[float]:
    """Return the milliseconds of each run, then the CPU's of them all a run."""
    cpu = time.process_time()
    times = [_time(ask, number) for number in range(runs)]
    return [*times, (time.process_time() - cpu) * 1000 / runs]


def _time(ask: Callable[[int], Any], number: int) -> float:
    started = time.perf_counter()
    ask(number)
    return (time.perf_counter() - started) * 1000


def _run(project: Path, engine: str, more: list[str]) -> dict[str, list[float]]:
    command = [sys.executable, "-m", "benchmarks.graph_serving", str(project), "--engine", engine]
    told = subprocess.run([*command, *more], check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(told.stdout.splitlines()[-1])


def _shown(times: list[float] | None) -> str:
    if not times:
        return ""
    *walls, cpu = times
    ordered = sorted(walls)
    p50, p95 = (ordered[int(len(ordered) * share)] for share in (0.5, 0.95))
    return f"{p50:.1f} / {p95:.1f} / {cpu:.1f}"


if __name__ == "__main__":
    main()
