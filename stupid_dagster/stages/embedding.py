"""A day's texts to vectors, each text once: not again what another day or another run has made.

Where making a vector is costly, the `vectors` of all days are its cache, which therefore goes with
its days; what isn't written yet is in `embedding_scratch`. Runs at work at the same time divide
their common texts: each claims some, and waits for the others'.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import polars as pl
import structlog

from stupid_dagster.embed import Embedder
from stupid_dagster.embed.packing import pack_vectors
from stupid_dagster.errors import ComputeError, StoreError, UnavailableError
from stupid_dagster.project import EMBEDDER, Project
from stupid_dagster.stages.embedding_scratch import Scratch, scratch_of
from stupid_dagster.stages.window import Window
from stupid_dagster.stores.version import Version

_BATCHES_A_CLAIM = 64
"""Few enough for runs of other days to share the work, and many for a server's requests."""
log = structlog.get_logger(__name__)


@dataclass
class Embedded:
    """A day's `vectors`, and what to tell of the making."""

    vectors: pl.DataFrame
    details: dict[str, Any]


@contextmanager
def embedded(project: Project, day: str, texts: pl.DataFrame) -> Iterator[Embedded]:
    """Yield the vectors of texts (text_id, text), in their order, to be written in the block.

    Raises EmbedderError. Whatever ends it before the block did, what was made is found again.
    """
    embedder = project.embedder
    started = time.perf_counter()
    if embedder.costly:
        with scratch_of(project.lake, day, embedder.model_id) as scratch:
            making = _Making(project, texts, scratch)
            making.run()
            yield Embedded(making.found.vectors(), making.told(started))
        return
    vectors = texts.select("text_id").with_columns(
        pack_vectors(embedder.embed(texts["text"].to_list()))
    )
    yield Embedded(vectors, _told(texts.height, 0, 0, texts.height, started))


def check_embedders(window: Window) -> None:
    """Raise ComputeError unless the project's embedder made the vectors of all the window's days.

    Vectors of two embedders can't be compared, nor found by what the other makes of a question.
    Their length tells a server that has another model now; EmbedderError where it can't be asked.
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
    length = window.project.embedder.dimensions
    lengths = {
        day: _width(window.project.lake.scan_versions([version]).collect_schema())
        for day, version in window.versions["vectors"].items()
    }
    if others := sorted(day for day, found in lengths.items() if found != length):
        raise ComputeError(
            f"{len(others)} of the {len(lengths)} days of the window ending on {window.last_day} "
            f"have vectors of {lengths[others[0]]} numbers, and {wanted} gives {length} now: its "
            f"server has another model under that name ({others[0]} to {others[-1]}). Embed their "
            f"texts anew: `{again(others, window)}`; or give the server the former model"
        )


def again(days: list[str], window: Window) -> str:
    """Return the command that embeds days anew, and makes the window."""
    return (
        f"stupid-dagster run --only-vectors --from {days[0]} --to {days[-1]} "
        f"--window {window.last_day}"
    )


class _Making:
    """The making of a day's vectors, and its account."""

    def __init__(self, project: Project, texts: pl.DataFrame, scratch: Scratch) -> None:
        self._lake = project.lake
        self._embedder = project.embedder
        self._scratch = scratch
        self._looked_at: set[tuple[str, int]] = set()
        self.found = _Found(self._embedder, texts)
        self._requests = self._retries = self._tokens = 0

    def run(self) -> None:
        """Find or make all vectors; raises EmbedderError."""
        most = _BATCHES_A_CLAIM * self._embedder.max_batch
        self._look()
        waits = False
        while True:
            with self._scratch.alone():
                # Most has been looked at before: here is no time to lose.
                self._look()
                missing = self.found.missing()
                free = missing.filter(~pl.col("text_id").is_in(self._scratch.claimed().implode()))
                # Requests are of texts of like length.
                length = pl.col("text").str.len_bytes()
                mine = free.sort(length, descending=True).head(most)
                self._scratch.claim(mine["text_id"])
            if mine.height:
                self._embed(mine)
            elif missing.is_empty():
                if self.found.settled():
                    return
            else:
                if not waits:
                    log.info("waiting for vectors that another run makes", texts=missing.height)
                waits = True
                time.sleep(self._scratch.wait_seconds)

    def told(self, started: float) -> dict[str, Any]:
        """Return what to tell of the making, which began at a time of `perf_counter`."""
        found = self.found
        reused, resumed, made = (found.count(of) for of in ("reused", "resumed", "embedded"))
        told = _told(found.texts, reused, resumed, made, started)
        if self._requests:
            sent = {"requests": self._requests, "retries": self._retries, "tokens": self._tokens}
            told |= sent
        return told | ({"of_another_length": found.dropped} if found.dropped else {})

    def _look(self) -> None:
        """Take what runs that aren't done have made, then what is in versions.

        In this order: what a run has made is in a version before its folder goes.
        """
        for frame in self._scratch.parts():
            self.found.take(frame, "resumed")
        for frame in self._made_before():
            self.found.take(frame, "reused")

    def _embed(self, texts: pl.DataFrame) -> None:
        ids = texts["text_id"]
        for part in self._embedder.parts(texts["text"].to_list()):
            frame = pl.DataFrame({"text_id": ids.gather(part.rows)}).with_columns(
                pack_vectors(part.vectors)
            )
            self._scratch.write(frame)
            self.found.take(frame, "embedded")
            self._requests += part.requests
            self._retries += part.retries
            self._tokens += part.tokens

    def _made_before(self) -> Iterator[pl.DataFrame]:
        """Yield vectors of the missing texts from the days that have some, the newest day first."""
        if self.found.missing().is_empty():
            return
        for day in reversed(self._lake.partitions("vectors")):
            for version in self._lake.kept("vectors", day):
                missing = self.found.missing().select("text_id")
                look = (version.address, self.found.drops)
                if version.metadata.get(EMBEDDER) != self._embedder.model_id or missing.is_empty():
                    continue
                if look in self._looked_at:
                    continue
                self._looked_at.add(look)
                if (frame := self._vectors_of(version, missing)) is not None:
                    yield frame

    def _vectors_of(self, version: Version, texts: pl.DataFrame) -> pl.DataFrame | None:
        """Return a version's vectors of some texts; None where it is damaged, or collected now.

        What a bucket has of it is fetched, which checks it.
        """
        try:
            with self._lake.lent(version) as folder:
                if self._lake.files.folder and self._lake.damaged(version, checksums=True):
                    return None
                files = [folder / name for name in version.files if name.endswith(".parquet")]
                rows = pl.scan_parquet(files, glob=False).select("text_id", "vector")
                return rows.join(texts.lazy(), on="text_id", how="semi").collect()
        except UnavailableError:  # Which says nothing of what is there.
            raise
        except (StoreError, OSError) as error:
            log.info("vectors are passed over", version=version.address, problem=str(error))
            return None


