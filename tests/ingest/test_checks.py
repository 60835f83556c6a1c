from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from stupid_dagster.ingest.checks import schema_failures
from tests.gaming import DAY, day_documents, gaming_model, land

MODEL = gaming_model()


@pytest.fixture
def documents(tmp_path: Path) -> dict[str, pl.DataFrame]:
    rows = [{"@timestamp": f"{DAY}T0{n}:00:00Z", "memberCode": f"m{n}"} for n in range(3)]
    land(tmp_path, "Login", rows)
    return dict(day_documents(MODEL, tmp_path).documents)


def test_good_documents_fail_nothing(documents: dict[str, pl.DataFrame]) -> None:
    assert documents["Login"].height == 3
    assert documents["GameOpened"].is_empty()
    assert schema_failures(documents, DAY, MODEL.zone) == []
    assert schema_failures({}, DAY, MODEL.zone) == []


@pytest.mark.parametrize(
    ("change", "column"),
    [
        (pl.lit(0, dtype=pl.UInt32).alias("row"), "row"),
        (pl.lit("Logout").alias("event_type"), "event_type"),
        (pl.lit(None, dtype=pl.UInt64).alias("text_id"), "text_id"),
        (pl.col("row").cast(pl.Int64), "row"),
        (pl.col("timestamp").dt.replace_time_zone(None), "timestamp"),
        (pl.lit(None, dtype=pl.Boolean).alias("is_test"), "is_test"),
        (pl.col("timestamp").dt.offset_by("1d"), "timestamp"),
        (pl.col("timestamp").dt.offset_by("-1d"), "timestamp"),
    ],
)
def test_every_broken_rule_is_told(documents, change: pl.Expr, column: str) -> None:
    broken = documents | {"Login": documents["Login"].with_columns(change)}
    failures = schema_failures(broken, DAY, MODEL.zone)
    assert failures
    assert all(failure.startswith(f"Login.{column}: ") for failure in failures), failures


def test_a_missing_column_and_several_faults_at_once(documents) -> None:
    login = documents["Login"].drop("is_test").with_columns(row=pl.lit(0, dtype=pl.UInt32))
    failures = schema_failures(documents | {"Login": login}, DAY, MODEL.zone)
    assert [failure.partition(":")[0] for failure in failures] == ["Login.is_test", "Login.row"]


def test_an_event_without_an_actor_is_no_fault(documents) -> None:
    login = documents["Login"].with_columns(actor=pl.lit(None, dtype=pl.String))
    assert schema_failures({"Login": login}, DAY, MODEL.zone) == []
