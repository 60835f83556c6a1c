"""How often the sensor `eviction` looks at a lake in a bucket, in which nothing has changed."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pytest

from stupid_dagster.automation import eviction as eviction_module
from stupid_dagster.automation.eviction import eviction_sensor
from stupid_dagster.automation.resources import ProjectResource
from stupid_dagster.project import Project
from stupid_dagster.stages.evict import Eviction
from stupid_dagster.stores.bucket.lake import BucketLake
from stupid_dagster.stores.files import open_files
from stupid_dagster.stores.garbage import Leftover, Leftovers
from stupid_dagster.stores.inventory import Held

SOON = timedelta(minutes=3)


@pytest.fixture
def looks(bucket: str, monkeypatch: pytest.MonkeyPatch) -> list[datetime]:
    """When the lake was looked through; a version's grace is over `SOON`."""
    found: list[datetime] = []

    def plan(project: Project) -> Eviction:
        found.append(datetime.now(UTC))
        return Eviction(date(2013, 2, 4), 3)

    def leftovers(project: Project) -> Leftovers:
        held = Held("t", "p", "v", 1, found[-1])
        return Leftovers(found[-1], {}, [Leftover(held, found[-1] + SOON)])

    monkeypatch.setattr(eviction_module, "plan_eviction", plan)
    monkeypatch.setattr(eviction_module, "leftovers", leftovers)
    return found


def test_it_rests_until_the_ledger_changes_or_a_grace_is_over(
    project: Project,
    instance: dg.DagsterInstance,
    bucket: str,
    looks: list[datetime],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lake = BucketLake(open_files(bucket), project.settings.root / "workplace", 1 << 30)
    monkeypatch.setenv("STUPID_DATA_ROOT", bucket)
    monkeypatch.setenv("STUPID_WORKPLACE", str(lake.root))
    resource = ProjectResource(root=str(project.settings.root))
    cursor: str | None = None

    def tick() -> int:
        nonlocal cursor
        context = dg.build_sensor_context(
            instance=instance, cursor=cursor, resources={"project": resource}
        )
        cursor = eviction_sensor.evaluate_tick(context).cursor
        return len(looks)

    assert (tick(), tick()) == (1, 2), "there is no ledger yet"
    lake._ledger.note_dropped()
    assert (tick(), tick(), tick()) == (3, 3, 3)
    lake._ledger.note_dropped()
    assert (tick(), tick()) == (4, 4)
    told = json.loads(str(cursor))
    assert datetime.fromisoformat(told["until"]) == looks[-1] + SOON
    cursor = json.dumps({**told, "until": datetime.now(UTC).isoformat()})
    assert (tick(), tick()) == (5, 5)
    cursor = "not its own"
    assert (tick(), tick()) == (6, 6)


def test_a_lake_in_a_folder_is_always_looked_at(
    project: Project, instance: dg.DagsterInstance, looks: list[datetime]
) -> None:
    resource = ProjectResource(root=str(project.settings.root))
    for _ in range(2):
        context = dg.build_sensor_context(
            instance=instance,
            cursor=json.dumps({"state": "", "until": "2999-01-01T00:00:00+00:00"}),
            resources={"project": resource},
        )
        eviction_sensor.evaluate_tick(context)
    assert len(looks) == 2
