"""What `words` measures, each in a process of its own: the stages with a model, and questions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Told = dict[str, Any]


def labels(root: str, day: str, settings: Mapping[str, Any]) -> Told:
    """Make a window's labels with the settings' model; tell its report, and what it took."""
    import polars as pl

    from stupid_dagster.project import Project
    from stupid_dagster.stages.labels import make_labels

    project = Project.load(root, settings)
    (written,) = make_labels(project, day)
    rows = project.lake.read("labels", day)
    before = project.lake.partitions("labels")
    before = before[: before.index(day)]
    same = 0
    if before:
        words = ["kind", "profile_hash", "label", "description", "provenance"]
        former = project.lake.read("labels", before[-1]).select(words).unique()
        same = rows.filter(pl.col("provenance") != "rule").join(former, on=words).height
    return {
        "report": {name: str(value) for name, value in written.details.items()},
        "spent": written.version.metadata.get("language_models", {}),
        "kinds": dict(rows.group_by("kind").len().sort("kind").iter_rows()),
        "same": same,
    }


def digest(root: str, day: str, settings: Mapping[str, Any]) -> Told:
    """Make a window's digest with the settings' model; tell its report, and what it took."""
    from stupid_dagster.project import Project
    from stupid_dagster.stages.digest import make_digest

    (written,) = make_digest(Project.load(root, settings), day)
    return {
        "report": {name: str(value) for name, value in written.details.items()},
        "spent": written.version.metadata.get("language_models", {}),
    }


def publish(root: str, day: str) -> Told:
    """Publish a window."""
    from stupid_dagster.project import Project
    from stupid_dagster.stages.publish import publish_window

    return {"served": publish_window(Project.load(root), day).served}


def questions(root: str, asked: list[str], settings: Mapping[str, Any]) -> Told:
    """Ask questions of what is published; tell of each who told it, and how often it was mended."""
    from stupid_dagster.project import Project
    from stupid_dagster.query import SnapshotReader
    from stupid_dagster.query.questions.asking import Questions
    from stupid_dagster.stores.snapshots import open_snapshot

    project = Project.load(root, settings)
    reader = SnapshotReader(project, open_snapshot(project.lake))
    ask = Questions(project)
    told = []
    try:
        for question in asked:
            answered = ask.ask(reader, question)
            told.append(
                {
                    "question": question,
                    "repairs": answered.planned.repairs,
                    "by": answered.told.by,
                    "removed": answered.told.removed,
                }
            )
    finally:
        ask.close()
    return {"questions": told}
