"""What the lake's tests share: small versions, and snapshots."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any, TypeVar

from stupid_dagster.stores.bucket.inventory import BucketInventory
from stupid_dagster.stores.bucket.lake import BucketLake
from stupid_dagster.stores.bucket.ledger import BucketLedger
from stupid_dagster.stores.lake import Lake
from stupid_dagster.stores.snapshots import Manifest, publish
from stupid_dagster.stores.version import Version

AnyLake = TypeVar("AnyLake", bound=Lake)


def put(lake: Lake, text: str = "x", table: str = "t", partition: str = "p") -> Version:
    """Write a version and return it."""
    with lake.write(table, partition) as writer:
        (writer.path / "a").write_text(text)
        (writer.path / "deep" / "er").mkdir(parents=True)
        (writer.path / "deep" / "er" / "b").write_text(text)
    return writer.committed


def content(lake: Lake, version: Version) -> str:
    """Return the text of a version's files."""
    folder = lake.version_path(version)
    first, second = (folder / "a").read_text(), (folder / "deep" / "er" / "b").read_text()
    assert first == second, "all files of one write"
    return first


def everything(lake: Lake) -> list[str]:
    """Return all paths below the lake's root."""
    return sorted(p.relative_to(lake.root).as_posix() for p in lake.root.rglob("*"))


def put_one(lake: Lake, table: str, partition: str, text: str) -> Version:
    """Write a version of one file and return it."""
    with lake.write(table, partition) as writer:
        (writer.path / "a").write_text(text)
    return writer.committed


def published(lake: Lake, tables: Mapping[str, Iterable[str]]) -> Manifest:
    """Publish the tables' live versions."""
    manifest = publish(
        lake,
        window=(date(2013, 1, 11), date(2013, 2, 9)),
        versions={
            table: {p: v for p in sorted(partitions) if (v := lake.find(table, p))}
            for table, partitions in tables.items()
        },
        event_model="m",
        event_model_hash="h",
        embedder_id="e",
        code_version="1",
    )
    time.sleep(0.002)  # Names tell milliseconds.
    return manifest


def kill_at(moment: int, calls: Iterable[str]) -> None:
    """Kill this process at a moment, counted over calls of `os`, before and after each."""
    steps = 0

    def wrapped(original: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any, **named: Any) -> Any:
            nonlocal steps
            for part in (None, original):
                steps += 1
                if steps == moment:
                    os.kill(os.getpid(), signal.SIGKILL)
                if part:
                    return part(*arguments, **named)

        return step

    for name in calls:
        setattr(os, name, wrapped(getattr(os, name)))


def abandoned(lake: Lake, table: str, partition: str) -> list[Path]:
    """Return the folders that writers left who were killed."""
    return [
        lake.root / left.address
        for held in lake.inventory.partitions(table)
        if held.partition == partition
        for left in held.abandoned
    ]


def impatient(lake: AnyLake) -> AnyLake:
    """Let a lake in a bucket take whoever writes to it for dead at once; return it."""
    if isinstance(lake, BucketLake):
        assert isinstance(lake.ledger, BucketLedger) and isinstance(lake.inventory, BucketInventory)
        # A server's clock may tell no more than seconds.
        lake.ledger.abandoned_after = lake.inventory.abandoned_after = timedelta(minutes=-1)
    return lake
