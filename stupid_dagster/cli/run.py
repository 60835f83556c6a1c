"""`run`: what the Dagster UI does, from the terminal, on the same instance."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import click
from rich.markup import escape

from stupid_dagster.cli.console import console, progress, show_table
from stupid_dagster.cli.days import DAY
from stupid_dagster.cli.words import tell_words
from stupid_dagster.errors import ComputeError, SettingsError
from stupid_dagster.settings import Settings

if TYPE_CHECKING:
    from stupid_dagster.automation.runs import PartitionRun
    from stupid_dagster.project import Project


class _Run(click.Command):
    """Tells who gives a day as an argument how days are given."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the options; raises UsageError for an argument."""
        ctx.allow_extra_args = True
        rest = super().parse_args(ctx, args)
        if rest:
            raise click.UsageError(
                f"run takes no argument, and {rest[0]!r} is one: give days by --from and --to, or "
                "a window's last day by --window",
                ctx,
            )
        return rest


@click.command(cls=_Run)
@click.option("--from", "first", type=DAY, help="First day; default: the first partition.")
@click.option(
    "--to",
    "last",
    type=DAY,
    help="Last day; default: the newest day that landing files have, not after the last partition.",
)
@click.option(
    "--window",
    type=DAY,
    help="Last day of the window to make after the days; alone, no day is made. Default: the last "
    "of the days. One before the newest is kept beside it, for --as-of and the API's as_of.",
)
@click.option("--no-window", is_flag=True, help="Make no window.")
@click.option(
    "--only-vectors",
    is_flag=True,
    help="Of the days make the vectors alone, of those that have texts: for another embedder.",
)
@click.pass_obj
def run(
    settings: Settings,
    first: datetime | None,
    last: datetime | None,
    window: datetime | None,
    no_window: bool,
    only_vectors: bool,
) -> None:
    """Materialise the days from --from to --to, then one window."""
    from stupid_dagster.project import Project

    if window and no_window:
        raise click.UsageError("--window and --no-window contradict each other")
    project = Project(settings)
    start, end = project.partition_range
    days: list[str] = []
    if first or last or not window:
        begin = first.date() if first else start
        newest = end if last or only_vectors else _newest(project, begin, end)
        days = _days(begin, last.date() if last else newest, (start, end))
    last_day = None if no_window else window.date() if window else date.fromisoformat(days[-1])
    if only_vectors:
        made = {*project.lake.partitions("texts")}
        days = [day for day in days if day in made]
    if last_day:
        _check_window(project, last_day, days)
    run_days_and_window(project, days, last_day, ["vectors"] if only_vectors else None)


def _newest(project: Project, first: date, last: date) -> date:
    """Return the newest day that landing files have within two days; raises ComputeError."""
    landed = sorted(map(date.fromisoformat, project.landing_index().days()))
    if within := [day for day in landed if first <= day <= last]:
        return within[-1]
    files = f"those there are go from {landed[0]} to {landed[-1]}" if landed else "there are none"
    raise ComputeError(
        f"no landing file in {project.settings.landing_location} has a day from {first} to {last} "
        f"({files}); set `landing` or `partitions_start` in stupid.toml, or make days without "
        "files by --to"
    )


def run_days_and_window(
    project: Project,
    days: Sequence[str],
    window: date | None,
    tables: Sequence[str] | None = None,
) -> None:
    """Materialise the days, then the window that ends on a day, with a progress bar.

    `tables` are those to make of the days, all unless given. A day that fails leaves the others
    alone. Raises ComputeError at the end if any run failed.
    """
    from stupid_dagster.automation.runs import open_instance, run_partition

    if days and not tables:
        project.landing_index()  # a missing landing folder is told at once, not once a day
    runs: list[PartitionRun] = []
    with open_instance(project) as instance, progress(console) as bar:
        if days:
            task = bar.add_task("days", total=len(days))
            for day in days:
                bar.update(task, description=f"day {day}")
                runs.append(run_partition("days", day, instance, tables))
                bar.advance(task)
            bar.update(task, description=f"{len(days)} days")
        if window:
            _tell_days_of(project, window)
            task = bar.add_task(f"window ending {window}", total=1)
            runs.append(run_partition("window", window.isoformat(), instance))
            bar.advance(task)
    _show(runs)
    if window and not runs[-1].error:
        tell_words(project, window.isoformat())
        _tell_place_of(project, window)
    if window or days:
        tell_odd_days(project, window or date.fromisoformat(days[-1]))
    _tell_outdated(project)
    failed = [f"{made.partition}: {made.error}" for made in runs if made.error]
    if failed:
        raise ComputeError("\n".join([f"{len(failed)} run(s) failed:", *failed]))


