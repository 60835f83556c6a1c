"""Groups of two windows matched, so that a group keeps its id while it is the same group."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import min_weight_full_bipartite_matching

from stupid_dagster.errors import ComputeError
from stupid_dagster.tables import TABLES, conform

SAME = 0.2
"""Likeness from which a group can be a previous one: two groups of equal size that share a third
of their members have it; so has any whose centre lies within 0.6 of the groups' spread."""
MOST = 0.5
"""Share of the members that stayed by which a group came from another, or went into it."""
NOTABLE = 0.1
"""Share of the other side's members that stayed, below which a part isn't worth naming."""


@dataclass(frozen=True, eq=False)
class Identity:
    """Stable ids of groups, and what became of the previous window's groups.

    `ids` has a row a group, in the order of `group`: group, group_id. `changes` and `moves` are
    tables such as `cluster_changes` (this window's groups, largest first, then those that
    died) and `cluster_moves` (most members first). `next_number` is above every number that was
    ever used: hand it in for the next window.
    """

    ids: pl.DataFrame
    changes: pl.DataFrame
    moves: pl.DataFrame
    next_number: int


def match_groups(
    prefix: str,
    members: pl.DataFrame,
    previous_members: pl.DataFrame | None = None,
    *,
    distances: pl.DataFrame | None = None,
    next_number: int = 0,
) -> Identity:
    """Return an id `<prefix>:<n>` for each group, the previous window's where it is the same.

    `members` has columns member and group (integers, in any numbering), `previous_members`
    member and group (ids); a member stands in at most one row of either. `distances` has group,
    previous_group and distance of their centres, in units of the groups' spread (1 or more is
    unrelated); pairs that it lacks count as unrelated.

    The likeness of two groups is their overlap, the members in both over the members in either
    (Jaccard); with `distances` it is the mean of overlap and closeness, 1 - distance. Pairs
    with a likeness of at least 0.2 may be matched, one to one, so that the sum of likeness is
    the highest there is. A matched group keeps the id; the others get numbers from
    `next_number` on (or above those in use), the largest first, of equals the one with the
    smallest member. In terms of members that are grouped in both windows, a group of this
    window is

    - merged, if notable previous groups that kept no id went into it: at least half of their
      members, which are at least a tenth of its own; together with the one that it
      continues they must be at least two;
    - continued, if it is matched, and not merged;
    - split, if it is new, and at least half of its members come from one previous group, at
      least a tenth of that group's;
    - born otherwise. A previous group whose id none has any more has died.

    Without `previous_members` changes and moves are empty. Raises ComputeError for members that
    stand twice, and for previous ids of another form. Sources: Greene, Doyle, Cunningham:
    Tracking the Evolution of Communities in Dynamic Social Networks, ASONAM 2010 (matching by
    Jaccard); Spiliopoulou and others: MONIC, KDD 2006 (splits and merges by the share of a
    group's remaining members); the assignment is Jonker and Volgenant's, as in SciPy.
    """
    _check_members(members, "this window")
    groups = _groups(members).sort(["size", "first", "group"], descending=[True, False, False])
    if previous_members is None:
        ids = _new_ids(prefix, groups.height, next_number)
        empty = TABLES["cluster_changes"].empty(), TABLES["cluster_moves"].empty()
        return Identity(_ids(groups, ids), *empty, next_number + groups.height)
    _check_members(previous_members, "the previous window")
    previous = _numbered(_groups(previous_members), prefix)
    pairs = _pairs(members, previous_members, groups, previous, distances)
    matched = _assign(pairs.filter(pl.col("likeness") >= SAME), groups.height)
    new = int((matched < 0).sum())
    start = max([next_number, *(previous["number"].tail(1) + 1)])
    fresh = iter(_new_ids(prefix, new, start))
    kept_ids = previous["group"].to_list()
    ids = [kept_ids[p] if p >= 0 else next(fresh) for p in matched.tolist()]
    named = _ids(groups, ids)
    return Identity(
        named,
        _changes(groups, previous, pairs, matched, ids),
        _moves(members, previous_members, named),
        start + new,
    )


