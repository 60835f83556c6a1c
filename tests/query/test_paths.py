"""Walks and paths of the published flights, against networkx."""

from __future__ import annotations

import itertools
import shutil
import threading
from typing import Any

import networkx as nx
import pytest

from stupid_dagster.compute.graph.traversal import traverse
from stupid_dagster.deadline import deadline
from stupid_dagster.errors import InvalidQueryError, NotFoundError, TimedOutError
from stupid_dagster.project import Project
from stupid_dagster.query import SnapshotReader
from stupid_dagster.stores.snapshots import open_snapshot


@pytest.fixture(scope="module")
def flown(reader: SnapshotReader) -> nx.Graph:
    graph = nx.Graph()
    edges = reader.snapshot.scan("graph_edges").select("source", "target", "weight").collect()
    for source, target, weight in edges.iter_rows():
        before = graph.get_edge_data(source, target, {"weight": 0})["weight"]
        graph.add_edge(source, target, weight=before + weight, distance=1 / (before + weight))
    return graph


PAIRS = [
    ("airport:JFK", "airport:LGA"),
    ("carrier:B6", "airport:LAX"),
    ("route:JFK-LAX", "carrier:UA"),
    ("airport:EWR", "airport:EWR"),
]


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_paths_are_networkx_s(
    reader: SnapshotReader, flown: nx.Graph, source: str, target: str
) -> None:
    hops, light = reader.path(source, target), reader.path(source, target, weighted=True)
    assert hops and light
    assert hops.path.entities == min(nx.all_shortest_paths(flown, source, target))
    least = nx.dijkstra_path_length(flown, source, target, weight="distance")
    assert light.path.distance == pytest.approx(least) and light.path.exact
    for found in (hops, light):
        steps = itertools.pairwise(found.path.entities)
        weights = found.edges.group_by("step", "near", "far").agg(weight="weight")
        assert {
            (row["near"], row["far"]): sum(row["weight"]) for row in weights.iter_rows(named=True)
        } == {(near, far): flown[near][far]["weight"] for near, far in steps}


def test_a_walk_finds_what_is_near(reader: SnapshotReader, flown: nx.Graph) -> None:
    hops = nx.single_source_shortest_path_length(flown, "carrier:HA", cutoff=2)
    page = reader.traverse("carrier:HA", depth=2)
    assert dict(page.rows.select("entity_id", "depth").iter_rows()) == hops
    assert (page.truncated, page.total) == (False, len(hops))
    walk = nx.dfs_preorder_nodes(flown, "carrier:HA", depth_limit=2, sort_neighbors=sorted)
    deep = reader.traverse("carrier:HA", depth=2, order="depth", limit=5)
    assert deep.rows["entity_id"].to_list() == list(walk)[:5]
    assert (deep.truncated, deep.total) == (True, None)


def test_edge_types_and_directions_narrow(reader: SnapshotReader) -> None:
    narrowed = reader.traverse("route:JFK-LAX", edge_types=["StartsAt"], direction="out", depth=5)
    assert narrowed.rows["entity_id"].to_list() == ["route:JFK-LAX", "airport:JFK"]
    assert reader.path("airport:JFK", "airport:LAX", edge_types=["StartsAt"]) is None
    there = reader.path("airport:JFK", "airport:LAX", edge_types=["StartsAt", "EndsAt"])
    assert there and there.edges.rows() == [
        (1, "airport:JFK", "route:JFK-LAX", "StartsAt", "in", there.edges["weight"][0]),
        (2, "route:JFK-LAX", "airport:LAX", "EndsAt", "out", there.edges["weight"][1]),
    ]
    assert reader.path("airport:JFK", "airport:LAX", direction="out") is None
    assert reader.path("airport:JFK", "airport:LAX", max_hops=1) is None


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"edge_types": ["FlwTo"]}, "did you mean 'FlewTo'"),
        ({"direction": "up"}, "both, out, in"),
        ({"depth": 0}, "1 to 5"),
        ({"depth": 6}, "1 to 5"),
        ({"order": "width"}, "breadth, depth"),
        ({"limit": 100_001}, "rows_most"),
    ],
)
def test_walks_that_make_no_sense(reader: SnapshotReader, asked: Any, said: str) -> None:
    with pytest.raises(InvalidQueryError, match=said):
        reader.traverse("airport:JFK", **asked)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"edge_types": ["FlwTo"]}, "did you mean 'FlewTo'"),
        ({"direction": "up"}, "both, out, in"),
        ({"max_hops": 0}, "at least 1"),
        ({"max_hops": 3, "weighted": True}, "only without weighted"),
    ],
)
def test_paths_that_make_no_sense(reader: SnapshotReader, asked: Any, said: str) -> None:
    with pytest.raises(InvalidQueryError, match=said):
        reader.path("airport:JFK", "airport:LGA", **asked)


