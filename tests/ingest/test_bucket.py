"""A landing folder in a bucket: its documents are those of the same folder here, and no more of it
is fetched than is read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import pytest
from obstore.store import MemoryStore

from stupid_dagster.errors import IngestError, StoreError, retry_helps
from stupid_dagster.ingest import build_documents, index_landing
from stupid_dagster.ingest.places import Bucket
from stupid_dagster.ingest.readers import open_file
from stupid_dagster.ingest.source import Source
from stupid_dagster.stores.files import Files, StorageOptions, open_files
from tests.gaming import DAY, PARTITIONS
from tests.ingest.test_kinds import EVENTS, KINDS, MODEL, packed, put
from tests.stores.faulty_proxy import FaultyProxy
from tests.stores.listing_server import listing_server
from tests.stores.s3_server import SECRET, S3Server

QUICK = StorageOptions(request_seconds=2, retries=1, retry_seconds=4)


@pytest.fixture
def files(bucket: str) -> Files:
    """The landing folder's owner."""
    return open_files(bucket)


@pytest.fixture
def proxy(files: Files, s3_server: S3Server, monkeypatch) -> Iterator[FaultyProxy]:
    with FaultyProxy((s3_server.host, s3_server.port)) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.url)
        yield proxy


def gets(method: str, path: str) -> bool:
    return method == "GET" and "list-type" not in path


def asked_after(skipped: int) -> Callable[[str, str], bool]:
    """Return what matches the requests for files but the first ones."""
    asked = count()
    return lambda method, path: "list-type" not in path and next(asked) >= skipped


def test_documents_are_those_of_the_same_folder_here(
    tmp_path: Path, bucket: str, files: Files
) -> None:
    """One file of each kind, all of them in turn."""
    kinds = iter(KINDS)
    for number in range(3):
        for path, events in EVENTS.items():
            kind = next(kinds)
            put(tmp_path, f"{path} {number}.{kind}", packed(events, kind))
    files.upload(tmp_path, "")
    here, there = index_landing(MODEL, tmp_path), index_landing(MODEL, bucket)
    assert [f.path for f in there.files] == [f.path for f in here.files]
    assert [(f.rows, f.days, f.problem) for f in there.files] == [
        (f.rows, f.days, f.problem) for f in here.files
    ]
    wanted, made = (build_documents(MODEL, index, DAY, PARTITIONS) for index in (here, there))
    assert made.rows == wanted.rows == 9
    assert made.rows_read == wanted.rows_read == 30
    for name, frame in wanted.documents.items():
        assert made.documents[name].equals(frame), name
    assert made.rejects.equals(wanted.rejects)
    assert made.dropped_columns == wanted.dropped_columns


def test_what_is_listed_is_what_is_looked_at_and_read(bucket: str, files: Files) -> None:
    odd = ["a b.csv", "#1%20[x]*?.csv", "雪/é.csv", "x::y.csv", "deep/er/est.csv"]
    for name in (*odd, ".hidden", "_temporary/x.csv", "deep/_SUCCESS"):
        files.create(name, b"a\n1\n")
    source = Source(bucket)
    found = source.files()
    assert [file.path for file in found] == sorted(odd)
    for file in found:
        assert source.look(file.path) == file
        assert source.local_path(file.path) is None
        with source.open(file.path) as stream:
            assert stream.read() == b"a\n1\n"


def test_what_consoles_make_for_folders_is_no_file(bucket: str, files: Files, monkeypatch) -> None:
    # SeaweedFS, other than S3, has folders.
    monkeypatch.setattr(files, "_store", MemoryStore())
    for key, data in (("Login", b""), ("Login/x.csv", b"a\n1\n"), ("empty.csv", b"")):
        files.replace(key, data)
    assert sorted(file.path for file in Bucket(files).files()) == ["Login/x.csv", "empty.csv"]


