"""The search index against brute force in NumPy, and its full text in several scripts."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stupid_dagster.errors import SearchIndexError
from stupid_dagster.stores.vectors import RESULT_SCHEMA, SearchIndex, build_search_index
from stupid_dagster.stores.vectors.build import INDEX_FROM_ROWS
from stupid_dagster.stores.vectors.metadata import METADATA_FILE

FIRST = date(2013, 1, 11)
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


def unit(matrix: np.ndarray) -> np.ndarray:
    return (matrix / np.linalg.norm(matrix, axis=-1, keepdims=True)).astype(np.float32)


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


def texts_of(texts: list[str], event_type: str = "Departure") -> pl.DataFrame:
    return pl.DataFrame(
        {
            "text_id": pl.Series(range(len(texts)), dtype=pl.UInt64),
            "event_type": pl.Series([event_type] * len(texts), dtype=pl.String),
            "text": pl.Series(texts, dtype=pl.String),
            "count": pl.Series([1] * len(texts), dtype=pl.UInt32),
            "days": pl.Series([[FIRST]] * len(texts), dtype=pl.List(pl.Date)),
            "example": pl.Series([f"2013-01-11/Departure/{i}" for i in range(len(texts))]),
        },
        schema_overrides={"example": pl.String},
    )


def axis(rows: int, dimension: int = 8) -> np.ndarray:
    return np.eye(dimension, dtype=np.float32)[np.arange(rows) % dimension]


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


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SearchIndex]:
    texts = [
        "APIError stage:launch error:ログイン失敗 日本語テキスト platform:web-ios",
        "GameOpened game:FortuneTiger9 category:slots provider:PGSoft platform:android",
        "เข้าสู่ระบบล้มเหลว เกมเปิด",
        "登录失败 游戏打开",
        "Đăng nhập thất bại",
        "Cancellation carrier:UA origin:EWR evening",
        "APIError error:a94a8fe5ccb19ba61c4c0873d391e987982fbbd3 HTTPServer snake_case_name",
        'Login it\'s "quoted" +must -not (group) AND wild* ~2 status:502',
    ]
    directory = tmp_path_factory.mktemp("library")
    build_search_index(directory, texts_of(texts), axis(len(texts)), embedder_id="axis")
    with SearchIndex.open(directory) as index:
        yield index


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("ログイン", [0]),
        ("日本語", [0]),
        ("失敗", [0]),
        ("ล้มเหลว", [2]),
        ("失败", [3]),
        ("游戏", [3]),
        ("đăng nhập", [4]),
        ("DANG NHAP", [4]),
        ("opened", [1]),
        ("GameOpened", [1]),
        ("gameopened", [1]),
        ("fortune tiger", [1]),
        ("FortuneTiger9", [1]),
        ("cancelled evening", [5]),
        ("a94a8fe5ccb19ba61c4c0873d391e987982fbbd3", [6]),
        ("server", [6]),
        ("snake_case_name", [6]),
        ("name", [6]),
        ("ios", [0]),
        ("502", [7]),
        ('it\'s "quoted" +must -not (group) AND wild* ~2', [7]),
        ("zebra", []),
        ("", []),
        (" \n", []),
        ("!!! ... '\"", []),
        ("\0", []),
    ],
)
def test_words_are_found(library: SearchIndex, query: str, found: list[int]) -> None:
    result = library.search_text(query, mode="text")
    assert result["text_id"].to_list() == found
    assert result.schema == RESULT_SCHEMA


def test_hybrid_joins_both_rankings(library: SearchIndex) -> None:
    both = library.search_text("opened ログイン", axis(8)[5])
    # Row 5 is first by vector alone, rows 1 and 0 by words; every row has some vector rank.
    assert both.height == 8
    assert set(both["text_id"][:3]) == {0, 1, 5}
    assert both["score"].is_sorted(descending=True)
    agreed = library.search_text("opened", axis(8)[1])
    assert agreed["text_id"][0] == 1
    assert agreed["score"][0] == pytest.approx(2 / 61)
    by_vector = library.search_text("opened", axis(8)[5], mode="vector", limit=1)
    assert by_vector["text_id"].to_list() == [5]
    assert library.search_text("opened", np.zeros(8))["text_id"].to_list() == [1]
    nothing = library.search_text("opened", axis(8)[5], event_types=["Arrival"])
    assert nothing.is_empty() and nothing.schema == RESULT_SCHEMA


@pytest.mark.parametrize("rows", [40, INDEX_FROM_ROWS])
def test_texts_without_a_vector_are_found_by_word_alone(tmp_path: Path, rows: int) -> None:
    vectors = axis(rows)
    vectors[::4] = 0
    build_search_index(
        tmp_path, texts_of([f"w{i}x" for i in range(rows)]), vectors, embedder_id="x"
    )
    with SearchIndex.open(tmp_path) as index:
        near = index.search(unit(np.ones(8)), limit=rows)
        assert sorted(near["text_id"]) == [i for i in range(rows) if i % 4]
        assert np.isfinite(near["score"].to_numpy()).all()
        assert index.search(np.zeros(8)).is_empty()
        assert index.search_text("w8x", mode="text")["text_id"].to_list() == [8]


def test_float16_and_arrow_vectors(tmp_path: Path) -> None:
    vectors = unit(np.random.default_rng(3).standard_normal((50, 16)))
    halves = pa.array(vectors.astype(np.float16).reshape(-1))
    column = pa.FixedSizeListArray.from_arrays(halves, 16).slice(10, 30)
    texts = texts_of([str(i) for i in range(50)])[10:40]
    build_search_index(tmp_path, texts, column, embedder_id="x")
    with SearchIndex.open(tmp_path) as index:
        for row in (10, 25, 39):
            best = index.search(vectors[row].astype(np.float16), limit=1)
            assert best["text_id"].to_list() == [row]
            assert best["score"][0] == pytest.approx(1, abs=1e-3)


def test_no_texts_no_answers(tmp_path: Path) -> None:
    report = build_search_index(
        tmp_path, texts_of([]), np.zeros((0, 256), dtype=np.float32), embedder_id="x"
    )
    assert (report.rows, report.days) == (0, 0)
    with SearchIndex.open(tmp_path) as index:
        assert index.rows == 0
        for found in (
            index.search(np.ones(256)),
            index.search_text("word", mode="text"),
            index.search_text("word", np.ones(256), first_day=FIRST),
        ):
            assert found.is_empty() and found.schema == RESULT_SCHEMA


def test_one_text(tmp_path: Path) -> None:
    build_search_index(tmp_path, texts_of(["one"]), axis(1), embedder_id="x")
    with SearchIndex.open(tmp_path) as index:
        assert index.search_text("one", axis(1)[0])["text"].to_list() == ["one"]


def test_the_files_are_final(tmp_path: Path) -> None:
    odd = tmp_path / 'it\'s #1 %20 [x]? "odd"'
    build_search_index(odd, texts_of(["alpha", "beta"]), axis(2), embedder_id="x")
    for file in odd.rglob("*"):
        assert file.is_dir() or tmp_path.name.encode() not in file.read_bytes()
    final = tmp_path / "final"
    odd.rename(final)
    before = {file: file.read_bytes() for file in final.rglob("*") if file.is_file()}
    with SearchIndex.open(final) as index:
        assert index.search(axis(2)[1], limit=1)["text"].to_list() == ["beta"]
        assert index.search_text("alpha", mode="text")["text"].to_list() == ["alpha"]
    assert {file: file.read_bytes() for file in final.rglob("*") if file.is_file()} == before


def test_processes_share_the_files(tmp_path: Path) -> None:
    build_search_index(tmp_path, texts_of(["alpha", "beta"]), axis(2), embedder_id="x")
    code = (
        "import sys, numpy; from pathlib import Path\n"
        "from stupid_dagster.stores.vectors import SearchIndex\n"
        "with SearchIndex.open(Path(sys.argv[1])) as index:\n"
        "    print(index.search(numpy.eye(8)[1], limit=1)['text'][0])\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with SearchIndex.open(tmp_path) as index:
        other = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert (other.stdout, other.stderr) == ("beta\n", "")
        assert index.search(np.eye(8)[0], limit=1)["text"].to_list() == ["alpha"]


def test_unusable_input_is_named(tmp_path: Path) -> None:
    texts, vectors = texts_of(["a", "b"]), axis(2)

    def refused(message: str, texts: pl.DataFrame, vectors: Any) -> None:
        with pytest.raises(SearchIndexError, match=message):
            build_search_index(tmp_path / "new", texts, vectors, embedder_id="x")
        assert not any((tmp_path / "new").iterdir())

    refused(r"shape \(1, 8\) don't fit 2 texts", texts, vectors[:1])
    refused("1 vectors aren't unit vectors; the first, row 1", texts, vectors * [[1], [2]])
    refused("aren't unit vectors", texts, np.full((2, 8), np.nan))
    refused("lack the column.*days, example", texts.drop("days", "example"), vectors)
    refused("same text_id", texts.with_columns(text_id=pl.lit(1, pl.UInt64)), vectors)
    refused("nulls in text", texts.with_columns(text=pl.lit(None, pl.String)), vectors)
    no_days = pl.lit(pl.Series([[]], dtype=pl.List(pl.Date))).first()
    refused("without a day", texts.with_columns(days=no_days), vectors)
    refused("wrong type", texts.with_columns(count=pl.lit(-1)), vectors)
    (tmp_path / "used").write_text("")
    with pytest.raises(SearchIndexError, match="isn't empty"):
        build_search_index(tmp_path, texts, vectors, embedder_id="x")


def test_what_cannot_be_opened_says_why(tmp_path: Path) -> None:
    with pytest.raises(SearchIndexError, match="no search index in"):
        SearchIndex.open(tmp_path)
    directory = tmp_path / "index"
    build_search_index(directory, texts_of(["a"]), axis(1), embedder_id="x")
    text = (directory / METADATA_FILE).read_text()
    (directory / METADATA_FILE).write_text(text.replace('"format": 1', '"format": 7'))
    with pytest.raises(SearchIndexError, match="format 7"):
        SearchIndex.open(directory)
    (directory / METADATA_FILE).write_text(text.replace('"rows": 1', '"rows": 2'))
    with pytest.raises(SearchIndexError, match="1 texts instead of 2"):
        SearchIndex.open(directory)
    (directory / METADATA_FILE).write_text(text[:20])
    with pytest.raises(SearchIndexError, match="can't be read"):
        SearchIndex.open(directory)
    (directory / METADATA_FILE).write_text(text)
    (directory / "texts.lance").rename(directory / "moved")
    with pytest.raises(SearchIndexError, match="can't open"):
        SearchIndex.open(directory)


def test_a_request_that_cannot_be_is_refused(library: SearchIndex) -> None:
    with pytest.raises(SearchIndexError, match=r"shape \(3,\).*8 numbers, made by axis"):
        library.search(np.ones(3))
    with pytest.raises(SearchIndexError, match="aren't finite"):
        library.search(np.full(8, np.inf))
    with pytest.raises(SearchIndexError, match="limit is 0"):
        library.search(np.ones(8), limit=0)
    with pytest.raises(SearchIndexError, match="pass a list"):
        library.search(np.ones(8), event_types="Departure")
    with pytest.raises(SearchIndexError, match="needs the query's vector"):
        library.search_text("word")
    with pytest.raises(SearchIndexError, match="mode is 'magic'"):
        library.search_text("word", mode="magic")  # pyright: ignore[reportArgumentType] on purpose
    closed = SearchIndex.open(library.directory)
    closed.close()
    with pytest.raises(SearchIndexError, match="is closed"):
        closed.search(np.ones(8))
