"""What all stages of a window need, and its search index.

They combine small tables of its days, and never read its events.
"""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import structlog

from stupid_dagster.compute.merge import merge_texts
from stupid_dagster.embed.packing import unpack_vectors
from stupid_dagster.errors import ComputeError
from stupid_dagster.project import Project
from stupid_dagster.stages.written import Stage, Written
from stupid_dagster.stores.lake import Version, VersionWriter
from stupid_dagster.stores.vectors import build_search_index

log = structlog.get_logger(__name__)
NEXT_NUMBER = "next_number"
"""In the metadata of a table of groups: above the number of every id that was ever used."""


def window_days(project: Project, last_day: str) -> list[str]:
    """Return the window's complete days; raises ComputeError when there are none."""
    days = project.window_days(date.fromisoformat(last_day))
    if left_out := project.half_made_days(date.fromisoformat(last_day)):
        log.warning("days left out: not all of their tables are made", days=left_out)
    if not days:
        raise ComputeError(
            f"no day of the window ending on {last_day} has all its day tables; materialise "
            "days first: `stupid-dagster run --from DAY --to DAY`"
        )
    return days


def previous_window(project: Project, table: str, last_day: str) -> pl.DataFrame | None:
    """Return the table of the newest window before the one ending on `last_day`; None without."""
    version = _previous_version(project, table, last_day)
    return project.lake.scan_versions([version]).collect() if version else None


def next_number(project: Project, table: str, last_day: str) -> int:
    """Return the number from which a window's new groups are counted.

    It stands as `NEXT_NUMBER` in the metadata of the previous window's table.
    """
    version = _previous_version(project, table, last_day)
    return version.metadata.get(NEXT_NUMBER, 0) if version else 0


def _previous_version(project: Project, table: str, last_day: str) -> Version | None:
    earlier = [day for day in project.lake.partitions(table) if day < last_day]
    return project.lake.live(table, earlier[-1]) if earlier else None


def make_search_index(project: Project, last_day: str) -> list[Written]:
    """Write the `search_index` over the window's distinct texts."""
    stage = Stage(project, last_day)
    days = window_days(project, last_day)
    texts = merge_texts(project.lake.scan_days("texts", days)).collect()
    vectors = _vectors(project, last_day, days, texts["text_id"])

    def fill(writer: VersionWriter) -> None:
        build_search_index(writer.path, texts, vectors, embedder_id=project.embedder.model_id)
        writer.rows = texts.height

    events = int(texts["count"].sum())
    stage.files(
        "search_index",
        fill,
        metadata={"days": days},
        details={
            "days": len(days),
            "events": events,
            "events_per_text": events / max(1, texts.height),
        },
    )
    return stage.written


def _vectors(project: Project, last_day: str, days: list[str], text_ids: pl.Series) -> np.ndarray:
    """Return the texts' vectors, float32 [texts, dimensions]; holds one day's at a time."""
    vectors = np.zeros((len(text_ids), project.embedder.dimensions), dtype=np.float32)
    missing = text_ids.to_frame().with_row_index("place")
    for day in days:
        found = missing.join(project.lake.read("vectors", day), on="text_id")
        vectors[found["place"].to_numpy()] = unpack_vectors(found["vector"])
        missing = missing.join(found, on="text_id", how="anti")
    if missing.height:
        raise ComputeError(
            f"{missing.height} texts of the window ending on {last_day} have no vector; "
            "materialise texts and vectors of its days again"
        )
    return vectors
