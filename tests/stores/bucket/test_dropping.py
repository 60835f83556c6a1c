"""Dropping partitions of a bucket, and what the dropped ones cost afterwards."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from stupid_dagster.errors import StoreError
from stupid_dagster.stores.bucket.lake import BucketLake
from stupid_dagster.stores.files import PROBE, Entry, open_files
from stupid_dagster.stores.garbage import collect_garbage, find_leftovers
from tests.stores.faulty_proxy import FaultyProxy
from tests.stores.lakes import impatient, put_one
from tests.stores.s3_server import S3Server

NOW = timedelta(0)


@pytest.fixture
def machine(bucket: str, tmp_path: Path) -> Callable[[], BucketLake]:
    """Makes the lake as another machine has it."""
    return lambda: BucketLake(open_files(bucket), tmp_path / secrets.token_hex(4), 1 << 30)


def notes(lake: BucketLake) -> int:
    return json.loads(lake.files.read("LEDGER.json").data)["dropped"]


def test_nothing_is_asked_of_what_was_dropped(
    machine: Callable[[], BucketLake],
    s3_server: S3Server,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    writer = machine()
    put_one(writer, "t", "live", "x")

    def cost() -> int:
        with FaultyProxy((s3_server.host, s3_server.port)) as proxy:
            with monkeypatch.context() as patched:
                patched.setenv("AWS_ENDPOINT_URL_S3", proxy.url)
                lake = machine()
                found = find_leftovers(lake, kept_snapshots=1, grace=NOW)
                assert not found.versions
                assert lake.partitions("t") == ["live"]
            return len(proxy.faults.requests)

    before = cost()
    for number in range(5):
        put_one(writer, "t", str(number), "x")
        writer.drop("t", str(number))
    assert collect_garbage(writer, kept_snapshots=1, grace=NOW).versions == 5
    assert cost() == before


def test_what_a_late_listing_calls_dropped_is_looked_at_before_it_goes(
    machine: Callable[[], BucketLake], monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = machine()
    version = put_one(lake, "t", "p", "x")
    below = lake.files.below

    def late(prefix: str) -> Iterator[Entry]:
        for entry in below(prefix):
            yield replace(entry, size=0) if entry.key.endswith("CURRENT") else entry

    monkeypatch.setattr(lake.files, "below", late)
    (held,) = lake.inventory.partitions("t")
    assert held.live is None
    collect_garbage(lake, kept_snapshots=1, grace=NOW)
    assert machine().find("t", "p") == version


def test_many_are_dropped_with_one_note(machine: Callable[[], BucketLake]) -> None:
    lake = machine()
    pairs = [(table, day) for table in ("a", "b") for day in ("1", "2")]
    for pair in pairs:
        put_one(lake, *pair, "x")
    assert [*lake.drop_all([*pairs, ("a", "never")])] == [*pairs, ("a", "never")]
    assert lake.tables() == [] and notes(lake) == 1
    assert [*lake.drop_all(pairs)] == pairs
    assert notes(lake) == 1, "nothing was live any more"


def test_what_was_dropped_is_noted_though_others_fail(
    machine: Callable[[], BucketLake], monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = machine()
    for table in ("a", "b"):
        put_one(lake, table, "1", "x")
    write = lake.files.replace

    def refused(key: str, data: bytes, tag: str | None = None) -> bool:
        if key == "b/1/CURRENT":
            raise StoreError("refused")
        return write(key, data, tag)

    monkeypatch.setattr(lake.files, "replace", refused)
    with pytest.raises(StoreError, match="refused"):
        list(lake.drop_all([("a", "1"), ("b", "1")]))
    assert not lake.is_live("a", "1") and lake.is_live("b", "1")
    assert notes(lake) == 1


def test_what_is_damaged_in_the_bucket_is_replaced(machine: Callable[[], BucketLake]) -> None:
    lake = machine()
    damaged = put_one(lake, "t", "p", "good")
    lake.version_path(damaged)  # The copy here is whole.
    assert lake.damaged(damaged, checksums=True) == []
    lake.files.replace(f"{damaged.address}/a", b"evil")
    assert lake.damaged(damaged, checksums=True) == [f"{lake.url}/{damaged.address}/a"]

    again = put_one(lake, "t", "p", "good")

    assert again.name != damaged.name and machine().live("t", "p") == again
    with machine().lent(again) as folder:
        assert (folder / "a").read_text() == "good"
    assert put_one(lake, "t", "p", "good") == again, "what is whole isn't written again"
    lake.files.remove([f"{again.address}/a"])
    assert put_one(lake, "t", "p", "good") != again


def test_a_probe_that_was_left_is_collected(machine: Callable[[], BucketLake]) -> None:
    lake = machine()
    put_one(lake, "t", "p", "x")
    for folder in ("pseudonyms.key", "t/", "snapshots/"):
        lake.files.create(f"{folder}{PROBE}1", b"x")

    def left() -> list[str]:
        return [entry.key for entry in lake.files.below("") if PROBE in entry.key]

    collect_garbage(lake, kept_snapshots=1, grace=NOW)
    assert len(left()) == 3, "its process may be at work"
    collect_garbage(impatient(lake), kept_snapshots=1, grace=NOW)
    assert left() == []
