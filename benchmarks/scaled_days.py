"""Days of k times the actors, made of a project's days: what `scale` runs the window over.

Events of so many actors would take hours to make and ingest; the window doesn't read them. So each
day table gets k copies of its actors and their devices, each copy with ids of its own and the same
habits. All else (games, errors, platforms) is shared. Texts are shared in part: see `GROWTH`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl

    from stupid_dagster.project import Project

GROWTH = 0.51
"""Distinct texts grow with the actors to this power (Heaps' law): 314,059 of a third of the gaming
month's actors, 552,725 of all."""
COPIED = ("member", "device")
"""Prefixes of the entities that each copy has its own of."""
_PARTS = 10_000
_DEVIATION = 3
_LINKED = ("documents", "rejects", "metrics", "field_statistics")
_PREFIXES = "0abcdefghijklmnopqrstuvwxyz"


def scale_days(source: str, root: str, days: list[str], copies: int) -> dict[str, Any]:
    """Make the project `root`: days of `source`'s project with `copies` times the actors.

    What the window doesn't read or what doesn't grow (`_LINKED`) is linked. Tells the rows by
    table.
    """
    from stupid_dagster.project import Project

    folder = Path(root)
    folder.mkdir(parents=True)
    (folder / "landing").mkdir()
    shutil.copy(Path(source) / "stupid.toml", folder)
    old, new = Project.load(source), Project.load(root)
    rows: dict[str, int] = {}
    for day in days:
        for table in old.lake.tables():
            if table in _GROWN or table in _LINKED:
                rows[table] = rows.get(table, 0) + _scale(old, new, table, day, copies)
    return {"tables": rows, "rows": sum(rows.values())}


def _scale(old: Project, new: Project, table: str, day: str, copies: int) -> int:
    from benchmarks.evict import link_file  # It imports the tasks, of which this is one.

    version = old.lake.live(table, day)
    if table in _LINKED or copies == 1:
        partition = old.lake.partition_path(table, day)
        target = new.lake.partition_path(table, day)
        shutil.copytree(
            old.lake.version_path(version), target / version.name, copy_function=link_file
        )
        shutil.copy(partition / "CURRENT", target)
        return version.rows
    grown = _GROWN[table](old.lake.scan_versions([version]).collect(), copies)
    with new.lake.write(table, day) as writer:
        writer.write(grown)
        writer.metadata |= version.metadata
    return grown.height


def _renamed(name: str, copy: int) -> pl.Expr:
    """Return a column of ids as a copy has them: `member:x` becomes `member:ax`."""
    import polars as pl

    letter = _PREFIXES[copy] if copy else ""
    return pl.col(name).str.replace(f"^({'|'.join(COPIED)}):", f"${{1}}:{letter}")


def _is_copied(name: str) -> pl.Expr:
    import polars as pl

    return pl.any_horizontal(pl.col(name).str.starts_with(f"{prefix}:") for prefix in COPIED)


def _stacked(
    frame: pl.DataFrame, copies: int, ids: Sequence[str], total: str, order: Sequence[str]
) -> pl.DataFrame:
    """Return copies of the rows with an id that is copied; in the others `total` is k times."""
    import polars as pl

    own = pl.any_horizontal(map(_is_copied, ids))
    shared = frame.filter(~own).with_columns(pl.col(total) * copies)
    ours = frame.filter(own)
    renamed = (ours.with_columns(_renamed(i, copy) for i in ids) for copy in range(copies))
    return pl.concat([shared, *renamed]).sort(*order)


def _entities(frame: pl.DataFrame, copies: int) -> pl.DataFrame:
    return _stacked(frame, copies, ["entity_id"], "events", ["entity_id"])


def _edges(frame: pl.DataFrame, copies: int) -> pl.DataFrame:
    order = ["type", "source", "target"]
    return _stacked(frame, copies, ["source", "target"], "weight", order)


def _by_actor(frame: pl.DataFrame, copies: int) -> pl.DataFrame:
    import polars as pl

    renamed: Iterable[pl.DataFrame] = (
        frame.with_columns(_renamed("actor", copy)) for copy in range(copies)
    )
    return pl.concat(renamed).sort("actor", maintain_order=True)


def _is_own(copies: int) -> pl.Expr:
    """Return which texts each copy has its own of, so that they grow by the power `GROWTH`."""
    import polars as pl

    share = (copies**GROWTH - 1) / max(1, copies - 1)
    return pl.col("text_id").hash(seed=1) % _PARTS < int(share * _PARTS)


def _text_id(copy: int) -> pl.Expr:
    import polars as pl

    return pl.struct("text_id").hash(seed=copy) if copy else pl.col("text_id")


def _texts(frame: pl.DataFrame, copies: int) -> pl.DataFrame:
    import polars as pl

    own = _is_own(copies)
    shared = frame.filter(~own).with_columns(pl.col("count") * copies)
    said = pl.col("text")
    ours = (
        frame.filter(own).with_columns(
            _text_id(copy), said if not copy else said + f" {_PREFIXES[copy]}"
        )
        for copy in range(copies)
    )
    return pl.concat([shared, *ours]).sort("text_id")


def _vectors(frame: pl.DataFrame, copies: int) -> pl.DataFrame:
    """Return each copy's own texts beside the original's, not at the very same place."""
    import numpy as np
    import polars as pl

    frames = [frame]
    ours = frame.filter(_is_own(copies))
    near = ours["vector"].to_numpy().astype(np.int16)
    for copy in range(1, copies):
        noise = np.random.default_rng(copy).integers(-_DEVIATION, _DEVIATION + 1, near.shape[1])
        moved = np.clip(near + noise, -127, 127).astype(np.int8)
        vector = pl.Series("vector", moved, dtype=ours.schema["vector"])
        frames.append(ours.with_columns(_text_id(copy), vector))
    return pl.concat(frames).sort("text_id")


def _actor_texts(frame: pl.DataFrame, copies: int) -> pl.DataFrame:
    import polars as pl

    own = _is_own(copies)
    return pl.concat(
        frame.with_columns(
            _renamed("actor", copy), pl.when(own).then(_text_id(copy)).otherwise("text_id")
        )
        for copy in range(copies)
    )


_GROWN: dict[str, Callable[[pl.DataFrame, int], pl.DataFrame]] = {
    "entities": _entities,
    "edges": _edges,
    "texts": _texts,
    "vectors": _vectors,
    "actor_texts": _actor_texts,
    "activity": _by_actor,
    "sequences": _by_actor,
}
