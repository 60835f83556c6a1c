"""`stupid-dagster infer`, as a user types it."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner, Result

from stupid_dagster.cli import main
from stupid_dagster.event_model import load_event_model, parse_event_model
from stupid_dagster.ingest import build_documents, index_landing


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments), catch_exceptions=False)


@pytest.fixture
def landing(tmp_path: Path) -> Path:
    """A folder of a made-up shop's orders and logins, on two days."""
    folder = tmp_path / "my shop"
    for event_type, extra in (("Order", "product"), ("Login", "browser")):
        for day in (1, 2):
            rows = pl.DataFrame({"n": range(300)}).select(
                pl.format("2025-03-0{}T{}:00:00Z", pl.lit(day), (pl.col("n") % 14 + 10)).alias(
                    "at"
                ),
                pl.format("c{}", pl.col("n") * 7 % 50).alias("customerId"),
                pl.format("{} {}", pl.lit(extra), pl.col("n") * 11 % 60).alias(extra),
            )
            (folder / event_type).mkdir(parents=True, exist_ok=True)
            rows.write_parquet(folder / event_type / f"2025-03-0{day}.parquet")
    return folder


def test_the_model_goes_to_stdout_and_the_summary_to_stderr(landing: Path) -> None:
    result = call("infer", str(landing))

    assert result.exit_code == 0
    model = parse_event_model(result.stdout)
    assert model.name == "my_shop"
    assert model.entities[model.actor].key == ["customerId"]
    assert "actor  Customer (customerId)" in result.stderr
    assert "timestamp  at\n" in result.stderr
    assert "check  timezone" in result.stderr
    assert f"stupid-dagster check FILE --data '{landing}'" in result.stderr


def test_what_it_writes_can_be_checked(landing: Path, tmp_path: Path) -> None:
    file = tmp_path / "models" / "shop.yaml"

    assert call("infer", str(landing), "--out", str(file), "--name", "shop").exit_code == 0
    result = call("check", str(file), "--data", str(landing))

    assert result.exit_code == 0
    assert "shop: 2 event types" in result.output
    assert "documents: Order" in result.output


def test_a_file_is_replaced_only_when_told(landing: Path, tmp_path: Path) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text("mine")

    refused = call("infer", str(landing), "--out", str(file))
    kept = file.read_text()
    forced = call("infer", str(landing), "--out", str(file), "--force", "--actor", "product")

    assert refused.exit_code == 2
    assert "--force replaces it" in refused.output
    assert kept == "mine"
    assert forced.exit_code == 0
    assert parse_event_model(file.read_text()).actor == "Product"


def test_what_can_not_be_drafted_is_told_without_a_traceback(landing: Path) -> None:
    unknown = call("infer", str(landing), "--timestamp", "when")
    missing = call("infer", str(landing / "nowhere"))

    assert unknown.exit_code == missing.exit_code == 1
    assert "error: no column is named 'when'" in unknown.output
    assert missing.output.startswith("error:")


def test_event_types_told_by_a_column_run_through_the_engine(tmp_path: Path) -> None:
    landing, file = tmp_path / "landing", tmp_path / "model.yaml"
    kinds = ["order", "login", "Order", "search"]
    own: dict[str, tuple[str, list[Any]]] = {
        "order": ("product", ["pen", "ink"]),
        "login": ("browser", ["firefox", "opera"]),
        "search": ("words", ["red", "blue"]),
    }
    (landing / "events").mkdir(parents=True)
    for day in (1, 2):
        lines = []
        for n in range(400):
            kind = "ping" if n == 9 else kinds[n % 4]
            row: dict[str, Any] = {"event": kind, "customerId": f"c{n * 7 % 50}"}
            row["at"] = f"2025-03-0{day}T{n % 24:02}:{n % 60:02}:00Z"
            if kind != "ping":
                column, values = own[kind.lower()]
                row[column] = values[n % 3 % 2]
            lines.append(json.dumps(row))
        (landing / "events" / f"2025-03-0{day}.jsonl").write_text("\n".join(lines))

    drafted = call("infer", str(landing), "--out", str(file))
    checked = call("check", str(file), "--data", str(landing))
    asked = call("infer", str(landing), "--event-type", "browser")

    assert drafted.exit_code == checked.exit_code == asked.exit_code == 0
    assert "told by  event" in drafted.stderr
    assert "ping (2)" in drafted.stderr
    assert "3 event types" in checked.output
    assert parse_event_model(asked.stdout).event_type_column == "browser"
    model, day_1 = load_event_model(file), date(2025, 3, 1)
    made = build_documents(model, index_landing(model, landing), day_1, (day_1, day_1))
    heights = {name: frame.height for name, frame in made.documents.items()}
    # The row that the ping stands in would have been a login.
    assert {name.lower(): n for name, n in heights.items()} == {
        "order": 200,
        "login": 99,
        "search": 100,
    }
    assert made.rows_rejected == 1
    assert set(made.documents["login"]["browser"]) == {"firefox", "opera"}


def test_a_file_that_can_t_be_written_is_told(landing: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    result = call("infer", str(landing), "--out", str(tmp_path / "file" / "model.yaml"))

    assert result.exit_code == 1
    assert "model.yaml can't be written (" in result.stderr
    assert "give another file with --out" in result.stderr
