"""Requests with real ids, drawn from the published snapshot by a seed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import quote, urlencode

import numpy as np
import polars as pl

from benchmarks.api_client import Request
from stupid_dagster.project import Project
from stupid_dagster.query import SnapshotReader
from stupid_dagster.stores.snapshots import open_snapshot

HUBS = 20
NEIGHBORS_LIMIT = 100
SCAN_ROWS = 1000
TIMELINE_DAYS = 7
ARROW = "application/vnd.apache.arrow.stream"
FIVE_STEPS = Path(__file__).parent / "plans" / "five_steps.json"
FIVE_STEPS_MODEL = "gaming"
_PAGES = ("pagerank", "degrees", "communities", "clusters", "trends", "insights")


@dataclass(frozen=True)
class Drawn:
    """Requests of each kind, and the texts that are searched for, in the order of `search`."""

    kinds: Mapping[str, Sequence[Request]]
    texts: Sequence[str]
    snapshot: str
    size: str


def draw(root: Path, each: int, seed: int) -> Drawn:
    """Return `each` requests of every kind over a project's published snapshot."""
    project = Project.load(root)
    random = Random(seed)
    with SnapshotReader(project, open_snapshot(project.lake)) as reader:
        return _Lots(reader, random, each).drawn()


class _Lots:
    def __init__(self, reader: SnapshotReader, random: Random, each: int) -> None:
        self.reader = reader
        self.random = random
        self.each = each
        self.catalog = reader.catalog()

    def drawn(self) -> Drawn:
        degrees = self.reader.snapshot.scan("degrees").select("entity_id", "degree").collect()
        nodes = degrees.sort("entity_id")["entity_id"]
        hubs = degrees.sort("degree", "entity_id", descending=[True, False])["entity_id"]
        actors = self.reader.snapshot.scan("features").select("actor").sort("actor").collect()
        texts = self._texts()
        typical = self._some(nodes)
        some_actors = self._some(actors["actor"])
        kinds = {
            "node": [_get(f"/graph/nodes/{quote(one)}") for one in self._some(nodes)],
            "neighbors": [self._neighbors(one) for one in typical],
            "hub": [self._neighbors(one) for one in self._some(hubs.head(HUBS))],
            "knowledge": [self._page() for _ in range(self.each)],
            "document": [_get(f"/documents/{quote(one)}") for one in self._documents(self.each)],
            "timeline": [self._timeline(one) for one in some_actors],
            "scan": self._scans(SCAN_ROWS, "application/json"),
            "scan_arrow": self._scans(10 * SCAN_ROWS, ARROW),
            "search": [_get("/search", text=text, limit=10) for text in texts],
            "path": [
                _get("/graph/path", source=source, target=target)
                for source, target in zip(some_actors, self._some(actors["actor"]), strict=True)
            ],
        }
        if self.catalog["event_model"] == FIVE_STEPS_MODEL and FIVE_STEPS.exists():
            kinds["plan"] = [Request("/plans", FIVE_STEPS.read_bytes())] * self.each
        nodes_of = sum(entity["nodes"] for entity in self.catalog["entities"].values())
        documents = sum(event["documents"] for event in self.catalog["events"].values())
        size = f"{len(self.catalog['days'])} days, {documents:,} documents, {nodes_of:,} nodes"
        return Drawn(kinds, texts, self.reader.id, size)

    def _some(self, column: pl.Series) -> list[str]:
        return [column[self.random.randrange(len(column))] for _ in range(self.each)]

    def _neighbors(self, entity_id: str) -> Request:
        return _get("/graph/neighbors", id=entity_id, limit=NEIGHBORS_LIMIT)

    def _page(self) -> Request:
        table = self.random.choice(_PAGES)
        rows = self.catalog["knowledge"].get(table, {}).get("rows", 0)
        offset = self.random.randrange(max(1, min(rows, 10_000)))
        return _get(f"/knowledge/{table}", limit=100, offset=offset)

    def _timeline(self, actor: str) -> Request:
        days = self.reader.manifest.days[-TIMELINE_DAYS:]
        return _get(f"/actors/{quote(actor)}/timeline", first_day=days[0], last_day=days[-1])

    def _documents(self, count: int) -> list[str]:
        found = []
        days = self.reader.manifest.of("documents")
        while len(found) < count:
            day = self.random.choice(sorted(days))
            types = days[day].metadata["event_types"]
            name = self.random.choice(sorted(types))
            if rows := types[name]["rows"]:
                found.append(f"{day}/{name}/{self.random.randrange(rows)}")
        return found

    def _scans(self, limit: int, accept: str) -> list[Request]:
        """Return scans of a day for a value that one of its documents has, and three columns."""
        requests = []
        while len(requests) < self.each:
            [doc_id] = self._documents(1)
            day, event_type, _ = doc_id.split("/")
            document, _ = self.reader.document(doc_id)
            fields = self.catalog["events"][event_type]["fields"]
            texts = [n for n, f in fields.items() if f["type"] == "string" and document.get(n)]
            if not texts:
                continue
            field = self.random.choice(sorted(texts))
            columns = ["timestamp", "actor", field]
            requests.append(
                _get(
                    "/documents",
                    accept,
                    event_type=event_type,
                    first_day=day,
                    last_day=day,
                    filter=f"{field}:eq:{document[field]}",
                    columns=",".join(columns),
                    limit=limit,
                )
            )
        return requests

    def _texts(self) -> list[str]:
        """Return distinct texts of random days with a third of their words left out, shuffled."""
        found = []
        days = sorted(self.reader.manifest.of("texts"))
        for day in self.random.sample(days, min(5, len(days))):
            version = self.reader.manifest.of("texts")[day]
            texts = self.reader.snapshot.lake.scan_versions([version]).select("text").collect()
            for text in self._some(texts["text"].sort())[: -(-self.each // min(5, len(days)))]:
                words = text.split()
                kept = self.random.sample(words, max(1, len(words) * 2 // 3))
                found.append(" ".join(kept)[:500])
        return found[: self.each]


def nearest(root: Path, texts: Sequence[str], most: int) -> list[dict[str, float]]:
    """Return each text's `most` best texts of the window with their cosines, by brute force.

    Reads the days' vectors, and none of the search index.
    """
    project = Project.load(root)
    snapshot = open_snapshot(project.lake)
    queries = np.asarray(project.embedder.embed(list(texts)), dtype=np.float32)
    best: list[dict[str, float]] = [{} for _ in texts]
    for version in snapshot.manifest.of("vectors").values():
        day = project.lake.scan_versions([version]).select("text_id", "vector").collect()
        vectors = np.asarray(day["vector"].to_numpy(), dtype=np.float32)
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        cosines = vectors @ queries.T
        ids = day["text_id"].to_numpy()
        for number, found in enumerate(best):
            column = cosines[:, number]
            top = np.argpartition(-column, min(most, len(column) - 1))[:most]
            found.update({f"{ids[row]:016x}": float(column[row]) for row in top})
    return [dict(sorted(f.items(), key=lambda item: -item[1])[:most]) for f in best]


def recall(answers: Sequence[bytes], exact: Sequence[Mapping[str, float]], at: int) -> float:
    """Return the share of the `at` nearest texts that the answers have; ties count as found."""
    shares = []
    for content, best in zip(answers, exact, strict=True):
        scores = sorted(best.values(), reverse=True)[:at]
        least = scores[-1] - 1e-5
        rows: list[dict[str, Any]] = json.loads(content)["rows"][:at]
        hits = sum(best.get(row["text_id"], -1.0) >= least for row in rows)
        shares.append(hits / len(scores))
    return float(np.mean(shares))


def _get(path: str, accept: str = "application/json", **parameters: Any) -> Request:
    query = f"?{urlencode(parameters)}" if parameters else ""
    return Request(f"{path}{query}", accept=accept)
