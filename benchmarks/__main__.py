"""Measure the pipeline: `python -m benchmarks`; see README.md."""

from __future__ import annotations

import logging
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from benchmarks import backfill, evict, flights, gaming, month, report, whole_day
from benchmarks.child import BenchmarkError
from benchmarks.data import Sample, default_folder, gaming_sample
from benchmarks.gaming import Part
from benchmarks.machine import QUIET_LOAD, describe
from benchmarks.soak.report import failed, soak_report
from benchmarks.soak.run import soak
from benchmarks.targets import FULL_DAY, judged
from benchmarks.tasks import WINDOW_STAGES

RESULTS = Path(__file__).parent / "results"
PARTS = (
    *("flights", "gaming", "naive", "dagster", "month", "evict", "backfill", "soak", "faults"),
    *("api", "words", "scale", "workers"),
)
OF_FLIGHTS = {"flights": flights.measure, "backfill": backfill.measure}
TITLES = {
    "gaming": "A day of gaming events, stage by stage",
    "naive": "A day of gaming events, the naive way",
    "dagster": "A day of gaming events, through Dagster",
    "month": "A month of gaming events, day by day",
    "evict": "The oldest day of a month of gaming events, evicted",
}
DEFAULT = ("flights", "gaming")


@click.command()
@click.argument("parts", nargs=-1, type=click.Choice(PARTS))
@click.option("--events", type=int, default=FULL_DAY, show_default=True, help="Events a day.")
@click.option("--days", type=int, help="Days: gaming 1, workers 6, others 30.")
@click.option("--repeat", type=int, default=1, show_default=True, help="Runs of each task.")
@click.option("--seed", type=int, default=7, show_default=True, help="Seed of the sample.")
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder that samples are kept in; default: one under the system's temporary folder.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=RESULTS,
    help="Folder of the reports; default: benchmarks/results.",
)
@click.option("--minutes", type=float, default=10.0, show_default=True, help="Of the soak.")
@click.option("--kills", type=int, default=60, show_default=True, help="Kills of `faults`.")
@click.option(
    "--project",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the project that `evict`, `api`, `scale` and `words` copy; default: that of "
    "`month`, "
    "of `words` the flights.",
)
@click.option(
    "--requests", type=int, default=200, show_default=True, help="Of each kind, for `api`."
)
@click.option("--questions", type=int, default=20, show_default=True, help="Of `words`.")
@click.option(
    "--prices",
    type=(float, float),
    default=(0.25, 2.0),
    show_default=True,
    help="Dollars per million tokens of prompts, and of answers, for `words`: an example.",
)
@click.option("--fresh", is_flag=True, help="Let the month begin anew.")
def main(
    parts: Sequence[str],
    events: int,
    days: int | None,
    repeat: int,
    seed: int,
    data: Path | None,
    out: Path,
    minutes: float,
    kills: int,
    project: Path | None,
    requests: int,
    questions: int,
    prices: tuple[float, float],
    fresh: bool,
) -> None:
    """Measure PARTS, print their reports, and write them to --out.

    Without any: flights, and gaming, which includes naive and dagster. `evict` and `api` need what
    `month` leaves, or --project.
    """
    folder = data or default_folder()
    try:
        for part in parts or DEFAULT:
            machine = describe()
            if not machine["quiet"]:
                click.echo(
                    f"the load is {machine['load']}, more than {QUIET_LOAD}: other work makes "
                    f"{part} look slower",
                    err=True,
                )
            if part in OF_FLIGHTS:
                text, figures = OF_FLIGHTS[part](machine, days or 30, repeat)
            elif part == "soak":
                with tempfile.TemporaryDirectory() as work:
                    found = soak(Path(work) / "project", minutes * 60, stages=[*WINDOW_STAGES])
                text, figures = soak_report(machine, found)
                if failed(found):
                    raise BenchmarkError(text)
            elif part == "faults":
                from benchmarks import faults  # It needs the tests, which others don't.

                text, figures = faults.measure(machine, kills, repeat, seed)
            elif part == "words":
                from benchmarks import words  # The same.

                text, figures = words.measure(machine, project, prices, questions)
            elif part == "workers":
                from benchmarks import workers  # The same, and Ray.

                text, figures = workers.measure(machine, folder, events, seed, days or 6, repeat)
            elif part == "scale":
                from benchmarks import scale  # Its stages' names are the engine's.

                month_project = project or folder / f"month-{events}-seed{seed}" / "project"
                text, figures = scale.measure(machine, month_project, folder, fresh=fresh)
            elif part in ("evict", "api"):
                month_project = project or folder / f"month-{events}-seed{seed}" / "project"
                if part == "evict":
                    text, figures = _measure_eviction(month_project, machine, events)
                else:
                    text, figures = _measure_api(month_project, machine, requests, seed)
            else:
                wanted = days or (30 if part == "month" else 1)
                # The month's last day has late events in the next day's files.
                more = {"month": 1, "gaming": 2}.get(part, 0)
                sample = gaming_sample(folder, max(3, wanted + more), events, seed)
                kept = folder / f"month-{events}-seed{seed}"
                text, figures = _measure(part, sample, wanted, repeat, machine, kept, fresh)
            report.write(out, part, text, figures)
            click.echo(text)
    except BenchmarkError as error:
        sys.exit(str(error))


def _measure_eviction(
    project: Path, machine: dict[str, Any], events: int
) -> tuple[str, dict[str, Any]]:
    """Return the report of an eviction from a built month, and its figures."""
    # Beside the project: links don't reach other disks.
    with tempfile.TemporaryDirectory(dir=project.parent) as folder:
        found = evict.evict_part(project, Path(folder))
    return _report("evict", machine, [found], events, 30)


def _measure_api(
    project: Path, machine: dict[str, Any], requests: int, seed: int
) -> tuple[str, dict[str, Any]]:
    """Return the report of the query API over a built month, and its figures."""
    import structlog

    from benchmarks import api  # It loads the engine, which others do in processes of their own.

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    # Beside the project, for links; where that isn't there, it is told.
    beside = project.parent if project.parent.is_dir() else None
    with tempfile.TemporaryDirectory(dir=beside) as folder:
        return api.measure(machine, project, Path(folder), requests, seed)


def _measure(
    part: str,
    sample: Sample,
    days: int,
    repeat: int,
    machine: dict[str, Any],
    kept: Path,
    fresh: bool,
) -> tuple[str, dict[str, Any]]:
    """Return the report of a part over the gaming sample, and its figures."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        if part == "month":
            found = [month.month_part(kept, sample, days, fresh)]
        elif part == "naive":
            found = [whole_day.naive_part(work, sample, repeat)]
        else:
            stages = [gaming.stage_part(work, sample, days, repeat)] if part == "gaming" else []
            through, quickest = whole_day.dagster_part(work, sample, repeat)
            found = [*stages, through]
            if part == "gaming":
                found.append(whole_day.naive_part(work, sample, repeat, quickest))
    return _report(part, machine, [gaming.sample_part(sample), *found], sample.events, days)


def _report(
    part: str, machine: dict[str, Any], found: Sequence[Part], events: int, days: int
) -> tuple[str, dict[str, Any]]:
    measured = {name: value for each in found for name, value in each.measured.items()}
    rows = judged(measured, events, days if part == "month" else 30)
    first, *rest = found
    targets = f"## Targets\n\n{report.target_table(rows)}"
    text = report.page(TITLES[part], machine, first.text, targets, *(p.text for p in rest))
    figures = {"machine": machine, "targets": rows}
    return text, figures | {name: value for each in found for name, value in each.figures.items()}


if __name__ == "__main__":
    main()
