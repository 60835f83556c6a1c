"""Each text is embedded once, whatever kills a run, and vectors of two embedders never mix."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from stupid_dagster.embed.packing import unpack_vectors
from stupid_dagster.errors import ComputeError, EmbedderError
from stupid_dagster.project import Project
from stupid_dagster.stages.day import make_vectors
from stupid_dagster.stages.embedding_scratch import scratch_of
from stupid_dagster.stages.evict import evict, plan_eviction
from stupid_dagster.stages.search_index import make_search_index
from stupid_dagster.stages.window import make_window_days
from stupid_dagster.stores.garbage import SCRATCH, collect_garbage
from tests.embed.servers import Act, Fail, Served, embedding_server, vector_of

DAYS = ["2013-02-06", "2013-02-07", "2013-02-08", "2013-02-09"]
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")


@pytest.fixture
def served() -> Iterator[Served]:
    with embedding_server("openai") as served:
        yield served


def of_server(project: Project, served: Served, **settings: object) -> Project:
    """Return the project with an embedder that a server offers."""
    config = project.settings.root / "stupid.toml"
    kept = config.read_text().partition("[embedder]")[0]
    options = {"backend": "openai", "model": "m", "url": served.url, "batch": 20} | settings
    lines = "".join(f"{name} = {value!r}\n" for name, value in options.items())
    config.write_text(f"{kept}[embedder]\n{lines}")
    return Project.load(project.settings.root)


def texts_of(project: Project, *days: str) -> set[str]:
    return {text for day in days for text in project.lake.read("texts", day)["text"]}


def scratch_files(project: Project) -> list[Path]:
    return [*(project.lake.root / SCRATCH).rglob("*.parquet")]


def test_a_text_is_embedded_once(flights_copy: Project, served: Served) -> None:
    project = of_server(flights_copy, served)
    [first] = make_vectors(project, DAYS[0])
    texts = project.lake.read("texts", DAYS[0])
    assert sorted(served.texts) == sorted(texts["text"])
    assert first.details["embedded"] == first.details["texts"] == texts.height
    assert first.details["requests"] == len(served.requests) == -(-texts.height // 20)
    assert (first.details["reused"], first.details["resumed"], first.details["retries"]) == (0,) * 3
    assert first.details["tokens"] == sum(len(text.split()) for text in texts["text"])
    assert first.details["texts_per_second"] > 0
    vectors = project.lake.read("vectors", DAYS[0])
    assert vectors["text_id"].equals(texts["text_id"])
    for text, row in zip(texts["text"][:50], unpack_vectors(vectors["vector"]), strict=False):
        assert row @ vector_of(text) > 0.999 * (vector_of(text) @ vector_of(text)) ** 0.5
    assert first.version.metadata["embedder"] == project.embedder.model_id

    [second] = make_vectors(project, DAYS[1])
    fresh = texts_of(project, DAYS[1]) - texts_of(project, DAYS[0])
    assert sorted(served.texts) == sorted(texts_of(project, *DAYS[:2]))
    assert second.details["embedded"] == len(fresh)
    assert second.details["reused"] == second.details["texts"] - len(fresh) > 0
    sent = len(served.texts)
    [same] = make_vectors(Project.load(project.settings.root), DAYS[0])
    # It only asks how long the server's vectors are now.
    assert served.texts[sent:] == ["dimensions"] and same.version == first.version
    assert same.details["reused"] == texts.height and not scratch_files(project)


def test_a_killed_run_embeds_only_the_rest(flights_copy: Project) -> None:
    texts = texts_of(flights_copy, DAYS[0])
    program = (
        "import sys; from stupid_dagster.project import Project;"
        "from stupid_dagster.stages.day import make_vectors;"
        f"make_vectors(Project.load(sys.argv[1]), {DAYS[0]!r})"
    )
    with embedding_server("openai", seconds=0.1) as served:
        project = of_server(flights_copy, served, concurrency=2)
        half = len(texts) // 20 // 2
        run = subprocess.Popen(
            [sys.executable, "-c", program, str(project.settings.root)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        until = time.monotonic() + 60
        while len(served.requests) < half and time.monotonic() < until:
            time.sleep(0.01)
        run.send_signal(signal.SIGKILL)
        run.wait()
        time.sleep(0.2)  # Answers that are under way find nobody.
        sent = len(served.texts)
        kept = sum(pl.read_parquet(file).height for file in scratch_files(project))
        assert 0 < kept < len(texts) and sent - kept <= 3 * 20
        assert project.lake.live("vectors", DAYS[0]).metadata["embedder"].startswith("minilm")

        [written] = make_vectors(project, DAYS[0])
    assert written.details["resumed"] == kept
    assert written.details["embedded"] == len(texts) - kept == len(served.texts) - sent
    assert not scratch_files(project)
    whole = project.lake.read("vectors", DAYS[0])
    assert whole.height == len(texts) and whole["vector"].null_count() == 0


def test_what_was_made_before_a_failure_is_kept(flights_copy: Project) -> None:
    def act(number: int) -> Act:
        return Fail(400) if number == 3 else None

    with embedding_server("openai", act) as served:
        project = of_server(flights_copy, served, concurrency=1)
        with pytest.raises(EmbedderError, match="HTTP 400"):
            make_vectors(project, DAYS[0])
        assert len(scratch_files(project)) == 3
        scratch_files(project)[0].write_bytes(b"PAR1 torn")
        [written] = make_vectors(project, DAYS[0])
    assert written.details["resumed"] == 40
    assert written.details["embedded"] == written.details["texts"] - 40


def test_what_a_disk_does_not_give_is_not_deleted(flights_copy: Project) -> None:
    """A loop of links stands for all that says nothing of a file: no right to it, no handle."""
    project, name = flights_copy, "openai/m"
    with suppress(KeyError), scratch_of(project.lake, DAYS[0], name) as left:
        for number in range(3):
            left.write(pl.DataFrame({"text_id": [number], "vector": [[1.0]]}))
        raise KeyError
    unreadable, torn, _ = sorted(scratch_files(project))
    kept = unreadable.with_suffix(".kept")
    unreadable.rename(kept)
    unreadable.symlink_to(unreadable)
    torn.write_bytes(b"PAR1 torn")
    with suppress(KeyError), scratch_of(project.lake, DAYS[1], name) as scratch:
        [part] = scratch.parts()
        assert part.height == 1
        assert unreadable.is_symlink() and not torn.exists()
        raise KeyError


def test_scratch_goes_with_its_day_and_with_time(flights_copy: Project) -> None:
    def act(number: int) -> Act:
        return None if number % 2 == 0 else Fail(400)

    with embedding_server("openai", act) as served:
        project = of_server(flights_copy, served, concurrency=1)
        for day in DAYS[:3]:
            with pytest.raises(EmbedderError):
                make_vectors(project, day)
    lake = project.lake
    assert sorted(file.parts[-4] for file in scratch_files(project)) == DAYS[:3]
    lake.drop("documents", DAYS[0])
    [old] = (lake.root / SCRATCH / DAYS[1]).glob("*/*")
    long_ago = time.time() - 8 * 86_400
    os.utime(old, (long_ago, long_ago))
    collect_garbage(lake, kept_snapshots=2, grace=timedelta(minutes=10))
    assert [file.parts[-4] for file in scratch_files(project)] == [DAYS[2]]
    assert [path.name for path in (lake.root / SCRATCH).iterdir()] == [DAYS[2]]


def test_vectors_go_with_their_days(flights_copy: Project, served: Served) -> None:
    project = of_server(flights_copy, served)
    for day in DAYS:
        make_vectors(project, day)
    gone = texts_of(project, DAYS[0]) - texts_of(project, *DAYS[1:])
    assert gone
    config = project.settings.root / "stupid.toml"
    config.write_text(f"window_days = 3\nkept_windows = 1\n{config.read_text()}")
    shutil.rmtree(project.lake.root / "snapshots")
    (project.lake.root / "SNAPSHOT").unlink()
    project = Project.load(project.settings.root)
    eviction = plan_eviction(project)
    assert eviction and DAYS[0] in eviction.stale["vectors"]
    lost = project.lake.read("texts", DAYS[0])
    evict(project, eviction)

    # The day comes back: of its texts, those that other days have are found, the rest is sent.
    served.requests.clear()
    with project.lake.write("texts", DAYS[0]) as writer:
        writer.write(lost)
        writer.metadata["documents"] = "as before"
    [written] = make_vectors(project, DAYS[0])
    assert set(served.texts) == gone and len(served.texts) == len(gone)
    assert written.details["reused"] == lost.height - len(gone)


def test_a_window_of_two_embedders_is_refused(flights_copy: Project, served: Served) -> None:
    project = of_server(flights_copy, served)
    make_vectors(project, DAYS[2])
    make_window_days(project, DAYS[3])
    assert project.days_of_other_embedders(DAYS) == [*DAYS[:2], DAYS[3]]
    with pytest.raises(ComputeError) as caught:
        make_search_index(project, DAYS[3])
    said = str(caught.value)
    assert "3 of the 4 days of the window ending on 2013-02-09" in said
    assert "minilm-static-256" in said and project.embedder.model_id in said
    command = "stupid-dagster run --only-vectors --from 2013-02-06 --to 2013-02-09 --window"
    assert f"`{command} 2013-02-09`" in said

    for day in project.days_of_other_embedders(DAYS):
        make_vectors(project, day)
    make_window_days(project, DAYS[3])
    [index] = make_search_index(project, DAYS[3])
    assert index.version.rows == len(texts_of(project, *DAYS))


def test_a_server_whose_model_became_another(
    flights_copy: Project, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in DAYS:
        make_vectors(of_server(flights_copy, served), day)
    make_window_days(flights_copy, DAYS[3])
    monkeypatch.setattr("tests.embed.servers.vector_of", lambda text, _: vector_of(text, 16))
    served.requests.clear()
    # All days have all vectors, and a run that didn't end has left some: of the former length.
    project = of_server(flights_copy, served)
    half = project.lake.read("vectors", DAYS[1]).head(30)
    with suppress(KeyError), scratch_of(project.lake, DAYS[1], project.embedder.model_id) as left:
        left.write(half)
        raise KeyError
    with pytest.raises(ComputeError) as caught:
        make_search_index(project, DAYS[3])
    assert "4 of the 4 days" in str(caught.value) and "of 12 numbers" in str(caught.value)
    assert "gives 16 now" in str(caught.value) and "run --only-vectors --from" in str(caught.value)
    for day in DAYS:
        [written] = make_vectors(of_server(flights_copy, served), day)
        assert written.details["of_another_length"] > 0
        vectors = project.lake.read("vectors", day)["vector"]
        assert vectors.dtype == pl.Array(pl.Int8, 16) and vectors.null_count() == 0
    sent = Counter(served.texts)
    assert sent.keys() - {"dimensions"} == texts_of(project, *DAYS)
    assert all(times == 1 for text, times in sent.items() if text != "dimensions")
    make_window_days(project, DAYS[3])
    make_search_index(project, DAYS[3])