def test_entities_that_arent_there(reader: SnapshotReader) -> None:
    for ask in (
        lambda: reader.traverse("airprt:JFK"),
        lambda: reader.path("airprt:JFK", "airport:LGA"),
        lambda: reader.path("airport:LGA", "airprt:JFK"),
    ):
        with pytest.raises(NotFoundError, match="did you mean 'airport:JFK'"):
            ask()


def test_threads_that_ask_at_once_share_one_graph(flights_project: Project) -> None:
    with SnapshotReader(flights_project, open_snapshot(flights_project.lake)) as reader:
        found = []
        barrier = threading.Barrier(4)

        def ask() -> None:
            barrier.wait()
            path = reader.path("airport:JFK", "airport:LGA")
            found.append((path and path.path, id(reader._graph.open())))

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 4 and len(set(map(str, found))) == 1
        reader.close()
        assert reader._graph._graph is None


def test_a_walk_from_several_starts(reader: SnapshotReader, flown: nx.Graph) -> None:
    starts = ["carrier:HA", "route:JFK-LAX", "carrier:HA"]
    hops = nx.multi_source_dijkstra_path_length(flown, set(starts), cutoff=1, weight=lambda *_: 1)
    page = reader.traverse(starts, depth=1)
    assert dict(page.rows.select("entity_id", "depth").iter_rows()) == hops
    assert page.rows["entity_id"][:2].to_list() == ["carrier:HA", "route:JFK-LAX"]
    assert page.rows["parent"].null_count() == 2
    deep = reader.traverse(starts, depth=1, order="depth")
    assert set(deep.rows["entity_id"]) == set(hops)
    with pytest.raises(NotFoundError, match=r"'airprt:A', 'b', 'c' and 1 more"):
        reader.traverse(["airprt:A", "carrier:HA", "b", "c", "d"])
    with pytest.raises(InvalidQueryError, match="at least one id"):
        reader.traverse([])


def test_a_subgraph_is_drawn(reader: SnapshotReader, flown: nx.Graph) -> None:
    found = reader.subgraph(["airport:JFK", "airport:LGA"], limit=20)
    assert found.truncated and found.nodes.height == 20
    assert found.nodes.filter("start")["id"].to_list() == ["airport:JFK", "airport:LGA"]
    ends = {*found.links["source"], *found.links["target"]}
    assert ends <= set(found.nodes["id"])
    total = reader.subgraph("carrier:HA", limit=2000)
    assert not total.truncated
    assert set(total.nodes["id"]) == {"carrier:HA", *flown["carrier:HA"]}
    wrong: tuple[dict[str, Any], ...] = ({"limit": 2001}, {"limit": 0}, {"depth": 6})
    for asked in wrong:
        with pytest.raises(InvalidQueryError):
            reader.subgraph("carrier:HA", **asked)


def test_a_deadline_ends_walks_and_paths(reader: SnapshotReader) -> None:
    for ask in (
        lambda: reader.traverse("airport:JFK", depth=5),
        lambda: reader.traverse("airport:JFK", depth=5, order="depth"),
        lambda: reader.path("airport:JFK", "airport:LGA", weighted=True),
        lambda: reader.subgraph("airport:JFK", depth=5),
        lambda: reader.neighbors("airport:JFK"),
    ):
        ask()
        with deadline(0), pytest.raises(TimedOutError):
            ask()


def test_a_search_along_the_way_looks_at_the_deadline(reader: SnapshotReader) -> None:
    looks = 0

    def check() -> None:
        nonlocal looks
        looks += 1
        if looks == 3:
            raise TimedOutError("too long")

    graph = reader._graph.open()
    with pytest.raises(TimedOutError):
        traverse(graph.view(check=check), ["carrier:HA"], depth=5, limit=100_000)
    assert looks == 3


def test_a_snapshot_of_an_earlier_release_is_read_from_its_tables(
    flights_copy: Project, reader: SnapshotReader
) -> None:
    with SnapshotReader(flights_copy, open_snapshot(flights_copy.lake)) as earlier:
        shutil.rmtree(earlier.snapshot.path("graph_database") / "adjacency")
        assert earlier.node("carrier:HA") == reader.node("carrier:HA")
        pages = [one.neighbors("airport:JFK", limit=50).rows for one in (earlier, reader)]
        assert pages[0].equals(pages[1])