def _check_window(project: Project, last_day: date, days: Sequence[str]) -> None:
    """Raise SettingsError or ComputeError unless a window can be made once the days are."""
    from stupid_dagster.project import days_between

    first, last = project.partition_range
    if not first <= last_day <= last:
        raise SettingsError(
            f"the window's last day, {last_day}, is not within the days that this project has, "
            f"{first} to {last}; set `partitions_start` and `partitions_end` in stupid.toml to "
            "have others"
        )
    begin = max(first, last_day - timedelta(days=project.settings.window_days - 1))
    if not {*days} & {*days_between(begin, last_day)} and not project.window_days(last_day):
        raise ComputeError(
            f"the window ending on {last_day} would be made of nothing: no day from {begin} on is "
            "complete, for they were never made or are evicted. Make them first: "
            f"`stupid-dagster run --from {begin} --to {last_day}`"
        )


def _tell_days_of(project: Project, last_day: date) -> None:
    days = project.window_days(last_day)
    number = project.settings.window_days
    console.print(
        f"the window ending on {last_day}: {len(days)} of its {number} days are complete"
        + (f", {days[0]} to {days[-1]}" if days else "")
        + ("" if len(days) == number else "; those evicted or never made are left out")
    )


def _tell_place_of(project: Project, last_day: date) -> None:
    from stupid_dagster.stores.snapshots import open_snapshot

    served = open_snapshot(project.lake).manifest.last_day
    if served == last_day.isoformat():
        console.print(f"published: the window ending on {last_day} is what is served now")
    else:
        console.print(
            f"kept beside the published window, which ends on {served}; ask it with "
            f"`stupid-dagster search TEXT --as-of {last_day}` (knowledge and path take it too), "
            f"the API with ?as_of={last_day}"
        )


def _tell_outdated(project: Project) -> None:
    """Print whether what is served was made of other versions of its days than there are now."""
    from stupid_dagster.automation.jobs import day_versions, published_day_versions
    from stupid_dagster.stores.snapshots import open_snapshot, published_id

    if published_id(project.lake) is None:
        return
    last_day = date.fromisoformat(open_snapshot(project.lake).manifest.last_day)
    if day_versions(project, last_day) != published_day_versions(project, last_day):
        console.print(
            f"[yellow]the published window ends on {last_day} and was made of other versions of "
            f"its days than there are now[/]: `stupid-dagster run --window {last_day}` (the sensor "
            "newest_window does it)"
        )


def tell_odd_days(project: Project, last_day: date) -> None:
    """Print which of a window's days it leaves out, and which another event model made."""
    if half_made := project.half_made_days(last_day):
        console.print(
            f"[yellow]{len(half_made)} days of the window have documents but not all tables that "
            f"are made of them, and are left out[/] ({half_made[0]} to {half_made[-1]}): run them "
            "again"
        )
    from stupid_dagster.stages.window import DAMAGED, PINS

    pins = project.lake.find(PINS, last_day.isoformat())
    damaged = pins.metadata.get(DAMAGED, ()) if pins else ()
    if days := sorted({address.split("/")[1] for address in damaged}):
        console.print(
            f"[yellow]{len(days)} days of the window have damaged files, and were left out[/] "
            f"({days[0]} to {days[-1]}): run them again"
        )
    if outdated := project.days_of_other_models(project.window_days(last_day)):
        console.print(
            f"[yellow]{len(outdated)} days of the window were made by another event model than the "
            f"present one[/] ({outdated[0]} to {outdated[-1]}): run them again"
        )
    if others := project.days_of_other_embedders(project.window_days(last_day)):
        console.print(
            f"[yellow]{len(others)} days of the window have vectors of another embedder than "
            f"{escape(project.embedder.model_id)}[/], and no window can be made of both: "
            f"`stupid-dagster run --only-vectors --from {others[0]} --to {others[-1]} "
            f"--window {last_day}`"
        )


def _days(first: date, last: date, partitions: tuple[date, date]) -> list[str]:
    from stupid_dagster.project import days_between

    start, end = partitions
    if first > last:
        raise SettingsError(f"the first day, {first}, comes after the last, {last}")
    if not start <= first <= last <= end:
        asked = f"{first} is" if first == last else f"{first} to {last} are"
        raise SettingsError(
            f"{asked} not within the days that this project has, {start} to {end}; set "
            "`partitions_start` and `partitions_end` in stupid.toml to have others"
        )
    return days_between(first, last)


def _show(runs: Sequence[PartitionRun]) -> None:
    rows: dict[str, int] = defaultdict(int)
    seconds: dict[str, float] = defaultdict(float)
    for made in runs:
        for table, report in made.tables.items():
            rows[table] += report.rows
            seconds[table] += report.seconds
    show_table(
        "Materialised",
        ["table", "rows", "seconds"],
        [(table, rows[table], seconds[table]) for table in rows],
    )
    for made in runs:
        for check in made.failed_checks:
            console.print(f"[yellow]check[/] {made.partition}: {escape(check)}")