def test_an_etag_tells_a_change_within_a_second(bucket: str, files: Files, tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        files.create(name, b"a\n1\n")
    source = Source(bucket)
    before = source.files()
    assert source.files() == before
    files.replace("a.csv", b"a\n2\n")
    changed, same = source.files()
    assert (changed == before[0], same == before[1]) == (False, True)
    assert changed.size == before[0].size
    # In parts, the tag of which is no hash of its content.
    (tmp_path / "big.csv").write_bytes(b"a\n" + b"1\n" * (5 << 20))
    files.upload(tmp_path, "")
    assert source.look("big.csv") in source.files()


def test_a_file_that_changes_while_it_is_read_is_told(bucket: str, files: Files) -> None:
    files.create("Login/2025-03-02.csv", b"a\n1\n")
    with Source(bucket).open("Login/2025-03-02.csv") as stream:
        assert stream.read(2) == b"a\n"
        files.replace("Login/2025-03-02.csv", b"a\n2\n")
        with pytest.raises(StoreError, match="others change it at the same time"):
            stream.read(2)


def test_no_more_of_a_parquet_file_is_fetched_than_its_columns(
    tmp_path: Path, bucket: str, files: Files, proxy: FaultyProxy
) -> None:
    rows = 20_000
    wide = pl.DataFrame({f"c{n}": pl.Series(range(n, n + rows)) for n in range(20)})
    put(tmp_path, "Login/2025-03-02.parquet", b"")
    file = tmp_path / "Login/2025-03-02.parquet"
    pq.write_table(
        wide.to_arrow(), file, row_group_size=5_000, compression="none", use_dictionary=False
    )
    files.upload(tmp_path, "")
    reader = open_file(Source(bucket), "Login/2025-03-02.parquet")
    column, head = 8 * rows, 4_000
    asked = proxy.set("none")
    assert reader.read(["c7"]).equals(wide.select(pl.col("c7").cast(pl.String)))
    assert column < asked.sent < column + 5 * head
    # Of two of the four row groups.
    asked = proxy.set("none")
    few = pl.Series([0, 5_000, 9_999], dtype=pl.UInt32)
    assert reader.read(["c7"], few)["c7"].to_list() == ["7", "5007", "10006"]
    assert column / 2 < asked.sent < column / 2 + 3 * head
    few = pl.Series([5_007, 19_999], dtype=pl.UInt32)
    assert reader.read(["c3", "c7"], few).rows() == [("5010", "5014"), ("20002", "20006")]


@pytest.mark.parametrize("fault", ["drop body", "drop request", "503"])
@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl.gz"])
def test_a_connection_that_drops_is_survived(
    bucket: str, files: Files, proxy: FaultyProxy, kind: str, fault: str
) -> None:
    path = "GameOpened/2025-03-02"
    files.create(f"{path}.{kind}", packed(EVENTS[path], kind))
    faults = proxy.set(fault, 1, gets, after=60)
    index = index_landing(MODEL, Source(bucket, options=QUICK))
    assert faults.hits == 1
    assert [(file.rows, file.problem) for file in index.files] == [(2, None)]
    faults = proxy.set(fault, 1, gets, after=60)
    made = build_documents(MODEL, index, DAY, PARTITIONS)
    assert (faults.hits, made.rows, made.unreadable_files) == (1, 2, 0)


@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl.gz"])
def test_a_file_that_can_t_be_fetched_isn_t_left_out(
    bucket: str, files: Files, proxy: FaultyProxy, kind: str
) -> None:
    """Its day would lack its rows; the step is tried again instead."""
    path = "GameOpened/2025-03-02"
    files.create(f"{path}.{kind}", packed(EVENTS[path], kind))
    index = index_landing(MODEL, Source(bucket, options=QUICK))
    proxy.set("drop request", 1000, gets)
    for work in (
        lambda: build_documents(MODEL, index, DAY, PARTITIONS),
        lambda: index_landing(MODEL, index.source),
    ):
        with pytest.raises(StoreError, match=re.escape(f"{bucket}/{path}.{kind}")) as caught:
            work()
        assert retry_helps(caught.value)
        assert SECRET not in str(caught.value)


@pytest.mark.parametrize("kind", ["parquet", "csv", "csv.gz", "jsonl", "jsonl.gz"])
def test_a_file_that_is_refused_isn_t_left_out(
    bucket: str, files: Files, proxy: FaultyProxy, kind: str
) -> None:
    path = f"GameOpened/2025-03-02.{kind}"
    files.create(path, packed(EVENTS["GameOpened/2025-03-02"], kind))
    index = index_landing(MODEL, Source(bucket, options=QUICK))
    for fault, status in (("denied", 403), ("400", 400), ("301", 301)):
        # Once at its beginning, and once when it is open.
        for skipped in (0, 1):
            faults = proxy.set(fault, 1000, asked_after(skipped))
            with pytest.raises(StoreError, match=rf"{re.escape(path)}: .* answered {status}"):
                build_documents(MODEL, index, DAY, PARTITIONS)
            assert faults.hits
    # Gone meanwhile, or damaged.
    proxy.set("404", 1000, asked_after(0))
    assert build_documents(MODEL, index, DAY, PARTITIONS).unreadable_files == 1


def test_what_is_refused_is_told_with_what_to_do(
    bucket: str, files: Files, proxy: FaultyProxy, monkeypatch
) -> None:
    files.create("x.csv", b"a\n1\n")
    with pytest.raises(IngestError, match=rf"landing folder {bucket}/no does not exist"):
        Source(f"{bucket}/no").files()
    with pytest.raises(IngestError, match=r"folder s3://nowhere-at-all .*make it, or correct"):
        Source("s3://nowhere-at-all", options=QUICK).files()
    proxy.set("drop request", 1000)
    with pytest.raises(IngestError, match="can't be reached, or broke off") as caught:
        Source(bucket, options=QUICK).files()
    assert retry_helps(caught.value)
    proxy.set("none")
    secret = "another-secret-that-nobody-may-see"
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
    with pytest.raises(IngestError, match="access denied; check AWS_ACCESS_KEY_ID") as caught:
        Source(bucket).files()
    assert secret not in str(caught.value)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "nonsense")
    with pytest.raises(IngestError, match=f"landing folder {bucket} can't be used: AWS_ENDPOINT"):
        Source(bucket).files()


