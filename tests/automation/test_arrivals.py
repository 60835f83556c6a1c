"""The sensor `arrivals` from tick to tick, on an instance as `make` sets it up."""

from __future__ import annotations

import json
import time
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
from dagster._core.definitions.selector import (
    PartitionRangeSelector,
    PartitionsByAssetSelector,
    PartitionsSelector,
)
from dagster._core.execution.backfill import PartitionBackfill
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    PARTITION_NAME_TAG,
)
from fastapi.testclient import TestClient

from stupid_dagster.api import create_app
from stupid_dagster.automation.arrivals import Memory
from stupid_dagster.automation.jobs import newest_window_sensor
from stupid_dagster.automation.runs import run_partition
from stupid_dagster.definitions import defs
from stupid_dagster.ingest.arrivals import Waiting
from stupid_dagster.project import Project
from stupid_dagster.stages.day import make_documents
from tests.arriving import DAYS, arriving_project, drop, touch
from tests.embed.tiny import write_model
from tests.ticking import Ticking, days_of

GRAPH = defs.get_repository_def().asset_graph


@pytest.fixture
def ticking(tmp_path: Path, instance: dg.DagsterInstance) -> Ticking:
    return Ticking(arriving_project(tmp_path / "project"), instance)


def configured(ticking: Ticking, **settings: object) -> Ticking:
    config = ticking.project.settings.root / "stupid.toml"
    lines = [line for line in config.read_text().splitlines() if line.split()[0] not in settings]
    lines += [f"{name} = {value}" for name, value in settings.items()]
    config.write_text("\n".join(lines) + "\n")
    return Ticking(Project.load(ticking.project.settings.root), ticking.instance)


def test_arrived_days_are_made_once_then_one_window(ticking: Ticking) -> None:
    assert ticking.tick().skip_message == "nothing is new in the landing folder (files: 0)"
    for day in DAYS[:2]:
        drop(ticking.project, day, [day])
    requests = ticking.tick().run_requests or []
    assert [request.partition_key for request in requests] == [DAYS[1], DAYS[0]]
    assert all(str(r.run_key).startswith(f"arrivals:{r.partition_key}:") for r in requests)
    assert ticking.tick().run_requests == requests  # Nothing runs yet; Dagster knows the keys.
    assert all(ticking.run(request) for request in requests)
    assert ticking.tick().skip_message == "nothing is new in the landing folder (files: 2)"
    (window,) = ticking.tick(newest_window_sensor).run_requests or []
    assert window.partition_key == DAYS[1]
    assert ticking.run(window, "window")

    # A late file for the old day: that day, then the newest window, and no more.
    drop(ticking.project, "late", DAYS[:1], rows=1)
    (late,) = ticking.tick().run_requests or []
    assert late.partition_key == DAYS[0]
    started = ticking.start("days", {PARTITION_NAME_TAG: DAYS[0]})
    assert ticking.asked() == []
    assert ticking.tick(newest_window_sensor).skip_message == "days are being made"
    ticking.instance.delete_run(started.run_id)
    assert ticking.run(late)
    assert ticking.asked() == []
    (again,) = ticking.tick(newest_window_sensor).run_requests or []
    assert again.partition_key == DAYS[1] and again.run_key != window.run_key
    assert ticking.run(again, "window")
    assert ticking.asked() == ticking.tick(newest_window_sensor).run_requests == []
    windows = ticking.instance.get_runs(dg.RunsFilter(job_name="window"))
    assert len(windows) == 2


