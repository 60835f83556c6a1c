"""`infer`: an event model drafted from sample files."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape

from stupid_dagster.errors import InferenceError
from stupid_dagster.event_model.inference import Draft, infer_model
from stupid_dagster.ingest.sampling import sample_landing


@click.command()
@click.argument("folder", metavar="DIR")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="File to write; default: stdout."
)
@click.option("--force", is_flag=True, help="Replace the file if it exists.")
@click.option("--name", help="Name of the model; default: the folder's.")
@click.option(
    "--rows",
    type=click.IntRange(min=1),
    default=20_000,
    show_default=True,
    help="Rows an event type to look at.",
)
@click.option("--actor", metavar="COLUMN", help="Column that says who acts, if you know it.")
@click.option("--timestamp", metavar="COLUMN", help="Column with the events' times, likewise.")
@click.option("--event-type", metavar="COLUMN", help="Column with the events' types, likewise.")
def infer(
    folder: str,
    out: Path | None,
    force: bool,
    name: str | None,
    rows: int,
    actor: str | None,
    timestamp: str | None,
    event_type: str | None,
) -> None:
    """Draft an event model from the landing files in DIR, with its reasons."""
    if out is not None and out.exists() and not force:
        raise click.UsageError(f"{out} exists; --force replaces it")
    draft = infer_model(
        sample_landing(folder, rows),
        name or re.split(r"[/\\]", folder.rstrip("/\\"))[-1],
        actor=actor,
        timestamp=timestamp,
        event_type=event_type,
    )
    if out is None:
        click.echo(draft.yaml, nl=False)
    else:
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_text(draft.yaml, encoding="utf-8")
        except OSError as error:
            raise InferenceError(
                f"{out} can't be written ({error.strerror}); give another file with --out"
            ) from error
    _summarise(draft, folder, out)


def _summarise(draft: Draft, folder: str, out: Path | None) -> None:
    """Print what was decided to stderr, as stdout may be the model's file."""
    shown = Console(stderr=True, highlight=False, soft_wrap=True)
    keys = [f"{name} ({', '.join(key)})" for name, key in draft.entities.items()]
    dropped = Counter(
        reason for columns in draft.dropped_columns.values() for reason in columns.values()
    )
    facts = {
        "event types": ", ".join(
            " = ".join([name, *aliases]) for name, aliases in draft.event_types.items()
        ),
        "told by": draft.event_type_column or "folder or file name",
        "actor": keys[0],
        "timestamp": ", ".join(draft.timestamp_fields),
        "entity types": ", ".join(keys),
        "same columns": "; ".join(" = ".join([k, *v]) for k, v in draft.aliases.items()) or "-",
        "junk columns": str(len(draft.junk_columns)),
        "not kept": ", ".join(f"{n} {reason}" for reason, n in dropped.most_common()) or "-",
    }
    for label, value in facts.items():
        shown.print(f"[dim]{label:>13}[/]  {escape(value)}")
    for check in draft.checks:
        shown.print(f"[yellow]{'check':>13}[/]  {escape(check)}")
    command = shlex.join(["stupid-dagster", "check", str(out or "FILE"), "--data", folder])
    saved = "" if out else " (save it with --out FILE)"
    shown.print(f"[dim]{'next':>13}[/]  {escape(command)}{saved}")
