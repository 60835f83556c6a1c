"""Stages of the window's graph."""

from __future__ import annotations

import polars as pl

from stupid_dagster.compute.adjacency import Adjacency
from stupid_dagster.compute.communities import communities
from stupid_dagster.compute.degrees import degrees
from stupid_dagster.compute.graph_statistics import graph_statistics
from stupid_dagster.compute.merge import merge_edges, merge_entities
from stupid_dagster.compute.pagerank import pagerank
from stupid_dagster.project import Project
from stupid_dagster.stages.window import window_days
from stupid_dagster.stages.written import Stage, Written
from stupid_dagster.stores.graph import build_graph_database
from stupid_dagster.stores.lake import VersionWriter


def make_graph(project: Project, last_day: str) -> list[Written]:
    """Write `graph_nodes` and `graph_edges`: the days' entities and edges, added up."""
    stage = Stage(project, last_day)
    days = window_days(project, last_day)
    reported = {"metadata": {"days": days}, "details": {"days": len(days)}}
    nodes = merge_entities(project.lake.scan_days("entities", days)).collect(engine="streaming")
    stage.table("graph_nodes", nodes, **reported)
    edges = merge_edges(project.lake.scan_days("edges", days)).collect(engine="streaming")
    stage.table("graph_edges", edges, **reported)
    return stage.written


def make_graph_database(project: Project, last_day: str) -> list[Written]:
    """Write `graph_database` from the window's nodes and edges."""
    stage = Stage(project, last_day)
    lake, settings = project.lake, project.settings
    nodes = lake.version_path(lake.live("graph_nodes", last_day)) / "part.parquet"
    edges = lake.version_path(lake.live("graph_edges", last_day)) / "part.parquet"

    def fill(writer: VersionWriter) -> None:
        built = build_graph_database(
            writer.path,
            nodes,
            edges,
            engine=settings.graph_engine,
            buffer_pool_bytes=settings.graph_buffer_mb << 20,
        )
        writer.rows = built.nodes

    stage.files("graph_database", fill, details={"engine": settings.graph_engine})
    return stage.written


def make_graph_knowledge(project: Project, last_day: str) -> list[Written]:
    """Write PageRank, communities and their members, degrees and statistics of the graph."""
    stage = Stage(project, last_day)
    nodes = project.lake.read("graph_nodes", last_day)
    edges = project.lake.read("graph_edges", last_day)
    adjacency = Adjacency.from_tables(nodes, edges)
    stage.table("graph_statistics", graph_statistics(nodes, edges, adjacency))
    stage.table("degrees", degrees(nodes, edges))
    ranks = pagerank(adjacency)
    stage.table(
        "pagerank",
        ranks.table,
        details={
            "iterations": ranks.iterations,
            "converged": ranks.converged,
            "top": _top(ranks.table),
        },
    )
    found = communities(adjacency, ranks.table, project.model.actor, seed=project.settings.seed)
    stage.table(
        "communities",
        found.communities,
        details={"modularity": found.modularity, "algorithm": found.algorithm},
    )
    stage.table("community_members", found.members)
    return stage.written


def _top(ranks: pl.DataFrame, most: int = 3) -> str:
    """Return the best of each entity type, as a line a type."""
    best = ranks.filter(pl.col("type_rank") <= most).sort("type", "type_rank")
    lines = best.group_by("type", maintain_order=True).agg("entity_id")
    return "\n".join(f"{name}: {', '.join(ids)}" for name, ids in lines.iter_rows())
