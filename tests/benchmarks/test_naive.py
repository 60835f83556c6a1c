"""The naive pipeline makes what the engine makes: else to compare their speed means nothing."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from benchmarks import floor, naive, tasks
from benchmarks.data import make_project
from stupid_dagster.project import Project
from stupid_dagster.samples.gaming import write_gaming

FIRST, DAY = date(2025, 3, 1), "2025-03-02"
EVENTS = 2_000


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with three days of landing files, of which the second is made."""
    root = make_project(
        tmp_path_factory.mktemp("bench") / "project", "gaming", str(FIRST), "2025-03-03"
    )
    write_gaming(root / "landing", FIRST, 3, EVENTS)
    told = tasks.pipeline(str(root), [DAY], window=False, index=True)
    assert set(told["stages"]) == {"index", *tasks.DAY_STAGES}
    return Project.load(root)


@pytest.fixture(scope="module", params=["dicts", "iterrows"])
def naive_tables(
    project: Project, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> tuple[Path, dict[str, int]]:
    """The naive pipeline's tables of that day, and what it told."""
    out = tmp_path_factory.mktemp("naive")
    landing = Path(project.settings.landing_location)
    return out, naive.run(str(landing), DAY, str(out), request.param)


Tables = tuple[Path, dict[str, int]]


def test_told_counts_are_the_engine_s(project: Project, naive_tables: Tables) -> None:
    told = dict(naive_tables[1])
    assert told.pop("embedded") == told["documents"] > EVENTS / 2
    assert told == tasks.counts(str(project.settings.root), DAY)


def test_edges_are_the_engine_s(project: Project, naive_tables: Tables) -> None:
    columns = ["source", "target", "type", "weight", "first_seen", "last_seen"]
    _equal(project.lake.read("edges", DAY), naive_tables[0] / "edges.parquet", columns)


def test_entities_are_the_engine_s(project: Project, naive_tables: Tables) -> None:
    columns = ["entity_id", "type", "events", "first_seen", "last_seen", "is_test"]
    _equal(project.lake.read("entities", DAY), naive_tables[0] / "entities.parquet", columns)


def test_texts_are_the_engine_s(project: Project, naive_tables: Tables) -> None:
    columns = ["event_type", "text", "count"]
    _equal(project.lake.read("texts", DAY), naive_tables[0] / "texts.parquet", columns)


def test_activity_is_the_engine_s(project: Project, naive_tables: Tables) -> None:
    features = ["login_count", "game_count", "error_count", "popup_clicks", "mobile_ratio__n"]
    columns = ["actor", "events", "is_test", *features, "vip_tier", "currency"]
    _equal(project.lake.read("activity", DAY), naive_tables[0] / "activity.parquet", columns)
    # Without a game the engine has null, the naive pipeline an empty list.
    games = pl.col("unique_games").list.drop_nulls().list.len().fill_null(0)
    sessions = pl.col("sessions").list.eval(pl.element().struct.field("events").cast(pl.Int64))
    left, right = (
        frame.sort("actor").select("actor", games, sessions)
        for frame in (
            project.lake.read("activity", DAY),
            pl.read_parquet(naive_tables[0] / "activity.parquet"),
        )
    )
    assert_frame_equal(left, right)


def test_sequences_are_the_engine_s(project: Project, naive_tables: Tables) -> None:
    columns = ["actor", "symbols"]
    _equal(project.lake.read("sequences", DAY), naive_tables[0] / "sequences.parquet", columns)


def test_metrics_are_the_engine_s(project: Project, naive_tables: Tables) -> None:
    columns = ["grain", "time", "metric", "dimension", "member", "value", "events", "actors"]
    _equal(project.lake.read("metrics", DAY), naive_tables[0] / "metrics.parquet", columns)


def test_a_tenth_has_whole_members_and_a_tenth_of_the_rest(
    project: Project, tmp_path: Path
) -> None:
    landing = Path(project.settings.landing_location)
    told = floor.tenth(str(landing), str(tmp_path), "memberCode", parts=4)

    def members(folder: Path) -> pl.DataFrame:
        name = pl.col("memberCode").str.strip_chars()
        rows = pl.concat(
            pl.read_parquet(file, columns=["memberCode"])
            for file in sorted(folder.rglob("*.parquet"))
        )
        return rows.group_by(name).len()

    whole, part = members(landing), members(tmp_path)
    assert part["len"].sum() == told["rows"]
    unknown = pl.col("memberCode").is_null() | pl.col("memberCode").is_in(floor.MISSING)
    kept = part.filter(~unknown).join(whole, on="memberCode", suffix="_whole")
    assert kept["len"].equals(kept["len_whole"])
    shares = [frame.filter(~unknown).height for frame in (part, whole)]
    assert 0.15 < shares[0] / shares[1] < 0.35
    rest = [int(frame.filter(unknown)["len"].sum()) for frame in (part, whole)]
    assert 0.15 < rest[0] / rest[1] < 0.35


def _equal(engine: pl.DataFrame, file: Path, columns: list[str]) -> None:
    """Compare columns of a table with a naive one's: in any order, integers of any width."""
    whole = pl.col(pl.UInt32, pl.Int64).cast(pl.Int64)
    moments = pl.col(pl.Datetime("us", "UTC"), pl.Datetime("ns", "UTC"), pl.Datetime("ms", "UTC"))
    left, right = (
        frame.select(columns)
        .with_columns(whole, moments.cast(pl.Datetime("ms", "UTC")))
        .sort(columns)
        for frame in (engine, pl.read_parquet(file))
    )
    assert left.height > 0
    assert_frame_equal(left, right)
