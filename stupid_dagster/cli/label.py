"""`label`: what language models would be sent to label a window."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import click

from stupid_dagster.cli.days import DAY
from stupid_dagster.settings import Settings

if TYPE_CHECKING:
    from stupid_dagster.llm.protocol import Message


@click.command()
@click.option("--dry-run", is_flag=True, required=True, help="Print the prompts, send nothing.")
@click.option("--window", type=DAY, help="Last day of the window; default: the newest's.")
@click.option("--most", type=click.IntRange(1), help="Print so many at most.")
@click.option("--digest", is_flag=True, help="Print what is asked for the digest instead.")
@click.pass_obj
def label(
    settings: Settings, dry_run: bool, window: datetime | None, most: int | None, digest: bool
) -> None:
    """Print exactly what a language model would be asked for a window's labels.

    Labels are made with the window (`stupid-dagster run`); words that are kept from the window
    before aren't asked for, and so aren't printed. Below the prompts stands what goes with each,
    and what would follow an answer that can't be used.
    """
    from stupid_dagster.errors import MissingVersionError
    from stupid_dagster.llm.digest import asking
    from stupid_dagster.llm.labelling.checks import LabelAnswer
    from stupid_dagster.llm.labelling.prompts import repair_messages
    from stupid_dagster.llm.privacy import has_pseudonym_key
    from stupid_dagster.llm.provider import form_repair_messages
    from stupid_dagster.llm.schemas import schema_text, strict_schema
    from stupid_dagster.project import Project
    from stupid_dagster.stages.digest import digest_prompt
    from stupid_dagster.stages.labels import label_prompts

    project = Project(settings)
    days = project.lake.partitions("window_days")
    if not window and not days:
        raise MissingVersionError("there is no window yet: run `stupid-dagster run`")
    last_day = window.date().isoformat() if window else days[-1]
    wrong = ["what is wrong with it"]
    if digest:
        asked = digest_prompt(project, last_day)
        prompts = [("digest", asked)] if asked else []
        schema = strict_schema(asking.DigestAnswer)
        repair = repair_messages(wrong, asking.DigestAnswer(sentences=[]))
    else:
        found = label_prompts(project, last_day)
        prompts = [(f"{profile.kind} {profile.subject}", asked) for profile, asked in found]
        schema = strict_schema(LabelAnswer)
        empty = LabelAnswer.model_construct(label="...", description="...", distinguishing=[])
        repair = repair_messages(wrong, empty)
    for title, messages in prompts[:most]:
        click.secho(f"== {title}", bold=True)
        _print(messages)
    if prompts:
        _heading("With each goes this JSON schema; to a server that takes none, as a message")
        click.echo(f"{schema_text(schema)}\n")
        _heading("What follows an answer that isn't right, once: the answer itself, and why")
        _print(repair)
        _heading("What follows an answer that isn't of the schema's form, once")
        _print(form_repair_messages("...", "what is wrong with it", schema))
    characters = sum(len(m.content) for _, messages in prompts for m in messages)
    characters += len(prompts) * len(schema_text(schema))
    to = ", ".join(settings.llm) or "nobody: the setting llm names no provider"
    if settings.llm_share == "nothing":
        to = "nobody: the setting llm_share is nothing"
    if prompts and not has_pseudonym_key(project.lake.files):
        click.echo("The lake has no key for pseudonyms yet; those above are good for this once.")
    click.echo(f"{len(prompts)} prompts, {characters:,} characters, for {to}. Nothing was sent.")


def _heading(text: str) -> None:
    click.secho(f"## {text}", bold=True)


def _print(messages: Sequence[Message]) -> None:
    for message in messages:
        click.echo(f"-- {message.role}\n{message.content}")
    click.echo()
