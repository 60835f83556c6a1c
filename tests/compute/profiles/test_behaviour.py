"""Profiles of event clusters and patterns: what events share, read back from their texts."""

from __future__ import annotations

from functools import partial

import polars as pl
import pytest

from stupid_dagster.compute.insights.phrases import symbol_text
from stupid_dagster.compute.profiles.behaviour import _read, _told, pattern_profiles
from stupid_dagster.event_model import load_event_model
from stupid_dagster.llm.labels import label_profiles
from stupid_dagster.project import Project
from stupid_dagster.stages.labels import window_profiles
from stupid_dagster.stages.window import open_window
from stupid_dagster.tables import TABLES

SENTENCE = "Cancelled {carrier} flight from {origin} to {dest} in the {time}, {delay}"
KEYED = "APIError stage:{stage} error:{error:.100} page:{page} status:{status}"


@pytest.mark.parametrize(
    ("shared", "said"),
    [
        ({}, None),
        ({"carrier": "Delta Inc."}, "Cancelled Delta Inc. flight"),
        ({"origin": "LGA", "time": "morning"}, "Cancelled flight from LGA in the morning"),
        ({"origin": "LGA", "delay": "early"}, "Cancelled flight from LGA, early"),
    ],
)
def test_a_sentence_says_what_events_share(shared: dict[str, str], said: str | None) -> None:
    assert _told("Cancellation", SENTENCE, shared) == said


def test_a_template_of_keys_gives_its_values() -> None:
    shared = {"stage": "vip/progress", "page": "/", "status": "503"}
    assert _told("API Error", KEYED, shared) == "API Error (vip/progress, page /, status 503)"
    assert _told("GridClick", KEYED, {"error": "it broke"}) == "grid click (it broke)"


def test_fields_are_read_back_from_texts() -> None:
    text = "APIError stage:a error:no such b page:/x"
    assert _read(KEYED, text) == {"stage": "a", "error": "no such b", "page": "/x"}
    assert _read(KEYED, "something else") is None
    assert _read(KEYED, "APIErrors error:" + "page:" * 80) is None, "and that soon"
    text = "Cancelled Delta Inc. flight from La Guardia to Miami Intl in the morning, late"
    assert _read(SENTENCE, text) == {
        **{"carrier": "Delta Inc.", "origin": "La Guardia", "dest": "Miami Intl"},
        **{"time": "morning", "delay": "late"},
    }


def test_of_many_fields_side_by_side_none_is_guessed() -> None:
    assert _read("{a} {b} {c} ended", "one two three ended") == {
        "a": "one",
        "b": "two",
        "c": "three",
    }
    assert _read("{a} {b} {c} {d} ended", "one two three four ended") is None
    long = "ab " * 130
    assert _read(" ".join(f"{{f{n}}}" for n in range(9)), long) is None, "and that soon"


def test_fields_side_by_side_are_parted_by_the_space_between_them() -> None:
    template = "{method} {path}, {outcome} with {agent:.60}"
    assert _read(template, "GET /, fine with Mozilla/5.0 (X11; Linux)") == {
        "method": "GET",
        "path": "/",
        "outcome": "fine",
        "agent": "Mozilla/5.0 (X11; Linux)",
    }
    assert _read(template, "GET /a b, fine with") == {
        "method": "GET",
        "path": "/a b",
        "outcome": "fine",
    }


def test_patterns_are_said_step_by_step() -> None:
    model = load_event_model("gaming")
    row = {
        **{"pattern_id": "pattern:1", "symbols": ["L:true", "G:slots", "G:slots", "no-game"]},
        **{"length": 4, "category": "Churn", "actors": 1200, "support": 0.25, "lift": 1.5},
        **{"median_seconds": 7200.0, "status": None, "previous_support": None, "examples": []},
    }
    table = pl.DataFrame([row], schema=TABLES["patterns"].schema)
    (profile,) = pattern_profiles(table, model, partial(symbol_text, model=model))
    (label,) = label_profiles([profile]).iter_rows(named=True)
    assert label["label"] == (
        "Login (success true), then game opened slots twice, then no game opened for 2 days"
    )
    assert label["description"].startswith("1,200 members, 25% of all, one after the other: login")
    assert label["distinguishing"] == ["times as often as by chance: 1.5", "median time: 2 hours"]


@pytest.mark.parametrize(
    ("lift", "told"), [(1.02, False), (0.95, False), (1.2, True), (0.5, True), (None, False)]
)
def test_what_comes_as_often_as_by_chance_is_not_told(lift: float | None, told: bool) -> None:
    model = load_event_model("gaming")
    row = dict.fromkeys(TABLES["patterns"].schema)
    row |= {"pattern_id": "pattern:1", "symbols": ["L:true"], "actors": 9, "support": 0.2}
    row |= {"lift": lift, "median_seconds": 7200.0, "category": "Churn"}
    table = pl.DataFrame([row], schema=TABLES["patterns"].schema)
    [profile] = pattern_profiles(table, model, partial(symbol_text, model=model))
    [label] = label_profiles([profile]).iter_rows(named=True)
    said = " ".join([*label["distinguishing"], label["description"]])
    assert ("by chance" in said) == told
    assert label["distinguishing"][-1] == "median time: 2 hours"


def test_flights_event_clusters_and_patterns_have_labels(flights_project: Project) -> None:
    window = open_window(flights_project, "2013-02-09")
    labels = window.read("labels")
    for table, kind, column in [
        ("event_clusters", "event_cluster", "event_cluster_id"),
        ("patterns", "pattern", "pattern_id"),
    ]:
        ids = set(window.read(table)[column]) - {"noise"}
        assert set(labels.filter(kind=kind)["subject"]) == ids
    assert labels.unique(["kind", "label"]).height == labels.height
    largest = labels.filter(kind="event_cluster").row(0, named=True)
    events = window.read("event_clusters")["events"][0]
    assert largest["label"].endswith(f": {events} events")
    assert "flight from" in " ".join(labels.filter(kind="event_cluster")["label"])
    clusters = [p for p in window_profiles(window) if p.kind == "event_cluster"]
    texts = window.read("event_clusters")["text"].to_list()
    for profile, text in zip(clusters, texts, strict=False):
        shared = [p.value for p in profile.properties if p.share == 1 and "…" not in p.value]
        assert all(value in text for value in shared)
