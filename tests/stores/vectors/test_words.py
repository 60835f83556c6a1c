"""Full text in several scripts, alone and together with vectors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from stupid_dagster.errors import SearchIndexError
from stupid_dagster.stores.vectors import RESULT_SCHEMA, SearchIndex, build_search_index
from stupid_dagster.stores.vectors.build import INDEX_FROM_ROWS
from tests.stores.vectors.made import axis, texts_of, unit


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
