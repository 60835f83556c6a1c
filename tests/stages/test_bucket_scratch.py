"""Vectors that a run in a bucket leaves when it dies: the next takes them, on any machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from stupid_dagster.embed.packing import pack_vectors
from stupid_dagster.project import Project
from stupid_dagster.stages import bucket_scratch as module
from stupid_dagster.stages.bucket_scratch import BucketScratch, bucket_scratch
from stupid_dagster.stages.day import make_vectors
from stupid_dagster.stores import garbage
from stupid_dagster.stores.bucket.lake import BucketLake
from stupid_dagster.stores.files import Files, open_files
from stupid_dagster.stores.garbage import SCRATCH, collect_garbage
from stupid_dagster.stores.inventory import CURRENT
from tests.embed.servers import embedding_server, vector_of
from tests.stages.test_embedding import DAYS, ROOT, of_server, texts_of
from tests.stores.faulty_proxy import FaultyProxy
from tests.stores.lakes import put_one
from tests.stores.s3_server import S3Server


def keys(files: Files, prefix: str = SCRATCH) -> list[str]:
    return sorted(entry.key for entry in files.below(prefix))


def parts(files: Files) -> list[str]:
    return [key for key in keys(files) if key.endswith(".parquet")]


def frame(*ids: int, width: int = 4) -> pl.DataFrame:
    vectors = pack_vectors(pl.DataFrame([vector_of(str(one), width) for one in ids]).to_numpy().T)
    return pl.DataFrame({"text_id": pl.Series(ids, dtype=pl.UInt64)}).with_columns(vectors)


def ids_of(scratch: BucketScratch) -> list[int]:
    return sorted(one for part in scratch.parts() for one in part["text_id"])


def claimed_by(scratch: BucketScratch) -> list[int]:
    return sorted(scratch.claimed())


def test_another_machine_takes_what_a_killed_run_made(
    flights_copy: Project, bucket: str, tmp_path: Path
) -> None:
    files, texts = open_files(bucket), texts_of(flights_copy, DAYS[0])
    for table in ("documents", "texts"):
        files.upload(flights_copy.lake.root / table / DAYS[0], f"{table}/{DAYS[0]}")
    program = (
        "from stupid_dagster.project import Project; from stupid_dagster.stages import"
        " bucket_scratch; from stupid_dagster.stages.day import make_vectors;"
        f"bucket_scratch._PART_SECONDS = 0.2; make_vectors(Project.load(), {DAYS[0]!r})"
    )
    # 37 requests, two at a time, seven seconds: on a busy machine a listing may take one.
    with embedding_server("openai", seconds=0.4) as served:
        root = of_server(flights_copy, served, concurrency=2).settings.root
        settings = {
            "STUPID_ROOT": str(root),
            "STUPID_DATA_ROOT": bucket,
            "STUPID_WORKPLACE": str(tmp_path / "dead"),
        }
        run = subprocess.Popen(
            [sys.executable, "-c", program],
            cwd=root,
            env={**os.environ, **settings, "PYTHONPATH": str(ROOT)},
        )
        until = time.monotonic() + 60
        while len(parts(files)) < 2 and run.poll() is None and time.monotonic() < until:
            time.sleep(0.01)
        run.send_signal(signal.SIGKILL)
        run.wait()
        made = parts(files)
        kept = sum(files.footer(key).num_rows for key in made)
        assert len(made) > 1 and 0 < kept < len(texts) and len(keys(files)) == len(made) + 1
        there = {"data_root": bucket, "workplace": tmp_path / "there"}
        [written] = make_vectors(Project.load(root, there), DAYS[0])
    assert written.details["resumed"] == kept
    assert written.details["embedded"] == len(texts) - kept
    assert not keys(files)
    vectors = Project.load(root, there).lake.read("vectors", DAYS[0])
    assert vectors.height == len(texts) and vectors["vector"].null_count() == 0


def test_vectors_of_versions_that_are_replaced_but_kept(
    flights_copy: Project,
    bucket: str,
    tmp_path: Path,
    s3_server: S3Server,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    files = open_files(bucket)
    for table in ("documents", "texts"):
        files.upload(flights_copy.lake.root / table / DAYS[0], f"{table}/{DAYS[0]}")

    def make(model: str, machine: str) -> Mapping[str, Any]:
        root = of_server(flights_copy, served, model=model).settings.root
        there = {"data_root": bucket, "workplace": tmp_path / machine}
        [written] = make_vectors(Project.load(root, there), DAYS[0])
        return written.details

    with embedding_server("openai") as served:
        make("a", "one")
        [key] = [key for key in keys(files, "vectors") if key.endswith(".parquet")]
        make("b", "one")
        served.requests.clear()
        with FaultyProxy((s3_server.host, s3_server.port)) as proxy:
            monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.url)
            asked = proxy.set("none")
            told = make("a", "two")
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3_server.url)
        assert told["reused"] == told["texts"] and served.texts == ["dimensions"]
        # Its bytes are checked and used by one reading.
        reads = [path for method, path in asked.requests if method == "GET" and key in path]
        assert len(reads) == 1

        # Collected since it was listed, or while it was read.
        files.remove([key])
        make("b", "one")
        for left in keys(files, "vectors"):
            if left.endswith(".parquet") and left.split("/")[2] != live_version(files):
                files.remove([left])
        told = make("a", "three")
        assert (told["reused"], told["embedded"]) == (0, told["texts"])


def live_version(files: Files) -> str:
    return files.read(f"vectors/{DAYS[0]}/{CURRENT}").data.decode()


def test_what_was_made_and_claimed(bucket: str) -> None:
    files = open_files(bucket)
    one, retry, other = (BucketScratch(files, day, "e") for day in ("d1", "d1", "d2"))
    alien = BucketScratch(files, "d2", "f")
    one.claim(pl.Series("text_id", [1, 2, 3], pl.UInt64))
    one.write(frame(1))
    assert claimed_by(other) == [1, 2, 3] and ids_of(other) == [1] and ids_of(other) == []
    assert claimed_by(retry) == [], "it doesn't wait for the dead"
    assert claimed_by(alien) == claimed_by(one) == ids_of(one) == ids_of(alien) == []
    one.write(frame(2))
    assert ids_of(other) == [], "some seconds' parts are one"
    one.write(frame(3, width=6))
    assert ids_of(other) == [2], "but not of another length"
    one.claim(pl.Series("text_id", [4], pl.UInt64))
    assert ids_of(other) == [3] and claimed_by(other) == [4]
    assert ids_of(retry) == [1, 2, 3]


def test_the_claim_of_who_writes_nothing_is_free(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = open_files(bucket)
    one, other = BucketScratch(files, "d1", "e"), BucketScratch(files, "d2", "e")
    monkeypatch.setattr(module, "CLAIM_SECONDS", 0.5)
    one.claim(pl.Series("text_id", [1, 2], pl.UInt64))
    seen = time.monotonic()
    assert claimed_by(other) == [1, 2]
    while claimed_by(other):
        assert time.monotonic() < seen + 30
    assert time.monotonic() - seen >= 0.5
    one.write(frame(1))
    assert claimed_by(other) == [1, 2], "it was slow, not dead"


def test_a_run_that_fails_leaves_what_it_made_and_claims_nothing(bucket: str) -> None:
    files = open_files(bucket)
    with suppress(KeyError), bucket_scratch(files, "d1", "e") as scratch:
        scratch.claim(pl.Series("text_id", [1, 2, 3], pl.UInt64))
        scratch.write(frame(1))
        scratch.write(frame(2))
        raise KeyError
    other = BucketScratch(files, "d2", "e")
    assert claimed_by(other) == [] and ids_of(other) == [1, 2]
    with bucket_scratch(files, "d1", "f") as scratch:
        scratch.write(frame(1))
    assert len(keys(files)) == 2, "of another embedder they stay"
    with bucket_scratch(files, "d1", "e") as scratch:
        scratch.write(frame(3))
    assert not keys(files)


def test_torn_parts_are_made_again(bucket: str) -> None:
    files = open_files(bucket)
    key = f"{SCRATCH}/d1/e/20260101T000000000-abcdef/x.parquet"
    files.replace(key, b"PAR1 torn")
    assert ids_of(BucketScratch(files, "d2", "e")) == [] and not keys(files)


def test_leftovers_go_with_their_day_and_with_time(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = BucketLake(open_files(bucket), tmp_path, 1 << 20)
    for day in DAYS[:2]:
        put_one(lake, "documents", day, "x")
        scratch = BucketScratch(lake.files, day, "e")
        scratch.claim(pl.Series("text_id", [1], pl.UInt64))
        scratch.write(frame(1))
    lake.drop("documents", DAYS[0])
    collect_garbage(lake, kept_snapshots=1, grace=timedelta(hours=1))
    left = keys(lake.files)
    assert len(left) == 2 and all(key.startswith(f"{SCRATCH}/{DAYS[1]}/") for key in left)

    sweep = garbage._sweep_scratch  # pyright: ignore[reportPrivateUsage]
    sweep(lake, datetime.now(UTC) + timedelta(days=6))
    assert keys(lake.files) == left
    sweep(lake, datetime.now(UTC) + timedelta(days=8))
    assert not keys(lake.files)
