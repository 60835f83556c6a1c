"""`ask`: questions in plain words."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click
from rich.markup import escape

from stupid_dagster.cli.console import console, show_table
from stupid_dagster.cli.days import as_of_option, snapshot_as_of
from stupid_dagster.settings import Settings

if TYPE_CHECKING:
    from stupid_dagster.query import SnapshotReader

SHOWN = 20
_RESULTS = """(a JSON line for each step, with pseudonyms: its status, number of rows, first rows \
and sums of columns, 8,000 characters altogether)"""


@click.command()
@click.argument("questions", nargs=-1, required=True, metavar="QUESTION...")
@click.option("--show-plan", is_flag=True, help="Print the plans as JSON, as `plan` takes them.")
@click.option("--dry-run", is_flag=True, help="Print what would be sent; send nothing.")
@as_of_option
@click.pass_obj
def ask(
    settings: Settings,
    questions: tuple[str, ...],
    show_plan: bool,
    dry_run: bool,
    as_of: datetime | None,
) -> None:
    """Ask in plain words; a language model plans and tells (setting llm).

    Several questions are one conversation: "them" and "those" mean what was found before.
    """
    from stupid_dagster.project import Project
    from stupid_dagster.query import SnapshotReader
    from stupid_dagster.query.questions.asking import Questions

    project = Project(settings)
    if dry_run:
        with SnapshotReader(project, snapshot_as_of(project.lake, as_of)) as reader:
            _show_prompts(reader, questions)
        return
    asking = Questions(project)
    asking.language_model()
    session = asking.sessions.create()
    with (
        closing(asking),
        SnapshotReader(project, snapshot_as_of(project.lake, as_of)) as reader,
    ):
        for question in questions:
            console.print(f"[bold]{escape(question)}[/]")
            told = _Printer(show_plan)
            with console.status("planning ..."):
                asking.ask(reader, question, session=session.id, on_event=told.event)


def _show_prompts(reader: SnapshotReader, questions: tuple[str, ...]) -> None:
    """Print what is sent for plans and to tell results; what only an answer gives is named there.

    The pseudonyms' key is made by none but what sends them.
    """
    from stupid_dagster.llm.privacy import has_pseudonym_key
    from stupid_dagster.llm.schemas import strict_schema
    from stupid_dagster.query.questions.planner import PlanAnswer
    from stupid_dagster.query.questions.privacy import Screen
    from stupid_dagster.query.questions.prompts import planning_messages, telling_messages
    from stupid_dagster.query.questions.sessions import MOST_TURNS, Turn

    turns: list[Turn] = []
    for question in questions:
        screen = Screen.of(reader, keep_key=False)
        planning = planning_messages(reader, screen, question, turns[-MOST_TURNS:])
        telling = telling_messages(screen.question(question), _RESULTS)
        for what, messages in (("plan", planning), ("tell its results", telling)):
            click.echo(f"== To {what}:")
            for message in messages:
                click.echo(f"-- {message.role}\n{message.content}")
        turns.append(Turn(question, {"(its plan)": []}, reader.id, {"(columns found)": []}))
        click.echo()
    click.echo("== With each request for a plan, as the answer's JSON schema:")
    click.echo(json.dumps(strict_schema(PlanAnswer)))
    if not has_pseudonym_key(reader.project.lake.files):
        click.echo("The lake has no key for pseudonyms yet: they will be others than these.")
    settings = reader.project.settings
    to = ", ".join(settings.llm) or "nobody: the setting llm names no provider"
    if settings.llm_share == "nothing":
        to = "nobody: the setting llm_share is nothing"
    click.echo(f"For {to}. Results are sent by the same rules. Nothing was sent.")


class _Printer:
    """Prints what happens to a question as it does."""

    def __init__(self, show_plan: bool) -> None:
        self.show_plan = show_plan

    def event(self, name: str, data: dict[str, Any]) -> None:
        getattr(self, f"_{name}")(data)

    def _plan(self, data: dict[str, Any]) -> None:
        plan, repairs = data["plan"], data["repairs"]
        how = "known" if data["cached"] else f"by {data['model']}"
        if repairs:
            how += f", repaired {repairs} time{'s' if repairs > 1 else ''}"
        console.print(f"[dim]plan {how}: {_chain(plan)}[/]")
        if self.show_plan:
            console.print_json(json.dumps(plan))

    def _progress(self, step: dict[str, Any]) -> None:
        if step["status"] == "ok":
            more = ", more were cut off" if step["truncated"] else ""
            came = f"{step['count']:,} rows{more} in {step['seconds']:.2f} s"
        else:
            came = f"[red]{step['status']}[/]: {escape(step['error'] or '')}"
        console.print(f"[dim]  {step['id']} {step['op']}: {came}[/]")

    def _render(self, data: dict[str, Any]) -> None:
        rows = data["rows"].head(SHOWN)
        console.print()
        if rows.width:
            shown = [[_cell(value) for value in row] for row in rows.iter_rows()]
            show_table(data["render"]["title"] or "Result", rows.columns, shown)
        if data["rows"].height > SHOWN:
            console.print(f"[dim]the first {SHOWN} of {data['rows'].height:,} rows[/]")

    def _text(self, data: dict[str, Any]) -> None:
        """Print nothing: what comes may be replaced yet, and what was printed stays."""

    def _done(self, data: dict[str, Any]) -> None:
        usage, removed = data["usage"], data["sentences_removed"]
        cut = f"; {removed} unsupported sentence(s) removed" if removed else ""
        if data["text_by"] == "rule":
            cut += "; told by rule"
        console.print(escape(data["text"]))
        console.print(
            f"[dim]{data['seconds']['total']:.1f} s, "
            f"{usage['prompt_tokens'] + usage['completion_tokens']:,} tokens{cut}[/]\n"
        )


def _chain(plan: dict[str, Any]) -> str:
    return ", ".join(f"{step['id']} {step['op']}" for step in plan["steps"])


def _cell(value: Any) -> Any:
    return value if isinstance(value, int | float | None) else str(value)[:60]
