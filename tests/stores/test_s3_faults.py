"""A bucket behind a network that breaks: what was written is known, and nothing is half read."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from stupid_dagster.errors import SnapshotError, StoreError, retry_helps
from stupid_dagster.query.frames import collected
from stupid_dagster.stores.files import Files, StorageOptions, open_files
from tests.stores.faulty_proxy import FaultyProxy
from tests.stores.s3_server import SECRET, S3Server

QUICK = StorageOptions(request_seconds=1, retries=4, retry_seconds=20)


@pytest.fixture
def proxy(s3_server: S3Server, bucket: str, monkeypatch) -> Iterator[FaultyProxy]:
    with FaultyProxy((s3_server.host, s3_server.port)) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.url)
        yield proxy


@pytest.fixture
def straight(bucket: str) -> Files:
    """The same place without the proxy between."""
    return open_files(bucket)


@pytest.fixture
def files(straight: Files, bucket: str, proxy: FaultyProxy) -> Files:
    files = open_files(bucket, QUICK)
    files.create("checked", b"")  # The check of the server's conditions is behind us.
    return files


def puts(method: str, path: str) -> bool:
    return method == "PUT"


def gets(method: str, path: str) -> bool:
    return method == "GET" and "list-type" not in path


@pytest.mark.parametrize("fault", ["lost answer", "409", "503", "404", "drop request", "hang"])
def test_a_create_is_ours_whatever_is_answered(
    files: Files, straight: Files, proxy: FaultyProxy, fault: str
) -> None:
    faults = proxy.set(fault, 1, puts, after=2)
    assert files.create("k", b"mine")
    assert faults.hits == 1
    assert straight.read("k").data == b"mine"
    assert not files.create("k", b"another's")


@pytest.mark.parametrize("fault", ["lost answer", "409", "503", "404", "drop request", "hang"])
def test_a_replacement_is_ours_whatever_is_answered(
    files: Files, straight: Files, proxy: FaultyProxy, fault: str
) -> None:
    straight.create("k", b"old")
    faults = proxy.set(fault, 1, puts, after=2)
    assert files.replace("k", b"mine", files.read("k").tag)
    assert faults.hits == 1
    assert straight.read("k").data == b"mine"


@pytest.mark.parametrize("fault", ["lost answer", "409", "503", "drop request", "hang"])
def test_another_writer_wins_beside_a_fault(
    files: Files, straight: Files, proxy: FaultyProxy, fault: str
) -> None:
    straight.create("k", b"old")
    tag = files.read("k").tag
    straight.replace("k", b"theirs", tag)
    proxy.set(fault, 1, puts, after=2)
    assert not files.replace("k", b"mine", tag)
    proxy.set(fault, 1, puts, after=2)
    assert not files.create("k", b"mine")
    assert straight.read("k").data == b"theirs"


def test_a_replacement_without_a_tag_is_sent_again(
    files: Files, straight: Files, proxy: FaultyProxy
) -> None:
    for fault in ("lost answer", "503", "drop request"):
        proxy.set(fault, 1, puts)
        assert files.replace("k", fault.encode())
        assert straight.read("k").data == fault.encode()


def test_a_retry_that_meets_itself_has_won(
    files: Files, straight: Files, proxy: FaultyProxy
) -> None:
    """What was thought lost is done before it is sent again, and refuses that."""

    def first_is_done(method: str, path: str) -> bool:
        if puts(method, path):
            straight.replace("k", b"mine")
        return puts(method, path)

    proxy.set("503", 1, first_is_done)
    assert files.create("k", b"mine")
    straight.replace("k", b"old")
    tag = straight.read("k").tag
    proxy.set("503", 1, first_is_done)
    assert files.replace("k", b"mine", tag)


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("503", r"answered 503( SlowDown)? to every attempt"),
        ("drop request", "can't be reached, or broke off"),
        ("hang", "gave no answer in time"),
    ],
)
def test_what_stays_broken_is_told(
    files: Files, straight: Files, proxy: FaultyProxy, fault: str, says: str
) -> None:
    straight.create("k", b"old")
    tag = straight.read("k").tag
    files = open_files(files.url, StorageOptions(request_seconds=0.3, retries=1, retry_seconds=1))
    for act in (
        lambda: files.read("k"),
        lambda: files.entry("k"),
        lambda: files.names(""),
        lambda: files.create("l", b"mine"),
        lambda: files.replace("k", b"mine", tag),
        lambda: files.replace("k", b"mine"),
    ):
        proxy.set(fault, 99, after=0.5)
        with pytest.raises(StoreError, match=says) as caught:
            act()
        assert retry_helps(caught.value)
        assert files.url in str(caught.value) and proxy.url in str(caught.value)
    assert straight.read("k").data == b"old"


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("no bucket", "404 NoSuchBucket: there is no such bucket"),
        ("400", "answered 400 InvalidRequest"),
        ("501", "can't write on a condition"),
        ("301", "in another region; set AWS_REGION"),
    ],
)
def test_what_is_wrong_is_told_at_once(
    files: Files, proxy: FaultyProxy, fault: str, says: str
) -> None:
    for act in (lambda: files.create("k", b"mine"), lambda: files.read("k")):
        faults = proxy.set(fault, 99)
        with pytest.raises(StoreError, match=says) as caught:
            act()
        assert not retry_helps(caught.value)
        assert len(faults.requests) <= (1 + QUICK.retries if fault == "501" else 1)
    proxy.set("no bucket", 99)
    with pytest.raises(StoreError, match="no such bucket"):
        files.names("")


@pytest.mark.parametrize(
    ("fault", "says", "again"),
    [
        ("503", r"503 SlowDown to every attempt \(max_retries: 1, retry_timeout: 1s\)", True),
        ("drop request", "can't be reached, or broke off", True),
        ("hang", "gave no answer in time", True),
        ("404", "isn't there any more", False),
        ("no bucket", "404 NoSuchBucket: there is no such bucket", False),
        ("denied", "answered 403 SignatureDoesNotMatch: access denied", False),
    ],
)
def test_what_a_scan_is_refused_is_told_without_the_servers_answer(
    files: Files, straight: Files, proxy: FaultyProxy, fault: str, says: str, again: bool
) -> None:
    straight.create("t", b"PAR1")
    files = open_files(files.url, StorageOptions(request_seconds=0.3, retries=1, retry_seconds=1))
    proxy.set(fault, 99, gets, after=1)
    with pytest.raises(SnapshotError, match=says) as caught:
        collected(files.scan_parquet("t"))
    assert retry_helps(caught.value) == again
    assert f"{files.url}/t" in str(caught.value)
    shown = "".join(traceback.format_exception(caught.value))
    assert "made up" not in shown and "object-store" not in shown


def test_a_download_goes_on_where_it_broke_off(
    files: Files, straight: Files, proxy: FaultyProxy, tmp_path: Path
) -> None:
    data = os.urandom(40 << 20)
    (tmp_path / "up").mkdir()
    (tmp_path / "up" / "f").write_bytes(data)
    # Where all is busy, a second is short for what is this large.
    files = open_files(files.url)
    faults = proxy.set("drop request", 2, puts)
    files.upload(tmp_path / "up", "t")
    assert faults.hits == 2
    faults = proxy.set("drop body", 2, gets, after=3_000_000)
    files.download("t/f", tmp_path / "down")
    assert faults.hits == 2
    assert (tmp_path / "down").read_bytes() == data


def test_a_download_never_mixes_two_states(
    files: Files, straight: Files, proxy: FaultyProxy, tmp_path: Path
) -> None:
    straight.replace("k", b"1" * (20 << 20))
    files = open_files(files.url)
    gets_seen = 0

    def change_before_the_second(method: str, path: str) -> bool:
        nonlocal gets_seen
        gets_seen += gets(method, path)
        if gets_seen == 2:
            straight.replace("k", b"2" * (20 << 20))
        return False

    proxy.set("", 1, change_before_the_second)
    with pytest.raises(StoreError, match="412"):
        files.download("k", tmp_path / "k")
    assert not [*tmp_path.iterdir()]


def test_a_download_that_fails_leaves_nothing(
    files: Files, straight: Files, proxy: FaultyProxy, tmp_path: Path
) -> None:
    straight.create("k", b"x" * 1_000_000)
    proxy.set("503", 99, gets)
    with pytest.raises(StoreError, match="SlowDown"):
        files.download("k", tmp_path / "k")
    assert not [*tmp_path.iterdir()]


def test_parquet_is_read_through_faults(
    files: Files, straight: Files, proxy: FaultyProxy, tmp_path: Path
) -> None:
    pl.DataFrame({"n": range(200_000)}).write_parquet(tmp_path / "f", row_group_size=10_000)
    straight.create("k", (tmp_path / "f").read_bytes())
    for fault in ("drop body", "503", "hang"):
        proxy.set(fault, 1, gets, after=2)
        assert files.footer("k").num_rows == 200_000
        proxy.set(fault, 1, gets, after=2)
        assert files.scan_parquet("k").sum().collect().item() == 199_999 * 100_000


@pytest.mark.parametrize(
    ("ignored", "says"),
    [("unconditional", "ignores `If-None-Match"), ("If-Match", "ignores `If-Match`")],
)
def test_a_server_that_ignores_conditions_is_refused(
    proxy: FaultyProxy, bucket: str, straight: Files, ignored: str, says: str
) -> None:
    puts_seen = 0

    def second_half(method: str, path: str) -> bool:
        nonlocal puts_seen
        puts_seen += method == "PUT"
        return method == "PUT" and (ignored == "unconditional" or puts_seen > 2)

    files = open_files(bucket, QUICK)
    for write in (lambda: files.create("k", b"x"), lambda: files.replace("k", b"x", '"tag"')):
        puts_seen = 0
        proxy.set("unconditional", 99, second_half)
        with pytest.raises(StoreError, match=says):
            write()
    assert [*straight.below("")] == []


def test_conditions_are_checked_once(proxy: FaultyProxy, bucket: str) -> None:
    faults = proxy.set("", 0)
    open_files(bucket).create("a", b"x")
    first = len(faults.requests)
    open_files(bucket).create("b", b"x")
    assert len(faults.requests) == first + 1
    assert first <= 10
    assert sorted(entry.key for entry in open_files(bucket).below("")) == ["a", "b"]


@pytest.mark.parametrize("key", [".sessions/a", "pseudonyms.key"])
def test_conditions_are_checked_where_there_is_a_right_to_write(
    proxy: FaultyProxy, bucket: str, key: str
) -> None:
    def elsewhere(method: str, path: str) -> bool:
        may = any(f"/lake/{begin}" in path for begin in (".sessions/", "pseudonyms.key"))
        return method == "PUT" and not may

    faults = proxy.set("denied", 99, elsewhere)
    assert open_files(bucket).create(key, b"x")
    assert faults.requests and faults.hits == 0
    assert [entry.key for entry in open_files(bucket).below("")] == [key]


def test_no_secret_is_told(files: Files, straight: Files, proxy: FaultyProxy, monkeypatch) -> None:
    straight.create("k", b"x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "quite-another-secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "a-token")
    wrong = open_files(files.url, QUICK)
    for act in (lambda: wrong.read("k"), lambda: wrong.entry("k"), lambda: wrong.names("")):
        with pytest.raises(StoreError, match=r"403.*access denied; check AWS_ACCESS_KEY_ID") as e:
            act()
        assert e.value.__context__ is None and e.value.__cause__ is None
        assert not retry_helps(e.value)
        texts = repr(e.value) + repr(wrong) + repr(vars(wrong))
        for secret in (SECRET, "quite-another-secret", "a-token", "testkey"):
            assert secret not in texts


def test_nobody_listens(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://user:password@127.0.0.1:1/")
    files = open_files(bucket, QUICK)
    with pytest.raises(StoreError, match=r"http://127\.0\.0\.1:1 can't be reached") as caught:
        files.read("k")
    assert retry_helps(caught.value)
    assert "password" not in str(caught.value)


def test_one_variable_leads_every_library(s3_server: S3Server, bucket: str, monkeypatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    files = open_files(bucket, QUICK)
    assert files.create("k", b"x")
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3")
    with pytest.raises(StoreError, match="can't be reached"):
        open_files(bucket, QUICK).read("k")
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server.url)
    assert open_files(bucket, QUICK).read("k").data == b"x"
    monkeypatch.setenv("AWS_ENDPOINT_URL", "localhost:8333")
    with pytest.raises(StoreError, match="AWS_ENDPOINT_URL is no URL"):
        open_files(bucket)


@pytest.mark.parametrize("empty", ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"])
def test_an_empty_endpoint_is_none(
    s3_server: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, empty: str
) -> None:
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "k.parquet")
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"):
        monkeypatch.setenv(name, "" if name == empty else s3_server.url)
    files = open_files(bucket, QUICK)
    files.upload(tmp_path, "")
    assert files.scan_parquet("k.parquet").collect().height == 1


def test_an_endpoint_is_shown_with_its_path(
    s3_server: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = s3_server.url.replace("http://", "http://user:password@")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"{url}/wrong/")
    with pytest.raises(StoreError, match=re.escape(f"{s3_server.url}/wrong answered")) as caught:
        open_files(bucket, QUICK).names("")
    assert "password" not in str(caught.value)


def test_obstore_is_asked_for_where_it_is_missing() -> None:
    code = (
        "import sys; sys.modules['obstore'] = None\n"
        "from stupid_dagster.stores.files import open_files\n"
        "open_files('/tmp')\n"
        "open_files('s3://b/p')\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "StoreError: what is at s3:// needs obstore: pip install 'stupid-dagster[s3]'" in (
        ended.stderr
    )
