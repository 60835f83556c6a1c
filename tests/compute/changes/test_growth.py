"""New actors and sizes of groups, against plain counts and planted changes."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stupid_dagster.compute.changes.growth import new_actor_trends, size_trends
from stupid_dagster.tables import TABLES
from tests.compute.behaviour import shop
from tests.compute.graphs import unhurried

FIRST = dt.date(2025, 3, 1)


def day(n: int) -> dt.date:
    return FIRST + dt.timedelta(days=n)


def activity(seen: list[set[int]], tests: set[int] | None = None) -> pl.LazyFrame:
    """Return rows of the table `activity`: which actors each day had."""
    rows = [(f"m:{a}", day(n), a in (tests or set())) for n, d in enumerate(seen) for a in d]
    schema = {"actor": pl.String, "day": pl.Date, "is_test": pl.Boolean}
    return pl.DataFrame(rows, schema=schema, orient="row").lazy()


@unhurried
@given(st.lists(st.none() | st.sets(st.integers(0, 12)), max_size=14), st.sets(st.integers(0, 3)))
def test_new_are_those_that_no_earlier_day_of_the_window_has(
    seen: list[set[int] | None], tests: set[int]
) -> None:
    present = [day(n) for n, actors in enumerate(seen) if actors is not None]
    table = new_actor_trends(shop(), activity([a or set() for a in seen], tests), days=present)
    known: set[int] = set(tests)
    expected = []
    for actors in seen:
        if actors is not None:
            expected.append(float(len(actors - known)))
            known |= actors
    assert table["value"].to_list() == expected
    assert table.schema == TABLES["trends"].schema


def crowd(days: int, newcomers: int = 0, on: int = -1) -> list[set[int]]:
    """Return days of 2,000 of 20,000 actors each, so that fewer and fewer are new."""
    rng = np.random.default_rng(4)
    seen = [set(rng.choice(20_000, size=2_000, replace=False).tolist()) for _ in range(days)]
    seen[on] |= set(range(100_000, 100_000 + newcomers))
    return seen


def test_fewer_new_actors_from_day_to_day_are_no_trend() -> None:
    table = new_actor_trends(shop(), activity(crowd(24)), days=map(day, range(24)))
    values = table["value"].to_list()
    assert values[-1] < values[11] / 2
    assert table["z"][:11].null_count() == 11
    assert table["z"][11:].abs().max() < 2  # type: ignore[operator]


def test_a_wave_of_new_actors_is_critical() -> None:
    table = new_actor_trends(shop(), activity(crowd(24, 800)), days=map(day, range(24)))
    row = table.row(-1, named=True)
    assert (row["severity"], row["direction"]) == ("critical", "up")
    assert row["baseline"] == pytest.approx(row["value"] - 800, rel=0.25)


def test_a_day_after_a_missing_one_is_not_judged() -> None:
    days = [day(n) for n in range(24) if n != 18]
    table = new_actor_trends(shop(), activity(crowd(24)), days=days)
    judged = table.filter(pl.col("z").is_not_null())["time"].dt.offset_by("12h").dt.date()
    assert set(judged) == {day(n) for n in range(11, 18)}


def sizes_before(sizes: list[float], name: str = "cluster:1") -> pl.DataFrame:
    rows = [(day(n), "cluster", name, size) for n, size in enumerate(sizes)]
    return pl.DataFrame(rows, schema=TABLES["history"].schema, orient="row")


def clusters(**sizes: int) -> pl.DataFrame:
    rows = [{"cluster_id": name.replace("_", ":"), "size": size} for name, size in sizes.items()]
    return pl.DataFrame(rows, schema={"cluster_id": pl.String, "size": pl.UInt32})


def test_sizes_are_judged_once_four_earlier_windows_know_them() -> None:
    for known, judged in ((3, False), (4, True), (9, True)):
        history = sizes_before([1000.0] * known)
        table = size_trends(
            shop(), clusters(cluster_1=1500, cluster_2=90), "clusters", history, day(known)
        )
        assert table["member"].to_list() == ["cluster:1", "cluster:2"]
        one, two = table.rows(named=True)
        assert (one["metric"], one["dimension"]) == ("cluster_size", "cluster")
        assert (one["severity"] == "critical", one["baseline"] == 1000.0) == (judged, judged)
        assert (two["value"], two["z"]) == (90.0, None)


def test_later_windows_and_other_kinds_have_no_say_and_one_outlier_hides_nothing() -> None:
    history = sizes_before([1000.0, 1010, 990, 9000, 1000, 1005, 5000, 5000])
    communities = history.with_columns(kind=pl.lit("community"), value=pl.lit(1.0))
    both = pl.concat([history, communities])
    row = size_trends(shop(), clusters(cluster_1=1400), "clusters", both, day(6)).row(0, named=True)
    assert row["baseline"] == pytest.approx(1002.5, abs=5)
    assert row["severity"] == "critical"


def test_only_the_largest_groups_are_followed_and_none_is_fine() -> None:
    many = clusters(**{f"cluster_{n}": n + 1 for n in range(30)})
    nothing = TABLES["history"].empty()
    found = size_trends(shop(), many, "clusters", nothing, day(0))
    assert set(found["value"]) == set(map(float, range(11, 31)))
    none = size_trends(shop(), many.clear(), "clusters", nothing, day(0))
    assert none.equals(TABLES["trends"].empty())


def test_who_comes_back_after_a_week_is_not_new() -> None:
    """With every actor on each seventh day, nobody is new after a week."""
    seen = [set(range(100 * (n % 7), 100 * (n % 7) + 100)) for n in range(16)]
    seen[-1] |= set(range(1000, 1030))
    table = new_actor_trends(shop(), activity(seen), days=map(day, range(16)))
    assert table["value"].to_list() == [100.0] * 7 + [0.0] * 8 + [30.0]
    row = table.row(-1, named=True)
    assert (row["baseline"], row["scale"], row["z"]) == (0.0, 1.0, 30.0)
