"""The lake and its snapshots, driven by Hypothesis, against dictionaries."""

from __future__ import annotations

import shutil
import tempfile
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from stupid_dagster.stores.garbage import collect_garbage
from stupid_dagster.stores.lake import Lake
from stupid_dagster.stores.snapshots import (
    check_files,
    open_snapshot,
    published_id,
    read_manifest,
    snapshot_ids,
)
from stupid_dagster.stores.version import Version
from tests.stores.lakes import published, put_one

NOW, LONG = timedelta(0), timedelta(days=9)
PARTITION = st.tuples(st.sampled_from(["documents", "edges"]), st.sampled_from(["1", "2"]))


class LakeMachine(RuleBasedStateMachine):
    """The lake and its snapshots against dictionaries."""

    def make(self, folder: Path) -> Lake:
        return Lake(folder)

    def stored(self) -> set[str]:
        """Return the keys of all that lies in the lake."""
        return {entry.key for entry in self.lake.files.below("")}

    @initialize()
    def begin(self) -> None:
        self.lake = self.make(Path(tempfile.mkdtemp()) / "lake")
        self.live: dict[tuple[str, str], str] = {}
        self.snapshots: dict[str, dict[tuple[str, str], str]] = {}
        self.expected: str | None = None

    def teardown(self) -> None:
        if hasattr(self, "lake"):
            shutil.rmtree(self.lake.root.parent)

    def text(self, version: Version) -> str:
        return (self.lake.version_path(version) / "a").read_text()

    @rule(where=PARTITION, text=st.sampled_from("abc"))
    def write(self, where: tuple[str, str], text: str) -> None:
        before = self.lake.find(*where)
        version = put_one(self.lake, *where, text)
        assert (before == version) is (self.live.get(where) == text)
        self.live[where] = text

    @rule(where=PARTITION)
    def fail_to_write(self, where: tuple[str, str]) -> None:
        with pytest.raises(ZeroDivisionError), self.lake.write(*where) as writer:
            (writer.path / "a").write_text("half")
            raise ZeroDivisionError

    @rule(where=PARTITION)
    def drop(self, where: tuple[str, str]) -> None:
        assert self.lake.drop(*where) is (self.live.pop(where, None) is not None)

    @rule()
    def publish(self) -> None:
        manifest = published(self.lake, {"documents": ["1", "2"], "edges": ["2", "1", "3"]})
        self.snapshots[manifest.id] = dict(self.live)
        self.expected = manifest.id

    @precondition(lambda self: self.lake.root.exists())
    @rule(kept=st.integers(1, 3))
    def collect(self, kept: int) -> None:
        files = self.stored()
        foreseen = collect_garbage(self.lake, kept_snapshots=kept, grace=NOW, dry_run=True)
        assert self.stored() == files
        assert collect_garbage(self.lake, kept_snapshots=kept, grace=NOW) == foreseen
        newest = list(self.snapshots)[-kept:]
        self.snapshots = {
            name: found
            for name, found in self.snapshots.items()
            if name == self.expected or (name in newest and found.keys() <= self.live.keys())
        }
        named = {
            (v.table, v.partition, v.name)
            for name in self.snapshots
            for found in read_manifest(self.lake, name).versions.values()
            for v in found.values()
        }
        named |= {(*where, self.lake.live(*where).name) for where in self.live}
        files = {tuple(key.split("/")[:3]) for key in self.stored() if key.endswith("/a")}
        assert files == named, "exactly what is named is there"
        self.check_leftovers()

    def check_leftovers(self) -> None:
        assert not [p for p in self.lake.root.rglob(".*") if p.is_file()]

    @rule()
    def collect_with_grace(self) -> None:
        before = {key for key in self.stored() if key.endswith("/a")}
        assert collect_garbage(self.lake, kept_snapshots=1, grace=LONG).versions == 0
        assert {key for key in self.stored() if key.endswith("/a")} == before

    @invariant()
    def live_is_as_written(self) -> None:
        if not hasattr(self, "lake"):
            return
        tables = {table for table, _ in self.live}
        assert self.lake.tables() == sorted(tables)
        for table in ("documents", "edges"):
            partitions = self.lake.partitions(table)
            found = {p: self.text(self.lake.live(table, p)) for p in partitions}
            assert found == {p: text for (t, p), text in self.live.items() if t == table}

    @invariant()
    def snapshots_are_as_published(self) -> None:
        if not hasattr(self, "lake"):
            return
        assert published_id(self.lake) == self.expected
        assert snapshot_ids(self.lake) == list(self.snapshots)
        for name, wanted in self.snapshots.items():
            manifest = open_snapshot(self.lake, name).manifest
            check_files(self.lake, manifest)
            versions = [v for found in manifest.versions.values() for v in found.values()]
            assert {(v.table, v.partition): self.text(v) for v in versions} == wanted


TestLakeMachine = LakeMachine.TestCase
TestLakeMachine.settings = settings(max_examples=15, stateful_step_count=15, deadline=None)
