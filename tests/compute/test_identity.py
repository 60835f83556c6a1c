"""Identity of groups, against the definition written out in plain Python."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import product

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stupid_dagster.compute.identity import (
    MOST,
    NOTABLE,
    SAME,
    Identity,
    centre_distances,
    match_groups,
)
from stupid_dagster.errors import ComputeError
from stupid_dagster.tables import TABLES
from tests.compute.graphs import shuffled, unhurried

Groups = dict[int, set[str]]
Before = dict[str, set[str]]
Far = dict[tuple[int, str], float]


def frame(groups: Mapping[int, set[str]] | Mapping[str, set[str]], group: type) -> pl.DataFrame:
    rows = [(member, name) for name, members in groups.items() for member in sorted(members)]
    dtype = pl.Int64 if group is int else pl.String
    return pl.DataFrame(rows, schema={"member": pl.String, "group": dtype}, orient="row")


def matched(
    groups: Groups,
    before: Before | None,
    far: Far | None = None,
    next_number: int = 0,
    seed: int = 0,
) -> Identity:
    distances = None
    if far is not None:
        rows = [(*pair, distance) for pair, distance in far.items()]
        schema = {"group": pl.Int64, "previous_group": pl.String, "distance": pl.Float64}
        distances = shuffled(pl.DataFrame(rows, schema=schema, orient="row"), seed)
    return match_groups(
        "group",
        shuffled(frame(groups, int), seed),
        None if before is None else shuffled(frame(before, str), seed + 1),
        distances=distances,
        next_number=next_number,
    )


def ids_of(identity: Identity) -> dict[int, str]:
    return dict(identity.ids.iter_rows())


def numbers(ids: list[str]) -> list[int]:
    return [int(name.removeprefix("group:")) for name in ids]


@st.composite
def windows(draw: st.DrawFn) -> tuple[Groups, Before, Far | None]:
    """Draw up to five groups of each window; a member is in one, the other, both, or neither."""
    groups, before = {}, {}
    places = st.tuples(st.none() | st.integers(0, 4), st.none() | st.integers(0, 4))
    for number, (now, then) in enumerate(draw(st.lists(places, max_size=30))):
        if now is not None:
            groups.setdefault(now, set()).add(f"m{number:02}")
        if then is not None:
            before.setdefault(f"group:{3 * then}", set()).add(f"m{number:02}")
    pairs = list(product(groups, before))
    distances = st.floats(0, 2)
    some = st.dictionaries(st.sampled_from(pairs), distances) if pairs else st.just({})
    return groups, before, draw(st.none() | some)


def likeness(groups: Groups, before: Before, far: Far | None) -> dict[tuple[int, str], float]:
    """Return the likeness of the pairs that may be matched."""
    found = {}
    for g, p in product(groups, before):
        value = len(groups[g] & before[p]) / len(groups[g] | before[p])
        if far is not None:
            value = (value + max(0.0, 1 - far.get((g, p), 1.0))) / 2
        if value >= SAME:
            found[g, p] = value
    return found


def best_total(like: dict[tuple[int, str], float], left: list[int], taken: frozenset[str]) -> float:
    """Return the highest sum of likeness of any one-to-one matching, by trying all."""
    if not left:
        return 0.0
    first, rest = left[0], left[1:]
    options = [best_total(like, rest, taken)]
    for (g, p), value in like.items():
        if g == first and p not in taken:
            options.append(value + best_total(like, rest, taken | {p}))
    return max(options)


def state(g: int, ids: dict[int, str], groups: Groups, before: Before) -> tuple[str, set[str]]:
    """Return what became of a group, and the previous groups it comes from."""
    now, then = set().union(*groups.values()), set().union(*before.values())

    def share(p: str, of: set[str]) -> float:
        both = of & now & then
        return len(groups[g] & before[p]) / len(both) if both else 0.0

    continues = {ids[g]} & set(before)
    absorbed = {
        p
        for p in set(before) - set(ids.values())
        if share(p, before[p]) >= MOST and share(p, groups[g]) >= NOTABLE
    }
    parents = [p for p in before if share(p, groups[g]) >= MOST and share(p, before[p]) >= NOTABLE]
    if len(continues | absorbed) > 1:
        return "merged", continues | absorbed
    if continues:
        return "continued", continues
    return ("split", set(parents)) if parents else ("born", set())


@unhurried
@given(windows(), st.integers(0, 20), st.integers(0, 100))
def test_identity_is_as_defined(
    window: tuple[Groups, Before, Far | None], next_number: int, seed: int
) -> None:
    groups, before, far = window
    identity = matched(groups, before, far, next_number, seed)
    ids = ids_of(identity)
    like = likeness(groups, before, far)

    assert sorted(ids) == sorted(groups)
    assert len(set(ids.values())) == len(ids)
    kept = {g: name for g, name in ids.items() if name in before}
    assert set(kept.items()) <= set(like)
    total = sum(like[pair] for pair in kept.items())
    assert total == pytest.approx(best_total(like, sorted(groups), frozenset()))

    start = max([next_number, *(n + 1 for n in numbers(list(before)))])
    new = sorted(groups.keys() - kept.keys(), key=lambda g: (-len(groups[g]), min(groups[g])))
    assert [ids[g] for g in new] == [f"group:{start + n}" for n in range(len(new))]
    assert identity.next_number == start + len(new)

    changes = identity.changes
    assert dict(changes.schema) == TABLES["cluster_changes"].schema
    rows = {row["group_id"]: row for row in changes.iter_rows(named=True)}
    assert len(rows) == changes.height == len(set(ids.values()) | set(before))
    for g, name in ids.items():
        row, was = rows[name], before.get(name, set())
        change, sources = state(g, ids, groups, before)
        assert (row["change"], row["size"]) == (change, len(groups[g]))
        named = row["previous_ids"]
        if change == "split":  # of two halves, either
            assert len(named) == 1 and set(named) <= sources
        else:
            assert len(named) == len(sources) and set(named) == sources
        assert (row["previous_size"], row["kept"]) == (len(was), len(was & groups[g]))
        assert row["overlap"] == pytest.approx(len(was & groups[g]) / len(was | groups[g]))
    for name in set(before) - set(ids.values()):
        assert rows[name] == {
            "group_id": name,
            "change": "died",
            "previous_ids": [name],
            "size": 0,
            "previous_size": len(before[name]),
            "kept": 0,
            "overlap": 0.0,
        }

    place = {member: ids[g] for g, members in groups.items() for member in members}
    placed = {member: p for p, members in before.items() for member in members}
    expected = Counter((placed.get(m), place.get(m)) for m in placed | place)
    moves = {(a, b): n for a, b, n in identity.moves.iter_rows()}
    assert moves == dict(expected)
    assert identity.moves["members"].sum() == len(placed | place)


@unhurried
@given(windows(), st.permutations(range(5)), st.integers(0, 100))
def test_numbering_and_order_of_rows_are_of_no_matter(
    window: tuple[Groups, Before, Far | None], permutation: list[int], seed: int
) -> None:
    groups, before, far = window
    renamed = {permutation[g]: members for g, members in groups.items()}
    moved = None if far is None else {(permutation[g], p): d for (g, p), d in far.items()}
    first, second = matched(groups, before, far), matched(renamed, before, moved, seed=seed)
    ids, others = ids_of(first), ids_of(second)
    assert {permutation[g]: name for g, name in ids.items()} == others
    assert second.changes.equals(first.changes)
    assert second.moves.equals(first.moves)


@unhurried
@given(windows(), st.integers(0, 20))
def test_the_same_groups_keep_their_ids(
    window: tuple[Groups, Before, Far | None], next_number: int
) -> None:
    _, before, _ = window
    names = list(before)
    same = dict(enumerate(before.values()))
    identity = matched(same, before, next_number=next_number)
    assert ids_of(identity) == dict(enumerate(names))
    assert set(identity.changes["change"]) <= {"continued"}
    assert (identity.changes["overlap"] == 1).all()
    assert (identity.moves["from_id"] == identity.moves["to_id"]).all()


def test_in_the_first_window_numbers_go_by_size() -> None:
    identity = matched({7: {"a"}, 3: {"b", "c", "d"}, 5: {"e", "f"}, 1: {"0"}}, None)
    assert ids_of(identity) == {3: "group:0", 5: "group:1", 1: "group:2", 7: "group:3"}
    assert identity.next_number == 4
    assert identity.changes.is_empty() and identity.moves.is_empty()
    assert dict(identity.changes.schema) == TABLES["cluster_changes"].schema
    assert dict(identity.moves.schema) == TABLES["cluster_moves"].schema


def test_the_story_of_a_split_a_merger_a_birth_and_a_death() -> None:
    before = {
        "group:0": set("abcdefgh"),
        "group:1": set("ijklm"),
        "group:2": set("nop"),
        "group:3": set("xyz"),
    }
    groups = {0: set("abcde"), 1: set("fgh"), 2: set("ijklmnop"), 3: set("uvw")}
    identity = matched(groups, before, next_number=9)
    assert ids_of(identity) == {0: "group:0", 1: "group:9", 2: "group:1", 3: "group:10"}
    told = identity.changes.select("group_id", "change", "previous_ids").rows()
    assert told == [
        ("group:1", "merged", ["group:1", "group:2"]),
        ("group:0", "continued", ["group:0"]),
        ("group:9", "split", ["group:0"]),
        ("group:10", "born", []),
        ("group:2", "died", ["group:2"]),
        ("group:3", "died", ["group:3"]),
    ]
    assert identity.moves.rows() == [
        ("group:0", "group:0", 5),
        ("group:1", "group:1", 5),
        ("group:0", "group:9", 3),
        ("group:2", "group:1", 3),
        ("group:3", None, 3),
        (None, "group:10", 3),
    ]


def test_the_pieces_of_a_shattered_group_are_split_off_it() -> None:
    before = {"group:0": {f"m{n}" for n in range(60)}}
    groups = {g: {f"m{n}" for n in range(g, 60, 6)} for g in range(6)}
    changes = matched(groups, before).changes
    assert changes["change"].to_list() == ["split"] * 6 + ["died"]


def test_a_member_that_founds_a_group_of_its_own_is_no_split() -> None:
    before = {"group:0": {f"m{n:02}" for n in range(30)}}
    for leaving, change in ((2, "born"), (3, "split")):
        groups = {
            0: {f"m{n:02}" for n in range(leaving, 30)},
            1: {f"m{n:02}" for n in range(leaving)},
        }
        told = dict(matched(groups, before).changes.select("group_id", "change").iter_rows())
        assert told == {"group:0": "continued", "group:1": change}


def test_a_group_that_is_only_close_is_not_merged() -> None:
    """The nearest of two previous groups, neither of which left any member, is continued."""
    before = {"group:0": {"a", "b"}, "group:1": {"c", "d"}}
    far = {(0, "group:0"): 0.3, (0, "group:1"): 0.1}
    identity = matched({0: {"x", "y"}}, before, far)
    told = identity.changes.select("group_id", "change", "previous_ids").rows()
    assert told == [
        ("group:1", "continued", ["group:1"]),
        ("group:0", "died", ["group:0"]),
    ]


def test_a_number_is_never_used_again() -> None:
    first = matched({0: {"a"}, 1: {"b"}}, None)
    second = matched({0: {"a"}}, {"group:0": {"a"}, "group:1": {"b"}}, None, first.next_number)
    third = matched({0: {"a"}, 1: {"b"}}, {"group:0": {"a"}}, None, second.next_number)
    assert ids_of(third) == {0: "group:0", 1: "group:2"}


def test_centres_decide_where_hardly_any_member_stayed() -> None:
    """Two segments whose actors have all gone but one, who changed sides."""
    before = {"group:0": {"a", "b", "c"}, "group:1": {"d", "e", "f"}}
    groups = {0: {"a", "u", "v"}, 1: {"x", "y", "z"}}
    centers = np.array([[10.0, 0.0], [0.2, 0.1]])
    far = centre_distances(centers, ["group:0", "group:1"], np.array([[0.0, 0.0], [10, 1]]), 2.0)
    frames = frame(groups, int), frame(before, str)
    with_centres = match_groups("group", *frames, distances=far)
    assert ids_of(with_centres) == {0: "group:1", 1: "group:0"}
    without = match_groups("group", *frames)
    assert ids_of(without) == {0: "group:0", 1: "group:2"}


def test_distances_of_centres() -> None:
    centers, earlier = np.array([[0.0, 0.0], [3.0, 4.0]]), np.array([[0.0, 0.0]])
    far = centre_distances(centers, ["group:4"], earlier, 2.5)
    assert far.rows() == [(0, "group:4", 0.0), (1, "group:4", 2.0)]
    same = centre_distances(centers, ["group:4"], earlier, 0.0)
    assert same["distance"].to_list() == [0.0, np.inf]
    assert centre_distances(centers, [], earlier[:0], 1.0).is_empty()


def test_many_groups_are_matched_in_little_memory() -> None:
    """A full matrix of 20,000 by 20,000 would take 3 GB, and minutes."""
    rng = np.random.default_rng(3)
    members = pl.DataFrame({"member": np.arange(100_000), "group": np.arange(100_000) // 5})
    strays = rng.integers(0, 20_000, 100_000)
    stray = pl.Series(rng.random(100_000) < 0.1)
    number = pl.when(stray).then(pl.Series(strays)).otherwise("group")
    previous = members.select("member", group=pl.format("group:{}", number))
    identity = match_groups("group", members, previous)
    same = identity.ids.filter(pl.col("group_id") == pl.format("group:{}", "group"))
    assert same.height > 19_900


@pytest.mark.parametrize("previous", [None, [("a", "group:0")], []])
def test_a_window_without_groups(previous: list[tuple[str, str]] | None) -> None:
    schema = {"member": pl.String, "group": pl.String}
    before = None if previous is None else pl.DataFrame(previous, schema=schema, orient="row")
    identity = match_groups("group", frame({}, int), before, next_number=5)
    assert identity.ids.is_empty()
    assert identity.next_number == 5
    assert identity.changes["change"].to_list() == ["died"] * len(previous or [])


def test_odd_input_is_refused() -> None:
    before = {"group:0": {"a"}}
    with pytest.raises(ComputeError, match=r"more than once in this window, such as \['a'\]"):
        matched({0: {"a"}, 1: {"a"}}, before)
    with pytest.raises(ComputeError, match="more than once in the previous window"):
        matched({0: {"a"}}, {**before, "group:1": {"a"}})
    with pytest.raises(ComputeError, match=r"such as group:0, not such as \['other:x'\]"):
        matched({0: {"a"}}, {"other:x": {"a"}})
