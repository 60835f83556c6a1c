from __future__ import annotations

import re
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from stupid_dagster.embed import Embedder, OnnxEmbedder
from stupid_dagster.errors import EmbedderError
from tests.embed.tiny import TABLE, WORDS, token_ids, write_model

TEXTS = ["red", "", "dark green blue", "red red red blue", " \t", "strange", "green"]


def expected(texts: list[str], pooling: str = "mean") -> np.ndarray:
    rows = np.zeros((len(texts), TABLE.shape[1]))
    for row, text in enumerate(texts):
        if text.strip():
            states = TABLE[token_ids(text)].astype(float)
            vector = states.mean(axis=0) if pooling == "mean" else states[0]
            rows[row] = vector / np.linalg.norm(vector)
    return rows


@pytest.mark.parametrize(
    "inputs",
    [
        ("input_ids", "attention_mask", "token_type_ids"),
        ("input_ids", "attention_mask"),
        ("input_ids",),
        ("token_type_ids", "input_ids"),
    ],
)
@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_states_are_pooled_without_padding(
    tmp_path: Path, inputs: tuple[str, ...], pooling: Literal["mean", "cls"]
) -> None:
    embedder = OnnxEmbedder(write_model(tmp_path, inputs), pooling=pooling)
    assert isinstance(embedder, Embedder)
    vectors = embedder.embed(TEXTS)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, expected(TEXTS, pooling), atol=1e-6)


@pytest.mark.parametrize("max_batch", [1, 2, 3, 100])
def test_the_batch_size_changes_nothing(tmp_path: Path, max_batch: int) -> None:
    random = np.random.default_rng(1)
    texts = [" ".join(random.choice(WORDS[4:], size=random.integers(9))) for _ in range(200)]
    embedder = OnnxEmbedder(write_model(tmp_path), max_batch=max_batch)
    np.testing.assert_allclose(embedder.embed(texts), expected(texts), atol=1e-6)


def test_a_rank_two_output_is_chosen_by_name(tmp_path: Path) -> None:
    embedder = OnnxEmbedder(write_model(tmp_path, ("input_ids",)), output="last")
    end = TABLE[WORDS.index("[SEP]")]
    np.testing.assert_allclose(embedder.embed(["red blue"]), [end / np.linalg.norm(end)], atol=1e-6)


def test_dimensions_are_found_where_the_model_does_not_declare_them(tmp_path: Path) -> None:
    assert OnnxEmbedder(write_model(tmp_path)).dimensions == 5
    assert OnnxEmbedder(tmp_path, output="last").dimensions == 5


def test_models_with_32_bit_inputs(tmp_path: Path) -> None:
    embedder = OnnxEmbedder(write_model(tmp_path, integers=TensorProto.INT32))
    np.testing.assert_allclose(embedder.embed(TEXTS), expected(TEXTS), atol=1e-6)


def test_no_texts(tmp_path: Path) -> None:
    assert OnnxEmbedder(write_model(tmp_path)).embed([]).shape == (0, 5)


def test_max_tokens_counts_the_markers(tmp_path: Path) -> None:
    embedder = OnnxEmbedder(write_model(tmp_path), max_tokens=8)
    long = ["red green blue dark red green " + "blue " * 500]
    np.testing.assert_allclose(
        embedder.embed(long), expected(["red green blue dark red green"]), atol=1e-6
    )


def test_threads_share_an_embedder_that_is_not_loaded_yet(tmp_path: Path) -> None:
    embedder = OnnxEmbedder(write_model(tmp_path))
    with ThreadPoolExecutor(8) as pool:
        for vectors in pool.map(embedder.embed, [TEXTS] * 64):
            np.testing.assert_allclose(vectors, expected(TEXTS), atol=1e-6)


def test_model_id_names_the_weights_and_the_options(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "tiny")
    made = OnnxEmbedder(folder).model_id
    digest = made.removeprefix("tiny@")
    assert re.fullmatch("[0-9a-f]{12}", digest)
    assert OnnxEmbedder(str(folder), name="mine").model_id == f"mine@{digest}"
    other = OnnxEmbedder(folder, output="states", pooling="cls").model_id
    assert other == f"tiny@{digest}+states+cls"
    write_model(folder, table=TABLE + 1)
    assert OnnxEmbedder(folder).model_id != made


