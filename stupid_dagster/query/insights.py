"""The insights of a snapshot, and what is told to who follows them from one to the next."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from stupid_dagster.query.items import parsed_insight
from stupid_dagster.query.reader import SnapshotReader

Row = Mapping[str, Any]
RESOLVED = "resolved"
_NOT_COMPARED = ("rank", "status", "since")


@dataclass(frozen=True)
class SnapshotInsights:
    """What a snapshot tells: its insights by id, the most important first, as plain JSON."""

    snapshot: str
    window: Mapping[str, Any]
    insights: Mapping[str, Row]

    @classmethod
    def of(cls, reader: SnapshotReader) -> SnapshotInsights:
        """Return what a reader's snapshot tells; raises SnapshotError and MissingVersionError."""
        rows = json.loads(reader.knowledge("insights", sort="rank").rows.write_json())
        manifest = reader.manifest
        window = {
            "first_day": manifest.first_day,
            "last_day": manifest.last_day,
            "days": len(manifest.days),
        }
        insights = {row["insight_id"]: parsed_insight(row) for row in rows}
        return cls(reader.id, window, insights)


@dataclass(frozen=True)
class InsightEvent:
    """Something to tell: `snapshot`, `insight`, `new`, `changed` or `resolved`."""

    event: str
    data: Mapping[str, Any]
    id: str | None = None


@dataclass(frozen=True)
class InsightFilter:
    """Which kinds and severities are told; all where none is named."""

    kinds: frozenset[str] = field(default_factory=frozenset)
    severities: frozenset[str] = field(default_factory=frozenset)

    def has(self, row: Row) -> bool:
        """Return whether an insight is told."""
        kinds, severities = self.kinds or {row["kind"]}, self.severities or {row["severity"]}
        return row["kind"] in kinds and row["severity"] in severities


def first_events(
    now: SnapshotInsights, wanted: InsightFilter, last: tuple[SnapshotInsights, str] | None
) -> Iterator[InsightEvent]:
    """Yield what somebody who begins, or comes back, is told.

    `last` is the snapshot and insight of the last event that reached them: what came after it is
    told again, maybe twice, but nothing is left out. None: everything.
    """
    yield _snapshot(now, wanted)
    if last is None:
        known: dict[str, Row] = {}
    else:
        told, insight_id = last
        order = list(told.insights)
        reached = order[: order.index(insight_id) + 1]
        known = {name: told.insights[name] for name in reached}
        if told.snapshot != now.snapshot:
            yield from _changes(known, now, wanted)
            return
    for name, row in now.insights.items():
        if name not in known and wanted.has(row):
            yield InsightEvent("insight", row, f"{now.snapshot}/{name}")


def next_events(
    before: SnapshotInsights, now: SnapshotInsights, wanted: InsightFilter
) -> Iterator[InsightEvent]:
    """Yield what is told when one snapshot takes the place of another."""
    yield _snapshot(now, wanted)
    yield from _changes(before.insights, now, wanted)


def _snapshot(now: SnapshotInsights, wanted: InsightFilter) -> InsightEvent:
    names = [name for name, row in now.insights.items() if wanted.has(row)]
    data = {"snapshot": now.snapshot, "window": now.window, "insights": names}
    return InsightEvent("snapshot", data)


def _changes(
    before: Mapping[str, Row], now: SnapshotInsights, wanted: InsightFilter
) -> Iterator[InsightEvent]:
    for name, row in now.insights.items():
        former = before.get(name)
        # One that left the wanted severities has changed for who follows them.
        if wanted.has(row) or (former is not None and wanted.has(former)):
            event = _event(former, row)
            if event:
                yield InsightEvent(event, row, f"{now.snapshot}/{name}")
    for name, row in before.items():
        gone = name not in now.insights and row["status"] != RESOLVED
        if gone and wanted.has(row):
            yield InsightEvent(RESOLVED, row, f"{now.snapshot}/{name}")


def _event(former: Row | None, row: Row) -> str | None:
    if row["status"] == RESOLVED:
        return RESOLVED if former is None or former["status"] != RESOLVED else None
    if former is None or former["status"] == RESOLVED:
        return "new"
    same = all(former[name] == row[name] for name in row if name not in _NOT_COMPARED)
    return None if same else "changed"
