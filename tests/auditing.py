"""A project that ghosts are planted in, and what an audit finds of them."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from stupid_dagster.project import Project
from stupid_dagster.stages.audit import Audited, audit
from stupid_dagster.stages.audit.run import Finding
from stupid_dagster.stages.evict import plan_eviction
from stupid_dagster.stages.window import open_window
from tests.pipeline import write_window_table

LAST, OLD = "2013-02-09", "2013-01-05"
NOBODY = "airport:XXX"


def linked_copy(project: Project, root: Path) -> Project:
    """Return a copy of which the files are links: they are to be replaced, never written into."""
    shutil.copytree(project.settings.root, root, copy_function=os.link)
    return Project(replace(Project.load(root).settings, garbage_minutes=0.0))


def audited(project: Project, records: tuple[Finding, ...] = ()) -> Audited:
    eviction = plan_eviction(project)
    assert eviction is not None
    assert eviction.horizon == date(2013, 1, 10)
    return audit(project, eviction, records)


def guilty(project: Project) -> dict[str, tuple[int, int]]:
    """Return by table the references and orphans that an audit finds."""
    return {f.table: (f.references, f.orphans) for f in audited(project).guilty}


def own_file(file: Path) -> Path:
    """Return a file that is a link, made the copy's own and writable."""
    content = file.read_bytes()
    file.unlink()
    file.write_bytes(content)
    return file


def plant(project: Project, table: str, **values: Any) -> None:
    """Write a window's table with one more row: its first, with other values."""
    rows = open_window(project, LAST).read(table)
    row = rows.head(1).with_columns(
        pl.Series(name, [value], dtype=rows.schema[name]) for name, value in values.items()
    )
    write_window_table(project, table, LAST, pl.concat([rows, row]))
