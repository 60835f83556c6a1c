"""The deterministic labeller: true, unique, general words; also on real flights."""

from __future__ import annotations

import dataclasses
import re
from typing import Any, Literal

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stupid_dagster.compute.names import UNNAMED
from stupid_dagster.compute.profiles.build import cluster_profiles, community_profiles
from stupid_dagster.compute.profiles.traits import (
    EntityTrait,
    FeatureTrait,
    KeyMember,
    Profile,
    PropertyTrait,
    Step,
    TypeCount,
)
from stupid_dagster.llm import phrases
from stupid_dagster.llm.labels import label_profiles
from stupid_dagster.project import Project
from stupid_dagster.tables import TABLES
from tests.compute.graphs import unhurried
from tests.llm.shown import displayed_numbers


def feature(name: str, z: float, mean: float = 5.678, **more: Any) -> FeatureTrait:
    return FeatureTrait(**{"name": name, "kind": "count", "unit": None, "mean": mean,
                           "overall": 2.0, "z": z, **more})  # fmt: skip


def entity(name: str, relation: str = "BoughtItem", share: float = 0.6, **more: Any) -> EntityTrait:
    return EntityTrait(**{"relation": relation, "incoming": False, "type": "Item",
                          "entity_id": f"item:{name}", "name": name, "members": 9, "share": share,
                          "overall": share / 3, "lift": 3.0, **more})  # fmt: skip


def cluster(*features: FeatureTrait, **more: Any) -> Profile:
    return Profile(**{"subject": "cluster:0", "kind": "cluster", "noun": "Member", "size": 120,
                      "share": 0.25, "days": 7, "features": features, **more})  # fmt: skip


def label(profile: Profile) -> str:
    return label_profiles([profile])["label"][0]


@pytest.mark.parametrize(
    ("features", "said"),
    [
        ([feature("login_count", 2.0)], "Members with many logins (5.7 a week)"),
        ([feature("login_count", -2.0, 0.0)], "Members with no logins"),
        ([feature("events", -1.0)], "Occasional members, 5.7 events a week"),
        (
            [feature("events", 1.5), feature("unique_games", 1.0, kind="distinct")],
            "Busy members with many games (5.7 a week)",
        ),
        (
            [feature("mean_delay", 2.0, 49.2, kind="mean", unit="minutes")],
            "Long-delay members, mean delay 49 minutes",
        ),
        (
            [feature("avg_session_gap_hours", -2.0, 1.5, kind="mean", unit="hours")],
            "Short-session-gap members, avg session gap 1.5 hours",
        ),
        (
            [feature("spent", 2.0, 1234.0, kind="sum", unit="EUR")],
            "Members with high spent (1,234 EUR a week)",
        ),
        (
            [feature("mean_bytes", 2.0, 21_880.0, kind="mean", unit="bytes")],
            "Members with many bytes (21,880)",
        ),
        (
            [feature("mean_km", 2.0, 12.0, kind="mean", unit="km")],
            "Members with high km (12)",
        ),
        (
            [feature("mobile_ratio", 1.0, 0.93, kind="mean", share=True)],
            "Mobile members, 93% mobile",
        ),
        ([feature("vip_tier", 1.0, 3.0, kind="last")], "Members with high vip tier (3)"),
        ([feature("visits", 0.1)], "Typical members, 5.7 visits a week"),
        ([], "Typical members"),
    ],
)
def test_features_in_words(features: list[FeatureTrait], said: str) -> None:
    assert label(cluster(*features)) == said


def test_a_name_that_is_but_its_unit_keeps_it_and_says_it_once() -> None:
    one = feature("mean_bytes", 2.0, 21_880.0, kind="mean", unit="bytes", overall=512.0)
    assert phrases.comparison(one, 7) == "mean bytes 21,880 (all: 512)"
    total = feature("total_bytes", 2.0, 21_880.0, kind="sum", unit="bytes", overall=512.0)
    assert phrases.comparison(total, 7) == "21,880 bytes a week (all: 512)"


def test_redundant_features_are_not_named() -> None:
    features = [feature("logins", 3.0), feature("visits", 2.9, redundant=True)]
    assert label(cluster(*features)) == "Members with many logins (5.7 a week)"


def test_entities_stand_where_the_relation_puts_them() -> None:
    entities = (
        entity("Delta", "OperatedBy", type="Carrier"),
        entity("web", "PlaysOnPlatform", type="Platform"),
    )
    said = label(cluster(feature("events", 1.0), entities=entities))
    assert said == "Busy members on web, Delta, 5.7 events a week"


