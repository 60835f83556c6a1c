"""What counts the tokens of words: it answers so that the checks agree, and counts all of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from benchmarks import words_tasks
from benchmarks.child import BenchmarkError
from benchmarks.embedders import embedders
from benchmarks.embedding_stub import OLLAMA_DIMENSIONS, OPENAI_DIMENSIONS, embedding_stub
from benchmarks.words import _cost, measure
from benchmarks.words_model import Model, Request, counting_model
from stupid_dagster.project import Project
from tests.questions.asked import asked

PRICES = {"openai/m": [1.0, 10.0]}


@pytest.fixture
def model() -> Model:
    return Model(len)


@pytest.fixture
def settings(model: Model) -> Iterator[dict[str, object]]:
    with counting_model(model) as url:
        named = {"llm": ["openai"], "llm_openai_model": "m", "llm_openai_url": url}
        yield {**named, "llm_prices": PRICES, "llm_labels_most": 1000}


def test_labels_of_two_windows(
    two_windows_copy: Project, model: Model, settings: dict[str, object]
) -> None:
    root = str(two_windows_copy.settings.root)
    first = words_tasks.labels(root, "2013-02-08", settings)
    requests = model.taken()
    report = first["report"]
    assert first["same"] == 0 and int(report["model: kept"]) == 0
    assert int(report["model: asked"]) == len([one for one in requests if not one.again])
    assert int(report["model: accepted"]) > int(report["model: asked"]) / 2
    found = _cost(requests, first["spent"])
    assert found["prompt"] > 100 * found["schema"] / len(requests) > 0 < found["answer"]
    assert found["prompt"] > found["characters"], "the marks of ChatML are counted too"
    dollars = (found["prompt"] + found["schema"] + 10 * found["answer"]) / 1e6
    assert found["dollars"] == pytest.approx(dollars, abs=1e-5)

    second = words_tasks.labels(root, "2013-02-09", settings)
    requests = model.taken()
    kept = int(second["report"]["model: kept"])
    assert 0 <= second["same"] <= kept and kept > 0
    first_tries = [one for one in requests if not one.again]
    labels = two_windows_copy.lake.read("labels", "2013-02-09")
    refused = int(report["model: refused"])
    assert 0 <= labels.height - len(first_tries) - kept <= refused, (
        "of those some aren't asked again"
    )
    assert {one.of for one in first_tries} <= {k.replace("_", " ") for k in second["kinds"]}
    assert second["kinds"] == dict(labels.group_by("kind").len().iter_rows())
    assert labels.filter(pl.col("provenance") == "openai/m").height >= kept

    digest = words_tasks.digest(root, "2013-02-09", settings)
    requests = model.taken()
    assert {one.kind for one in requests} == {"digest"}
    assert digest["report"]["provenance"] == "openai/m"


def test_a_question_is_planned_mended_and_told(
    flights_copy: Project, model: Model, settings: dict[str, object]
) -> None:
    some = asked("flights")[:2]
    model.plans = [one.plan for one in some]
    root = str(flights_copy.settings.root)
    words_tasks.publish(root, "2013-02-09")
    told = words_tasks.questions(root, [one.question for one in some], settings)
    requests = model.taken()
    steps = [(one.kind, one.again) for one in requests]
    assert steps == [("plan", False), ("plan", True), ("telling", False)] * 2
    assert [one["repairs"] for one in told["questions"]] == [1, 1]
    assert {one["by"] for one in told["questions"]} == {"openai/m"}
    plan, mended, telling = requests[:3]
    assert plan.schema == mended.schema > 1000 and telling.schema == 0
    assert mended.prompt > plan.prompt + plan.answer / 2


def test_a_count_that_the_stage_does_not_share_is_an_error() -> None:
    requests = [Request("label", False, 10, 5, 3, 8)]
    spent = {"openai/m": {"prompt_tokens": 15, "completion_tokens": 3, "dollars": 1.0}}
    assert _cost(requests, spent)["dollars"] == 1.0
    with pytest.raises(BenchmarkError, match="the stage"):
        _cost(requests * 2, spent)


def test_a_project_without_a_snapshot_is_told(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="nothing is published"):
        measure({}, tmp_path, (1, 1), 1)


def test_the_clients_get_vectors_from_a_server_that_computes_nothing(tmp_path: Path) -> None:
    texts = [f"text {number}" for number in range(200)]
    with embedding_stub() as url:
        found = {
            name.partition(":")[0]: embedder.embed(texts).shape
            for name, embedder in embedders(tmp_path, (), url)
            if "alone" in name
        }
    assert found == {"openai": (200, OPENAI_DIMENSIONS), "ollama": (200, OLLAMA_DIMENSIONS)}
