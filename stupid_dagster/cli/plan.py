"""`plan`: run a query plan, check it, or say what it would read."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click
from rich.markup import escape

from stupid_dagster.cli.console import console, show_table
from stupid_dagster.cli.days import as_of_option, snapshot_as_of
from stupid_dagster.cli.knowledge import shown_value
from stupid_dagster.settings import Settings

if TYPE_CHECKING:
    from stupid_dagster.query.plans import ExplainedPlan, PlanResult, StepResult

SHOWN = 20
_COLOURS = {"ok": "green", "failed": "red", "skipped": "yellow"}


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--validate", "only_validate", is_flag=True, help="Check it only.")
@click.option("--explain", "only_explain", is_flag=True, help="Say what it would read only.")
@click.option("--json", "as_json", is_flag=True, help="Print all steps' rows as JSON.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=SHOWN,
    show_default=True,
    help="Rows of the step that is shown, at most.",
)
@as_of_option
@click.pass_obj
def plan(
    settings: Settings,
    file: str,
    only_validate: bool,
    only_explain: bool,
    as_json: bool,
    limit: int,
    as_of: datetime | None,
) -> None:
    """Run a query plan: a JSON or YAML file, or - for standard input.

    Ends with 1 when the step that it shows has no result.
    """
    from stupid_dagster.project import Project
    from stupid_dagster.query import SnapshotReader
    from stupid_dagster.query.plans import explain_plan, run_plan, validate_plan

    raw = _read(file)
    project = Project(settings)
    with SnapshotReader(project, snapshot_as_of(project.lake, as_of)) as reader:
        checked = validate_plan(reader, raw)
        if only_validate:
            _show_valid(checked.model_dump(mode="json"), as_json)
        elif only_explain:
            _show_explained(explain_plan(reader, checked), as_json)
        else:
            result = run_plan(reader, checked, on_step=None if as_json else _show_step)
            if as_json:
                click.echo(_as_json(result))
            else:
                _show_rows(result, limit)
            if result.rendered.rows is None:
                raise SystemExit(1)


def _read(file: str) -> Any:
    """Return what a file holds; raises InvalidPlanError where it's neither JSON nor YAML."""
    import yaml

    from stupid_dagster.errors import InvalidPlanError

    class Loader(yaml.SafeLoader):
        """Leaves times as texts, as JSON has them."""

    Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in found if not tag.endswith(":timestamp")]
        for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    try:
        with click.open_file(file, encoding="utf-8") as stream:
            text = stream.read()
        return json.loads(text) if text.lstrip().startswith("{") else yaml.load(text, Loader)
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise InvalidPlanError([(file, f"is neither JSON nor YAML: {error}")]) from error


def _show_step(one: StepResult) -> None:
    count = "" if one.rows is None else f"{one.rows.height:,} rows"
    more = ", truncated" if one.truncated else ""
    said = f": {escape(one.error)}" if one.error else ""
    console.print(
        f"[{_COLOURS[one.status]}]{one.status:>7}[/] {escape(one.id)} [dim]{one.op}[/] "
        f"{count}{more} [dim]{one.seconds * 1000:,.0f} ms[/]{said}"
    )
    for note in one.notes:
        console.print(f"        [dim]{escape(note)}[/]")


def _show_rows(result: PlanResult, limit: int) -> None:
    rows = result.rendered.rows
    if rows is None:
        return
    console.print()
    shown = [[shown_value(v, False) for v in row] for row in rows.head(limit).iter_rows()]
    show_table(result.render.title or result.render.step, rows.columns, shown)
    more = f", {limit} shown" if rows.height > limit else ""
    console.print(f"[dim]{rows.height:,} rows{more}; {result.seconds * 1000:,.0f} ms[/]")


def _show_valid(plan: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(plan, ensure_ascii=False))
    else:
        console.print(f"[green]valid[/]: {len(plan['steps'])} steps")


def _show_explained(explained: ExplainedPlan, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(explained.as_dict(), ensure_ascii=False))
        return
    columns = [
        "level",
        "step",
        "op",
        "files",
        "bytes",
        "stored",
        "estimated",
        "most",
        "narrowed by",
    ]
    show_table(
        f"What it would read (rows are estimates), showing {explained.shown}",
        columns,
        [
            (
                *(s.level, s.id, s.op, s.files, s.bytes, s.stored_rows, s.estimated_rows),
                *(s.most_rows, "; ".join(s.pushed_down)),
            )
            for s in explained.steps
        ],
    )


def _as_json(result: PlanResult) -> str:
    steps = ",".join(one.as_json(one.rows) for one in result.steps.values())
    render = result.render.model_dump_json()
    return f'{{"render":{render},"seconds":{result.seconds:.4f},"steps":[{steps}]}}'