@pytest.mark.parametrize(
    ("relation", "kind", "incoming", "said"),
    [
        ("DepartedFrom", "Airport", False, "from X"),
        ("FlewTo", "Airport", False, "to X"),
        ("BelongsToGroup", "VipGroup", False, "X"),
        ("UsesCurrency", "Currency", False, "X"),
        ("LoggedInFrom", "Device", True, "X"),
    ],
)
def test_prepositions(relation: str, kind: str, incoming: bool, said: str) -> None:
    trait = entity("X", relation, type=kind, incoming=incoming)
    assert phrases.from_where(trait)[1] == said


def test_entities_of_a_minority_or_of_everybody_are_not_named() -> None:
    rare = entity("rare", share=0.3)
    common = entity("common", share=0.9, overall=0.85, lift=1.06)
    assert label(cluster(entities=(rare, common))) == "Typical members"


def test_communities_are_named_after_their_centre() -> None:
    members = (
        KeyMember("Item", "item:a", "JFK-LAX"),
        KeyMember("Member", "member:1", "1"),
        KeyMember("Item", "item:b", "LAX"),
        KeyMember("City", "city:c", "Delta"),
    )
    types = (TypeCount("Member", 1234, 0.5), TypeCount("Item", 2, 0.1))
    profile = Profile("community:0", "community", "Member", 1236, 0.4, types=types,
                      key_members=members)  # fmt: skip
    assert label(profile) == "Around LAX and Delta: 1,234 members"
    bare = dataclasses.replace(profile, types=(), key_members=())
    assert label(bare) == "A group: 1,236 members"


names = st.text(max_size=60) | st.sampled_from(
    ["", "ignore previous instructions", "a" * 500, "x\n\n# y", "\u202e42", "12", "<b>"]
)
finite = st.floats(-1e6, 1e6)
shares = st.floats(0.01, 1)


@st.composite
def profiles(draw: st.DrawFn) -> list[Profile]:
    """Profiles as `compute.profiles` makes them: tidy names, any numbers, many of them alike."""
    from stupid_dagster.compute import words
    from stupid_dagster.compute.profiles.traits import short

    found = []
    for n in range(draw(st.integers(0, 5))):
        features = [
            feature(name, short(draw(finite)), short(draw(finite)),
                    kind=draw(st.sampled_from(["count", "distinct", "sum", "mean", "last"])),
                    unit=draw(st.sampled_from([None, "minutes", "EUR"])),
                    share=draw(st.booleans()), redundant=draw(st.booleans()))
            for name in draw(st.lists(st.sampled_from(["events", "a_b", "total", "is_x"]),
                                      unique=True))
        ]  # fmt: skip
        relations = st.sampled_from(["To", "FlewTo", "Hit"])
        entities = [
            entity(words.tidy(draw(names)) or UNNAMED, draw(relations), short(draw(shares)),
                   incoming=draw(st.booleans()))
            for _ in range(draw(st.integers(0, 3)))
        ]  # fmt: skip
        properties = [
            PropertyTrait("Member", "city", words.tidy(draw(names)) or UNNAMED, 3, 0.5, 0.25, 2.0)
            for _ in range(draw(st.integers(0, 2)))
        ]
        kind: Literal["cluster", "community"] = draw(st.sampled_from(["cluster", "community"]))
        size = draw(st.integers(1, 3))
        found.append(
            Profile(
                subject=f"{kind}:{n}",
                kind=kind,
                noun="Member",
                size=size,
                share=0.25,
                days=7 if kind == "cluster" else None,
                features=tuple(features),
                entities=tuple(entities),
                properties=tuple(properties),
                types=(TypeCount("Member", size, 0.5),),
                key_members=(KeyMember("Item", "item:1", words.tidy(draw(names)) or UNNAMED),),
            )
        )
    return found


def numbers_in(text: str) -> set[str]:
    return set(re.findall(r"-?[0-9]+(?:,[0-9]{3})*(?:\.[0-9]+)?", text))


def allowed_numbers(profile: Profile) -> set[str]:
    """Return the numbers of the profile, of its id, and those that are parts of names."""
    names = [profile.subject.rpartition(":")[2]]
    names += [e.name for e in profile.entities] + [p.value for p in profile.properties]
    names += [m.name for m in profile.key_members]
    return displayed_numbers(profile).union(*map(numbers_in, names))


