"""Texts a second of each embedder that can be run here, on the texts of real flights.

    python -m benchmarks.embedders
    python -m benchmarks.embedders --also onnx:models/bge@cls --also ollama:nomic-embed-text

By itself it measures the bundled one, the full MiniLM in ONNX Runtime, and the clients of OpenAI
and Ollama against a server on loopback that computes nothing (`embedding_stub.py`): what those two
cost here, and the most that they could do, whatever the model behind them takes.

The texts are those of 2013-01-11 to 2013-02-09, drawn by the seed. All embedders get the same
`--texts` of them; a transformer takes some milliseconds for each. CPU seconds are of this
process: those of a server aren't in them.
"""

from __future__ import annotations

import json
import logging
import random
import tempfile
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

import click
import structlog

from benchmarks.distil.quality import full_model
from benchmarks.embedding_stub import embedding_stub
from benchmarks.machine import describe
from benchmarks.usage import measured, peak_bytes
from stupid_dagster.connect import build_texts, enrich
from stupid_dagster.embed import Embedder, bundled_embedder
from stupid_dagster.embed.choose import embedder_of, make_embedder
from stupid_dagster.embed.compare import compare, model_bytes
from stupid_dagster.ingest import build_documents
from stupid_dagster.project import Project, days_between
from stupid_dagster.samples import write_flights
from stupid_dagster.settings import load_settings

FIRST, LAST = date(2013, 1, 11), date(2013, 2, 9)


def flights_texts(folder: Path) -> list[str]:
    """Return the distinct texts of the demo's month of flights."""
    write_flights(folder / "landing", FIRST, LAST)
    project = Project.load(folder, {"landing": "landing", "partitions_end": LAST})
    landing = project.landing_index()
    texts: dict[str, None] = {}
    for day in days_between(FIRST, LAST):
        made = build_documents(
            project.model, landing, date.fromisoformat(day), project.partition_range
        )
        documents = enrich(project.model, made.documents)
        texts |= dict.fromkeys(build_texts(project.model, documents, day)["text"])
    return [*texts]


CLIENTS = {"openai": "/v1", "ollama": ""}
"""Paths of the clients' servers."""


def embedders(folder: Path, also: Sequence[str], stub: str) -> Iterator[tuple[str, Embedder]]:
    """Yield the embedders to measure, with what they are called."""
    yield "bundled", bundled_embedder()
    yield "onnx: all-MiniLM-L6-v2, int8", full_model(folder)
    for backend, path in CLIENTS.items():
        named = {"backend": backend, "model": "stub", "url": f"{stub}{path}"}
        overrides = {f"embedder_{name}": value for name, value in named.items()}
        yield (
            f"{backend}: the client alone",
            make_embedder(load_settings(environment={}, overrides=overrides)),
        )
    settings = load_settings(environment={})
    for spec in also:
        yield spec, embedder_of(spec, settings)


@click.command()
@click.option("--texts", "most", type=int, default=1000, show_default=True)
@click.option("--repeat", type=int, default=3, show_default=True)
@click.option("--also", multiple=True, help="Another embedder, as `embedder compare` names it.")
@click.option("--seed", type=int, default=7, show_default=True)
def main(most: int, repeat: int, also: tuple[str, ...], seed: int) -> None:
    """Print a table, and the machine."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with tempfile.TemporaryDirectory() as folder, embedding_stub() as stub:
        (Path(folder) / "project").mkdir()
        texts = flights_texts(Path(folder) / "project")
        drawn = random.Random(seed).sample(texts, min(most, len(texts)))
        click.echo(f"{len(texts):,} distinct texts of flights, {len(drawn):,} drawn")
        click.echo(
            f"{'embedder':32}{'texts/s':>10}{'texts/CPU s':>13}{'dimensions':>12}"
            f"{'model MB':>10}{'in bundled top 20':>19}"
        )
        for name, embedder in embedders(Path(folder), also, stub):
            embedder.embed(drawn[:32])
            runs = []
            for _ in range(repeat):
                with measured() as spent:
                    embedder.embed(drawn)
                runs.append((spent.cpu, spent.wall))
            cpu, wall = min(runs)
            size = model_bytes(embedder)
            # All vectors of the server that computes nothing are the same.
            agreed = "-"
            if "alone" not in name:
                found = compare(embedder, bundled_embedder(), drawn[:500]).first_in_second
                agreed = f"{found:.0%}"
            click.echo(
                f"{name:32}{len(drawn) / wall:>10,.0f}{len(drawn) / cpu:>13,.0f}"
                f"{embedder.dimensions:>12}{'-' if size is None else f'{size / 1e6:.1f}':>10}"
                f"{agreed:>19}"
            )
    click.echo(f"peak memory {peak_bytes() / 1e6:,.0f} MB")
    click.echo(json.dumps(describe(), default=str))


if __name__ == "__main__":
    main()
