"""What becomes a search index, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from stupid_dagster.errors import SearchIndexError
from stupid_dagster.stores.vectors import RESULT_SCHEMA, SearchIndex, build_search_index
from stupid_dagster.stores.vectors.metadata import METADATA_FILE
from tests.stores.vectors.made import FIRST, axis, texts_of, unit


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
