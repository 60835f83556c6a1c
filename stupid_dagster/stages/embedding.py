"""A day's texts to vectors, each text once: not again what another day or a killed run has made.

Where making a vector is costly, the live `vectors` of all days are its cache, which therefore goes
with its days. What is made is kept as it comes in `<lake>/.embedding/<day>/<embedder>/`, until the
day's table is written.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

import numpy as np
import polars as pl
import structlog

from stupid_dagster.embed import Embedder
from stupid_dagster.embed.packing import pack_vectors
from stupid_dagster.errors import ComputeError, EmbedderError, StoreError
from stupid_dagster.project import EMBEDDER, Project
from stupid_dagster.stages.window import Window
from stupid_dagster.stores.garbage import SCRATCH
from stupid_dagster.stores.lake import new_name

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Embedded:
    """A day's `vectors`, what to tell of the making, and what was kept until it is written."""

    vectors: pl.DataFrame
    details: dict[str, Any]
    scratch: Path | None

    def forget(self) -> None:
        """Remove what was kept in case of a kill."""
        if self.scratch:
            shutil.rmtree(self.scratch, ignore_errors=True)


def embed_texts(project: Project, day: str, texts: pl.DataFrame) -> Embedded:
    """Return the vectors of texts (text_id, text), in their order; raises EmbedderError.

    When it raises, or is killed, what was made until then is found again.
    """
    embedder = project.embedder
    started = time.perf_counter()
    if not embedder.costly:
        vectors = texts.select("text_id").with_columns(
            pack_vectors(embedder.embed(texts["text"].to_list()))
        )
        return Embedded(vectors, _told(texts.height, 0, 0, texts.height, started), None)
    scratch = _Scratch(project.lake.root / SCRATCH / day, embedder.model_id)
    found = _Found(embedder, texts)
    for frame in scratch.read():
        found.take(frame)
    resumed = found.height
    for frame in _made_before(project, embedder.model_id, found):
        found.take(frame)
    reused = found.height - resumed
    missing = found.missing()
    requests = retries = tokens = 0
    ids, words = missing["text_id"], missing["text"].to_list()
    for part in embedder.parts(words):
        frame = pl.DataFrame({"text_id": ids.gather(part.rows)}).with_columns(
            pack_vectors(part.vectors)
        )
        scratch.write(frame)
        found.take(frame)
        requests += part.requests
        retries += part.retries
        tokens += part.tokens
    told = _told(texts.height, reused, resumed, missing.height, started)
    sent = {"requests": requests, "retries": retries, "tokens": tokens} if requests else {}
    return Embedded(found.vectors(), told | sent, scratch.folder)


def check_embedders(window: Window) -> None:
    """Raise ComputeError unless the project's embedder made the vectors of all the window's days.

    Vectors of two embedders can't be compared, nor found by what the other makes of a question.
    """
    wanted = window.project.embedder.model_id
    made = {day: v.metadata.get(EMBEDDER) for day, v in window.versions["vectors"].items()}
    others = sorted(day for day, name in made.items() if name != wanted)
    if others:
        names = ", ".join(sorted({str(made[day]) for day in others}))
        raise ComputeError(
            f"{len(others)} of the {len(made)} days of the window ending on {window.last_day} have "
            f"vectors of another embedder, {names}, not of {wanted}: they can't be compared "
            f"({others[0]} to {others[-1]}). Embed their texts anew: `{again(others, window)}`; or "
            "set the embedder back"
        )


def again(days: list[str], window: Window) -> str:
    """Return the command that embeds days anew, and makes the window."""
    return (
        f"stupid-dagster run --only-vectors --from {days[0]} --to {days[-1]} "
        f"--window {window.last_day}"
    )


class _Found:
    """The vectors of a day's texts that there are; all of one length."""

    def __init__(self, embedder: Embedder, texts: pl.DataFrame) -> None:
        self._embedder = embedder
        self._texts = texts
        self._frames: list[pl.DataFrame] = []
        self._ids = pl.Series("text_id", [], pl.UInt64)
        self._width: int | None = None

    @property
    def height(self) -> int:
        return len(self._ids)

    def missing(self) -> pl.DataFrame:
        """Return the texts that have no vector yet."""
        return self._texts.join(self._ids.to_frame(), on="text_id", how="anti")

    def take(self, frame: pl.DataFrame) -> None:
        """Add the vectors (text_id, vector) of texts that have none yet; raises EmbedderError."""
        missing = self.missing().select("text_id")
        frame = frame.join(missing, on="text_id", how="semi").unique("text_id", keep="first")
        if frame.is_empty():
            return
        width = cast(pl.Array, frame["vector"].dtype).size
        self._width = self._width or width
        if width != self._width:
            raise EmbedderError(
                f"{self._embedder.model_id}: gave vectors of {self._width} numbers, and now of "
                f"{width}: it isn't one model. Set embedder_dimensions, which makes it another "
                "embedder by its id, and embed the days anew: `stupid-dagster run --only-vectors`"
            )
        self._frames.append(frame)
        self._ids = pl.concat([self._ids, frame["text_id"]])

    def vectors(self) -> pl.DataFrame:
        """Return the vectors of all texts, in their order."""
        if not self._frames:
            empty = pack_vectors(np.zeros((0, self._embedder.dimensions), np.float32))
            return self._texts.select("text_id").clear().with_columns(empty)
        order = self._texts.select("text_id")
        return order.join(pl.concat(self._frames), on="text_id", how="left", maintain_order="left")


class _Scratch:
    """Vectors that are made, and in no version yet: a file a part."""

    def __init__(self, day: Path, model_id: str) -> None:
        self.folder = day / sha256(model_id.encode()).hexdigest()[:16]

    def read(self) -> Iterator[pl.DataFrame]:
        """Yield what a run that didn't end has left."""
        for file in sorted(self.folder.glob("*.parquet")):
            try:
                yield pl.read_parquet(file, glob=False).select("text_id", "vector")
            except (OSError, pl.exceptions.PolarsError) as error:
                # Of a machine that lost its power.
                log.warning("vectors are made again", file=str(file), problem=str(error))
                file.unlink(missing_ok=True)

    def write(self, frame: pl.DataFrame) -> None:
        """Keep a part; a reader sees it whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / f"{new_name()}.parquet"
        writing = file.with_suffix(".writing")
        frame.write_parquet(writing)
        writing.replace(file)


def _made_before(project: Project, model_id: str, found: _Found) -> Iterator[pl.DataFrame]:
    """Yield vectors of the missing texts from the days that have some, the newest day first."""
    lake = project.lake
    for day in reversed(lake.partitions("vectors")):
        missing = found.missing().select("text_id")
        if missing.is_empty():
            return
        # What is damaged, or evicted at this moment, is made again.
        with suppress(StoreError, OSError):
            version = lake.find("vectors", day)
            same = version and version.metadata.get(EMBEDDER) == model_id
            if version and same and not lake.damaged(version, checksums=True):
                yield (
                    lake.scan_versions([version])
                    .select("text_id", "vector")
                    .join(missing.lazy(), on="text_id", how="semi")
                    .collect()
                )


def _told(texts: int, reused: int, resumed: int, embedded: int, started: float) -> dict[str, Any]:
    seconds = time.perf_counter() - started
    return {
        "texts": texts,
        "reused": reused,
        "resumed": resumed,
        "embedded": embedded,
        "texts_per_second": embedded / seconds if embedded else 0.0,
    }