class _Found:
    """The vectors of a day's texts that there are; all of one length."""

    def __init__(self, embedder: Embedder, texts: pl.DataFrame) -> None:
        self._embedder = embedder
        self._texts = texts
        self._frames: list[tuple[str, pl.DataFrame]] = []
        self._ids = pl.Series("text_id", [], pl.UInt64)
        self._width: int | None = None
        self.dropped = 0
        """Vectors that weren't taken, or not kept, for their length."""
        self.drops = 0
        """How often all that there were so far were dropped."""

    @property
    def texts(self) -> int:
        """The number of the day's texts."""
        return self._texts.height

    def count(self, source: str) -> int:
        """Return the number of texts whose vector came from there."""
        return sum(frame.height for name, frame in self._frames if name == source)

    def missing(self) -> pl.DataFrame:
        """Return the texts that have no vector yet."""
        return self._texts.join(self._ids.to_frame(), on="text_id", how="anti")

    def take(self, frame: pl.DataFrame, source: str) -> None:
        """Add the vectors (text_id, vector) of texts that have none yet.

        Where they are of another length than those before, the embedder is asked which length is
        its own, and the others are dropped: its server has another model now. Raises EmbedderError.
        """
        missing = self.missing().select("text_id")
        frame = frame.join(missing, on="text_id", how="semi").unique("text_id", keep="first")
        if frame.is_empty():
            return
        width = _width(frame.schema)
        if width != self._width and self._frames:
            self.settled()
        self._width = self._width or width
        if width != self._width:
            self._drop([frame])
            return
        self._frames.append((source, frame))
        self._ids = pl.concat([self._ids, frame["text_id"]])

    def settled(self) -> bool:
        """Return whether the vectors are as long as the embedder's now; drops them if they aren't.

        Raises EmbedderError where it can't be asked.
        """
        if self._width in (None, self._embedder.dimensions):
            return True
        self._drop([frame for _, frame in self._frames])
        self._width, self._frames = self._embedder.dimensions, []
        self.drops += 1
        self._ids = self._ids.clear()
        return False

    def _drop(self, frames: list[pl.DataFrame]) -> None:
        if not self.dropped:
            log.warning(
                "vectors of another length are made again: the embedder's server has another model",
                embedder=self._embedder.model_id,
                numbers=_width(frames[0].schema),
                now=self._embedder.dimensions,
            )
        self.dropped += sum(frame.height for frame in frames)

    def vectors(self) -> pl.DataFrame:
        """Return the vectors of all texts, in their order."""
        if not self._frames:
            empty = pack_vectors(np.zeros((0, self._embedder.dimensions), np.float32))
            return self._texts.select("text_id").clear().with_columns(empty)
        order = self._texts.select("text_id")
        all_found = pl.concat(frame for _, frame in self._frames)
        return order.join(
            all_found,
            on="text_id",
            how="left",
            maintain_order="left",
        )


def _width(schema: pl.Schema) -> int:
    return cast(pl.Array, schema["vector"]).size


def _told(texts: int, reused: int, resumed: int, embedded: int, started: float) -> dict[str, Any]:
    seconds = time.perf_counter() - started
    return {
        "texts": texts,
        "reused": reused,
        "resumed": resumed,
        "embedded": embedded,
        "texts_per_second": embedded / seconds if embedded else 0.0,
    }