def test_model_id_names_all_files_that_make_a_vector(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "tiny")
    model = onnx.load(str(folder / "model.onnx"))
    weights = {"save_as_external_data": True, "size_threshold": 0, "location": "model.onnx_data"}
    onnx.save(model, str(folder / "model.onnx"), **weights)
    embedder = OnnxEmbedder(folder)
    assert embedder.model_bytes > (folder / "model.onnx_data").stat().st_size > TABLE.nbytes
    made = {embedder.model_id}
    (folder / "README.md").write_text("of no matter")
    assert OnnxEmbedder(folder).model_id in made
    for name in ("model.onnx_data", "tokenizer.json"):
        file = folder / name
        file.write_bytes(file.read_bytes().replace(b"red", b"tan") + b" ")
        made.add(OnnxEmbedder(folder).model_id)
    assert len(made) == 3


def test_a_model_inside_a_zip_file(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "tiny")
    with zipfile.ZipFile(tmp_path / "package.zip", "w") as package:
        for file in folder.iterdir():
            package.write(file, f"tiny/{file.name}")
    with zipfile.ZipFile(tmp_path / "package.zip") as package:
        embedder = OnnxEmbedder(zipfile.Path(package, "tiny/"))
        assert embedder.model_id.startswith("tiny@")
        np.testing.assert_allclose(embedder.embed(TEXTS), expected(TEXTS), atol=1e-6)


@pytest.mark.parametrize("missing", ["model.onnx", "tokenizer.json"])
def test_a_directory_that_lacks_a_file(tmp_path: Path, missing: str) -> None:
    (write_model(tmp_path) / missing).unlink()
    with pytest.raises(EmbedderError, match=f"no {missing}"):
        OnnxEmbedder(tmp_path)


@pytest.mark.parametrize("damaged", ["model.onnx", "tokenizer.json"])
def test_a_damaged_file_is_named(tmp_path: Path, damaged: str) -> None:
    (write_model(tmp_path) / damaged).write_bytes(b"\x80\x81 not this")
    embedder = OnnxEmbedder(tmp_path)  # nothing is loaded yet
    with pytest.raises(EmbedderError, match=damaged):
        embedder.embed(["red"])


def test_options_that_cannot_work(tmp_path: Path) -> None:
    write_model(tmp_path)
    with pytest.raises(EmbedderError, match="'mean' or 'cls'"):
        # pyright: ignore is for the point of the test, a value outside the type
        OnnxEmbedder(tmp_path, pooling="max")  # pyright: ignore[reportArgumentType]
    with pytest.raises(EmbedderError, match="max_batch 0"):
        OnnxEmbedder(tmp_path, max_batch=0)
    with pytest.raises(EmbedderError, match="max_tokens is 2"):
        OnnxEmbedder(tmp_path, max_tokens=2)
    with pytest.raises(EmbedderError, match=r"did you mean 'states'.*states, last, ids"):
        OnnxEmbedder(tmp_path, output="state").embed(["red"])
    with pytest.raises(EmbedderError, match="rank 2 or 3"):
        OnnxEmbedder(tmp_path, output="ids").embed(["red"])


def test_a_model_that_wants_more_than_text(tmp_path: Path) -> None:
    write_model(tmp_path, ("input_ids", "pixel_values"))
    with pytest.raises(EmbedderError, match="'pixel_values'"):
        OnnxEmbedder(tmp_path).embed(["red"])


def test_a_model_that_fails_on_some_text(tmp_path: Path) -> None:
    write_model(tmp_path, table=TABLE[:5])  # no rows for the last words
    embedder = OnnxEmbedder(tmp_path)
    embedder.embed(["red"])
    with pytest.raises(EmbedderError, match="1 texts of 3 tokens"):
        embedder.embed(["dark"])


def test_values_that_are_not_finite(tmp_path: Path) -> None:
    table = TABLE.copy()
    table[WORDS.index("blue"), 2] = np.nan
    embedder = OnnxEmbedder(write_model(tmp_path, table=table))
    with pytest.raises(EmbedderError, match="text 1 "):
        embedder.embed(["red", "dark blue"])


def test_what_is_not_a_text(tmp_path: Path) -> None:
    embedder = OnnxEmbedder(write_model(tmp_path))
    with pytest.raises(EmbedderError, match="one string"):
        embedder.embed("red")
    with pytest.raises(EmbedderError, match="text 1 is None"):
        # pyright: ignore is for the point of the test, a value outside the type
        embedder.embed(["red", None])  # pyright: ignore[reportArgumentType]
