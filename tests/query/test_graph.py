"""Nodes and neighbours, against what the landing files say."""

from __future__ import annotations

from collections import Counter
from typing import Any

import polars as pl
import pytest

from stupid_dagster.errors import InvalidQueryError, NotFoundError
from stupid_dagster.project import Project
from stupid_dagster.query import SnapshotReader
from stupid_dagster.stores.graph import GraphReader
from tests.query.landing import landing


def expected_edges(project: Project, airport: str) -> Counter[tuple[str, str, str]]:
    """Return (edge type, neighbour, direction) to weight of an airport's edges."""
    flown = landing(project, "Departure")
    cancelled = landing(project, "Cancellation")
    edges: Counter[tuple[str, str, str]] = Counter()
    for rows, happened in ((flown, True), (cancelled, False)):
        for carrier, tail, origin, dest in rows.select(
            "carrier", "tailnum", "origin", "dest"
        ).iter_rows():
            if origin == airport:
                edges["StartsAt", f"route:{origin}-{dest}", "in"] += 1
                if happened and tail != "NA":
                    edges["DepartedFrom", f"aircraft:{tail}", "in"] += 1
                if not happened:
                    edges["CancelledAt", f"carrier:{carrier}", "in"] += 1
            if dest == airport:
                edges["EndsAt", f"route:{origin}-{dest}", "in"] += 1
                if happened and tail != "NA":
                    edges["FlewTo", f"aircraft:{tail}", "in"] += 1
    return edges


@pytest.mark.parametrize("airport", ["JFK", "LGA", "BOS"])
def test_neighbours_and_weights(
    reader: SnapshotReader, flights_project: Project, airport: str
) -> None:
    page = reader.neighbors(f"airport:{airport}", limit=10_000)

    found = {
        (row["edge_type"], row["neighbor"], row["direction"]): row["weight"]
        for row in page.rows.iter_rows(named=True)
    }
    assert found == expected_edges(flights_project, airport)
    assert page.total == page.rows.height == len(found)
    assert page.rows["weight"].is_sorted(descending=True)


def test_edge_types_and_direction_narrow(reader: SnapshotReader, flights_project: Project) -> None:
    flown = landing(flights_project, "Departure").filter(pl.col("tailnum") != "NA")
    tail = flown["tailnum"].value_counts(sort=True)["tailnum"][0]
    of_it = flown.filter(tailnum=tail)

    page = reader.neighbors(f"aircraft:{tail}", edge_types=["FlewTo"], direction="out")

    weights = dict(page.rows.select("neighbor", "weight").iter_rows())
    assert weights == {
        f"airport:{dest}": count for dest, count in of_it["dest"].value_counts().iter_rows()
    }
    assert reader.neighbors(f"aircraft:{tail}", edge_types=["FlewTo"], direction="in").total == 0


def test_a_short_page_has_the_heaviest_and_says_so(reader: SnapshotReader) -> None:
    whole = reader.neighbors("airport:JFK", limit=1000).rows
    page = reader.neighbors("airport:JFK", limit=3)

    assert page.rows.rows() == whole.head(3).rows()
    assert (page.truncated, page.total) == (True, None)


def test_the_graph_database_says_the_same(reader: SnapshotReader) -> None:
    """Kuzu holds the same edges: what is served from memory is compared with it."""
    ids = reader.snapshot.scan("graph_nodes").select("entity_id").collect()["entity_id"]
    with GraphReader.open(reader.snapshot.path("graph_database")) as graph:
        for entity_id in ["airport:JFK", *ids.gather_every(97)]:
            assert reader.node(entity_id) == graph.node(entity_id)
            for direction in ("both", "in"):
                asked: Any = {"direction": direction, "limit": 20, "edge_types": ["FlewTo"]}
                narrower: tuple[dict[str, Any], ...] = (asked, {"limit": 40})
                for narrowed in narrower:
                    page = reader.neighbors(entity_id, **narrowed)
                    assert page.rows.equals(graph.neighbors(entity_id, **narrowed))


def test_neighbours_of_several_entities(reader: SnapshotReader) -> None:
    starts = ["airport:JFK", "carrier:HA", "airport:none", "carrier:HA"]
    page = reader.neighbors(starts, limit=1000)
    each = [
        reader.neighbors(start, limit=1000).rows.insert_column(0, pl.lit(start).alias("entity_id"))
        for start in starts[:2]
    ]
    order = ["weight", "neighbor", "edge_type", "direction", "entity_id"]
    expected = pl.concat(each).sort(order, descending=[True, False, False, False, False])
    assert page.rows.equals(expected)
    assert page.total == expected.height
    short = reader.neighbors(starts, limit=7)
    assert short.rows.equals(expected.head(7))
    assert short.truncated
    assert reader.neighbors([]).total == 0
    assert reader.neighbors(["carrier:HA"]).rows.columns[0] == "entity_id"


def test_a_node_and_what_speaks_of_it(reader: SnapshotReader, flights_project: Project) -> None:
    raw = pl.concat(
        [
            landing(flights_project, name).select("carrier", "carrier_name", "day")
            for name in ("Departure", "Cancellation")
        ]
    ).filter(carrier="B6")

    node = reader.node("carrier:B6")

    assert node["events"] == raw.height
    assert node["days"] == raw["day"].n_unique()
    assert node["properties"] == {"carrier_name": "JetBlue Airways"}
    assert (node["type"], node["key"], node["is_test"]) == ("Carrier", "B6", False)


@pytest.mark.parametrize(
    "entity_id",
    ["", "JFK", "airport:", "airport:jfk", "airport:JFK'}) RETURN n //", "../airport:JFK", "\x00"],
)
def test_what_is_no_entity_isnt_found(reader: SnapshotReader, entity_id: str) -> None:
    with pytest.raises(NotFoundError, match="prefixes are aircraft, carrier, airport"):
        reader.node(entity_id)
    assert reader.neighbors(entity_id).total == 0


def test_a_near_miss_gets_a_hint(reader: SnapshotReader) -> None:
    with pytest.raises(NotFoundError, match=r"\(did you mean 'airport'\?\)$"):
        reader.node("airprt:XYZ")
    for missed in ("JFK", "airprt:JFK", "carrier:JFK"):
        with pytest.raises(
            NotFoundError, match=rf"'{missed}' \(did you mean 'airport:JFK'\?\); ids"
        ):
            reader.node(missed)
    # A key may have the sign in it, and be one of several types'.
    with pytest.raises(NotFoundError, match="no entity ':'; ids"):
        reader.node(":")


def test_edge_types_and_directions_that_dont_exist(reader: SnapshotReader) -> None:
    with pytest.raises(InvalidQueryError, match="did you mean 'FlewTo'"):
        reader.neighbors("airport:JFK", edge_types=["FlewTo", "FlwTo"])
    with pytest.raises(InvalidQueryError, match="both, out, in"):
        reader.neighbors("airport:JFK", direction="up")
    with pytest.raises(InvalidQueryError, match="rows_most"):
        reader.neighbors("airport:JFK", limit=100_001)


def test_statistics_count_the_graph(reader: SnapshotReader) -> None:
    values = {(s, t): v for s, t, v in reader.statistics().iter_rows()}
    manifest = reader.manifest

    assert values["nodes", ""] == manifest.of("graph_nodes")["2013-02-09"].rows
    assert values["edges", ""] == manifest.of("graph_edges")["2013-02-09"].rows
