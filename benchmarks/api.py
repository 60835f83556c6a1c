"""The query API over 30 full days: how long an answer takes, and the load that one process holds.

One server process, its snapshot warm; the clients are on the same machine, and share its cores.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import report
from benchmarks.api_client import Load, Reply, Request, Server, ask, at_once, one_by_one, serving
from benchmarks.api_requests import NEIGHBORS_LIMIT, SCAN_ROWS, draw, nearest, recall
from benchmarks.child import BenchmarkError
from benchmarks.evict import link_file
from benchmarks.targets import LATENCIES, NEW_SNAPSHOT, SEARCH_RECALL
from benchmarks.usage import peak_bytes, resident_bytes
from stupid_dagster.project import Project
from stupid_dagster.stores.durable import write_durably
from stupid_dagster.stores.lake import Lake
from stupid_dagster.stores.snapshots import open_snapshot, publish, published_id
from stupid_dagster.stores.version import VERSION_FILE, Version, new_name

CLIENTS = 8
LOAD_SECONDS = 5.0
WARM_UP = 20
RECALL_TEXTS = 100
PUBLICATIONS = 3
SWITCH_SECONDS = 120.0
_SAYS = {
    "floor_async": "FastAPI's empty route, in the event loop",
    "floor_thread": "FastAPI's empty route, in a thread",
    "node": "node",
    "neighbors": f"neighbours of any node (at most {NEIGHBORS_LIMIT})",
    "hub": f"neighbours of a hub ({NEIGHBORS_LIMIT})",
    "knowledge": "knowledge page (100 rows)",
    "document": "document by id",
    "timeline": "an actor's 7-day timeline",
    "scan": f"a day filtered, 3 columns, {SCAN_ROWS:,} rows (JSON)",
    "scan_arrow": f"the same, {10 * SCAN_ROWS:,} rows (Arrow)",
    "search": "search over all days (10 texts)",
    "path": "shortest path between two actors",
    "plan": "a five-step plan (always the same)",
}


@dataclass(frozen=True)
class Measured:
    """One kind of request: milliseconds of one client, and what eight clients at once got."""

    kind: str
    p50: float
    p95: float
    server_cpu: float
    bytes: float
    load_rate: float
    load_p95: float
    load_errors: int


def measure(
    machine: dict[str, Any], project: Path, work: Path, each: int, seed: int
) -> tuple[str, dict[str, Any]]:
    """Return the report over a project's published snapshot, and its figures.

    The server works on a copy of links in `work`, so that snapshots can be published there. A
    route that isn't there is left out, and named. Raises BenchmarkError where nothing is published,
    and for any other answer than 200.
    """
    if not project.is_dir() or published_id(Project.load(project).lake) is None:
        raise BenchmarkError(
            f"nothing is published in {project}: make it with `make bench-month` (a quarter of an "
            "hour, 8 GB), or name a project that has a published snapshot with --project"
        )
    root = work / "project"
    shutil.copytree(
        project, root, copy_function=link_file, ignore=shutil.ignore_patterns(".dagster_home")
    )
    drawn = draw(root, each, seed)
    with serving(["benchmarks.api_floor"], "/async") as floor:
        empty = [Request("/async")] * each, [Request("/thread")] * each
        found = [
            _measured(floor, "floor_async", empty[0]),
            _measured(floor, "floor_thread", empty[1]),
        ]
    started = time.perf_counter()
    command = ["stupid_dagster.cli", "--root", str(root), "serve", "--port"]
    missing = []
    with serving(command, "/ready") as server:
        ready = time.perf_counter() - started
        for kind, requests in drawn.kinds.items():
            if one_by_one(server, requests[:1])[0].status == 404:
                missing.append(kind)
            else:
                found.append(_measured(server, kind, requests))
        share, texts = _recall(server, root, drawn.kinds["search"], drawn.texts)
        usual = {one.kind: one.p95 for one in found if one.kind in drawn.kinds}
        # Each in another order, for what one kind has read another finds.
        order = [*usual] * 2
        turns = [order[n : n + len(usual)] for n in range(PUBLICATIONS)]
        firsts = [
            _first_after(server, root, {kind: drawn.kinds[kind] for kind in turn}) for turn in turns
        ]
        first = {kind: [one[kind] for one in firsts] for kind in usual}
        memory = resident_bytes(server.process.pid), peak_bytes(server.process.pid)
    without = ", ".join(_SAYS[kind] for kind in LATENCIES if kind in missing)
    text = report.page(
        "The query API",
        machine,
        f"{drawn.size}; ready after {ready:.1f} s; then {memory[0] / 1e6:,.0f} MB resident, at "
        f"most {memory[1] / 1e6:,.0f} MB.",
        f"Not measured, as there is no such route: {without}." if without else "",
        "## Answers",
        _answers(found),
        f"Milliseconds of {each} requests with ids drawn at random, one client; CPU is the "
        f"server's, a request; load is {CLIENTS} clients for {LOAD_SECONDS:g} s.",
        f"Recall@10 of {texts} searches against brute force over all days' vectors: {share:.3f} "
        f"(at least {SEARCH_RECALL}): {_met(share >= SEARCH_RECALL)}.",
        "## The first answer from a new snapshot",
        _firsts(first, usual),
        f"The slowest of {PUBLICATIONS} publications while one client asks for all in turn; before "
        "it, answers from the former snapshot while the new one was opened.",
    )
    figures = {
        "machine": machine,
        "answers": [asdict(one) for one in found],
        "recall": share,
        "first_after_publication": first,
        "missing": missing,
        "ready_seconds": ready,
        "resident_bytes": memory[0],
        "peak_bytes": memory[1],
    }
    return text, figures


def _measured(server: Server, kind: str, requests: Sequence[Request]) -> Measured:
    _checked(kind, one_by_one(server, requests[:WARM_UP]))
    cpu = server.cpu_seconds()
    replies = _checked(kind, one_by_one(server, requests))
    cpu = server.cpu_seconds() - cpu
    load: Load = at_once(server, requests, CLIENTS, LOAD_SECONDS)
    p50, p95 = _milliseconds([reply.seconds for reply in replies])
    return Measured(
        kind,
        p50,
        p95,
        server_cpu=1000 * cpu / len(replies),
        bytes=sum(len(reply.content) for reply in replies) / len(replies),
        load_rate=len(load.seconds) / load.wall,
        load_p95=_milliseconds(load.seconds)[1],
        load_errors=load.errors,
    )


def _checked(kind: str, replies: Sequence[Reply]) -> Sequence[Reply]:
    for reply in replies:
        if reply.status != 200:
            raise BenchmarkError(f"{kind}: {reply.status} {reply.content[:500].decode()}")
    return replies


def _milliseconds(seconds: Sequence[float]) -> tuple[float, float]:
    p50, p95 = np.percentile(seconds, [50, 95]) * 1000
    return float(p50), float(p95)


def _recall(
    server: Server, root: Path, requests: Sequence[Request], texts: Sequence[str]
) -> tuple[float, int]:
    chosen = slice(0, RECALL_TEXTS)
    answers = [reply.content for reply in one_by_one(server, requests[chosen])]
    exact = nearest(root, texts[chosen], most=100)
    return recall(answers, exact, 10), len(answers)


def _first_after(
    server: Server, root: Path, kinds: Mapping[str, Sequence[Request]]
) -> dict[str, tuple[float, float]]:
    """Return by kind the milliseconds of the first answer from a snapshot published meanwhile.

    And those of the slowest from the former one, while the new one was opened beside it.
    """
    first: dict[str, float] = {}
    slowest = dict.fromkeys(kinds, 0.0)
    coming = {kind: cycle(requests) for kind, requests in kinds.items()}
    connection = server.connect()
    try:
        former = _snapshot(ask(connection, Request("/snapshot")))
        _publish_again(root)
        started = time.monotonic()
        for kind in cycle(kinds):
            if len(first) == len(kinds):
                return {kind: (first[kind], slowest[kind]) for kind in kinds}
            if time.monotonic() - started > SWITCH_SECONDS:
                break
            reply = ask(connection, next(coming[kind]))
            milliseconds = reply.seconds * 1000
            if _snapshot(reply, former) != former:
                first.setdefault(kind, milliseconds)
            else:
                slowest[kind] = max(slowest[kind], milliseconds)
    finally:
        connection.close()
    raise BenchmarkError(f"the new snapshot was not served within {SWITCH_SECONDS:g} s")


def _snapshot(reply: Reply, unless: str = "") -> str:
    if reply.snapshot:
        return reply.snapshot
    # Looked for as bytes: parsing each answer would slow the client down.
    if unless and unless.encode() in reply.content[:200]:
        return unless
    return json.loads(reply.content)["snapshot"]


def _publish_again(root: Path) -> None:
    """Publish another snapshot, of which the last day's and the window's versions are new.

    As after a day's run: what is known of their files is of no use, and of other days' files is.
    """
    lake = Project.load(root).lake
    old = open_snapshot(lake).manifest
    publish(
        lake,
        window=(date.fromisoformat(old.first_day), date.fromisoformat(old.last_day)),
        versions={
            table: {
                partition: _linked(lake, version) if partition == old.last_day else version
                for partition, version in found.items()
            }
            for table, found in old.versions.items()
        },
        event_model=old.event_model,
        event_model_hash=old.event_model_hash,
        embedder_id=old.embedder_id,
        code_version=old.code_version,
    )


def _linked(lake: Lake, version: Version) -> Version:
    """Return a new version of the same bytes."""
    new = replace(version, name=new_name(version.name))
    folder = lake.version_path(new)
    shutil.copytree(lake.version_path(version), folder, copy_function=link_file)
    (folder / VERSION_FILE).unlink()  # Written through, the link would change the old one.
    write_durably(folder / VERSION_FILE, json.dumps(asdict(new)))
    return new


def _answers(found: Sequence[Measured]) -> str:
    rows = []
    floor = next((one.p50 for one in found if one.kind == "floor_thread"), 0.0)
    for one in found:
        target = LATENCIES.get(one.kind)
        rows.append(
            [
                _SAYS[one.kind],
                f"{one.p50:.1f}",
                f"{one.p95:.1f}",
                f"{one.p50 - floor:.1f}" if target else "",
                f"{target[0]:g} / {target[1]:g}" if target else "",
                _met(one.p50 <= target[0] and one.p95 <= target[1]) if target else "",
                f"{one.server_cpu:.1f}",
                f"{one.bytes:,.0f}",
                f"{one.load_rate:,.0f}",
                f"{one.load_p95:.1f}",
                f"{one.load_errors}",
            ]
        )
    head = [
        "request",
        "p50",
        "p95",
        "p50 above the thread's floor",
        "target",
        "met",
        "CPU",
        "bytes",
    ]
    return report.table([*head, "load: requests/s", "p95", "errors"], rows)


def _firsts(first: Mapping[str, Sequence[tuple[float, float]]], usual: Mapping[str, float]) -> str:
    rows = []
    for kind, times in first.items():
        slowest, meanwhile = (max(column) for column in zip(*times, strict=True))
        rows.append(
            [
                _SAYS[kind],
                f"{slowest:.1f}",
                f"{usual[kind]:.1f}",
                f"{slowest / usual[kind]:.1f}",
                _met(slowest <= NEW_SNAPSHOT * usual[kind]),
                f"{meanwhile:.1f}",
            ]
        )
    head = ["request", "first, ms", "usual p95", "times", f"at most {NEW_SNAPSHOT:g}"]
    return report.table([*head, "slowest before it, ms"], rows)


def _met(kept: bool) -> str:
    return "yes" if kept else "**no**"
