"""Tables of a window for insights, made row by row, and a check of their plans."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl

from stupid_dagster.compute.insights import Findings, Insights, Previous, build_insights
from stupid_dagster.event_model import EventModel
from stupid_dagster.query.filters import OPERATORS
from stupid_dagster.query.knowledge import KNOWLEDGE_TABLES
from stupid_dagster.tables import TABLES
from tests.compute.behaviour import shop
from tests.compute.trend_tables import LAST

ACTIVITY = {"actor": pl.String, "day": pl.Date, "events": pl.UInt32}
NODES = {"entity_id": pl.String, "type": pl.String, "key": pl.String, "properties": pl.Struct({})}


def table(name: str, *rows: dict[str, Any]) -> pl.DataFrame:
    """Return rows of a table of the lake; what a row lacks is null."""
    return pl.DataFrame(list(rows), schema=TABLES[name].schema)


def findings(
    *,
    activity: pl.DataFrame | None = None,
    days: Sequence[dt.date] = (),
    previous: Previous | None = None,
    **tables: pl.DataFrame,
) -> Findings:
    """Return findings with the given tables; all others are empty."""
    unmade = {"graph_nodes", "activity", "days", "previous"}
    names = [name for name in Findings.__dataclass_fields__ if name not in unmade]
    return Findings(
        **{name: tables.get(name, TABLES[name].empty()) for name in names},
        graph_nodes=tables.get("graph_nodes", pl.DataFrame(schema=NODES)),
        activity=pl.DataFrame(schema=ACTIVITY) if activity is None else activity,
        days=days,
        previous=previous,
    )


def told(
    found: Findings, model: EventModel | None = None, last_day: dt.date = LAST
) -> list[dict[str, Any]]:
    """Return the insights as rows, evidence and plan parsed, and every plan checked."""
    return rows_of(build_insights(found, model=model or shop(), window_last_day=last_day), model)


def rows_of(insights: Insights, model: EventModel | None = None) -> list[dict[str, Any]]:
    """Return the rows of insights, as `told` does."""
    assert insights.table.schema == TABLES["insights"].schema
    rows = insights.table.to_dicts()
    assert [row["rank"] for row in rows] == list(range(1, len(rows) + 1))
    ids = [row["insight_id"] for row in rows]
    assert len(set(ids)) == len(ids)
    for row in rows:
        assert "\u2014" not in row["title"] + row["text"]
        row["evidence"], row["plan"] = json.loads(row["evidence"]), json.loads(row["plan"])
        assert set(row["evidence"]) == {"table", "where", "rows", "parameters"}
        assert row["evidence"]["table"] in TABLES
        check_plan(row["plan"], model or shop())
    return rows


_PARAMS = {
    "knowledge.read": ({"table", "filters"}, {"limit", "columns", "sort"}),
    "documents.scan": (
        {"event_type", "first_day", "last_day", "filters", "limit"},
        {"actor"},
    ),
    "table.aggregate": ({"rows", "by", "measures"}, set()),
    "table.timeline": ({"rows", "time", "every"}, set()),
    "table.contrast": ({"actors"}, set()),
    "graph.traverse": ({"start", "depth"}, {"edge_types"}),
    "vectors.search": ({"text", "limit"}, set()),
}


def check_plan(plan: dict[str, Any], model: EventModel) -> None:
    """Fail where a plan names what isn't there: ids, tables, columns, event and edge types."""
    assert set(plan) == {"steps", "render"}
    columns: dict[str, set[str] | None] = {}
    for number, step in enumerate(plan["steps"], start=1):
        assert set(step) == {"id", "op", "params", "depends_on"}
        assert step["id"] == f"s{number}"
        params = step["params"]
        needed, optional = _PARAMS[step["op"]]
        assert needed <= set(params) <= needed | optional, step
        references = list(_references(params))
        assert sorted({r["ref"] for r in references}) == sorted(step["depends_on"])
        for reference in references:
            assert reference["ref"] in columns, "a step refers to a later one, or to itself"
            known = columns[reference["ref"]]
            if "field" in reference and known is not None:
                assert reference["field"] in known, reference
        columns[step["id"]] = _columns(step["op"], params, model)
    assert plan["render"]["step"] in columns
    assert plan["render"]["type"] in {"table", "line", "bar", "graph"}
    known = columns[plan["render"]["step"]]
    assert known is None or {plan["render"].get("x"), *plan["render"].get("y", ())} <= known | {
        None
    }


def _columns(op: str, params: dict[str, Any], model: EventModel) -> set[str] | None:
    """Return the columns that a step gives, None where nobody knows; check its parameters."""
    match op:
        case "knowledge.read":
            assert params["table"] in KNOWLEDGE_TABLES
            known = set(TABLES[params["table"]].schema)
            assert params.get("sort", next(iter(known))).removeprefix("-") in known
            _check_filters(params["filters"], known)
            return known
        case "documents.scan":
            event = model.events[params["event_type"]]
            first, last = (dt.date.fromisoformat(params[d]) for d in ("first_day", "last_day"))
            assert first <= last
            known = {*TABLES["documents"].schema, *event.fields}
            _check_filters(params["filters"], known)
            return known
        case "graph.traverse":
            assert 1 <= params["depth"] <= 5
            assert set(params.get("edge_types", [])) <= set(model.edges)
            return {"entity_id", "type", "depth", "parent", "order"}
        case "table.aggregate":
            return {*params["by"], "count"}
    return None


def _check_filters(filters: list[dict[str, Any]], columns: set[str]) -> None:
    for one in filters:
        assert set(one) == {"field", "op", "value"}
        assert one["field"] in columns, one
        assert one["op"] in OPERATORS
        if one["op"] == "in" and isinstance(one["value"], list):
            assert 1 <= len(one["value"]) <= 1000


def _references(value: Any) -> Iterator[dict[str, str]]:
    if isinstance(value, dict):
        if "ref" in value:
            yield value
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from _references(part)
