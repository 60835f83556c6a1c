"""The window's property graph: built once into an embedded database, then only read."""

from stupid_dagster.stores.graph.build import GraphReport, build_graph_database
from stupid_dagster.stores.graph.reader import GraphReader
from stupid_dagster.stores.graph.schema import Engine, GraphStatistics

__all__ = ["Engine", "GraphReader", "GraphReport", "GraphStatistics", "build_graph_database"]
