"""`label`: what language models would be sent to label a window."""

from __future__ import annotations

from datetime import datetime

import click

from stupid_dagster.cli.data import DAY
from stupid_dagster.settings import Settings


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
    before aren't asked for, and so aren't printed.
    """
    from stupid_dagster.errors import MissingVersionError
    from stupid_dagster.project import Project
    from stupid_dagster.stages.digest import digest_prompt
    from stupid_dagster.stages.labels import label_prompts

    project = Project(settings)
    days = project.lake.partitions("window_days")
    if not window and not days:
        raise MissingVersionError("there is no window yet: run `stupid-dagster run`")
    last_day = window.date().isoformat() if window else days[-1]
    if digest:
        asked = digest_prompt(project, last_day)
        prompts = [("digest", asked)] if asked else []
    else:
        found = label_prompts(project, last_day)
        prompts = [(f"{profile.kind} {profile.subject}", asked) for profile, asked in found]
    for title, messages in prompts[:most]:
        click.secho(f"== {title}", bold=True)
        for message in messages:
            click.echo(f"-- {message.role}\n{message.content}")
        click.echo()
    characters = sum(len(m.content) for _, messages in prompts for m in messages)
    to = ", ".join(settings.llm) or "nobody: the setting llm names no provider"
    if settings.llm_share == "nothing":
        to = "nobody: the setting llm_share is nothing"
    click.echo(f"{len(prompts)} prompts, {characters:,} characters, for {to}. Nothing was sent.")
