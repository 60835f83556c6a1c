"""Days that are merged range by range against all of them merged at once."""

from __future__ import annotations

from pathlib import Path

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from stupid_dagster.compute.graph.ranges import edge_ranges, entity_ranges
from stupid_dagster.compute.merge import merge_edges, merge_entities
from tests.compute.graphs import MORNING, unhurried
from tests.compute.test_merge import Rows, concatenated, edge_days, entity_days


@unhurried
@given(edge_days(), st.integers(1, 5), st.integers(1, 3))
def test_ranges_of_edges_merge_to_the_same_table_in_the_same_order(
    days: list[Rows], rows: int, sampled: int
) -> None:
    edges = concatenated("edges", days)
    parts = [merge_edges(e).collect() for e in edge_ranges(edges, rows, sampled=sampled)]
    assert pl.concat(parts).equals(merge_edges(edges).collect())


@unhurried
@given(entity_days(), st.integers(1, 5), st.integers(1, 3))
def test_ranges_of_entities_merge_to_the_same_table_in_the_same_order(
    days: list[Rows], rows: int, sampled: int
) -> None:
    entities = concatenated("entities", days)
    ranges = entity_ranges(entities, rows, sampled=sampled)
    whole = merge_entities(entities).collect()
    assert pl.concat([merge_entities(each).collect() for each in ranges]).equals(whole)


def test_a_type_of_many_rows_is_cut_even_where_they_share_a_source(tmp_path: Path) -> None:
    keys = [("Has", "shop:1", f"thing:{n:05}") for n in range(5_000)]
    keys += [("Knows", f"member:{n:04}", "member:x") for n in range(500)]
    seen = {"weight": 1, "first_seen": MORNING, "last_seen": MORNING}
    rows = [{"type": t, "source": s, "target": o, **seen} for t, s, o in keys]
    # From files, where predicates are looked up in statistics.
    pl.DataFrame(rows).write_parquet(tmp_path / "edges.parquet", row_group_size=700)
    edges = pl.scan_parquet(tmp_path / "edges.parquet")
    found = [each.collect() for each in edge_ranges(edges, 1_000, sampled=10)]
    assert [each["type"].unique().item() for each in found] == ["Has"] * 5 + ["Knows"]
    assert pl.concat(found).equals(edges.collect())
    assert max(each.height for each in found) <= 1_100


def test_without_rows_there_is_one_range() -> None:
    for name, ranges in (("edges", edge_ranges), ("entities", entity_ranges)):
        (only,) = ranges(concatenated(name, []))
        assert only.collect().is_empty()
