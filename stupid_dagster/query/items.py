"""One thing that was found: what it is, how it was made, and the rows that show it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from stupid_dagster.errors import NotFoundError, hint
from stupid_dagster.query.filters import Filter
from stupid_dagster.query.reader import SnapshotReader
from stupid_dagster.stores.snapshots import USES
from stupid_dagster.tables import TABLES

_NO_PARAMETERS = {USES, "window_days", "next_number"}
Parts = dict[str, Any]


def how_made(reader: SnapshotReader, table: str) -> Parts:
    """Return how a table of the snapshot was made, as the lake recorded it; nothing is guessed.

    `parameters` are what its version's metadata states: days, settings, thresholds; `chosen` is
    what was tried and taken, where a table tells.
    """
    manifest, version = reader.manifest, reader.snapshot.window(table)
    made: Parts = {
        "table": table,
        "description": TABLES[table].description,
        "version": version.name,
        "created": version.created,
        "event_model": manifest.event_model,
        "event_model_hash": manifest.event_model_hash,
        "code_version": manifest.code_version,
        "parameters": {k: v for k, v in version.metadata.items() if k not in _NO_PARAMETERS},
        "chosen": None,
    }
    tried = {"clusters": "cluster_choice", "communities": "community_methods"}.get(table)
    if tried and reader.manifest.of(tried):
        chosen = reader.knowledge(tried, filters=[_filter("chosen", "eq", True)]).rows
        made["chosen"] = next(chosen.iter_rows(named=True), None)
    return made


def find_item(reader: SnapshotReader, table: str, item_id: str) -> Parts:
    """Return `item` (its row), `made` (see `how_made`) and the rows that show it, by name.

    Tables are those in ITEMS. Raises NotFoundError.
    """
    return {**ITEMS[table](reader, item_id), "made": how_made(reader, table)}


def find_digest(reader: SnapshotReader) -> Parts:
    """Return `digest` (the paragraph), `insights` (those that it names, by rank) and `made`.

    Raises MissingVersionError for a window of an older release.
    """
    digest = next(reader.knowledge("digest").rows.iter_rows(named=True))
    names = [name for sentence in digest["sentences"] for name in sentence["insights"]]
    cited = [_filter("insight_id", "in", [*dict.fromkeys(names)])] if names else None
    insights = _rows(reader, "insights", cited, sort="rank")
    shown = insights.iter_rows(named=True) if names else ()
    return {
        "digest": digest,
        "insights": [parsed_insight(row) for row in shown],
        "made": how_made(reader, "digest"),
    }


def _pattern(reader: SnapshotReader, item_id: str) -> Parts:
    item = reader.one("patterns", pattern_id=item_id)
    actors = [_filter("actor", "in", item["examples"])] if item["examples"] else None
    return {
        "item": item,
        "segments": _rows(reader, "cluster_members", actors),
        "anomalies": _rows(reader, "anomalies", actors),
    }


def _anomaly(reader: SnapshotReader, item_id: str) -> Parts:
    item = reader.one("anomalies", actor=item_id)
    causes = [_filter("entity_id", "in", item["shared"])] if item["shared"] else None
    documents = [reader.document(doc_id) for doc_id in item["documents"]]
    return {
        "item": item,
        "documents": [{"document": columns, "text": text} for columns, text in documents],
        "causes": _rows(reader, "anomaly_causes", causes),
        "segments": _rows(reader, "cluster_members", [_filter("actor", "eq", item_id)]),
        "bots": _rows(reader, "bot_candidates", [_filter("actor", "eq", item_id)]),
    }


def _insight(reader: SnapshotReader, item_id: str) -> Parts:
    return {"item": parsed_insight(reader.one("insights", insight_id=item_id))}


def _trend(reader: SnapshotReader, item_id: str) -> Parts:
    parts = item_id.split("/", 4)
    metrics = reader.project.model.metrics
    near = hint(parts[2][:80], metrics) if len(parts) > 2 and parts[2] not in metrics else ""
    unknown = NotFoundError(
        f"trends have no {item_id[:80]!r}{near}: one is named <grain>/<time>/<metric>, or "
        "<grain>/<time>/<metric>/<dimension>/<member>, with the `time` that its row has, such as "
        "day/2013-02-08T05:00:00Z/cancellations/origin/EWR"
    )
    if len(parts) not in (3, 5):
        raise unknown
    grain, time, metric, dimension, member = [*parts, "", ""][:5]
    key = {"metric": metric, "dimension": dimension, "member": member, "grain": grain}
    try:
        item = reader.one("trends", **key, time=time)
    except NotFoundError:
        raise unknown from None
    series = [_filter(column, "eq", value) for column, value in key.items()]
    return {"item": item, "series": _rows(reader, "trends", series, sort="time")}


ITEMS: Mapping[str, Callable[[SnapshotReader, str], Parts]] = {
    "patterns": _pattern,
    "anomalies": _anomaly,
    "insights": _insight,
    "trends": _trend,
}
"""What finds one of a table's, by table."""


def parsed_insight(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return an insight with evidence and plan, where it has them, as plain data."""
    return {
        **row,
        **{
            name: json.loads(row[name]) if row[name] else None
            for name in ("evidence", "plan")
            if name in row
        },
    }


def _filter(field: str, op: str, value: Any) -> Filter:
    return Filter.model_validate({"field": field, "op": op, "value": value})


def _rows(
    reader: SnapshotReader, table: str, filters: Sequence[Filter] | None, sort: str | None = None
) -> Any:
    """Return a table's rows; none without filters, or where the snapshot lacks the table."""
    if filters is None or not reader.manifest.of(table):
        return []
    return reader.knowledge(table, filters=filters, sort=sort).rows
