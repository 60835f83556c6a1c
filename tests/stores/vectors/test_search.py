"""The search index against brute force in NumPy."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stupid_dagster.stores.vectors import RESULT_SCHEMA, SearchIndex, build_search_index
from stupid_dagster.stores.vectors.build import INDEX_FROM_ROWS
from tests.stores.vectors.made import FIRST, texts_of, unit

DAYS = 30
HOSTILE = [
    "Departure",
    "it's",
    "' OR 1=1 --",
    '"; DROP TABLE texts; --',
    "\\' OR ''='",
    "%_*?[a]",
    "`days`",
    "出発\n\t🛫",
    "",
    "NULL",
]


def day(index: int) -> date:
    return FIRST + timedelta(days=index)


class World:
    """Random texts, event types that the vectors agree with, days (none on the 20th), an index."""

    def __init__(self, directory: Path, rows: int, dimension: int) -> None:
        random = np.random.default_rng(rows)
        self.kinds = random.integers(0, len(HOSTILE), rows)
        centers = random.standard_normal((len(HOSTILE), dimension))
        self.vectors = unit(centers[self.kinds] + random.standard_normal((rows, dimension)))
        seen = random.random((rows, DAYS)) < random.beta(0.4, 2, rows)[:, None]
        seen[:, 20] = False
        seen[np.arange(rows), random.integers(0, 19, rows)] = True
        self.seen = seen
        self.ids = random.permutation(
            np.array([2**64 - 1 - 7 * i for i in range(rows)], dtype=np.uint64)
        )
        self.texts = pl.DataFrame(
            {
                "text_id": self.ids,
                "event_type": [HOSTILE[kind] for kind in self.kinds],
                "text": [f"text number {i}" for i in range(rows)],
                "count": pl.Series(random.integers(1, 99, rows), dtype=pl.UInt32),
                "days": pl.Series(
                    [[day(i) for i in np.flatnonzero(row).tolist()] for row in seen],
                    dtype=pl.List(pl.Date),
                ),
                "example": [f"2013-02-09/Departure/{i}" for i in range(rows)],
            }
        )
        self.report = build_search_index(directory, self.texts, self.vectors, embedder_id="random")
        self.index = SearchIndex.open(directory)
        self.queries = unit(
            np.concatenate(
                [
                    self.vectors[random.integers(0, rows, 6)]
                    + 0.2 * random.standard_normal((6, dimension)),
                    centers[:3] + centers[3:6],  # between the event types
                    random.standard_normal((3, dimension)),
                ]
            )
        )

    def check(self, query: np.ndarray, limit: int, **within: Any) -> None:
        """Compare a search with brute force over the rows that pass the filter."""
        passing = np.ones(len(self.ids), dtype=bool)
        if within.get("event_types") is not None:
            wanted = [HOSTILE.index(name) for name in within["event_types"] if name in HOSTILE]
            passing &= np.isin(self.kinds, wanted)
        dates = np.array([day(i) for i in range(DAYS)])
        inside = np.ones(DAYS, dtype=bool)
        if within.get("first_day"):
            inside &= dates >= within["first_day"]
        if within.get("last_day"):
            inside &= dates <= within["last_day"]
        passing &= self.seen[:, inside].any(axis=1)
        rows = np.flatnonzero(passing)
        scores = self.vectors[rows].astype(np.float64) @ query.astype(np.float64)
        order = np.lexsort((self.ids[rows], -scores))[:limit]
        found = self.index.search(query, limit=limit, **within)
        assert found.schema == RESULT_SCHEMA
        assert found.height == min(limit, len(rows))
        assert np.allclose(found["score"].to_numpy(), scores[order], atol=2e-6)
        assert set(found["text_id"]) <= set(self.ids[rows])
        # Scores closer than float32 can tell may change places.
        recall = len(set(found["text_id"]) & set(self.ids[rows[order]]))
        assert recall >= found.height - 1
        expected = self.texts.cast({"count": pl.UInt64})
        assert found.drop("score").equals(
            found.select("text_id").join(
                expected, on="text_id", how="left", maintain_order="left", coalesce=True
            )
        )


@pytest.fixture(scope="module", params=[700, INDEX_FROM_ROWS + 500])
def world(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("index") / "version", request.param, 24)
    assert made.report.vector_index == ("IVF_FLAT" if request.param > INDEX_FROM_ROWS else None)
    yield made
    made.index.close()


def test_the_report_and_the_index_agree(world: World) -> None:
    report, index = world.report, world.index
    assert (report.rows, report.dimension, report.days) == (len(world.ids), 24, DAYS - 1)
    assert (index.rows, index.embedder_id) == (len(world.ids), "random")
    files = [file for file in index.directory.rglob("*") if file.is_file()]
    assert report.bytes == sum(file.stat().st_size for file in files)


def test_search_equals_brute_force(world: World) -> None:
    for query in world.queries:
        world.check(query, 10)
    world.check(world.queries[0], 1)
    world.check(world.queries[0], 10**12)


@settings(max_examples=40, deadline=None)
@given(
    query=st.integers(0, 11),
    limit=st.sampled_from([1, 7, 60]),
    event_types=st.none() | st.lists(st.sampled_from([*HOSTILE, "Unknown"]), max_size=4),
    first_day=st.none() | st.integers(-3, DAYS + 2).map(day),
    last_day=st.none() | st.integers(-3, DAYS + 2).map(day),
)
def test_filters_are_exact(
    world: World,
    query: int,
    limit: int,
    event_types: list[str] | None,
    first_day: date | None,
    last_day: date | None,
) -> None:
    world.check(
        world.queries[query],
        limit,
        event_types=event_types,
        first_day=first_day,
        last_day=last_day,
    )


def test_threads_share_an_index(world: World) -> None:
    within = {"event_types": HOSTILE[:3], "first_day": day(3), "last_day": day(9)}

    def ask(query: np.ndarray) -> tuple[pl.DataFrame, pl.DataFrame]:
        return world.index.search(query), world.index.search_text("text 7", query, **within)

    alone = [ask(query) for query in world.queries]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(ask, [*world.queries] * 3))
    for found, expected in zip(together, alone * 3, strict=True):
        assert found[0].equals(expected[0])
        assert found[1].equals(expected[1])


@pytest.mark.parametrize("rows", [2_000, INDEX_FROM_ROWS])
def test_ties_go_by_text_id(tmp_path: Path, rows: int) -> None:
    vectors = np.zeros((rows, 8), dtype=np.float32)
    vectors[:, 1] = 1
    vectors[:1_500] = np.eye(8)[0]
    order = np.random.default_rng(1).permutation(rows)
    texts = texts_of([f"same words {i % 2}" for i in range(rows)])
    build_search_index(tmp_path, texts[order], vectors[order], embedder_id="x")
    with SearchIndex.open(tmp_path) as index:
        assert index.search(np.eye(8)[0], limit=25)["text_id"].to_list() == list(range(25))
        same = index.search_text("words 1", mode="text", limit=25)
        if rows < 4_000:
            assert same["text_id"].to_list() == list(range(1, 50, 2))
        assert same["text"].unique().to_list() == ["same words 1"]


def test_a_large_index_is_probed_in_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a million texts' partitions, of a fiftieth of the texts."""
    monkeypatch.setattr("stupid_dagster.stores.vectors.build.PARTITION_ROWS", 200)
    made = World(tmp_path / "version", INDEX_FROM_ROWS + 500, 24)
    assert made.index.metadata.partitions > 50
    common = sorted(HOSTILE)[:5]
    found, wanted = 0, 0
    narrowed: tuple[dict[str, Any], ...] = (
        {},
        {"last_day": day(25)},
        {"event_types": common},
        {"event_types": ["%_*?[a]"]},
    )
    for within in narrowed:
        passing = made.seen[:, :26].any(axis=1) if "last_day" in within else made.kinds >= 0
        if names := within.get("event_types"):
            passing = passing & np.isin(made.kinds, [HOSTILE.index(name) for name in names])
        rows = np.flatnonzero(passing)
        for query in made.queries:
            nearest = made.ids[rows[np.argsort(-(made.vectors[rows] @ query))[:10]]]
            result = made.index.search(query, limit=10, **within)
            assert result.height == 10
            assert set(result["text_id"]) <= set(made.ids[rows])
            hits = len(set(result["text_id"]) & set(nearest))
            # One event type is a tenth of the texts: few enough to look at all.
            assert hits >= 9 or within.get("event_types") != ["%_*?[a]"]
            found, wanted = found + hits, wanted + 10
    assert found / wanted >= 0.9
    made.index.close()
