"""Search, against brute force over the texts of the days."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest

from stupid_dagster.errors import EmbedderError, InvalidQueryError
from stupid_dagster.project import Project
from stupid_dagster.query import SnapshotReader
from stupid_dagster.stores.snapshots import open_snapshot
from tests.query.landing import DAYS

QUESTION = "cancelled flight from Newark in the evening"


@pytest.fixture(scope="module")
def texts(flights_project: Project) -> pl.DataFrame:
    """The distinct texts: text, count, days, and similarity to the question."""
    days = [flights_project.lake.read("texts", day).with_columns(day=pl.lit(day)) for day in DAYS]
    distinct = pl.concat(days).group_by("event_type", "text").agg(pl.sum("count"), "day")
    embedder = flights_project.embedder
    vectors = embedder.embed(distinct["text"].to_list())
    similarity = vectors @ embedder.embed([QUESTION])[0]
    return distinct.with_columns(similarity=similarity).sort("similarity", descending=True)


def test_by_meaning_finds_the_nearest(reader: SnapshotReader, texts: pl.DataFrame) -> None:
    found = reader.search(QUESTION, limit=20)

    np.testing.assert_allclose(found["score"], texts["similarity"].head(20), atol=2e-3)
    assert found["score"].is_sorted(descending=True)
    nearest = found.row(0, named=True)
    row = texts.filter(text=nearest["text"]).row(0, named=True)
    assert nearest["count"] == row["count"]
    assert sorted(str(day) for day in nearest["days"]) == sorted(row["day"])
    assert nearest["text"].startswith("Cancelled")
    assert "Newark" in nearest["text"]


def test_event_types_and_days_narrow(reader: SnapshotReader, texts: pl.DataFrame) -> None:
    found = reader.search(
        QUESTION,
        event_types=["Departure"],
        first_day=date(2013, 2, 9),
        last_day=date(2013, 2, 9),
        limit=10,
    )

    expected = texts.filter(pl.col("day").list.contains("2013-02-09"), event_type="Departure")
    np.testing.assert_allclose(found["score"], expected["similarity"].head(10), atol=2e-3)


def test_by_words_needs_the_words(reader: SnapshotReader, texts: pl.DataFrame) -> None:
    found = reader.search("Anchorage", mode="text")
    assert found.height == texts.filter(pl.col("text").str.contains("Anchorage")).height == 0

    found = reader.search("Honolulu", mode="text", limit=100)
    expected = texts.filter(pl.col("text").str.contains("Honolulu"))
    assert sorted(found["text"]) == sorted(expected["text"])
    assert expected.height > 0


def test_hybrid_ranks_what_both_find(reader: SnapshotReader) -> None:
    found = reader.search("Cancelled Newark evening", mode="hybrid", limit=5)

    assert all("Newark" in text and "evening" in text for text in found["text"])


def test_ids_and_examples_lead_to_documents(reader: SnapshotReader) -> None:
    for row in reader.search(QUESTION, limit=5).iter_rows(named=True):
        document, text = reader.document(row["example"])
        assert document["text_id"] == row["text_id"]
        assert text == row["text"]


@pytest.mark.parametrize("text", ["", " \t\n", "x" * 2001])
def test_texts_that_cant_be_searched_for(reader: SnapshotReader, text: str) -> None:
    with pytest.raises(InvalidQueryError, match="from 1 to 2000"):
        reader.search(text)


@pytest.mark.parametrize("mode", ["vector", "text", "hybrid"])
@pytest.mark.parametrize(
    "text", ["'; DROP TABLE texts; --", '"', "\\", "日本語", "🛫", "\x00", "* AND (", "Cancelled:"]
)
def test_any_text_is_only_text(reader: SnapshotReader, mode: str, text: str) -> None:
    assert reader.search(text, mode=mode, limit=3).height <= 3


def test_questions_that_make_no_sense(reader: SnapshotReader) -> None:
    with pytest.raises(InvalidQueryError, match="vector, text, hybrid"):
        reader.search("storm", mode="fuzzy")
    with pytest.raises(InvalidQueryError, match="did you mean 'Departure'"):
        reader.search("storm", event_types=["Depature"])
    with pytest.raises(InvalidQueryError, match="isn't within the window"):
        reader.search("storm", last_day=date(2014, 1, 1))
    with pytest.raises(InvalidQueryError, match="rows_most"):
        reader.search("storm", limit=10**6)


def test_another_embedders_vectors_arent_compared(flights_copy: Project) -> None:
    pointer = flights_copy.lake.root / "SNAPSHOT"
    manifest = flights_copy.lake.root / "snapshots" / f"{pointer.read_text()}.json"
    ours = flights_copy.embedder.model_id
    manifest.write_text(manifest.read_text().replace(ours, "other-model@1"))

    with SnapshotReader(flights_copy, open_snapshot(flights_copy.lake)) as reader:
        with pytest.raises(EmbedderError, match=r"other-model@1.*mode=text"):
            reader.search("storm")
        assert reader.search("Cancelled", mode="text").height == 10