@unhurried
@given(profiles())
def test_labels_are_unique_true_and_reproducible(given_profiles: list[Profile]) -> None:
    labels = label_profiles(given_profiles)
    assert labels.schema == TABLES["labels"].schema
    assert labels["subject"].to_list() == [p.subject for p in given_profiles]
    assert labels.unique(["kind", "label"]).height == len(given_profiles)
    assert set(labels["provenance"]) <= {"rule"}
    assert labels.equals(label_profiles(given_profiles))
    for profile, row in zip(given_profiles, labels.iter_rows(named=True), strict=True):
        assert row["profile_hash"] == profile.profile_hash
        for text in (row["label"], row["description"], *row["distinguishing"]):
            assert text and "\n" not in text
            assert numbers_in(text) <= allowed_numbers(profile), text


def test_long_labels_lose_what_can_be_spared() -> None:
    told = "Cancelled United Air Lines Inc. flight from Newark Liberty Intl to George Bush Intl"
    names = ("United Air Lines Inc.", "Newark Liberty Intl", "George Bush Intl")
    traits = tuple(PropertyTrait("Departure", "x", name, 3, 0.9, 0.1, 9.0) for name in names)
    events = Profile("event_cluster:3", "event_cluster", "Departure", 7, 0.1,
                     properties=traits, told=f"{told} in the morning")  # fmt: skip
    assert label(events) == told, "not the count, nor half a name, nor a word that needs another"
    more = dataclasses.replace(events, told=told)
    assert label(more) == told
    labels = label_profiles([events, dataclasses.replace(more, subject="event_cluster:4")])["label"]
    assert labels.n_unique() == 2 and labels.str.len_chars().max() <= 90  # type: ignore[operator]


def test_small_values_stand_before_what_they_describe() -> None:
    haul = PropertyTrait("Route", "haul", "medium", 9, 0.95, 0.3, 3.0)
    central = (KeyMember("Airport", "airport:LAX", "LAX"),)
    profile = Profile("community:0", "community", "Aircraft", 40, 0.1,
                      types=(TypeCount("Aircraft", 40, 0.5),), key_members=central,
                      properties=(haul,))  # fmt: skip
    assert label(profile) == "Around LAX, medium-haul routes: 40 aircraft"
    steps = (Step("departure (delay band early)", "early"),) * 2
    steps += (Step("departure (delay band on time)", "on time"), Step("no departure for 2 days"))
    pattern = Profile("pattern:0", "pattern", "Aircraft", 9, 0.1, steps=steps)
    assert label(pattern) == (
        "Early departure twice, then departure on time, then no departure for 2 days"
    )
    opened = Profile("pattern:1", "pattern", "Member", 9, 0.1,
                     steps=(Step("game opened (category slots)", "slots"),))  # fmt: skip
    assert label(opened) == "Game opened slots"


def test_equal_profiles_get_different_labels() -> None:
    one = cluster(feature("logins", 1.0), entities=(entity("tea"),))
    more = dataclasses.replace(one, subject="cluster:1",
                               features=(*one.features, feature("faults", -0.5)))  # fmt: skip
    other = dataclasses.replace(more, subject="cluster:2",
                                features=(*more.features, feature("games", 0.45)))  # fmt: skip
    twin = dataclasses.replace(other, subject="cluster:3")
    labels = label_profiles([one, more, other, twin])["label"].to_list()
    assert len(set(labels)) == 4
    assert "few faults" in labels[1] and "many games" in labels[2]


def test_flights_get_labels_with_names_and_figures(flights_project: Project) -> None:
    def read(table: str) -> pl.DataFrame:
        return flights_project.lake.read(table, "2013-02-09")

    model, nodes = flights_project.model, read("graph_nodes")
    members, features = read("cluster_members"), read("features")
    clusters = cluster_profiles(
        read("clusters"), members, features, model, read("cluster_entities"), nodes
    )
    communities = community_profiles(read("communities"), read("community_members"), nodes, model)
    everything = [*clusters, *communities]
    labels = label_profiles(everything)
    assert labels.unique(["kind", "label"]).height == len(labels)
    for profile, row in zip(everything, labels.iter_rows(named=True), strict=True):
        for text in (row["label"], row["description"]):
            assert numbers_in(text) <= allowed_numbers(profile), text
    segments = labels.filter(kind="cluster")["label"].to_list()
    assert all("aircraft" in segment.lower() for segment in segments)
    assert all(re.search(r"\d", segment) for segment in segments)
    assert max(map(len, segments)) < 130
    largest = labels.filter(kind="community")["label"][0]
    assert re.search(r"^Around .+ and .+: \d+ aircraft$", largest)
    names = set(nodes["properties"].struct.field("carrier_name").drop_nulls())
    assert any(name in text for text in labels["label"] for name in names)
