"""Segments and communities that were born, died, split, merged or lost members; or the largest."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from stupid_dagster.compute import words
from stupid_dagster.compute.changes.growth import SIZES
from stupid_dagster.compute.insights import plans
from stupid_dagster.compute.insights.findings import Findings, Found, Insight, evidence_of
from stupid_dagster.compute.insights.phrases import actors_noun
from stupid_dagster.event_model import EventModel

MAX_GROUPS, MAX_CHANGES, MAX_MOVES = 2, 3, 2
"""Groups of a kind that are told of where nothing changed; changes, and moves, where something did.
"""
MIN_UNUSUAL_SHARE = 0.01
"""Segments of fewer actors are not told for being unusual."""
MIN_MEMBERS, MIN_SHARE, NOTABLE_SHARE = 20, 0.01, 0.05
"""Changes are of so many members, and so large a share of all; from 5 % on they are notable."""
MIN_MOVED_SHARE, NOTABLE_MOVED_SHARE = 0.05, 0.2
"""Moves are of so large a share of the segment that is left, and of MIN_MEMBERS."""
SERIES_WINDOWS = 30


@dataclass(frozen=True, eq=False)
class _Groups:
    """One kind of groups, with what is needed to speak of them.

    `names` and `texts` are of this window, `before` names of the one before.
    """

    kind: str
    noun: str
    member: str
    id_column: str
    table: str
    groups: pl.DataFrame
    changes: pl.DataFrame
    moves: pl.DataFrame
    names: Mapping[str, str]
    texts: Mapping[str, str]
    before: Mapping[str, str]
    sizes: Mapping[str, list[float]]
    plan: Callable[[str, str], plans.Plan]

    def name(self, group: str) -> str:
        return self.names.get(group, group)

    def old_name(self, group: str) -> str:
        return self.before.get(group, group)

    def series(self, group: str, size: float) -> list[float]:
        return [*self.sizes.get(group, []), size][-SERIES_WINDOWS:]


def cluster_insights(findings: Findings, model: EventModel, last_day: dt.date) -> Found:
    """Return what happened to segments; if nothing did, the largest and the most unusual one.

    Changes (of `cluster_changes`) and moves of members from one segment to another are told from
    20 actors and 1 % of all (5 % of the segment for moves) on, the largest three and two. A move
    that is part of a change that is told isn't told again.
    """
    kind = _kind(
        findings,
        last_day,
        "clusters",
        "segment",
        actors_noun(model),
        findings.cluster_changes,
        findings.cluster_moves,
        plans.cluster_plan,
    )
    changes, untold, told = _changes(kind)
    moves, more = _moves(kind, told)
    return Found([*changes, *moves] or _typical_clusters(kind), untold + more)


def community_insights(findings: Findings, model: EventModel, last_day: dt.date) -> Found:
    """Return what happened to communities, as of segments; if nothing did, the two largest."""

    def plan(group: str, title: str) -> plans.Plan:
        mine = findings.communities.filter(pl.col("community_id") == group)["key_members"]
        return plans.community_plan(model, group, mine.explode().drop_nulls().to_list(), title)

    kind = _kind(
        findings,
        last_day,
        "communities",
        "community",
        "member",
        findings.community_changes,
        findings.cluster_moves.clear(),
        plan,
    )
    changes, untold, _ = _changes(kind)
    return Found(changes or _largest_communities(kind), untold)


def _kind(
    findings: Findings,
    last_day: dt.date,
    table: str,
    noun: str,
    member: str,
    changes: pl.DataFrame,
    moves: pl.DataFrame,
    plan: Callable[[str, str], plans.Plan],
) -> _Groups:
    name, id_column, _ = SIZES[table]
    labels = findings.labels.filter(pl.col("kind") == name)
    before = findings.previous.labels if findings.previous else findings.labels.clear()
    before = before.filter(pl.col("kind") == name)
    earlier = findings.history.filter(pl.col("kind") == name, pl.col("day") < last_day).sort("day")
    by_group = earlier.group_by("name", maintain_order=True).agg("value")
    return _Groups(
        name,
        noun,
        member,
        id_column,
        table,
        getattr(findings, table),
        changes,
        moves,
        dict(labels.select("subject", "label").iter_rows()),
        dict(labels.select("subject", "description").iter_rows()),
        dict(before.select("subject", "label").iter_rows()),
        dict(by_group.iter_rows()),
        plan,
    )


def _changes(kind: _Groups) -> tuple[list[Insight], int, set[str]]:
    """Return the changes told, how many are not, and the ids of the groups that they are of."""
    size = pl.max_horizontal("size", "previous_size")
    total = max(1, *(int(kind.changes[name].sum()) for name in ("size", "previous_size")))
    worth = (
        kind.changes.filter(pl.col("change") != "continued")
        .with_columns(involved=pl.when(pl.col("size") > 0).then("size").otherwise(size))
        .filter(pl.col("involved") >= max(MIN_MEMBERS, MIN_SHARE * total))
        .sort("involved", "group_id", descending=[True, False])
    )
    # What went into another is told with that one.
    gone = worth.filter(pl.col("change") == "merged")["previous_ids"].explode()
    worth = worth.filter((pl.col("change") != "died") | ~pl.col("group_id").is_in(gone.implode()))
    told = [
        _change(kind, row, row.pop("involved"), total)
        for row in worth.head(MAX_CHANGES).iter_rows(named=True)
    ]
    ids = {group for insight in told for group in insight.subjects}
    return told, max(0, worth.height - MAX_CHANGES), ids


def _change(kind: _Groups, row: dict[str, Any], involved: int, total: int) -> Insight:
    group, change = row["group_id"], row["change"]
    came_from = [kind.old_name(p) for p in row["previous_ids"]]
    name, said = kind.name(group), words.counted(involved, kind.member)
    capital = words.capitalised(kind.noun)
    others = [kind.old_name(p) for p in row["previous_ids"] if p != group]
    before = words.number(row["previous_size"])
    match change:
        case "died":
            name = kind.old_name(group)
            title = f"{capital} gone: {name}"
            text = f"It had {said} in the previous window.{_went_to(kind, group)}"
        case "split":
            title = f"{capital} split: {name} came off {words.listed(came_from)}"
            text = f"It has {said}, most of whom were there in the previous window."
        case "merged":
            merged = capital if len(others) == 1 else words.capitalised(words.plural(kind.noun))
            title = f"{merged} merged into {name}: {words.listed(others)}"
            text = f"It has {said}, and had {before} in the previous window."
        case _:
            title = f"New {kind.noun}: {name}"
            text = f"It has {said}, most of whom were in no single {kind.noun} before."
    now = 0 if change == "died" else row["size"]
    return Insight(
        f"{kind.kind}/{group}/{change}",
        kind.kind,
        "notable" if involved >= NOTABLE_SHARE * total else "info",
        title,
        " ".join(filter(None, [text, kind.texts.get(group, "") if now else ""])),
        list(dict.fromkeys([group, *row["previous_ids"]])),
        evidence_of(
            f"{kind.kind}_changes",
            {"group_id": group},
            [row],
            members=MIN_MEMBERS,
            share=MIN_SHARE,
            notable_share=NOTABLE_SHARE,
        ),
        plans.moves_plan(kind.kind, group, [], title)
        if change == "died"
        else kind.plan(group, title),
        kind.series(group, now),
        (-involved,),
    )


def _went_to(kind: _Groups, group: str) -> str:
    gone = kind.moves.filter(pl.col("from_id") == group, pl.col("to_id").is_not_null())
    most = gone.sort("members", "to_id", descending=[True, False]).head(2)
    if most.is_empty():
        return ""
    parts = [
        f"{kind.name(to)} ({words.number(members)})"
        for to, members in most.select("to_id", "members").iter_rows()
    ]
    return f" Most of those still here are now in {words.listed(parts)}."


def _moves(kind: _Groups, told: set[str]) -> tuple[list[Insight], int]:
    left = kind.moves.filter(pl.col("from_id").is_not_null()).with_columns(
        share=pl.col("members") / pl.col("members").sum().over("from_id")
    )
    worth = left.filter(
        pl.col("to_id").is_not_null(),
        pl.col("from_id") != pl.col("to_id"),
        pl.col("members") >= MIN_MEMBERS,
        pl.col("share") >= MIN_MOVED_SHARE,
        ~pl.col("from_id").is_in(list(told)),
        ~pl.col("to_id").is_in(list(told)),
    ).sort("members", "from_id", "to_id", descending=[True, False, False])
    insights = [_move(kind, row) for row in worth.head(MAX_MOVES).iter_rows(named=True)]
    return insights, max(0, worth.height - MAX_MOVES)


def _move(kind: _Groups, row: dict[str, Any]) -> Insight:
    source, target, members = row["from_id"], row["to_id"], row["members"]
    title = (
        f"{words.counted(members, kind.member)} moved from {kind.old_name(source)} "
        f"to {kind.name(target)}"
    )
    text = (
        f"That is {words.percent(row['share'])} of the {words.plural(kind.member)} that "
        f"{kind.old_name(source)} had in the previous window."
    )
    size = dict(kind.groups.select(kind.id_column, "size").iter_rows()).get(source, 0)
    return Insight(
        f"{kind.kind}/{source}/to/{target}",
        kind.kind,
        "notable" if row["share"] >= NOTABLE_MOVED_SHARE else "info",
        title,
        text,
        [source, target],
        evidence_of(
            f"{kind.kind}_moves",
            {"from_id": source, "to_id": target},
            [row],
            members=MIN_MEMBERS,
            share=MIN_MOVED_SHARE,
        ),
        plans.moves_plan(kind.kind, source, [target], title),
        kind.series(source, size),
        (-members,),
    )


def _typical_clusters(kind: _Groups) -> list[Insight]:
    clusters = kind.groups
    unusual = sorted(
        (row for row in clusters.iter_rows(named=True) if row["share"] >= MIN_UNUSUAL_SHARE),
        key=lambda row: (
            -max((abs(f["z"] or 0) for f in row["features"]), default=0.0),
            row["cluster_id"],
        ),
    )
    largest = clusters.sort("size", "cluster_id", descending=[True, False]).head(1)
    told = {row["cluster_id"]: ("Largest segment", row) for row in largest.iter_rows(named=True)}
    for row in unusual[:1] if len(clusters) > 1 else []:
        told.setdefault(row["cluster_id"], ("Most unusual segment", row))
    keep = ("cluster_id", "size", "share", "features")
    return [
        _typical(kind, place, why, {key: row[key] for key in keep})
        for place, (why, row) in enumerate(list(told.values())[:MAX_GROUPS])
    ]


def _largest_communities(kind: _Groups) -> list[Insight]:
    largest = (
        kind.groups.filter(pl.col("size") > 1)
        .sort("size", "community_id", descending=[True, False])
        .head(MAX_GROUPS)
    )
    ordinals = ("Largest community", "Second largest community")
    return [
        _typical(kind, place, ordinals[place], row)
        for place, row in enumerate(largest.iter_rows(named=True))
    ]


def _typical(kind: _Groups, place: int, why: str, row: dict[str, Any]) -> Insight:
    group = row[kind.id_column]
    title = f"{why}: {kind.name(group)}"
    return Insight(
        f"{kind.kind}/{group}",
        kind.kind,
        "info",
        title,
        kind.texts.get(group, ""),
        [group],
        evidence_of(kind.table, {kind.id_column: group}, [row]),
        kind.plan(group, title),
        kind.series(group, row["size"]),
        (place,),
    )
