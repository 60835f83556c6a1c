"""Profiles against plain counting."""

from __future__ import annotations

import datetime as dt
import json

import polars as pl
import pytest

from stupid_dagster.compute.profiles.build import cluster_profiles, community_profiles
from stupid_dagster.compute.profiles.traits import Profile, TypeCount
from stupid_dagster.compute.segments.cluster_entities import cluster_entities
from stupid_dagster.tables import TABLES
from tests.compute.behaviour import shop

SEEN = dt.datetime(2025, 3, 1, tzinfo=dt.UTC)


def members_of(groups: dict[str, list[str]]) -> pl.DataFrame:
    rows = [(f"member:{m}", cluster, 0.0) for cluster, own in groups.items() for m in own]
    return pl.DataFrame(rows, schema=TABLES["cluster_members"].schema, orient="row")


def edges_of(rows: list[tuple[str, str, str, int]]) -> pl.DataFrame:
    return pl.DataFrame(
        [(s, t, kind, w, 1, SEEN, SEEN) for s, t, kind, w in rows],
        schema=TABLES["graph_edges"].schema,
        orient="row",
    )


def nodes_of(rows: list[tuple[str, str, dict[str, str | None]]]) -> pl.DataFrame:
    names = ["city", "fault", "item_title", "member_name"]
    return pl.DataFrame(
        [
            {
                "entity_id": entity,
                "type": kind,
                "key": entity.partition(":")[2],
                "events": 1,
                "days": 1,
                "first_seen": SEEN,
                "last_seen": SEEN,
                "is_test": False,
                "properties": {name: properties.get(name) for name in names},
            }
            for entity, kind, properties in rows
        ],
        schema={
            **TABLES["graph_nodes"].schema,
            "properties": pl.Struct(dict.fromkeys(names, pl.String)),
        },
    )


def features_of(visits: dict[str, float], **more: dict[str, float]) -> pl.DataFrame:
    actors = sorted(visits)
    return pl.DataFrame(
        {
            "actor": [f"member:{actor}" for actor in actors],
            "events": [int(2 * visits[actor]) for actor in actors],
            "visits": [visits[actor] for actor in actors],
            **{name: [column[actor] for actor in actors] for name, column in more.items()},
        }
    )


def clusters_of(features: pl.DataFrame, members: pl.DataFrame) -> pl.DataFrame:
    """Return the table `clusters` by plain group-bys."""
    joined = features.join(members, on="actor")
    rows = []
    for cluster in members["cluster_id"].unique().sort():
        own = joined.filter(pl.col("cluster_id") == cluster)
        traits = []
        for name in features.columns[2:]:
            whole, mean = features[name].to_numpy(), own[name].to_numpy().mean()
            z = (mean - whole.mean()) / whole.std() if whole.std() else None
            traits.append({"feature": name, "mean": mean, "deviation": 0.0, "z": z})
        rows.append(
            {
                "cluster_id": cluster,
                "size": len(own),
                "share": len(own) / len(joined),
                "features": traits,
                "centroid": [0.0] * len(traits),
            }
        )
    return pl.DataFrame(rows, schema=TABLES["clusters"].schema)


A, B = "cluster:0", "cluster:1"
GROUPS = {A: ["a", "b", "c", "d"], B: ["x", "y"]}
VISITS = {"a": 1.0, "b": 2.0, "c": 3.0, "d": 2.0, "x": 9.0, "y": 11.0}


def profiles_of(
    edges: pl.DataFrame, nodes: pl.DataFrame | None = None, features: pl.DataFrame | None = None
) -> dict[str, Profile]:
    features = features_of(VISITS) if features is None else features
    members = members_of(GROUPS)
    clusters = clusters_of(features, members)
    entities = cluster_entities(members, edges, shop())
    profiles = cluster_profiles(clusters, members, features, shop(), entities, nodes)
    return {profile.subject: profile for profile in profiles}


def test_features_have_their_means_and_z() -> None:
    profile = profiles_of(edges_of([]))[B]
    assert (profile.kind, profile.noun, profile.size, profile.days) == ("cluster", "Member", 2, 7)
    assert profile.share == pytest.approx(1 / 3, abs=1e-4)
    events, visits = profile.features
    assert (visits.name, visits.kind, visits.mean) == ("visits", "count", 10.0)
    assert visits.overall == pytest.approx(28 / 6, rel=1e-3)
    assert (events.name, events.mean) == ("events", 20.0)
    assert events.z == visits.z == pytest.approx(1.382)
    assert (events.redundant, visits.redundant) == (False, True)


def test_features_that_say_something_else_are_not_redundant() -> None:
    other = {"a": 5.0, "b": 1.0, "c": 4.0, "d": 2.0, "x": 3.0, "y": 3.5}
    profile = profiles_of(edges_of([]), features=features_of(VISITS, mobile_ratio=other))[B]
    told = {trait.name: (trait.redundant, trait.share) for trait in profile.features}
    assert told["mobile_ratio"] == (False, True)


def test_sessions_get_the_kind_and_unit_of_what_they_measure() -> None:
    gap = {"a": 5.0, "b": 1.0, "c": 4.0, "d": 2.0, "x": 30.0, "y": 35.0}
    features = features_of(VISITS, avg_session_gap_hours=gap, session_count=VISITS)
    traits = {t.name: t for t in profiles_of(edges_of([]), features=features)[B].features}
    assert (traits["avg_session_gap_hours"].kind, traits["avg_session_gap_hours"].unit) == (
        "mean",
        "hours",
    )
    assert (traits["session_count"].kind, traits["session_count"].unit) == ("count", None)


