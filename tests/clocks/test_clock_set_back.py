"""The machine's clock is set back between runs: what is newest stays so, and grace is grace."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import pytest

from stupid_dagster.stores import garbage, lake, snapshots, version
from stupid_dagster.stores.garbage import Garbage, collect_garbage
from stupid_dagster.stores.lake import Lake
from stupid_dagster.stores.snapshots import (
    Manifest,
    check_files,
    open_snapshot,
    publish,
    published_id,
    read_manifests,
    snapshot_ids,
)
from stupid_dagster.stores.version import Version, made_at, new_name
from tests.stores.lakes import put_one

NOON = datetime(2013, 2, 9, 12, tzinfo=UTC)
GRACE = timedelta(minutes=10)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
WINDOW = (date(2013, 2, 1), date(2013, 2, 9))
TABLE, PARTITION = "ranks", "2013-02-09"
T = TypeVar("T")


class Machine:
    """A lake on a machine whose clock can be set; its files' times are that clock's."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lake = Lake(root)
        self.offset = timedelta(0)
        self.moment = NOON
        machine = self

        class Clock(datetime):
            @classmethod
            def now(cls, tz: object = None) -> datetime:  # pyright: ignore[reportIncompatibleMethodOverride]
                return machine.clock

        for module in (lake, garbage, snapshots, version):
            monkeypatch.setattr(module, "datetime", Clock)

    @property
    def clock(self) -> datetime:
        """What the clock shows; `moment` is the true time."""
        return self.moment + self.offset

    def set_back(self, by: timedelta) -> None:
        self.offset -= by

    def goes_on(self, by: timedelta) -> None:
        self.moment += by

    def does(self, work: Callable[[], T]) -> T:
        """Do something, and date what it changed by the machine's clock."""
        before = {p: p.stat().st_mtime_ns for p in self._paths()}
        result = work()
        shown = self.clock.timestamp()
        for path in self._paths():
            changed = path.stat().st_mtime_ns
            # What was dated by the code itself has the clock's time already.
            if changed != before.get(path) and changed > (NOON.timestamp() + 365 * 86400) * 1e9:
                os.utime(path, (shown, shown))
        self.goes_on(timedelta(seconds=1))
        return result

    def _paths(self) -> list[Path]:
        return [p for p in self.lake.root.rglob("*")] if self.lake.root.exists() else []

    def write(self, text: str) -> Version:
        return self.does(lambda: put_one(self.lake, TABLE, PARTITION, text))

    def publish(self) -> Manifest:
        version = self.lake.live(TABLE, PARTITION)
        return self.does(
            lambda: publish(
                self.lake,
                window=WINDOW,
                versions={TABLE: {PARTITION: version}},
                event_model="m",
                event_model_hash="h",
                embedder_id="e",
                code_version="1",
            )
        )

    def collect(self, kept_snapshots: int = 1) -> Garbage:
        return self.does(
            lambda: collect_garbage(self.lake, kept_snapshots=kept_snapshots, grace=GRACE)
        )

    def there(self) -> set[str]:
        return {p.name for p in (self.lake.root / TABLE / PARTITION).glob("2*")}


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path / "lake", monkeypatch)


def test_a_name_sorts_behind_the_one_before_whatever_the_clock_says(machine: Machine) -> None:
    first = new_name()
    assert made_at(first) == NOON
    for back in (timedelta(0), HOUR, DAY, 365 * DAY):
        machine.set_back(back)
        following = new_name(after=first)
        assert following > first
        assert made_at(following) == made_at(first) + timedelta(milliseconds=1)
        first = following
    machine.set_back(-366 * DAY - HOUR - timedelta(seconds=1))
    assert made_at(new_name(after=first)) == machine.clock


