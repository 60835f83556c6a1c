"""Contrasts against their definition, counted actor by actor."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import product
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stupid_dagster.compute.contrast import CONTRAST_SCHEMA, Population, contrast
from stupid_dagster.compute.graph.adjacency import number_graph
from stupid_dagster.compute.graph.incidence import Incidence

TYPES = {"m": "Member", "g": "Game", "d": "Device"}
Links = set[tuple[str, str, str]]


def population(
    ids: list[str],
    links: Links,
    features: Mapping[str, tuple[float | None, float | None]],
    properties: dict[str, str],
    tests: set[str] = frozenset(),  # type: ignore[assignment]
) -> Population:
    nodes = pl.DataFrame(
        {
            "entity_id": sorted(ids),
            "type": [TYPES[i[0]] for i in sorted(ids)],
            "is_test": [i in tests for i in sorted(ids)],
            "properties": [{"tier": properties.get(i), "none": None} for i in sorted(ids)],
        },
        schema_overrides={"properties": pl.Struct({"tier": pl.String, "none": pl.String})},
    )
    edges = pl.DataFrame(
        [(s, t, kind, 1) for s, t, kind in sorted(links)],
        schema={"source": pl.String, "target": pl.String, "type": pl.String, "weight": pl.UInt32},
        orient="row",
    )
    table = pl.DataFrame(
        [(actor, *values) for actor, values in features.items()],
        schema={"actor": pl.String, "games": pl.Float64, "gap": pl.Float64},
        orient="row",
    )
    graph = Incidence.of(number_graph(nodes, edges, include_test=True))
    return Population.of(graph, nodes, table, "Member")


def expected(
    chosen: set[str],
    people: set[str],
    links: Links,
    features: Mapping[str, tuple[float | None, float | None]],
    properties: dict[str, str],
) -> dict[tuple[str, str, str | None], tuple[float, float, float, float | None, int]]:
    """Return set, rest, z, lift and actors of each row, by kind, name and value."""
    rest, found = people - chosen, {}
    if not chosen or not rest:
        return {}
    for place, name in enumerate(("games", "gap")):
        has = {
            a: number
            for a, v in features.items()
            if a in people and (number := v[place]) is not None
        }
        inside, outside = ([has[a] for a in side if a in has] for side in (chosen, rest))
        if (
            len(inside) < min(3, len(chosen))
            or not outside
            or min(has.values()) == max(has.values())
        ):
            continue
        mean = sum(has.values()) / len(has)
        deviation = math.sqrt(sum((v - mean) ** 2 for v in has.values()) / len(has))
        means = sum(inside) / len(inside), sum(outside) / len(outside)
        z = (means[0] - means[1]) / deviation
        found["feature", name, None] = (*means, z, None, len(inside))

    def share(kind: str, name: str, value: str, having: set[str], among: set[str]) -> None:
        sides = [(having & side, among & side) for side in (chosen, rest)]
        enough = any(
            len(a) >= min(3, len(of)) and len(a) >= 0.05 * len(of) and of for a, of in sides
        )
        if not enough or not all(of for _, of in sides) or having == among:
            return
        inside, outside = (len(a) / len(of) for a, of in sides)
        p = len(having) / len(among)
        z = (inside - outside) / math.sqrt(p * (1 - p))
        found[kind, name, value] = inside, outside, z, inside / p, len(having & chosen)

    for value in set(properties.values()):
        share(
            *("property", "tier", value),
            {a for a in people if properties.get(a) == value},
            {a for a in people if a in properties},
        )
    for relation in {(kind, suffix) for _, _, kind in links for suffix in ("", ":in")}:
        ends = [(s, t) if not relation[1] else (t, s) for s, t, k in links if k == relation[0]]
        for far in {far for _, far in ends}:
            having = {near for near, end in ends if end == far and near in people}
            if having:
                share("entity", "".join(relation), far, having, people)
    return {key: row for key, row in found.items() if row[2]}


MEMBERS = [f"m{n:02}" for n in range(12)]
FAR = ["g1", "g2", "d1", "d2", "m00"]
numbers = st.one_of(st.none(), st.floats(-100, 100).map(lambda x: round(x, 2)))
worlds = st.fixed_dictionaries(
    {
        "links": st.sets(
            st.sampled_from(
                [(m, f, k) for m, f, k in product(MEMBERS, FAR, ("Opened", "Used")) if m != f]
                + [(f, m, "Given") for m, f in product(MEMBERS, FAR[:3])]
            )
        ),
        "features": st.dictionaries(st.sampled_from(MEMBERS), st.tuples(numbers, numbers)),
        "properties": st.dictionaries(st.sampled_from(MEMBERS), st.sampled_from("abc")),
        "tests": st.sets(st.sampled_from(MEMBERS), max_size=3),
    }
)


@settings(max_examples=60)
@given(worlds, st.sets(st.sampled_from([*MEMBERS, "g1", "zz", ""])))
def test_every_row_is_as_defined(world: dict[str, Any], chosen: set[str]) -> None:
    everyone = population([*MEMBERS, *FAR[:4]], **world)
    people = set(MEMBERS) - world["tests"]
    places = everyone.places(pl.Series(sorted(chosen), dtype=pl.String))

    found = contrast(everyone, places)

    assert len(places) == len(chosen & people)
    del world["tests"]
    wanted = expected(chosen & people, people, **world)
    assert dict(found.schema) == CONTRAST_SCHEMA
    rows = {row[:3]: row[3:] for row in found.iter_rows()}
    # What differs by a rounding error may be told or not.
    told = {key for key, row in wanted.items() if abs(row[2]) > 1e-9}
    assert told <= set(rows)
    assert {key for key, row in rows.items() if abs(row[2]) > 1e-9} == told
    for key in told:
        for cell, number in zip(rows[key], wanted[key], strict=True):
            close = number is None or pytest.approx(number, rel=1e-9, abs=1e-9) == cell
            assert (cell is None) == (number is None), key
            assert close, key
    strengths = found["z"].abs()
    assert strengths.is_sorted(descending=True)


def test_one_of_many_and_many_of_one() -> None:
    members = [f"m{n:03}" for n in range(100)]
    links = {(m, "d1", "Used") for m in members[:10]} | {(members[50], "d2", "Used")}
    features = {m: (float(n < 10), None) for n, m in enumerate(members)}
    everyone = population([*members, "d1", "d2"], links, features, {})

    rows = contrast(everyone, everyone.places(pl.Series(members[:10])))

    # The two are as strong but for a last digit.
    assert rows.sort("kind").rows() == [
        ("entity", "Used", "d1", 1.0, 0.0, pytest.approx(1 / 0.3), pytest.approx(10), 10),
        ("feature", "games", None, 1.0, 0.0, pytest.approx(1 / 0.3), None, 10),
    ]
    # Of one actor everything is told.
    alone = contrast(everyone, everyone.places(pl.Series([members[50]])))
    assert ("entity", "Used", "d2") in alone.select("kind", "name", "value").rows()
    # One of ten is too few, and so is nobody's.
    ten = contrast(everyone, everyone.places(pl.Series(members[45:55])))
    assert "d2" not in ten["value"].to_list()


def test_the_same_number_for_all_sets_nobody_apart() -> None:
    members = [f"m{n}" for n in range(9)]
    everyone = population(members, set(), {m: (0.1, None) for m in members}, {})
    assert contrast(everyone, everyone.places(pl.Series(members[:4]))).is_empty()


def test_large_numbers_leave_no_noise() -> None:
    members = [f"m{n}" for n in range(9)]
    features = {m: (1e12 if n < 8 else 0.0, None) for n, m in enumerate(members)}
    everyone = population(members, set(), features, {})
    rows = contrast(everyone, everyone.places(pl.Series(members[:8])))
    assert rows.select("set", "rest").rows() == [(1e12, 0.0)]


def test_no_actors_and_all_of_them() -> None:
    everyone = population(["m1", "m2"], set(), {"m1": (1.0, None)}, {})
    for ids in ([], ["zz"], ["m1", "m2"]):
        places = everyone.places(pl.Series(ids, dtype=pl.String))
        assert contrast(everyone, places).schema == CONTRAST_SCHEMA
        assert contrast(everyone, places).is_empty()
    nobody = population(["g1"], set(), {}, {})
    assert nobody.places(pl.Series(["g1", "m1"])).tolist() == []


def test_many_actors_are_found_as_few_are(monkeypatch: pytest.MonkeyPatch) -> None:
    people = population([f"m{n}" for n in range(9)] + ["g1"], {("m1", "g1", "Played")}, {}, {})
    sought = pl.Series(["m7", "m1", "g1", "m1", "x"])
    few = people.places(sought)
    monkeypatch.setattr("stupid_dagster.compute.contrast._MANY", 1)
    assert people.places(sought).tolist() == few.tolist() == [1, 7]