@pytest.fixture
def landing(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., AbstractContextManager]]:
    """Lend what lends the source of a bucket with these keys, in which others are odd."""

    @contextmanager
    def served(odd: dict[str, bytes], **options: Any) -> Iterator[Source]:
        named = {f"{path}.csv": packed(events, "csv") for path, events in EVENTS.items()}
        objects = {f"landing/{key}": data for key, data in (named | odd).items()}
        with listing_server({**objects, "other/x.csv": b""}, **options) as url:
            monkeypatch.setenv("AWS_ENDPOINT_URL_S3", url)
            yield Source("s3://tests/landing", options=QUICK)

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testkey")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    yield served


ODD = ["Login//2025-03-02.csv", "/2025-03-02.csv", "Login/./2025-03-02.csv", "a/../2025-03-02.csv"]


@pytest.mark.parametrize("page", [1, 2, 1000])
@pytest.mark.parametrize("odd", ODD)
def test_a_key_that_can_t_be_listed_is_refused_and_the_others_are_read(
    landing: Callable[..., AbstractContextManager[Source]], odd: str, page: int
) -> None:
    with landing({}, page=page) as source:
        wanted = source.files()
        documents = build_documents(MODEL, index_landing(MODEL, source), DAY, PARTITIONS)
    with landing({odd: b"memberCode\nx\n"}, page=page) as source:
        index = index_landing(MODEL, source)
        made = build_documents(MODEL, index, DAY, PARTITIONS)
        # The same states: nothing is read anew when the key comes or goes.
        assert [file for file in source.files() if file.path != odd] == wanted
        assert [source.look(file.path) for file in wanted] == wanted
    [file] = [file for file in index.files if file.path == odd]
    assert file.problem and "can't be a file's key" in file.problem
    assert (file.date, file.days) == (str(DAY), {})
    assert made.rows == documents.rows == 9
    assert (made.unusable, made.files) == ([odd], documents.files + 1)
    [reject] = made.rejects.filter(pl.col("file") == odd).rows(named=True)
    assert reject["scope"] == "file" and reject["reason"] == file.problem


def test_many_beside_odd_keys_are_listed_by_folder(
    landing: Callable[..., AbstractContextManager[Source]],
) -> None:
    odd = {"Login//x.csv": b"x", "deep/er//y.csv": b"y", "Login//": b""}
    named = {f"deep/{n}/{n}.csv": b"z" * n for n in range(20)}
    with landing(odd | named, page=3) as source:
        found = {file.path: file.size for file in source.files()}
    told = {**named, "Login//x.csv": b"x", "deep/er//y.csv": b"y"}
    assert {path: size for path, size in found.items() if path in told} == {
        path: len(data) for path, data in told.items()
    }
    assert found.keys() - told.keys() == {f"{path}.csv" for path in EVENTS}


@pytest.mark.parametrize("odd", ODD)
def test_a_key_that_keeps_others_from_being_listed_is_told(
    landing: Callable[..., AbstractContextManager[Source]], odd: str
) -> None:
    with (
        landing({odd: b"x"}, refused="aws-sdk-cpp") as source,
        pytest.raises(IngestError, match=re.escape(f"'landing/{odd}'")) as caught,
    ):
        source.files()
    assert "network" not in str(caught.value) and not retry_helps(caught.value)


def test_a_key_that_can_t_be_read_is_that_file_s_problem(
    landing: Callable[..., AbstractContextManager[Source]],
) -> None:
    odd = "Login/a\\b 2025-03-02.csv"
    with landing({odd: b"x"}) as source:
        [file] = [file for file in index_landing(MODEL, source).files if file.path == odd]
    assert file.problem and "can't be a file's key" in file.problem
    assert file.date == "2025-03-02"