@pytest.mark.parametrize("back", [HOUR, DAY])
def test_the_newest_snapshot_stays_the_newest_and_is_served(
    machine: Machine, back: timedelta
) -> None:
    manifests = []
    for n in range(2):
        machine.write(f"before {n}")
        manifests.append(machine.publish())
    machine.set_back(back)
    for n in range(2):
        machine.write(f"after {n}")
        manifests.append(machine.publish())
    ids = [manifest.id for manifest in manifests]
    assert ids == sorted(ids) == snapshot_ids(machine.lake)
    assert open_snapshot(machine.lake).manifest == manifests[-1]
    # Those that are kept are the newest. When those before were replaced is not known.
    machine.collect(kept_snapshots=2)
    assert len(snapshot_ids(machine.lake)) == 4
    machine.goes_on(GRACE)
    machine.collect(kept_snapshots=2)
    assert snapshot_ids(machine.lake) == ids[2:]
    for manifest in manifests[2:]:
        check_files(machine.lake, manifest)
    assert machine.there() == {m.versions[TABLE][PARTITION].name for m in manifests[2:]}


@pytest.mark.parametrize("back", [HOUR, DAY])
def test_garbage_of_the_future_goes_when_its_grace_is_over(
    machine: Machine, back: timedelta
) -> None:
    for n in range(3):
        machine.write(f"{n}")
        machine.publish()
    live = machine.lake.live(TABLE, PARTITION)
    machine.set_back(back)
    everything = machine.there()
    assert len(everything) == 3
    # Nobody knows how long ago it was made: its grace begins when that is found.
    assert machine.collect() == Garbage()
    machine.goes_on(GRACE - timedelta(seconds=5))
    assert machine.collect() == Garbage()
    assert machine.there() == everything
    machine.goes_on(timedelta(seconds=5))
    garbage = machine.collect()
    assert (garbage.snapshots, garbage.versions) == (2, 2)
    assert machine.there() == {live.name}
    assert snapshot_ids(machine.lake) == [published_id(machine.lake)]


def test_what_was_replaced_after_the_clock_was_set_back_has_its_grace(machine: Machine) -> None:
    old = machine.write("old")
    pinned = machine.publish()
    machine.goes_on(2 * DAY)
    machine.set_back(DAY)
    machine.write("new")
    machine.publish()
    for _ in range(3):
        assert machine.collect() == Garbage()
        check_files(machine.lake, pinned)
        machine.goes_on(GRACE / 4)
    machine.goes_on(GRACE / 2)
    assert machine.collect().versions == 1
    assert old.name not in machine.there()


@pytest.mark.parametrize("seed", range(5))
def test_whatever_the_clock_does_nothing_is_lost_or_kept_for_ever(
    machine: Machine, seed: int
) -> None:
    """Writes, publications, collections and a clock that is set back at random."""
    chance = random.Random(seed)
    replaced: dict[str, datetime] = {}
    manifests: dict[str, Manifest] = {}
    machine.write("first")
    served = machine.publish()
    for n in range(60):
        action = chance.choice(["write", "publish", "publish", "collect", "wait", "back"])
        if action == "write":
            machine.write(f"{n}")
        elif action == "publish":
            replaced[served.id], manifests[served.id] = machine.moment, served
            served = machine.publish()
        elif action == "collect":
            machine.collect()
        elif action == "wait":
            machine.goes_on(GRACE * chance.uniform(0, 0.7))
        else:
            machine.set_back(timedelta(minutes=chance.choice([1, 15, 60, 1440])))
        assert published_id(machine.lake) == served.id == snapshot_ids(machine.lake)[-1]
        check_files(machine.lake, served)
        for name, moment in replaced.items():
            if machine.moment - moment < GRACE:
                check_files(machine.lake, manifests[name])
    # The first collection may date what is of the future; after its grace all of it goes.
    for _ in range(2):
        machine.collect()
        machine.goes_on(GRACE)
    machine.collect()
    assert list(read_manifests(machine.lake)) == [served.id]
    kept = {served.versions[TABLE][PARTITION].name, machine.lake.live(TABLE, PARTITION).name}
    assert machine.there() == kept


def test_a_dry_run_changes_no_file(machine: Machine) -> None:
    for n in range(2):
        machine.write(f"{n}")
        machine.publish()
    machine.set_back(DAY)
    before = {p: p.stat().st_mtime_ns for p in machine.lake.root.rglob("*")}
    time.sleep(0.01)
    found = collect_garbage(machine.lake, kept_snapshots=1, grace=GRACE, dry_run=True)
    assert found == Garbage()
    assert {p: p.stat().st_mtime_ns for p in machine.lake.root.rglob("*")} == before