EDGES = edges_of(
    [
        ("member:a", "item:tea", "Bought", 3),
        ("member:b", "item:tea", "Bought", 1),
        ("member:c", "item:tea", "Bought", 2),
        ("member:a", "item:rum", "Bought", 90),
        ("member:x", "item:tea", "Bought", 6),
        ("member:y", "item:gin", "Bought", 2),
        ("item:tea", "member:d", "ServedBy", 1),
        ("item:tea", "member:b", "ServedBy", 1),
        ("item:tea", "member:c", "ServedBy", 1),
        ("member:nobody", "item:tea", "Bought", 1000),
        ("item:tea", "platform:web", "Bought", 1000),
    ]
)


def test_entities_have_shares_and_lift_of_the_members_edges() -> None:
    traits = profiles_of(EDGES)[A].entities
    bought = next(trait for trait in traits if trait.relation == "Bought")
    assert (bought.entity_id, bought.name, bought.type) == ("item:tea", "tea", "Item")
    # 6 of 96 in the group, 12 of 104 among all members; the rum is one member's alone.
    assert bought.members == 3
    assert bought.share == pytest.approx(6 / 96)
    assert bought.overall == pytest.approx(12 / 104, rel=1e-3)
    assert bought.lift == pytest.approx((6 / 96) / (12 / 104), rel=1e-3)
    served = next(trait for trait in traits if trait.relation == "ServedBy")
    assert (served.incoming, served.members, served.share) == (True, 3, 1.0)
    assert len(traits) == 2
    assert profiles_of(EDGES)[B].entities == ()


def test_names_come_from_naming_properties_and_hashed_keys_from_their_first() -> None:
    nodes = nodes_of(
        [
            ("item:tea", "Item", {"item_title": "Green\ntea"}),
            *((f"member:{m}", "Member", {"city": "Hue" if m in "abc" else "Bali"}) for m in VISITS),
        ]
    )
    profile = profiles_of(EDGES, nodes)[A]
    assert {trait.name for trait in profile.entities} == {"Green tea"}
    (city,) = profile.properties
    assert (city.type, city.property, city.value) == ("Member", "city", "Hue")
    assert (city.members, city.share, city.overall, city.lift) == (3, 0.75, 0.5, 1.5)


def test_communities_have_types_key_members_and_properties() -> None:
    nodes = nodes_of(
        [
            *((f"member:{n}", "Member", {"city": "Hue" if n < 4 else "Bali"}) for n in range(8)),
            ("item:tea", "Item", {"item_title": "Green tea"}),
            ("fault:123abc", "Fault", {"fault": "card declined"}),
        ]
    )
    ids = [f"community:{0 if n < 4 else 1}" for n in range(8)]
    members = nodes.select("entity_id", "type").with_columns(
        community_id=pl.Series([*ids, "community:0", "community:0"])
    )
    communities = pl.DataFrame(
        [
            {
                "community_id": "community:0",
                "size": 6,
                "key_members": ["fault:123abc", "item:tea", "member:0"],
                "types": [
                    {"type": "Member", "members": 4},
                    {"type": "Item", "members": 1},
                    {"type": "Fault", "members": 1},
                ],
            },
            {
                "community_id": "community:1",
                "size": 4,
                "key_members": ["member:7"],
                "types": [{"type": "Member", "members": 4}],
            },
        ],
        schema_overrides=TABLES["communities"].schema,
    )
    first, second = community_profiles(communities, members, nodes, shop())
    assert (first.subject, first.kind, first.size, first.share) == (
        "community:0",
        "community",
        6,
        0.6,
    )
    assert first.types[0] == TypeCount("Member", 4, 0.5)
    assert [(m.type, m.name) for m in first.key_members] == [
        ("Fault", "card declined"),
        ("Item", "Green tea"),
        ("Member", "0"),
    ]
    assert [(p.type, p.value, p.lift) for p in first.properties] == [("Member", "Hue", 2.0)]
    assert [(p.type, p.value, p.lift) for p in second.properties] == [("Member", "Bali", 2.0)]
    # Without the others it is told of just the same.
    assert community_profiles(communities[1:], members, nodes, shop()) == [second]


def test_profiles_are_serialisable_and_hashed_by_what_they_say() -> None:
    one, other = profiles_of(EDGES)[A], profiles_of(EDGES)[B]
    again = json.loads(json.dumps(one.to_dict()))
    assert again == one.to_dict() and again["entities"][0]["name"] == "tea"
    assert one.profile_hash == profiles_of(EDGES)[A].profile_hash != other.profile_hash
    moved = Profile(**{**vars(one), "subject": "cluster:9"})
    assert moved.profile_hash == one.profile_hash
    assert len(one.profile_hash) == 16


def test_no_groups_are_no_profiles() -> None:
    empty = {
        name: TABLES[name].empty() for name in ("clusters", "cluster_members", "cluster_entities")
    }
    features = features_of({"a": 1.0}).clear()
    args = (
        empty["clusters"],
        empty["cluster_members"],
        features,
        shop(),
        empty["cluster_entities"],
    )
    assert cluster_profiles(*args) == []
    assert cluster_profiles(*args, nodes_of([])) == []
    communities = TABLES["communities"].empty()
    members = TABLES["community_members"].empty()
    assert community_profiles(communities, members, nodes_of([]), shop()) == []
