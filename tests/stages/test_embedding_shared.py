"""Runs at work at the same time make no text's vector twice, and leave each other's files alone."""

from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from stupid_dagster.errors import EmbedderError
from stupid_dagster.project import Project
from stupid_dagster.stages.day import make_vectors
from stupid_dagster.stages.embedding_scratch import scratch_of
from stupid_dagster.stages.written import Written
from stupid_dagster.stores.garbage import SCRATCH, collect_garbage
from tests.embed.servers import Act, Fail, Served, embedding_server
from tests.stages.test_embedding import DAYS, key, of_server, scratch_files, texts_of

__all__ = ["key"]


def runs_of(project: Project, day: str) -> list[Path]:
    return [*(project.lake.root / SCRATCH / day).glob("*/*")]


def make(project: Project, day: str) -> Written:
    """Make the vectors of a day as a run of its own does."""
    [written] = make_vectors(Project.load(project.settings.root), day)
    return written


def begun(served: Served, run: Future[Written], requests: int) -> None:
    """Wait until a run has sent so many requests and isn't done."""
    until = time.monotonic() + 30
    while len(served.requests) < requests and time.monotonic() < until:
        time.sleep(0.01)
    assert not run.done()


def test_days_at_the_same_time_divide_their_common_texts(
    flights_copy: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stupid_dagster.stages.embedding._BATCHES_A_CLAIM", 2)
    with embedding_server("openai", seconds=0.02) as served, ThreadPoolExecutor(4) as pool:
        project = of_server(flights_copy, served)
        # One of the days twice, as when it is asked for again.
        made = [*pool.map(lambda day: make(project, day), [*DAYS[:3], DAYS[0]])]
    sent = Counter(served.texts)
    sent.pop("dimensions", None)
    assert sent.keys() == texts_of(project, *DAYS[:3])
    assert max(sent.values()) == 1
    for written in made:
        told = written.details
        assert told["texts"] == told["reused"] + told["resumed"] + told["embedded"]
        assert project.lake.read("vectors", written.version.partition)["vector"].null_count() == 0
    assert not scratch_files(project) and not runs_of(project, DAYS[0])


def test_what_a_run_of_another_day_left_is_taken(flights_copy: Project) -> None:
    def act(number: int) -> Act:
        return Fail(400) if number == 4 else None

    with embedding_server("openai", act) as served:
        project = of_server(flights_copy, served, concurrency=1)
        with pytest.raises(EmbedderError):
            make(project, DAYS[0])
        kept = {text for request in served.requests[:4] for text in request["input"]}
        common = kept & texts_of(project, DAYS[1])
        assert common and scratch_files(project)
        written = make(project, DAYS[1])
    assert written.details["resumed"] == len(common)
    assert not common & {text for request in served.requests[5:] for text in request["input"]}


def test_vectors_of_versions_that_are_replaced_but_kept(flights_copy: Project) -> None:
    with embedding_server("openai") as served:
        for model in ("a", "b"):
            make(of_server(flights_copy, served, model=model), DAYS[0])
        served.requests.clear()
        project = of_server(flights_copy, served, model="a")
        written = make(project, DAYS[0])
    assert written.details["reused"] == written.details["texts"]
    assert served.texts == ["dimensions"]


def test_a_run_at_work_loses_nothing_to_another_nor_to_a_collection(flights_copy: Project) -> None:
    with embedding_server("openai", seconds=0.1) as served, ThreadPoolExecutor(1) as pool:
        project = of_server(flights_copy, served, concurrency=1)
        slow = pool.submit(make, project, DAYS[0])
        begun(served, slow, 3)
        # Another of the day that has nothing to do ends, and the day itself is dropped.
        with scratch_of(project.lake, DAYS[0], project.embedder.model_id):
            pass
        documents = project.lake.live("documents", DAYS[0])
        project.lake.drop("documents", DAYS[0])
        collect_garbage(project.lake, kept_snapshots=2, grace=timedelta(minutes=10))
        begun(served, slow, 5)
        assert documents and len(runs_of(project, DAYS[0])) == 1
        assert len(scratch_files(project)) >= 3
        assert slow.result().details["embedded"] == len(texts_of(project, DAYS[0]))
    assert not runs_of(project, DAYS[0])


def test_who_waits_for_a_run_that_fails_does_its_work(
    flights_copy: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    with embedding_server("openai") as served:
        project = of_server(flights_copy, served)
        texts = project.lake.read("texts", DAYS[0])
        failed = threading.Event()

        def fails() -> None:
            with (
                suppress(KeyError),
                scratch_of(project.lake, DAYS[1], project.embedder.model_id) as scratch,
            ):
                scratch.claim(texts["text_id"])
                claimed.set()
                failed.wait(20)
                raise KeyError

        claimed = threading.Event()
        with ThreadPoolExecutor(2) as pool:
            ending = pool.submit(fails)
            claimed.wait(20)
            waiting = pool.submit(make, project, DAYS[0])
            time.sleep(0.6)
            assert not served.requests and not waiting.done()
            failed.set()
            ending.result()
            assert waiting.result().details["embedded"] == texts.height
    assert not runs_of(project, DAYS[1])
