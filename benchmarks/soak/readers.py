"""Readers that ask every store of a snapshot for what was planted in it."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import httpx2

from benchmarks.soak.world import PLANTED
from stupid_dagster.project import Project
from stupid_dagster.query import KeptSnapshots, SnapshotReader
from stupid_dagster.stores.snapshots import open_snapshot

_MEMBER = f"member:{PLANTED}"
_DEVICES = "device:r"
_PAUSE = 0.05
"""Seconds between two rounds of questions: the writer needs the processor too."""


@dataclass(frozen=True)
class Trouble:
    """An answer that didn't come: who asked, when (seconds since 1970), and why."""

    who: str
    at: float
    snapshot: str | None
    problem: str
    began: float


@dataclass
class Seen:
    """What all readers were answered: by snapshot, store and value how often, and what failed."""

    answers: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    """By (who, snapshot, store, the value as text)."""
    troubles: list[Trouble] = field(default_factory=list)
    first_served: dict[str, float] = field(default_factory=dict)
    """When the server first answered of a snapshot."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, who: str, snapshot: str, values: Mapping[str, Any]) -> None:
        """Count answers that name a snapshot."""
        with self.lock:
            for store, value in values.items():
                self.answers[who, snapshot, store, repr(value)] += 1

    def fail(self, who: str, snapshot: str | None, began: float, error: BaseException) -> None:
        """Remember an answer that didn't come."""
        problem = f"{type(error).__name__}: {str(error)[:500]}"
        with self.lock:
            self.troubles.append(Trouble(who, time.time(), snapshot, problem, began))


Asker = Callable[[Seen, threading.Event], None]


def ask(reader: SnapshotReader) -> dict[str, Any]:
    """Return what each store of a snapshot says of the planted events."""
    rounds = reader.documents("Login", actor=_MEMBER, columns=["round"], limit=100).rows["round"]
    texts = reader.search(PLANTED, mode="text", limit=10)["text"]
    edges = reader.neighbors(_MEMBER).rows
    ranks = reader.knowledge("pagerank", limit=1000).rows["entity_id"]
    return {
        "documents": rounds.to_list(),
        "search": [text for text in texts if f" {PLANTED} " in text],
        "node": reader.node(_MEMBER)["properties"]["round"],
        "edge": [list(row) for row in edges.select("neighbor", "weight").iter_rows()],
        "knowledge": [entity for entity in ranks if entity.startswith(_DEVICES)],
        "catalog": reader.catalog()["events"]["Login"]["documents"],
    }


def follow(project: Project) -> Asker:
    """Return two readers in threads that ask whatever is current, as the API does."""
    current = KeptSnapshots(project)

    def run(seen: Seen, stop: threading.Event) -> None:
        with current:
            workers = [threading.Thread(target=read, args=(seen, stop)) for _ in range(2)]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()

    def read(seen: Seen, stop: threading.Event) -> None:
        while not stop.wait(_PAUSE):
            began, name = time.time(), None
            try:
                with current.use() as reader:
                    name = reader.id
                    seen.add("current", name, ask(reader))
            except Exception as error:
                seen.fail("current", name, began, error)

    return run


def hold(project: Project, seconds: float) -> Asker:
    """Return a reader that keeps one snapshot open for so long, and asks it all the while."""

    def run(seen: Seen, stop: threading.Event) -> None:
        while not stop.is_set():
            began, name = time.time(), None
            try:
                with SnapshotReader(project, open_snapshot(project.lake)) as reader:
                    name = reader.id
                    while time.time() - began < seconds and not stop.is_set():
                        seen.add("held", name, ask(reader))
                        stop.wait(0.2)
            except Exception as error:
                seen.fail("held", name, began, error)

    return run


def ask_over_http(client: httpx2.Client) -> list[tuple[str, str, Any]]:
    """Return (snapshot, store, value) of each store's route."""
    found = []
    for store, (path, value) in _ROUTES.items():
        response = client.get(path)
        if response.status_code != 200:
            raise RuntimeError(f"{path}: {response.status_code} {response.text[:300]}")
        tree = response.json()
        found.append((tree["snapshot"], store, value(tree)))
    return found


def over_http(url: str) -> Asker:
    """Return a client that asks the API's routes one after the other."""

    def run(seen: Seen, stop: threading.Event) -> None:
        with httpx2.Client(base_url=url, timeout=60) as client:
            while not stop.wait(_PAUSE):
                began = time.time()
                try:
                    for snapshot, store, value in ask_over_http(client):
                        seen.add("http", snapshot, {store: value})
                except Exception as error:
                    seen.fail("http", None, began, error)

    return run


def watch(url: str) -> Asker:
    """Return a client that notes when the server first answers of each snapshot."""

    def run(seen: Seen, stop: threading.Event) -> None:
        with httpx2.Client(base_url=url, timeout=60) as client:
            while not stop.wait(0.02):
                began = time.time()
                try:
                    response = client.get("/ready")
                    response.raise_for_status()
                    seen.first_served.setdefault(response.json()["snapshot"], time.time())
                except Exception as error:
                    seen.fail("watch", None, began, error)

    return run


def _rows(tree: Any) -> list[dict[str, Any]]:
    return cast(list[dict[str, Any]], tree["rows"])


_ROUTES: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "documents": (
        f"/documents?event_type=Login&actor={_MEMBER}&columns=round&limit=100",
        lambda tree: [row["round"] for row in _rows(tree)],
    ),
    "search": (
        f"/search?text={PLANTED}&mode=text&limit=10",
        lambda tree: [row["text"] for row in _rows(tree) if f" {PLANTED} " in row["text"]],
    ),
    "node": (f"/graph/nodes/{_MEMBER}", lambda tree: tree["node"]["properties"]["round"]),
    "edge": (
        f"/graph/neighbors?id={_MEMBER}",
        lambda tree: [[row["neighbor"], row["weight"]] for row in _rows(tree)],
    ),
    "knowledge": (
        "/knowledge/pagerank?type=Device&limit=1000",
        lambda tree: [e for row in _rows(tree) if (e := row["entity_id"]).startswith(_DEVICES)],
    ),
    "catalog": ("/catalog", lambda tree: tree["catalog"]["events"]["Login"]["documents"]),
}
