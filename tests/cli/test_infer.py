"""`stupid-dagster infer`, as a user types it."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner, Result

from stupid_dagster.cli import main
from stupid_dagster.event_model import parse_event_model


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
