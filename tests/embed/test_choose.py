"""Embedders by settings and by name; models from folders as repositories lay them out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.distil.quality import event_texts, full_model
from stupid_dagster.embed import OnnxEmbedder, bundled_embedder
from stupid_dagster.embed.choose import REMOTE, embedder_of, make_embedder
from stupid_dagster.embed.compare import compare, model_bytes
from stupid_dagster.embed.onnx import CPU
from stupid_dagster.embed.remote import RemoteEmbedder
from stupid_dagster.errors import EmbedderError, SettingsError
from stupid_dagster.settings import Settings, load_settings
from stupid_dagster.settings.table import REMOTE_BACKENDS
from tests.embed.hub import hub_of
from tests.embed.tiny import write_model

ROOT = Path(__file__).parents[2]


def settings(root: Path, **values: Any) -> Settings:
    overrides = {f"embedder_{name}": value for name, value in values.items()}
    return load_settings(root, overrides=overrides, environment={})


def test_the_bundled_one_unless_set(tmp_path: Path) -> None:
    assert make_embedder(settings(tmp_path)) is bundled_embedder()
    assert not bundled_embedder().costly


def test_a_folder_laid_out_as_a_repository(tmp_path: Path) -> None:
    plain = write_model(tmp_path / "plain")
    folder = write_model(tmp_path / "models" / "tiny")
    (folder / "onnx").mkdir()
    (folder / "model.onnx").rename(folder / "onnx" / "model.onnx")
    made = make_embedder(settings(tmp_path, backend="onnx", model="models/tiny", batch=3))
    assert isinstance(made, OnnxEmbedder) and made.costly and made.max_batch == 3
    assert made.model_id == OnnxEmbedder(plain, name="tiny").model_id
    assert model_bytes(made) == (folder / "onnx" / "model.onnx").stat().st_size
    np.testing.assert_array_equal(made.embed(["red blue"]), OnnxEmbedder(plain).embed(["red blue"]))


def test_what_decides_a_vector_is_in_the_id(tmp_path: Path) -> None:
    write_model(tmp_path / "tiny")
    ids = {
        make_embedder(settings(tmp_path, backend="onnx", model="tiny", **options)).model_id
        for options in ({}, {"pooling": "cls"}, {"max_tokens": 8}, {"pooling": "mean"})
    }
    assert len(ids) == 3


def test_parts_are_the_same_vectors(tmp_path: Path) -> None:
    embedder = OnnxEmbedder(write_model(tmp_path))
    texts = ["red " * (n % 9) + "blue" * (n % 2) for n in range(1300)]
    vectors = np.full((1300, embedder.dimensions), np.nan, np.float32)
    parts = [*embedder.parts(texts)]
    for part in parts:
        vectors[part.rows] = part.vectors
    assert len(parts) == 3
    np.testing.assert_allclose(vectors, embedder.embed(texts), atol=1e-6)


def test_execution_providers(tmp_path: Path) -> None:
    write_model(tmp_path / "tiny")

    def made(*execution: str) -> Any:
        return make_embedder(
            settings(tmp_path, backend="onnx", model="tiny", execution=[*execution])
        )

    assert made(CPU).embed(["red"]).shape == (1, 5)
    with pytest.raises(EmbedderError, match=rf"it has .*{CPU}.*onnxruntime-gpu"):
        made("CUDAExecutionProvider", CPU).embed(["red"])
    with pytest.raises(EmbedderError, match="did you mean 'CPUExecutionProvider'"):
        made("CPUExecutionProvder").embed(["red"])


def test_each_remote_backend_has_its_embedder() -> None:
    missing = {*REMOTE_BACKENDS} ^ {*REMOTE}
    assert not missing, "settings/table.py (RemoteBackend) and embed/choose.py (REMOTE) differ"
    assert {name: made.name for name, made in REMOTE.items()} == {name: name for name in REMOTE}


@pytest.mark.parametrize("backend", REMOTE_BACKENDS)
def test_servers(tmp_path: Path, backend: str) -> None:
    made = make_embedder(
        settings(
            tmp_path,
            backend=backend,
            model="m",
            url="http://127.0.0.1:9",
            dimensions=7,
            max_tokens=100,
            batch=8,
            concurrency=3,
            per_minute=60,
            seconds=9,
        )
    )
    assert isinstance(made, RemoteEmbedder)
    remote = made.remote
    assert (remote.url, remote.seconds, remote.concurrency) == ("http://127.0.0.1:9", 9, 3)
    assert (remote.per_minute, made.max_batch, made.dimensions) == (60, 8, 7)


def test_a_model_that_is_nowhere(tmp_path: Path) -> None:
    with pytest.raises(EmbedderError, match=r"there is no folder .*nowhere, and it isn't the name"):
        make_embedder(settings(tmp_path, backend="onnx", model="nowhere"))
    with pytest.raises(EmbedderError, match="isn't the name"):
        make_embedder(settings(tmp_path, backend="onnx", model="../a/b"))


def ask(repository: str, endpoint: str, home: Path) -> str:
    """Return what a process prints that asks for a repository; the client reads its URL once."""
    program = (
        "from stupid_dagster.embed.hub import model_folder; from pathlib import Path; import sys\n"
        "from stupid_dagster.errors import EmbedderError\n"
        "try: print(model_folder(sys.argv[1], Path('.')))\n"
        "except EmbedderError as error: print(error)"
    )
    variables = {"HF_ENDPOINT": endpoint, "HF_HOME": str(home), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", program, repository]
    environment = {**os.environ, **variables}
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True
    ).stdout.splitlines()[-1]


def test_a_repository_without_a_hub(tmp_path: Path) -> None:
    said = ask("BAAI/bge-small-en-v1.5", "http://127.0.0.1:9", tmp_path)
    assert "embedder_model = 'BAAI/bge-small-en-v1.5'" in said
    assert "can't be fetched" in said and "download its onnx/model.onnx" in said


def test_a_repository_is_fetched_once(tmp_path: Path) -> None:
    source = write_model(tmp_path / "source")
    (source / "onnx").mkdir()
    (source / "model.onnx").rename(source / "onnx" / "model.onnx")
    (source / "pytorch_model.bin").write_bytes(b"large")
    with hub_of("some/tiny", source) as hub:
        folder = Path(ask("some/tiny", hub.url, tmp_path / "hf"))
        assert OnnxEmbedder(folder).embed(["red blue"]).shape == (1, 5)
        fetched = [path for path in hub.asked if "/resolve/" in path]
        assert fetched and not any("pytorch" in path for path in fetched)
        before = len(hub.asked)
        assert ask("some/tiny", hub.url, tmp_path / "hf") == str(folder)
        assert len(hub.asked) == before
        for absent in ("some/other", "some--where/tiny"):
            assert "can't be fetched" in ask(absent, hub.url, tmp_path / "hf")
    assert ask("some/tiny", hub.url, tmp_path / "hf") == str(folder)


@pytest.mark.parametrize(
    ("spec", "part"),
    [
        ("bundeled", "did you mean 'bundled'"),
        ("onnx", "need a model"),
        ("bundled:x", "stands alone"),
        ("", "is no embedder"),
    ],
)
def test_names_that_are_none(tmp_path: Path, spec: str, part: str) -> None:
    with pytest.raises(SettingsError, match=part):
        embedder_of(spec, settings(tmp_path))


def test_names_take_the_rest_from_the_settings(tmp_path: Path) -> None:
    chosen = settings(tmp_path, backend="openai", model="m", url="http://h/v1", dimensions=9)
    assert embedder_of("openai:other@5", chosen).model_id == "openai/other@5 at h/v1"
    assert embedder_of("openai:other", chosen).model_id == "openai/other@9 at h/v1"
    assert embedder_of("ollama:nomic-embed-text:v1.5", chosen).model_id == (
        "ollama/nomic-embed-text:v1.5"
    )
    write_model(tmp_path / "tiny")
    assert embedder_of("onnx:tiny@cls", chosen).model_id.endswith("+cls")


def test_comparing(tmp_path: Path) -> None:
    texts = event_texts(120)
    full = full_model(tmp_path)
    cls = OnnxEmbedder(tmp_path, pooling="cls")
    np.testing.assert_allclose(np.linalg.norm(cls.embed(texts[:4]), axis=1), 1, atol=1e-5)
    itself = compare(bundled_embedder(), bundled_embedder(), texts)
    assert itself.overlap == itself.first_in_second == 1 and itself.spearman > 0.999
    found = compare(bundled_embedder(), full, texts)
    assert 0.4 < found.overlap < found.first_in_second < 1
    assert 0.5 < found.spearman < 1
    bundled, transformer = found.costs
    assert (bundled.dimensions, transformer.dimensions) == (256, 384)
    assert (bundled.model_bytes or 0) < 9_000_000 < 20_000_000 < (transformer.model_bytes or 0)
    assert bundled.texts_per_second > transformer.texts_per_second
    with pytest.raises(EmbedderError, match="20 distinct texts are too few"):
        compare(full, full, texts[:20])
