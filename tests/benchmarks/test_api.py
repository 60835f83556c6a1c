"""The API's benchmark, on the flights sample and on answers that are made up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import api
from benchmarks.api_client import Request, at_once, one_by_one, serving
from benchmarks.api_requests import draw, nearest, recall
from benchmarks.child import BenchmarkError
from benchmarks.machine import describe
from stupid_dagster.project import Project
from stupid_dagster.query import SnapshotReader
from stupid_dagster.stores.snapshots import open_snapshot


def test_what_is_drawn_depends_on_the_seed_alone(flights_project: Project) -> None:
    root = flights_project.settings.root
    first, again, other = draw(root, 5, 1), draw(root, 5, 1), draw(root, 5, 2)
    assert first == again
    assert first.kinds["node"] != other.kinds["node"]
    assert all(len(requests) == 5 for requests in first.kinds.values())


def test_brute_force_agrees_with_the_search(flights_project: Project) -> None:
    texts = ["cancelled flight from Newark", "late departure"]
    best = nearest(flights_project.settings.root, texts, most=50)
    with SnapshotReader(flights_project, open_snapshot(flights_project.lake)) as reader:
        for text, found in zip(texts, best, strict=True):
            nearest_one = reader.search(text, limit=1)
            score = nearest_one["score"].item()
            assert max(found.values()) == pytest.approx(score, abs=1e-3)


def test_recall_counts_ties_as_found_and_others_not() -> None:
    exact = [{"a": 0.9, "b": 0.8, "c": 0.8, "d": 0.1}]

    def answer(*ids: str) -> list[bytes]:
        return [json.dumps({"rows": [{"text_id": one} for one in ids]}).encode()]

    assert recall(answer("a", "b"), exact, 2) == 1
    assert recall(answer("c", "a"), exact, 2) == 1
    assert recall(answer("a", "d"), exact, 2) == 0.5
    assert recall(answer("x"), exact, 2) == 0


def test_errors_under_load_are_counted() -> None:
    with serving(["benchmarks.api_floor"], "/async") as server:
        assert one_by_one(server, [Request("/thread")])[0].content == b"{}"
        load = at_once(server, [Request("/async"), Request("/nothing")], 2, 0.3)
        assert 0 < load.errors < len(load.seconds)
        assert server.cpu_seconds() > 0


def test_a_report_says_what_was_met(
    flights_project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "LOAD_SECONDS", 0.1)
    monkeypatch.setattr(api, "PUBLICATIONS", 1)
    former = open_snapshot(flights_project.lake).manifest.id
    text, figures = api.measure(describe(), flights_project.settings.root, tmp_path, 5, 7)
    assert (
        "above the thread's floor" in text
        and "| node |" in text
        and "| search over all days (10 texts) |" in text
    )
    assert figures["recall"] > 0.9
    assert all(one["load_errors"] == 0 for one in figures["answers"])
    assert figures["first_after_publication"]["node"]
    # Publications were of the copy.
    assert open_snapshot(flights_project.lake).manifest.id == former


def test_a_new_snapshot_has_files_of_its_own(flights_copy: Project) -> None:
    old = open_snapshot(flights_copy.lake).manifest
    api._publish_again(flights_copy.settings.root)
    new = open_snapshot(flights_copy.lake).manifest
    assert new.id != old.id
    for table, found in new.versions.items():
        for partition, version in found.items():
            former = old.versions[table][partition]
            assert (version == former) == (partition != old.last_day)
            for one in (version, former):
                assert not flights_copy.lake.damaged(one, checksums=True)
                assert flights_copy.lake.find(table, partition, one.name) == one
    with SnapshotReader(flights_copy, open_snapshot(flights_copy.lake)) as reader:
        assert reader.node("airport:JFK") and reader.search("late", limit=1).height


def test_a_project_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=r"make bench-month.*--project"):
        api.measure(describe(), tmp_path / "none", tmp_path / "work", 5, 7)


def test_a_project_without_a_snapshot_is_refused(tmp_path: Path) -> None:
    (tmp_path / "stupid.toml").write_text("")
    with pytest.raises(BenchmarkError, match="nothing is published"):
        api.measure(describe(), tmp_path, tmp_path / "work", 5, 7)
