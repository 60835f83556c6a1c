"""The tables of a window's graph; a partition is named by the window's last day."""

from __future__ import annotations

import polars as pl

from stupid_dagster.tables.schema import (
    ENTITY_ID,
    IS_TEST,
    SEEN,
    STRINGS,
    Column,
    Table,
    group_changes,
    group_moves,
)

GRAPH = (
    Table(
        "graph_database",
        "window",
        "Graph database of the window's nodes and edges.",
        algorithm=(
            "Kuzu (or Ladybug, setting `graph_engine`), loaded from `graph_nodes` and "
            "`graph_edges`."
        ),
    ),
    Table(
        "graph_nodes",
        "window",
        "Entities of the window.",
        (
            Column("entity_id", pl.String, ENTITY_ID, "entity"),
            Column("type", pl.String, "Entity type."),
            Column(
                "key", pl.String, "Its key, normalised: what follows the prefix in its id.", "words"
            ),
            Column("events", pl.UInt32, "Events of the window that speak of it.", unit="events"),
            Column("days", pl.UInt16, "Days on which it was seen.", unit="days"),
            *SEEN,
            IS_TEST,
        ),
        "properties: struct of the model's entity properties, last known values as strings.",
        algorithm="The days' `entities` added up by id; of properties the last known value.",
    ),
    Table(
        "graph_edges",
        "window",
        "Edges of the window, weights added up over its days.",
        (
            Column("source", pl.String, "Entity that it starts at, `<prefix>:<key>`.", "entity"),
            Column("target", pl.String, "Entity that it leads to.", "entity"),
            Column("type", pl.String, "Edge type of the event model."),
            Column("weight", pl.UInt32, "Events of the window that show it.", unit="events"),
            Column("days", pl.UInt16, "Days on which it was seen.", unit="days"),
            *SEEN,
        ),
        algorithm="The days' `edges` added up by source, target and type.",
    ),
    Table(
        "graph_statistics",
        "window",
        "Counts, density and components of the graph.",
        (
            Column(
                "statistic",
                pl.String,
                "nodes, edges, weight (events behind the edges); density (share of all pairs of "
                "nodes that an edge joins), components, largest_component (nodes of it), "
                "isolated_nodes, mean_degree.",
            ),
            Column(
                "type",
                pl.String,
                "Entity type (nodes) or edge type (edges, weight); empty for the whole graph.",
            ),
            Column(
                "value",
                pl.Float64,
                "Number of what `statistic` names; of density a share.",
                unit="the statistic's",
            ),
        ),
        algorithm="Counted from `graph_nodes` and `graph_edges`; components are weakly connected.",
    ),
    Table(
        "degrees",
        "window",
        "Degrees of each node.",
        (
            Column("entity_id", pl.String, ENTITY_ID, "entity"),
            Column("type", pl.String, "Entity type."),
            Column("in_degree", pl.UInt32, "Edges that end here.", unit="edges"),
            Column("out_degree", pl.UInt32, "Edges that start here.", unit="edges"),
            Column("degree", pl.UInt32, "in_degree + out_degree.", unit="edges"),
            Column(
                "weighted_degree",
                pl.Float64,
                "Events behind these edges: the sum of their weights.",
                unit="events",
            ),
        ),
        algorithm="Counted from `graph_edges`, in both directions.",
    ),
    Table(
        "pagerank",
        "window",
        "Weighted PageRank on the undirected graph of the window.",
        (
            Column("entity_id", pl.String, ENTITY_ID, "entity"),
            Column("type", pl.String, "Entity type."),
            Column(
                "score",
                pl.Float64,
                "Share of the stationary probability; all add up to 1.",
                unit="share, 0 to 1",
            ),
            Column("rank", pl.UInt32, "1 is the highest of all.", unit="place"),
            Column("type_rank", pl.UInt32, "1 is the highest of its entity type.", unit="place"),
            Column(
                "previous_score",
                pl.Float64,
                "Score in the previous window; null if it is new.",
                unit="share, 0 to 1",
            ),
            Column(
                "previous_type_rank",
                pl.UInt32,
                "Rank in the previous window; null if it is new.",
                unit="place",
            ),
        ),
        algorithm=(
            "Weighted power iteration (Page et al. 1999): damping 0.85, tolerance 1e-6, at "
            "most 100 rounds."
        ),
    ),
    Table(
        "communities",
        "window",
        "Groups of nodes that are more connected with each other than with the rest.",
        (
            Column(
                "community_id",
                pl.String,
                "Id, `community:<n>`; kept from window to window while it is the same group.",
            ),
            Column("size", pl.UInt32, "Members of all entity types.", unit="nodes"),
            Column("actors", pl.UInt32, "Members that are actors.", unit="actors"),
            Column(
                "internal_weight", pl.Float64, "Weight of the edges between members.", unit="events"
            ),
            Column(
                "external_weight",
                pl.Float64,
                "Weight of the edges between members and others.",
                unit="events",
            ),
            Column("key_members", STRINGS, "Members of highest PageRank, best first.", "entity"),
            Column(
                "types",
                pl.List(pl.Struct({"type": pl.String, "members": pl.UInt32})),
                "Members per entity type, most first.",
            ),
        ),
        algorithm=(
            "Leiden (Traag et al. 2019), Louvain (Blondel et al. 2008) and label propagation "
            "(Raghavan et al. 2007) side by side; `community_algorithm` chooses. Followed by "
            "one-to-one matching of most members in common."
        ),
    ),
    Table(
        "community_members",
        "window",
        "Which community each node is in; nodes without edges to others are in none.",
        (
            Column("entity_id", pl.String, ENTITY_ID, "entity"),
            Column("type", pl.String, "Entity type."),
            Column("community_id", pl.String, "Its community, by the algorithm that is chosen."),
            Column(
                "louvain", pl.UInt32, "Its community by Louvain, 0 is the largest.", unit="number"
            ),
            Column(
                "leiden", pl.UInt32, "Its community by Leiden, 0 is the largest.", unit="number"
            ),
            Column(
                "label_propagation",
                pl.UInt32,
                "Its community by label propagation, 0 is largest.",
                unit="number",
            ),
        ),
        algorithm="As `communities`.",
    ),
    Table(
        "community_methods",
        "window",
        "How the algorithms divide the graph.",
        (
            Column("algorithm", pl.String, "louvain, leiden or label_propagation."),
            Column("chosen", pl.Boolean, "The one that `communities` are of."),
            Column(
                "communities", pl.UInt32, "Communities of more than one member.", unit="communities"
            ),
            Column("largest", pl.UInt32, "Members of its largest community.", unit="nodes"),
            Column(
                "modularity", pl.Float64, "Weighted modularity at resolution 1.", unit="-0.5 to 1"
            ),
            Column(
                "agreement",
                pl.Float64,
                "Adjusted Rand index with the chosen algorithm; 1 is the same, 0 chance.",
                unit="-0.5 to 1",
            ),
        ),
        algorithm="Modularity (Newman 2004) and adjusted Rand index (Hubert and Arabie 1985).",
    ),
    group_changes("community_changes", "Communities"),
    group_moves("community_moves", "communities", "members"),
)