def centre_distances(
    centers: NDArray[np.float64],
    previous_ids: list[str],
    previous_centers: NDArray[np.float64],
    spread: float,
) -> pl.DataFrame:
    """Return the table `distances` of `match_groups`: of each centre to each previous one.

    `centers` [k, features] are those of groups 0, 1, ...; `previous_centers` [m, features] those
    of `previous_ids`. `spread` is a member's typical distance to its own centre, such as the
    root of the mean square; where it is 0, only equal centres are close.
    """
    apart = np.linalg.norm(centers[:, None, :] - previous_centers[None, :, :], axis=2)
    scaled = apart / spread if spread > 0 else np.where(apart > 0, np.inf, 0.0)
    return pl.DataFrame(
        {
            "group": np.repeat(np.arange(len(centers)), len(previous_ids)),
            "previous_group": pl.Series(previous_ids * len(centers), dtype=pl.String),
            "distance": scaled.ravel(),
        }
    )


def _check_members(members: pl.DataFrame, window: str) -> None:
    twice = members["member"].is_duplicated()
    if twice.any():
        names = members["member"].filter(twice).unique().sort().head(3).to_list()
        raise ComputeError(f"members of groups stand more than once in {window}, such as {names}")


def _groups(members: pl.DataFrame) -> pl.DataFrame:
    return members.group_by("group").agg(size=pl.len(), first=pl.col("member").min())


def _numbered(previous: pl.DataFrame, prefix: str) -> pl.DataFrame:
    """Return the previous groups with their numbers, ascending."""
    number = pl.col("group").str.strip_prefix(f"{prefix}:").cast(pl.Int64, strict=False)
    numbered = previous.with_columns(number=number).sort("number")
    if numbered["number"].null_count():
        odd = numbered.filter(pl.col("number").is_null())["group"].head(3).to_list()
        raise ComputeError(
            f"ids of previous groups must be such as {prefix}:0, not such as {odd}; "
            "materialise the previous window again"
        )
    return numbered


def _new_ids(prefix: str, number: int, start: int) -> list[str]:
    return [f"{prefix}:{n}" for n in range(start, start + number)]


def _ids(groups: pl.DataFrame, ids: list[str]) -> pl.DataFrame:
    named = groups.select("group", group_id=pl.Series(ids, dtype=pl.String))
    return named.sort("group")


def _pairs(
    members: pl.DataFrame,
    previous_members: pl.DataFrame,
    groups: pl.DataFrame,
    previous: pl.DataFrame,
    distances: pl.DataFrame | None,
) -> pl.DataFrame:
    """Return now, before (rows of groups and previous), kept, overlap, likeness of each pair.

    Also of, into: the share of the group's members in both windows that come from the previous
    one, and the share of the previous one's that went into the group. Sorted; pairs without
    common members are there if they are close.
    """
    stayed = members.join(previous_members.rename({"group": "previous_group"}), on="member")
    pairs = stayed.group_by("group", "previous_group").agg(kept=pl.len().cast(pl.Int64))
    overlap = pl.col("kept") / (pl.col("size") + pl.col("size_before") - pl.col("kept"))
    likeness = overlap
    if distances is not None:
        close = distances.select(
            pl.col("group").cast(members.schema["group"]),
            "previous_group",
            closeness=1 - pl.col("distance").clip(0, 1),
        ).filter(pl.col("closeness") > 0)
        pairs = pairs.join(
            close, on=["group", "previous_group"], how="full", coalesce=True
        ).with_columns(pl.col("kept").fill_null(0))
        likeness = (overlap + pl.col("closeness").fill_null(0.0)) / 2
    return (
        pairs.join(groups.select("group", "size").with_row_index("now"), on="group")
        .join(
            previous.select(previous_group="group", size_before="size").with_row_index("before"),
            on="previous_group",
        )
        .select(
            "now",
            "before",
            "kept",
            overlap=overlap,
            likeness=likeness,
            # Of pairs that are only close, 0 / 0.
            of=(pl.col("kept") / pl.col("kept").sum().over("now")).fill_nan(0.0),
            into=(pl.col("kept") / pl.col("kept").sum().over("before")).fill_nan(0.0),
        )
        .sort("now", "before")
    )


