"""Everything that Dagster loads is there, described, and wired as the tables say."""

from __future__ import annotations

from graphlib import TopologicalSorter

import dagster as dg
import pytest

from stupid_dagster.definitions import defs
from stupid_dagster.tables import DAY_TABLES, TABLES, WINDOW_TABLES

GRAPH = defs.resolve_asset_graph()


def test_each_table_is_an_asset_and_each_asset_a_table_or_snapshot_or_eviction() -> None:
    keys = {key.to_user_string() for key in GRAPH.get_all_asset_keys()}

    assert keys == {*TABLES, "snapshot", "eviction"}


@pytest.mark.parametrize("name", [*TABLES, "snapshot", "eviction"])
def test_each_asset_has_a_description_a_group_and_daily_partitions(name: str) -> None:
    node = GRAPH.get(dg.AssetKey(name))

    assert node.description
    assert node.group_name not in (None, "default")
    if name in ("eviction", "audit"):
        assert node.partitions_def is None
    else:
        assert isinstance(node.partitions_def, dg.DailyPartitionsDefinition)


def test_groups_follow_each_other_so_that_the_folded_lineage_reads_from_left_to_right() -> None:
    before: dict[str, set[str]] = {}
    for node in GRAPH.asset_nodes:
        groups = {GRAPH.get(key).group_name for key in node.parent_keys}
        before.setdefault(node.group_name, set()).update(groups - {node.group_name})

    order = [*TopologicalSorter(before).static_order()]

    assert order.index("ingest") < order.index("window") < order.index("serve")


def test_a_window_reads_thirty_days_and_a_day_reads_one() -> None:
    assert mapped("graph_nodes", "entities", "2013-02-09") == 30
    assert mapped("graph_nodes", "entities", "2013-01-12") == 2
    assert mapped("entities", "documents", "2013-02-09") == 1
    assert mapped("pagerank", "graph_nodes", "2013-02-09") == 1


def mapped(downstream: str, upstream: str, partition: str) -> int:
    """Return how many partitions of `upstream` a partition of `downstream` reads."""
    child, parent = GRAPH.get(dg.AssetKey(downstream)), GRAPH.get(dg.AssetKey(upstream))
    mapping = GRAPH.get_partition_mapping(child.key, parent.key)
    assert child.partitions_def and parent.partitions_def
    result = mapping.get_upstream_mapped_partitions_result_for_partitions(
        downstream_partitions_subset=child.partitions_def.subset_with_partition_keys([partition]),
        downstream_partitions_def=child.partitions_def,
        upstream_partitions_def=parent.partitions_def,
    )
    return len(result.partitions_subset)


def test_the_jobs_part_days_from_windows() -> None:
    assert selected("days") == set(DAY_TABLES)
    assert selected("window") == {*WINDOW_TABLES, "snapshot"}
    assert selected("evict") == {"eviction", "audit"}


def selected(job: str) -> set[str]:
    """Return the assets of a job."""
    layer = defs.resolve_job_def(job).asset_layer
    return {key.to_user_string() for key in layer.selected_asset_keys}
