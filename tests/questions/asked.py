"""The questions that are kept with their plans, and what is true of their answers by SQL.

Polars' SQL reads the stored tables themselves: nothing of the query layer has a part in it. Event
types are tables (`API_Error` for "API Error") with `doc_id`, `day`, and `hour` and `local_day`,
when the hour and the day of the event begin in the model's timezone.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import yaml

from stupid_dagster.query import SnapshotReader
from stupid_dagster.query.knowledge import KNOWLEDGE_TABLES
from stupid_dagster.query.plans import PlanResult

FOLDER = Path(__file__).parent
SETS = ("flights", "gaming")


class Asked(NamedTuple):
    """A question, the plan that answers it, and what is true of the answer."""

    sample: str
    question: str
    plan: dict[str, Any]
    sql: str | None
    facts: dict[str, Any]


def asked(sample: str) -> list[Asked]:
    """Return the questions about a sample."""
    text = (FOLDER / f"{sample}.yaml").read_text(encoding="utf-8")
    return [
        Asked(sample, one["question"], one["plan"], one.get("sql"), one.get("facts", {}))
        for one in yaml.safe_load(text)
    ]


def tables(reader: SnapshotReader) -> pl.SQLContext[pl.DataFrame]:
    """Return what answers SQL from a snapshot's files."""
    model, snapshot = reader.project.model, reader.snapshot
    found: dict[str, pl.LazyFrame] = {}
    for event_type in model.events:
        days = []
        for day, version in reader.manifest.of("documents").items():
            file = reader.project.lake.version_path(version) / f"{event_type}.parquet"
            if file.exists():
                doc_id = pl.format("{}/{}/{}", pl.lit(day), pl.lit(event_type), pl.col("row"))
                frame = pl.scan_parquet(file)
                days.append(frame.with_columns(doc_id.alias("doc_id"), pl.lit(day).alias("day")))
        local = pl.col("timestamp").dt.convert_time_zone(model.timezone)
        found[event_type.replace(" ", "_")] = pl.concat(days, how="diagonal").with_columns(
            local.dt.truncate("1h").dt.convert_time_zone("UTC").alias("hour"),
            local.dt.truncate("1d").dt.convert_time_zone("UTC").alias("local_day"),
        )
    for table in KNOWLEDGE_TABLES:
        if reader.manifest.of(table):
            found[table] = snapshot.scan(table)
    return pl.SQLContext(found, eager=True)


def plain_rows(rows: pl.DataFrame) -> list[tuple[Any, ...]]:
    """Return rows in an order of their own, numbers rounded, whatever the columns are called."""
    return sorted((tuple(map(_plain, row)) for row in rows.iter_rows()), key=repr)


def _plain(value: Any) -> Any:
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float):
        return float(f"{value:.9g}")
    return f"{value:%Y-%m-%dT%H:%M:%S.%f}" if isinstance(value, datetime) else str(value)


def check_answer(one: Asked, result: PlanResult, sql: pl.SQLContext[pl.DataFrame]) -> None:
    """Fail unless an answer is what the question's SQL or facts say."""
    rows = result.rendered.rows
    assert rows is not None, result.rendered.error
    assert rows.height > 0
    assert not result.rendered.truncated
    if one.sql:
        assert plain_rows(rows) == plain_rows(sql.execute(one.sql))
        return
    facts = {**one.facts}
    first, last = rows.row(0, named=True), rows.row(-1, named=True)
    assert rows.height >= facts.pop("at_least", 0)
    assert rows.height == facts.pop("rows", rows.height)
    for step, query in facts.pop("steps", {}).items():
        made = result.steps[step].rows
        assert made is not None
        assert plain_rows(made) == plain_rows(sql.execute(query))
    for name, value in facts.pop("first", {}).items():
        assert first[name] == value
    for name, value in facts.pop("last", {}).items():
        assert last[name] == value
    for name, value in facts.pop("first_contains", {}).items():
        assert value in first[name]
    for name, value in facts.pop("every", {}).items():
        assert set(rows[name]) == {value}
    assert not facts, "a fact that nothing checks"