def _assign(pairs: pl.DataFrame, size: int) -> NDArray[np.int64]:
    """Return the matched previous group of each group, int [size], -1 for none.

    The matrix is sparse: 60,000 groups against as many would fill 29 GB.
    """
    matched = np.full(size, -1, dtype=np.int64)
    if pairs.is_empty():
        return matched
    rows, row = np.unique(pairs["now"].to_numpy(), return_inverse=True)
    columns, column = np.unique(pairs["before"].to_numpy(), return_inverse=True)
    # Each group may also take a column of its own, as costly as a likeness of 0: no match. The
    # costs are shifted by 1, because SciPy drops zeros.
    alone = np.arange(len(rows))
    costs = np.concatenate([2.0 - pairs["likeness"].to_numpy(), np.full(len(rows), 2.0)])
    places = np.concatenate([row, alone]), np.concatenate([column, len(columns) + alone])
    matrix = sparse.csr_array((costs, places), shape=(len(rows), len(columns) + len(rows)))
    taken_rows, taken_columns = min_weight_full_bipartite_matching(matrix)
    real = taken_columns < len(columns)
    matched[rows[taken_rows[real]]] = columns[taken_columns[real]]
    return matched


def _changes(
    groups: pl.DataFrame,
    previous: pl.DataFrame,
    pairs: pl.DataFrame,
    matched: NDArray[np.int64],
    ids: list[str],
) -> pl.DataFrame:
    now = groups.with_row_index("now").select(
        "now",
        "size",
        group_id=pl.Series(ids, dtype=pl.String),
        match=pl.Series(matched, dtype=pl.Int64).cast(pl.UInt32, strict=False),
    )
    before = previous.with_row_index("before").select(
        "before",
        previous_id="group",
        previous_size="size",
        gone=~pl.col("before").is_in(matched.tolist()),
    )
    origins = _origins(pairs, now, before)
    change = (
        pl.when(pl.col("sources").list.len() > 1)
        .then(pl.lit("merged"))
        .when(pl.col("match").is_not_null())
        .then(pl.lit("continued"))
        .when(pl.col("parents").list.len() > 0)
        .then(pl.lit("split"))
        .otherwise(pl.lit("born"))
    )
    nothing = pl.lit([], dtype=pl.List(pl.String))
    living = (
        now.join(origins, on="now", how="left")
        .join(before.rename({"before": "match"}), on="match", how="left")
        .sort("now")
        .with_columns(change=change)
        .with_columns(
            pl.col("previous_size", "kept", "overlap").fill_null(0),
            previous_ids=pl.when(pl.col("change").is_in(["merged", "continued"]))
            .then("sources")
            .when(change="split")
            .then("parents")
            .otherwise(nothing),
        )
    )
    died = (
        before.filter("gone")
        .sort(["previous_size", "before"], descending=[True, False])
        .select(
            "previous_size",
            group_id="previous_id",
            change=pl.lit("died"),
            previous_ids=pl.col("previous_id").reshape((-1, 1)).arr.to_list(),
            size=0,
            kept=0,
            overlap=0.0,
        )
    )
    columns = list(TABLES["cluster_changes"].schema)
    both = [conform("cluster_changes", part.select(columns)) for part in (living, died)]
    return pl.concat(both)


def _origins(pairs: pl.DataFrame, now: pl.DataFrame, before: pl.DataFrame) -> pl.DataFrame:
    """Return per group (now) what it continues or took in, what it was split off, and what it kept.

    Columns sources (the one it is matched with, and those that went into it), parents (at most
    one), both most members first; kept and overlap with the one that it is matched with.
    """
    own = pl.col("match") == pl.col("before")
    taken_in = pl.col("gone") & (pl.col("into") >= MOST) & (pl.col("of") >= NOTABLE)
    parent = (pl.col("of") >= MOST) & (pl.col("into") >= NOTABLE)
    return (
        pairs.join(now.select("now", "match"), on="now")
        .join(before, on="before")
        .sort(["now", "kept", "before"], descending=[False, True, False])
        .group_by("now", maintain_order=True)
        .agg(
            sources=pl.col("previous_id").filter(own.fill_null(False) | taken_in),
            parents=pl.col("previous_id").filter(parent).head(1),
            kept=pl.col("kept").filter(own).sum(),
            overlap=pl.col("overlap").filter(own).sum(),
        )
    )


def _moves(
    members: pl.DataFrame, previous_members: pl.DataFrame, ids: pl.DataFrame
) -> pl.DataFrame:
    now = members.join(ids, on="group").select("member", to_id="group_id")
    before = previous_members.select("member", from_id="group")
    moves = (
        before.join(now, on="member", how="full", coalesce=True)
        .group_by("from_id", "to_id")
        .agg(members=pl.len())
        .sort(["members", "from_id", "to_id"], descending=[True, False, False], nulls_last=True)
    )
    return conform("cluster_moves", moves)
