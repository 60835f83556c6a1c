"""Search, against brute force over the texts of the days."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest

from stupid_dagster.errors import EmbedderError, InvalidQueryError, NotFoundError
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


def test_by_document_finds_others_like_it(reader: SnapshotReader) -> None:
    doc_id = reader.search(QUESTION, limit=1)["example"].item()
    _, text = reader.document(doc_id)
    assert text is not None
    found, by_text = reader.search(document=doc_id, limit=5), reader.search(text, limit=6)
    assert text not in found["text"]
    assert found["text_id"].to_list() == by_text["text_id"].to_list()[1:]
    with pytest.raises(NotFoundError):
        reader.search(document="2013-02-08/Departure/99999")


def test_by_vector_is_by_its_direction(reader: SnapshotReader) -> None:
    vector = reader.project.embedder.embed([QUESTION])[0]
    expected = reader.search(QUESTION, limit=5)["text_id"].to_list()
    for factor in (1.0, 1e-30, 1e300):
        numbers = (vector.astype(float) * factor).tolist()
        assert reader.search(vector=numbers, limit=5)["text_id"].to_list() == expected
    for wrong, said in (
        ([0.0] * 256, "finite and not all 0"),
        ([float("nan")] * 256, "finite"),
        ([float("inf")] * 256, "finite"),
        ([0.1] * 255, "255 numbers; the texts' vectors have 256"),
        ([], "0 numbers"),
    ):
        with pytest.raises(InvalidQueryError, match=said):
            reader.search(vector=wrong)


def test_exactly_one_thing_is_searched_by(reader: SnapshotReader) -> None:
    with pytest.raises(InvalidQueryError, match="none of them"):
        reader.search()
    with pytest.raises(InvalidQueryError, match="text and vector"):
        reader.search("x", vector=[1.0])
    with pytest.raises(InvalidQueryError, match="a document has no words"):
        reader.search(document="2013-02-08/Departure/17", mode="text")
    with pytest.raises(InvalidQueryError, match="texts, events"):
        reader.search("x", of="actors")
    with pytest.raises(InvalidQueryError, match="per_text"):
        reader.search("x", of="events", per_text=0)


def test_events_are_the_newest_documents_with_the_texts(reader: SnapshotReader) -> None:
    texts = reader.search(QUESTION, limit=100)
    found = reader.search(QUESTION, of="events", per_text=2, limit=100)
    documents = pl.concat(
        [
            reader.documents(name, columns=["timestamp", "actor", "text_id"], limit=50_000).rows
            for name in ("Cancellation", "Departure")
        ]
    )
    assert documents.height > 1000
    newest = documents.sort("timestamp", "doc_id", descending=[True, False])
    newest = newest.group_by("text_id", maintain_order=True).head(2)
    ranked = texts.with_row_index("rank").select("rank", "text_id")
    expected = ranked.join(newest, on="text_id").sort(
        "rank", "timestamp", "doc_id", descending=[False, True, False]
    )
    assert found["doc_id"].to_list() == expected["doc_id"].head(100).to_list()
    assert found["score"].is_sorted(descending=True)
    day = date(2013, 2, 8)
    narrowed = reader.search(QUESTION, of="events", first_day=day, last_day=day, limit=50)
    assert narrowed.height > 10
    assert all(doc_id.startswith("2013-02-08/") for doc_id in narrowed["doc_id"])
    assert reader.search("zzzqqq", mode="text", of="events").is_empty()
