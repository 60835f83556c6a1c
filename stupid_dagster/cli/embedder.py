"""`embedder`: which one is set, and how two of them compare."""

from __future__ import annotations

import random
from collections import Counter
from datetime import datetime
from pathlib import Path

import click

from stupid_dagster.cli.console import console, show_table
from stupid_dagster.cli.days import DAY
from stupid_dagster.errors import EmbedderError
from stupid_dagster.settings import Settings

SEED = 7


@click.group()
def embedder() -> None:
    """Show the embedder that is set, or compare two on your own texts."""


@embedder.command()
@click.pass_obj
def show(settings: Settings) -> None:
    """Ask the embedder that is set for a vector, and tell which days have vectors of it."""
    import time

    from stupid_dagster.embed.compare import model_bytes
    from stupid_dagster.project import EMBEDDER, Project

    project = Project(settings)
    chosen = project.embedder
    chosen.embed(["load it"])
    started = time.perf_counter()
    chosen.embed(["a single text"])
    show_table(
        "Embedder",
        ["id", "backend", "dimensions", "model bytes", "ms a text"],
        [
            (
                chosen.model_id,
                settings.embedder_backend,
                chosen.dimensions,
                model_bytes(chosen),
                1000 * (time.perf_counter() - started),
            )
        ],
    )
    lake = project.lake
    days = lake.partitions("vectors")
    made = Counter(str(lake.live("vectors", day).metadata.get(EMBEDDER)) for day in days)
    show_table("Days with vectors", ["embedder", "days"], made.most_common())
    if others := project.days_of_other_embedders(days):
        console.print(
            f"[yellow]{len(others)} days have vectors of another embedder[/]: "
            f"`stupid-dagster run --only-vectors --from {others[0]} --to {others[-1]}`"
        )


@embedder.command()
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@click.option(
    "--data",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Texts: a Parquet file with a column `text`, or a text file of a text a line; default: "
    "the lake's, of --day.",
)
@click.option("--day", type=DAY, help="Day whose texts are taken; default: the newest.")
@click.option(
    "--texts", "most", type=click.IntRange(10, 10_000), default=2000, show_default=True,
    help="Texts that are compared, drawn from all.",
)  # fmt: skip
@click.option(
    "--neighbours", type=click.IntRange(1, 100), default=10, show_default=True,
    help="Nearest texts that are compared.",
)  # fmt: skip
@click.pass_obj
def compare(
    settings: Settings,
    first: str,
    second: str,
    data: Path | None,
    day: datetime | None,
    most: int,
    neighbours: int,
) -> None:
    """Compare two embedders: are the same texts alike to both, how fast are they, how large?

    A and B are `bundled`, `onnx:DIR`, or a server's as `openai:MODEL`; with `@cls` behind it onnx
    pools so, with `@256` servers give vectors of that length.
    """
    from stupid_dagster.embed.choose import embedder_of
    from stupid_dagster.embed.compare import compare

    if data and day:
        raise click.UsageError("--data and --day contradict each other")
    one, other = (embedder_of(spec, settings) for spec in (first, second))
    texts = _texts_of_file(data) if data else _texts_of_lake(settings, day)
    if len(texts) > most:
        texts = random.Random(SEED).sample(texts, most)
    found = compare(one, other, texts, neighbours, SEED)
    show_table(
        f"Embedders on {found.texts:,} texts",
        ["embedder", "dimensions", "texts/s", "bytes a text", "model bytes"],
        [
            (c.model_id, c.dimensions, c.texts_per_second, c.bytes_per_text, c.model_bytes)
            for c in found.costs
        ],
    )
    near, wide = found.neighbours, found.wider
    show_table(
        "Agreement",
        ["of what", "share"],
        [
            (f"the {near} nearest of a text that both find", found.overlap),
            (f"A's {near} nearest that are among B's {wide} nearest", found.first_in_second),
            (f"B's {near} nearest that are among A's {wide} nearest", found.second_in_first),
            ("Spearman's rank correlation of similarities", found.spearman),
        ],
    )


def _texts_of_lake(settings: Settings, day: datetime | None) -> list[str]:
    from stupid_dagster.project import Project

    lake = Project(settings).lake
    days = [f"{day:%Y-%m-%d}"] if day else lake.partitions("texts")[-1:]
    if not days:
        raise EmbedderError(
            "the lake has no texts yet: make a day by `stupid-dagster run`, or give a file by "
            "--data"
        )
    return lake.read("texts", days[0])["text"].unique(maintain_order=True).to_list()


def _texts_of_file(file: Path) -> list[str]:
    import polars as pl

    if file.suffix == ".parquet":
        try:
            frame = pl.read_parquet(file, glob=False)
        except (OSError, pl.exceptions.PolarsError) as error:
            raise EmbedderError(f"{file} can't be read: {error}") from error
        if frame.schema.get("text") != pl.String:
            raise EmbedderError(
                f"{file} has no column `text` of texts; it has {', '.join(frame.columns)}"
            )
        texts = frame["text"].drop_nulls().to_list()
    else:
        try:
            texts = file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise EmbedderError(f"{file} can't be read as text: {error}") from error
    return [*dict.fromkeys(text for text in texts if text.strip())]
