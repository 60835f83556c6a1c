"""The pipeline's stages: each reads tables of the lake, computes, and writes tables.

An asset calls one stage for each of its partitions; nothing here knows of Dagster.
"""

from stupid_dagster.stages.written import Written

__all__ = ["Written"]