def test_another_embedder_makes_the_vectors_alone_anew(
    ticking: Ticking, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in DAYS[:2]:
        drop(ticking.project, day, [day])
    assert all([ticking.run(request) for request in ticking.tick().run_requests or []])
    documents = [ticking.project.lake.live("documents", day) for day in DAYS[:2]]
    write_model(ticking.project.settings.root / "tiny")
    ticking = configured(ticking, embedder_backend="'onnx'", embedder_model="'tiny'")
    requests = ticking.tick().run_requests or []
    assert [request.partition_key for request in requests] == [DAYS[1], DAYS[0]]
    assert all(request.asset_selection == [dg.AssetKey("vectors")] for request in requests)
    monkeypatch.setenv("STUPID_ROOT", str(ticking.project.settings.root))
    for request in requests:
        made = run_partition("days", str(request.partition_key), ticking.instance, ["vectors"])
        assert made.error is None and [*made.tables] == ["vectors"]
    assert ticking.asked() == []
    assert documents == [ticking.project.lake.live("documents", day) for day in DAYS[:2]]
    (window,) = ticking.tick(newest_window_sensor).run_requests or []
    assert ticking.run(window, "window")
    materialised = ticking.instance.get_latest_materialization_event(dg.AssetKey("vectors"))
    assert materialised and materialised.asset_materialization
    told = materialised.asset_materialization.metadata
    assert told["embedded"].value + told["reused"].value == told["texts"].value  # type: ignore


def test_what_was_made_by_hand_counts_and_dagsters_history_does_not(
    ticking: Ticking, tmp_path: Path
) -> None:
    drop(ticking.project, DAYS[0], DAYS[:1])
    assert ticking.run(dg.RunRequest(run_key="by hand", partition_key=DAYS[0]))
    assert ticking.asked() == []
    with dg.DagsterInstance.local_temp(str(tmp_path)) as empty:
        assert Ticking(ticking.project, empty).asked() == []
        drop(ticking.project, DAYS[0], DAYS[:1], rows=4)
        assert Ticking(ticking.project, empty).asked() == DAYS[:1]


def test_a_file_that_moves_its_events_makes_both_days_anew(ticking: Ticking) -> None:
    drop(ticking.project, DAYS[0], DAYS[:1])
    file = drop(ticking.project, "moves", DAYS[:1])
    for request in ticking.tick().run_requests or []:
        assert ticking.run(request)
    drop(ticking.project, "moves", DAYS[1:2])
    requests = ticking.tick().run_requests or []
    assert [request.partition_key for request in requests] == [DAYS[1], DAYS[0]]
    assert all(ticking.run(request) for request in requests)
    assert [ticking.project.lake.live("documents", day).rows for day in DAYS[:2]] == [3, 3]
    file.unlink()
    assert ticking.asked() == []


def test_a_half_copied_file_is_asked_for_when_it_is_whole(ticking: Ticking) -> None:
    ticking = configured(ticking, arrival_stable_seconds=0.3)
    name = f"Login/{DAYS[0]}.parquet"
    file = drop(ticking.project, DAYS[0], DAYS[:1], rows=50)
    whole = file.read_bytes()
    for size in (100, 200, len(whole)):
        file.write_bytes(whole[:size])
        skipped = ticking.tick().skip_message or ""
        assert skipped.startswith(f"files new or still changing: 1 ({name} for ")
        time.sleep(0.05)
    waiting = json.loads(str(ticking.cursor))["waiting"]
    assert waiting.keys() == {name} and waiting[name][0] == len(whole)
    time.sleep(0.3)
    # A restart in between: the wait goes on where it was.
    restarted = Ticking(Project.load(ticking.project.settings.root), ticking.instance)
    restarted.cursor = ticking.cursor
    assert restarted.asked() == DAYS[:1]
    assert json.loads(str(restarted.cursor)) == {"told": [], "waiting": {}}


@pytest.mark.parametrize(
    "cursor", ["{", "[]", "1", '{"waiting": {"a": [1]}, "told": []}', '{"waiting": {}}', "null"]
)
def test_a_cursor_that_is_none_of_ours_is_known_for_it(cursor: str) -> None:
    with pytest.raises(ValueError):
        Memory.load(cursor)


def test_a_cursor_holds_what_was_put_into_it() -> None:
    memory = Memory({"ä/b": Waiting(1, "2.5", 3.5, 1.25)}, frozenset({"a", "b"}))
    assert Memory.load(memory.dump()) == memory
    assert Memory.load(None) == Memory()


def test_a_damaged_cursor_is_started_afresh(ticking: Ticking) -> None:
    drop(ticking.project, DAYS[0], DAYS[:1])
    ticking.cursor = "{"
    assert ticking.asked() == DAYS[:1]
    assert ticking.logged[0].startswith("the cursor is started afresh: ")


def test_the_rest_of_many_days_is_asked_for_later(ticking: Ticking) -> None:
    ticking = configured(ticking, arrival_runs_most=2)
    for day in DAYS:
        drop(ticking.project, day, [day])
    asked = []
    for _ in range(3):
        data = ticking.tick()
        asked.append(days_of(data))
        for request in data.run_requests or []:
            tags = {PARTITION_NAME_TAG: str(request.partition_key), **request.tags}
            ticking.start("days", tags)
    assert asked == [[DAYS[4], DAYS[3]], [DAYS[2], DAYS[1]], [DAYS[0]]]
    skipped = ticking.tick().skip_message or ""
    assert skipped.startswith(f"days being made: 5 ({DAYS[4]}, ")


def test_days_that_failed_are_not_asked_for_again_and_take_no_places(ticking: Ticking) -> None:
    ticking = configured(ticking, arrival_runs_most=1)
    for day in DAYS[:2]:
        drop(ticking.project, day, [day])
    landing = Path(ticking.project.settings.landing_location)
    (request,) = ticking.tick().run_requests or []
    landing.rename(landing.with_name("away"))
    assert not ticking.run(request)
    landing.with_name("away").rename(landing)

    (other,) = ticking.tick().run_requests or []
    assert (request.partition_key, other.partition_key) == (DAYS[1], DAYS[0])
    assert ticking.run(other)
    for _ in range(2):
        assert "days asked for before with the same files" in str(ticking.tick().skip_message)
    drop(ticking.project, DAYS[1], DAYS[1:2], rows=4)
    assert ticking.asked() == [DAYS[1]]


def test_a_run_that_was_killed_half_way_is_tried_once_more(ticking: Ticking) -> None:
    drop(ticking.project, DAYS[0], DAYS[:1])
    make_documents(ticking.project, DAYS[0])
    (request,) = ticking.tick().run_requests or []
    landing = Path(ticking.project.settings.landing_location)
    landing.rename(landing.with_name("away"))
    assert not ticking.run(request)
    landing.with_name("away").rename(landing)
    assert "asked for before" in str(ticking.tick().skip_message)


def test_days_that_somebody_is_making_are_left_to_him(ticking: Ticking) -> None:
    for day in DAYS:
        drop(ticking.project, day, [day])
    ticking.start("window", {PARTITION_NAME_TAG: DAYS[4]})
    ticking.start("days", {PARTITION_NAME_TAG: DAYS[3]})
    tags = {ASSET_PARTITION_RANGE_START_TAG: DAYS[1], ASSET_PARTITION_RANGE_END_TAG: DAYS[2]}
    ticking.start("days", tags)
    assert ticking.asked() == [DAYS[4], DAYS[0]]
    ticking.instance.add_backfill(
        PartitionBackfill.from_partitions_by_assets(
            backfill_id="by hand",
            asset_graph=GRAPH,
            backfill_timestamp=time.time(),
            tags={},
            dynamic_partitions_store=ticking.instance,
            partitions_by_assets=[
                PartitionsByAssetSelector(
                    asset_key=dg.AssetKey(table),
                    partitions=PartitionsSelector(
                        ranges=[PartitionRangeSelector(start=DAYS[0], end=DAYS[0])]
                    ),
                )
                for table in ("documents", "rejects")
            ],
            title=None,
            description=None,
            run_config=None,
        )
    )
    assert ticking.asked() == [DAYS[4]]


def test_what_can_not_be_used_is_told_once(ticking: Ticking) -> None:
    landing = Path(ticking.project.settings.landing_location)
    (landing / "notes.txt").write_text("x")
    (landing / "bad.csv").write_bytes(b"")
    drop(ticking.project, "old", ["2012-01-01"])
    ticking.tick()
    assert [line.split(" ")[:3] for line in sorted(ticking.logged)] == [
        ["days", "left", "alone,"],
        ["files", "of", "kinds"],
        ["files", "with", "problems,"],
    ]
    ticking.tick()
    assert ticking.logged == []
    (landing / "more.txt").write_text("x")
    ticking.tick()
    assert ticking.logged == ["files of kinds that can't be read: 2 (more.txt, notes.txt)"]


def test_without_a_landing_folder_a_tick_says_so(ticking: Ticking) -> None:
    ticking.cursor = '{"waiting": {}, "told": []}'
    Path(ticking.project.settings.landing_location).rmdir()
    data = ticking.tick()
    assert "does not exist" in str(data.skip_message)
    assert data.cursor == ticking.cursor == '{"waiting": {}, "told": []}'


def test_a_thousand_files_in_one_tick(ticking: Ticking) -> None:
    landing = Path(ticking.project.settings.landing_location) / "Login"
    landing.mkdir()
    days = [f"2013-01-{day:02}" for day in range(11, 32)] + [f"2013-02-0{n}" for n in range(1, 10)]
    for n in range(1000):
        day = days[n % 30]
        frame = pl.DataFrame({"@timestamp": [f"{day}T05:00:00Z"], "memberCode": [f"m{n}"]})
        frame.write_parquet(landing / f"{day}-{n}.parquet")
    started = time.perf_counter()
    assert ticking.asked() == days[::-1]
    cold = time.perf_counter() - started
    assert ticking.asked() == days[::-1]
    warm = time.perf_counter() - started - cold
    assert cold < 30 and warm < 10  # Dagster waits for 60 seconds.
    touch(landing / f"{days[7]}-7.parquet", 7)
    assert ticking.asked() == days[::-1]


def test_events_that_were_handed_in_become_documents(ticking: Ticking) -> None:
    """From POST /events by the sensor and the run that it asks for; they needn't lie still."""
    ticking = configured(ticking, inbox='"inbox"', arrival_stable_seconds=600)
    event = {"event_type": "Login", "@timestamp": f"{DAYS[0]}T05:00:00Z", "memberCode": "m1"}
    with TestClient(create_app(ticking.project)) as client:
        answer = client.post("/events", json=[event, {**event, "memberCode": "m2"}])
        assert answer.status_code == 202, answer.text
        (request,) = ticking.tick().run_requests or []
        assert request.partition_key == DAYS[0]
        assert ticking.run(request)
        assert ticking.project.lake.live("documents", DAYS[0]).rows == 2
        assert ticking.asked() == []
        assert client.post("/events", json={**event, "memberCode": "m3"}).status_code == 202
    (request,) = ticking.tick().run_requests or []
    assert ticking.run(request)
    assert ticking.project.lake.live("documents", DAYS[0]).rows == 3
