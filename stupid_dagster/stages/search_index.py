"""Stage of the window's search index."""

from __future__ import annotations

import numpy as np
import polars as pl

from stupid_dagster.compute.merge import merge_texts
from stupid_dagster.embed.packing import unpack_vectors
from stupid_dagster.errors import ComputeError
from stupid_dagster.project import Project
from stupid_dagster.stages.embedding import check_embedders
from stupid_dagster.stages.window import Window, open_window
from stupid_dagster.stages.written import Written
from stupid_dagster.stores.vectors import build_search_index
from stupid_dagster.stores.version import VersionWriter


def make_search_index(project: Project, last_day: str) -> list[Written]:
    """Write the `search_index` over the window's distinct texts.

    Raises ComputeError where another embedder made vectors of its days.
    """
    window = open_window(project, last_day)
    check_embedders(window)
    stage = window.stage()
    texts = merge_texts(window.scan_days("texts")).collect()
    vectors = _vectors(window, texts["text_id"])

    def fill(writer: VersionWriter) -> None:
        build_search_index(writer.path, texts, vectors, embedder_id=project.embedder.model_id)
        writer.rows = texts.height

    events = int(texts["count"].sum())
    stage.files(
        "search_index",
        fill,
        details={
            "days": len(window.days),
            "events": events,
            "events_per_text": events / max(1, texts.height),
        },
    )
    return stage.written


def _vectors(window: Window, text_ids: pl.Series) -> np.ndarray:
    """Return the texts' vectors, float32 [texts, dimensions]; holds one day's at a time."""
    vectors = np.zeros((len(text_ids), window.project.embedder.dimensions), dtype=np.float32)
    missing = text_ids.to_frame().with_row_index("place")
    for day in window.days:
        found = missing.join(window.scan_day("vectors", day).collect(), on="text_id")
        vectors[found["place"].to_numpy()] = unpack_vectors(found["vector"])
        missing = missing.join(found, on="text_id", how="anti")
    if missing.height:
        raise ComputeError(
            f"{missing.height} texts of the window ending on {window.last_day} have no vector; "
            "materialise texts and vectors of its days again"
        )
    return vectors
