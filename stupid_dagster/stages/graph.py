"""Stages of the window's graph."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import polars as pl

from stupid_dagster.compute.graph.adjacency import Adjacency, number_graph
from stupid_dagster.compute.graph.communities import CommunityResult, communities
from stupid_dagster.compute.graph.degrees import degrees
from stupid_dagster.compute.graph.pagerank import PageRankResult, pagerank, rank_changes
from stupid_dagster.compute.graph.ranges import edge_ranges, entity_ranges
from stupid_dagster.compute.graph.statistics import graph_statistics
from stupid_dagster.compute.graph.stored import FOLDER, described_graph, write_graph
from stupid_dagster.compute.merge import merge_edges, merge_entities
from stupid_dagster.compute.plots.graph import community_plot, degree_plot, rank_plot
from stupid_dagster.project import Project
from stupid_dagster.stages.window import NEXT_NUMBER, open_window
from stupid_dagster.stages.written import Stage, Verdict, Written
from stupid_dagster.stores.graph import build_graph_database
from stupid_dagster.stores.version import VersionWriter

PREVIEWED = 10


def make_graph(project: Project, last_day: str) -> list[Written]:
    """Write `graph_nodes` and `graph_edges`: the days' entities and edges, added up.

    Both are merged in ranges of their keys, a file each, so that memory has a bound.
    """
    window = open_window(project, last_day)
    stage = window.stage()
    details = {"days": len(window.days)}
    merged = map(merge_entities, entity_ranges(window.scan_days("entities")))
    stage.files("graph_nodes", partial(_write_parts, parts=merged), details=details)
    merged = map(merge_edges, edge_ranges(window.scan_days("edges")))
    stage.files("graph_edges", partial(_write_parts, parts=merged), details=details)
    return stage.written


def _write_parts(writer: VersionWriter, parts: Iterable[pl.LazyFrame]) -> None:
    for number, part in enumerate(parts):
        writer.write(part.collect(engine="streaming"), f"part-{number:03}")


def make_graph_database(project: Project, last_day: str) -> list[Written]:
    """Write `graph_database` from the window's nodes and edges, and the edges by node beside it."""
    window = open_window(project, last_day)
    stage = window.stage()
    settings = project.settings
    nodes, edges = (window.version(table) for table in ("graph_nodes", "graph_edges"))

    def fill(writer: VersionWriter) -> None:
        with project.lake.lent(nodes) as nodes_folder, project.lake.lent(edges) as edges_folder:
            built = build_graph_database(
                writer.path,
                nodes_folder,
                edges_folder,
                engine=settings.graph_engine,
                buffer_pool_bytes=settings.graph_buffer_mb << 20,
            )
        writer.rows = built.nodes
        # What queries walk along: none of the engines is as fast at it.
        graph = described_graph(window.scan("graph_nodes").collect(), window.scan("graph_edges"))
        write_graph(writer.path / FOLDER, graph)

    stage.files("graph_database", fill, details={"engine": settings.graph_engine})
    return stage.written


def make_graph_knowledge(project: Project, last_day: str) -> list[Written]:
    """Write what the graph's shape tells: statistics, degrees, PageRank and communities.

    The tables are `graph_statistics`, `degrees`, `pagerank`, `communities`, `community_members`,
    `community_methods`, `community_changes` and `community_moves`.
    """
    window = open_window(project, last_day)
    stage = window.stage()
    nodes = window.scan("graph_nodes").select("entity_id", "type", "is_test").collect()
    graph = number_graph(nodes, window.scan("graph_edges"))
    adjacency = Adjacency.of(graph)
    statistics = graph_statistics(graph, adjacency)
    stage.table("graph_statistics", statistics, previews={"statistics": statistics})
    degree_table = degrees(graph)
    stage.table("degrees", degree_table, pictures={"degrees": degree_plot(degree_table)})
    del graph, degree_table
    ranks = pagerank(adjacency, previous=window.previous("pagerank"))
    _report_pagerank(stage, ranks)
    found = communities(
        adjacency,
        ranks.table,
        project.model.actor,
        algorithm=project.settings.community_algorithm,
        seed=project.settings.seed,
        previous_members=window.previous("community_members"),
        next_number=window.next_number("communities"),
    )
    _report_communities(stage, found)
    return stage.written


def pagerank_verdict(ranks: PageRankResult) -> Verdict:
    """Return the outcome of the check `pagerank_converged`."""
    rounds = f"after {ranks.iterations} rounds, residual {ranks.residual:.2g}"
    return Verdict(
        "pagerank_converged",
        ranks.converged,
        f"converged {rounds}" if ranks.converged else f"not converged {rounds}",
        {"rounds": ranks.iterations, "residual": ranks.residual},
    )


def _report_pagerank(stage: Stage, ranks: PageRankResult) -> None:
    stage.table(
        "pagerank",
        ranks.table,
        details={
            "iterations": ranks.iterations,
            "converged": ranks.converged,
            "residual": ranks.residual,
            "top": _top(ranks.table),
        },
        pictures={"ranks": rank_plot(ranks.table)},
        previews={"biggest changes": rank_changes(ranks.table)},
        verdicts=[pagerank_verdict(ranks)],
    )


def _report_communities(stage: Stage, found: CommunityResult) -> None:
    chosen = found.methods.filter("chosen")["algorithm"].item()
    stage.table(
        "communities",
        found.communities,
        metadata={NEXT_NUMBER: found.next_number},
        details={"modularity": found.modularity, "algorithm": chosen},
        pictures={"communities": community_plot(found.communities, found.methods)},
        previews={
            "largest": found.communities.head(PREVIEWED).select(
                "community_id", "size", "actors", pl.col("key_members").list.head(3).list.join(", ")
            )
        },
    )
    stage.table("community_members", found.members)
    propagation = found.propagation
    stage.table(
        "community_methods",
        found.methods,
        details={
            "label_propagation_rounds": propagation.rounds,
            "label_propagation_converged": propagation.converged,
        },
        previews={"methods": found.methods},
    )
    counts = found.changes.group_by("change").len().sort("change")
    stage.table(
        "community_changes",
        found.changes,
        details=dict(counts.iter_rows()),
        previews={
            "largest": found.changes.head(PREVIEWED).with_columns(
                pl.col("previous_ids").list.join(", ")
            )
        },
    )
    moved = found.moves.filter(pl.col("from_id").ne_missing(pl.col("to_id")))
    stage.table("community_moves", found.moves, previews={"largest": moved.head(PREVIEWED)})


def _top(ranks: pl.DataFrame, most: int = 3) -> str:
    """Return the best of each entity type, as a line a type."""
    best = ranks.filter(pl.col("type_rank") <= most).sort("type", "type_rank")
    lines = best.group_by("type", maintain_order=True).agg("entity_id")
    return "\n".join(f"{name}: {', '.join(ids)}" for name, ids in lines.iter_rows())
