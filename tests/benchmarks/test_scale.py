"""Days of k times the actors hang together as the days that they were made of do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from benchmarks import scale
from benchmarks.child import BenchmarkError
from benchmarks.data import make_project
from benchmarks.scaled_days import GROWTH, scale_days
from stupid_dagster.project import Project
from stupid_dagster.tables import TABLES, conform
from tests.compute.graphs import MORNING

DAY = "2025-03-01"
TEXTS, COPIES = 400, 3


def rows_of(table: str, rows: list[dict[str, Any]]) -> pl.DataFrame:
    return conform(table, pl.DataFrame(rows, schema_overrides=TABLES[table].schema))


@pytest.fixture(scope="module")
def lakes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Project]:
    """A day of two members with a device each and one game, and the same of three times them."""
    folder = tmp_path_factory.mktemp("scale")
    source = make_project(folder / "source", "gaming", DAY, DAY)
    lake = Project.load(source).lake
    seen = {"first_seen": MORNING, "last_seen": MORNING}
    entity = {"events": 2, "is_test": False, "properties": {"os": "x"}, **seen}
    ids = ["device:d1", "device:d2", "game:g", "member:m1", "member:m2"]
    ends = [(f"member:m{n}", other) for n in (1, 2) for other in (f"device:d{n}", "game:g")]
    ends.append(("game:g", "provider:p"))
    numbers = range(TEXTS)
    tables = {
        "entities": rows_of(
            "entities",
            [{"entity_id": i, "type": i[:4], "key": i, **entity} for i in (*ids, "provider:p")],
        ),
        "edges": rows_of(
            "edges", [{"type": "E", "source": s, "target": t, "weight": 5, **seen} for s, t in ends]
        ),
        "texts": rows_of(
            "texts",
            [
                {"text_id": n, "event_type": "Login", "text": f"t{n}", "count": 2, "example": "e"}
                for n in numbers
            ],
        ),
        "vectors": pl.DataFrame(
            {
                "text_id": pl.Series(numbers, dtype=pl.UInt64),
                "vector": pl.Series(
                    np.full((TEXTS, 4), 60, dtype=np.int8), dtype=pl.Array(pl.Int8, 4)
                ),
            }
        ),
        "actor_texts": rows_of(
            "actor_texts",
            [
                {"actor": f"member:m{a}", "text_id": n, "count": 1, "row": n}
                for a in (1, 2)
                for n in numbers
            ],
        ),
        "metrics": TABLES["metrics"].empty(),
    }
    for name, frame in tables.items():
        with lake.write(name, DAY) as writer:
            writer.write(frame)
            writer.metadata["documents"] = name
    told = scale_days(str(source), str(folder / "scaled"), [DAY], COPIES)
    assert told["tables"]["edges"] == 4 * COPIES + 1
    return Project.load(source), Project.load(folder / "scaled")


def test_members_and_devices_are_copied_and_the_rest_is_shared(
    lakes: tuple[Project, Project],
) -> None:
    _, scaled = lakes
    nodes, edges = (scaled.lake.read(name, DAY) for name in ("entities", "edges"))
    by_prefix = nodes.group_by(pl.col("entity_id").str.extract("^(.*):")).len()
    assert dict(by_prefix.iter_rows()) == {"device": 6, "game": 1, "member": 6, "provider": 1}
    assert nodes["entity_id"].is_sorted() and nodes["entity_id"].is_unique().all()
    assert set(edges["source"]) | set(edges["target"]) == set(nodes["entity_id"])
    pairs = edges.filter(pl.col("target").str.starts_with("device"))
    # Each copy has its own member and device.
    for source, target in pairs.select("source", "target").iter_rows():
        assert source.removeprefix("member:").replace("m", "d") == target.removeprefix("device:")
    shared = edges.filter(source="game:g")
    assert shared["weight"].to_list() == [5 * COPIES]
    assert nodes.filter(entity_id="game:g")["events"].to_list() == [2 * COPIES]


def test_texts_grow_by_the_power_and_each_has_its_vector(lakes: tuple[Project, Project]) -> None:
    old, scaled = lakes
    texts, vectors, said = (
        scaled.lake.read(name, DAY) for name in ("texts", "vectors", "actor_texts")
    )
    assert texts.height == pytest.approx(TEXTS * COPIES**GROWTH, rel=0.05)
    assert texts["text_id"].is_unique().all()
    assert texts["text_id"].equals(vectors["text_id"])
    assert said["text_id"].unique().sort().equals(texts["text_id"])
    assert texts["count"].sum() == COPIES * old.lake.read("texts", DAY)["count"].sum()
    assert said.height == COPIES * 2 * TEXTS and said["actor"].n_unique() == COPIES * 2


def test_what_does_not_grow_is_linked_with_its_version(lakes: tuple[Project, Project]) -> None:
    old, scaled = (project.lake.live("metrics", DAY) for project in lakes)
    assert old == scaled
    assert scaled.metadata == {"documents": "metrics"}
    assert lakes[1].lake.live("edges", DAY).metadata == {"documents": "edges"}


def test_a_stage_that_fails_is_reported_and_the_next_goes_on(
    lakes: tuple[Project, Project], tmp_path: Path
) -> None:
    source = lakes[0].lake.root.parent
    with pytest.raises(BenchmarkError, match="no lake"):
        scale.measure({}, tmp_path)
    (source / "lake" / "documents" / DAY).mkdir(parents=True)
    machine = {"when": "", "cpu": "", "cores": 1, "memory_bytes": 0, "system": "", "python": ""}
    machine |= {"packages": {}, "code": "", "load": 0, "quiet": True}
    text, figures = scale.measure(
        machine, source, tmp_path, sizes=[(1, 1)], stages=["window_days", "history"]
    )
    runs = figures["sizes"][0]["runs"]
    assert all("Error" in run for run in runs.values()) and [*runs] == ["window_days", "history"]
    assert text.count("failed: ") == 2
