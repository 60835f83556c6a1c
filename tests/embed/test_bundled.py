from __future__ import annotations

import hashlib
import subprocess
import sys
from functools import cache
from importlib.resources import files

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import numpy_helper
from tokenizers import Tokenizer

from stupid_dagster.embed import Embedder, bundled_embedder, split_words

FOLDER = files("stupid_dagster.embed").joinpath("models", "minilm-static-256")
TEXTS = st.lists(st.text(max_size=40) | st.text("abcXYZ_ 09", max_size=40), max_size=12)


@cache
def constants() -> dict[str, np.ndarray]:
    graph = onnx.load_from_string(FOLDER.joinpath("model.onnx").read_bytes()).graph
    return {entry.name: numpy_helper.to_array(entry) for entry in graph.initializer}


def by_hand(text: str) -> np.ndarray:
    """The vector by definition: the sum of scale x row over the tokens, with length 1."""
    tokenizer = Tokenizer.from_str(FOLDER.joinpath("tokenizer.json").read_text(encoding="utf-8"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    ids = tokenizer.encode(split_words(text), add_special_tokens=False).ids
    rows, scales = constants()["rows"], constants()["scales"]
    vector = (rows[ids].astype(float) * scales[ids, None]).sum(axis=0)
    return vector / (np.linalg.norm(vector) or 1)


def test_protocol_shape_and_id() -> None:
    embedder = bundled_embedder()
    assert isinstance(embedder, Embedder)
    assert bundled_embedder() is embedder
    assert embedder.dimensions == 256
    digest = hashlib.sha256(FOLDER.joinpath("model.onnx").read_bytes()).hexdigest()
    assert embedder.model_id == f"minilm-static-256@{digest[:12]}"
    vectors = embedder.embed(["Departure carrier:United", "", "snow", " \n"])
    assert vectors.shape == (4, 256)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), [1, 0, 1, 0], atol=1e-6)
    assert embedder.embed([]).shape == (0, 256)


@pytest.mark.parametrize(
    "text", ["LoginFailed", "wind_speed:gale", "naïve 東京 flight", "Popup type:DailyMission " * 9]
)
def test_vectors_are_what_the_definition_says(text: str) -> None:
    np.testing.assert_allclose(bundled_embedder().embed([text])[0], by_hand(text), atol=1e-6)


def test_words_are_split_before_tokenising() -> None:
    embed = bundled_embedder().embed
    joined, apart = embed(["LoginFailed on wind_speed", "Login Failed on wind speed"])
    np.testing.assert_array_equal(joined, apart)


def test_special_tokens_weigh_nothing() -> None:
    special = [0, 100, 101, 102, 103]  # [PAD], [UNK], [CLS], [SEP], [MASK]
    assert not constants()["rows"][special].any()
    embed = bundled_embedder().embed
    marked, plain = embed(["[CLS] snow [SEP] 🛫", "snow"])
    np.testing.assert_allclose(marked, plain, atol=1e-6)
    assert not embed(["🛫 [PAD]"]).any()


@settings(deadline=None)
@given(TEXTS, st.randoms())
def test_a_vector_depends_on_its_own_text_only(texts: list[str], random) -> None:
    embed = bundled_embedder().embed
    together = embed(texts)
    lengths = np.linalg.norm(together, axis=1)
    assert (np.isclose(lengths, 1, atol=1e-5) | (lengths == 0)).all()
    for text, vector in zip(texts, together, strict=True):
        np.testing.assert_array_equal(embed([text])[0], vector)
    order = random.sample(range(len(texts)), len(texts))
    np.testing.assert_array_equal(embed([texts[i] for i in order]), together[order])


def test_large_batches_are_divided_and_put_back_in_order() -> None:
    random = np.random.default_rng(5)
    words = np.array(
        ["snow", "gale", "late", "JFK", "LoginFailed", "on", "time", "fog", "", "Popup"]
    )
    texts = [" ".join(random.choice(words, size=random.integers(12))) for _ in range(20_000)]
    vectors = bundled_embedder().embed(texts)
    for row in (0, 63, 64, 16_383, 16_384, 19_999):
        np.testing.assert_array_equal(bundled_embedder().embed([texts[row]])[0], vectors[row])


def test_very_long_texts_are_cut() -> None:
    embed = bundled_embedder().embed
    long, unbroken = "delayed snow " * 100_000, "x" * 1_000_000
    vectors = embed([long, unbroken, "snow"])
    np.testing.assert_array_equal(vectors[0], embed(["delayed snow " * 256])[0])
    assert not vectors[1].any()  # a word of more than 100 letters is unknown
    np.testing.assert_array_equal(vectors[2], embed(["snow"])[0])


def test_lone_surrogates_are_question_marks() -> None:
    embed = bundled_embedder().embed
    np.testing.assert_array_equal(embed(["snow \ud800 late"]), embed(["snow ? late"]))


def test_the_files_are_small_and_licensed() -> None:
    assert len(FOLDER.joinpath("model.onnx").read_bytes()) <= 8_000_000
    assert "Apache License" in FOLDER.joinpath("LICENSE").read_text(encoding="utf-8")
    assert "all-MiniLM-L6-v2" in FOLDER.joinpath("NOTICE").read_text(encoding="utf-8")


def test_nothing_heavy_is_imported_before_it_is_needed() -> None:
    code = (
        "import sys; from stupid_dagster.embed import bundled_embedder; bundled_embedder();"
        "sys.exit(bool({'onnxruntime', 'tokenizers'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
