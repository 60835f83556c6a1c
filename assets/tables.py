"""Specs of assets that are tables of the lake, and reports of their materialisation."""

import base64
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import dagster as dg
import polars as pl

from assets.checks import check_days
from assets.partitions import DAYS, WINDOW
from stupid_dagster.automation.daily import WITH_ITS_DEPS, day_has_ended
from stupid_dagster.automation.resources import ProjectResource
from stupid_dagster.errors import retry_helps
from stupid_dagster.project import Project
from stupid_dagster.stages.window import PINS
from stupid_dagster.stages.written import Verdict, Written
from stupid_dagster.stores.s3_errors import told_of_scan
from stupid_dagster.tables import TABLES, Column, Table

STORES = {"search_index": "lancedb", "graph_database": "kuzu"}
Stage = Callable[[Project, str], list[Written]]

RETRIES = dg.RetryPolicy(
    # After about 10, 30 and 70 seconds: what lasts longer is for people to see.
    max_retries=3,
    delay=10,
    backoff=dg.Backoff.EXPONENTIAL,
    jitter=dg.Jitter.PLUS_MINUS,
)
"""Of every asset; for errors that `no_vain_retries` lets through."""


def table_specs(
    *names: str, group: str, deps: Sequence[str] = (), kinds: Iterable[str] = ()
) -> list[dg.AssetSpec]:
    """Return the specs of tables made together; a window's table reads all days of a day's."""
    return [
        dg.AssetSpec(
            name,
            description=_description(TABLES[name]),
            group_name=group,
            deps=[
                _dep(TABLES[name], upstream)
                for upstream in dict.fromkeys([*_made_of(TABLES[name]), *deps])
                if upstream != name
            ],
            kinds={STORES.get(name, "parquet"), *kinds},
            metadata={"dagster/column_schema": _column_schema(TABLES[name].columns)}
            if TABLES[name].columns
            else {},
            partitions_def=DAYS,
            automation_condition=_automation(TABLES[name], deps),
        )
        for name in names
    ]


def materialise(
    context: dg.AssetExecutionContext,
    project: ProjectResource,
    stage: Stage,
    checks: Sequence[dg.AssetCheckSpec] = (),
) -> Iterator[dg.MaterializeResult | dg.Output | dg.AssetCheckEvaluation]:
    """Run a stage for each partition of the run, and report each table it wrote and its checks."""
    tables: dict[str, None] = {}
    verdicts: dict[str, dict[str, Verdict]] = {spec.name: {} for spec in checks}
    with no_vain_retries():
        loaded = project.load()
        for day in context.partition_keys:
            for written in stage(loaded, day):
                report(context, day, written)
                tables[written.table] = None
                for verdict in written.verdicts:
                    verdicts[verdict.check][day] = verdict
    for name in tables:
        yield dg.MaterializeResult(asset_key=name)
    for spec in checks:
        yield from check_days(context, spec, verdicts[spec.name])


@contextmanager
def no_vain_retries() -> Iterator[None]:
    """Have errors that no retry helps (see `errors.retry_helps`) end the run at once.

    What keeps a scan from reading in a bucket is told as by all who read there.
    """
    try:
        yield
    except Exception as raised:
        error = told_of_scan(raised) or raised
        if isinstance(error, dg.Failure) or retry_helps(error):
            # Without the context: Polars repeats the server's answer, which may tell secrets.
            raise error from error.__cause__
        what = f"{type(error).__name__}: {error}"
        raise dg.Failure(what, allow_retries=False) from error


def report(context: dg.AssetExecutionContext, day: str, written: Written) -> None:
    """Attach what is known of a table's new version to its materialisation."""
    context.add_asset_metadata(described(written), asset_key=written.table, partition_key=day)
    version = written.version
    context.log.info(
        f"{written.table} {day}: {version.rows:,} rows, {version.bytes:,} bytes, "
        f"{written.seconds:.2f} s"
    )


def described(written: Written) -> dict[str, Any]:
    """Return what is known of a table's new version, as metadata for the UI."""
    version = written.version
    pictures = {
        title: dg.MetadataValue.md(
            f"![{title}](data:image/png;base64,{base64.b64encode(image).decode()})"
        )
        for title, image in written.pictures.items()
    }
    previews = {
        title: dg.MetadataValue.md(markdown(frame)) for title, frame in written.previews.items()
    }
    return {
        "dagster/partition_row_count": version.rows,
        "seconds": round(written.seconds, 3),
        "bytes": version.bytes,
        "version": version.name,
        **written.details,
        **pictures,
        **previews,
    }


def markdown(frame: pl.DataFrame) -> str:
    """Return a table as Markdown."""
    lines = [frame.columns, ["---"] * frame.width, *frame.iter_rows()]
    cells = (["" if v is None else re.sub(r"[|\s]+", " ", str(v)) for v in line] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def _description(table: Table) -> str:
    parts = [table.description, table.algorithm]
    if table.model_columns:
        parts.append(f"The event model's columns: {table.model_columns}")
    return "\n\n".join(part for part in parts if part)


def _made_of(table: Table) -> Sequence[str]:
    """Return what all tables of a grain rest on: a window's on the versions that it pins."""
    return [PINS] if table.grain == "window" else []


def _dep(table: Table, upstream: str) -> dg.AssetDep:
    reads_window = table.grain == "window" and TABLES[upstream].grain == "day"
    return dg.AssetDep(upstream, partition_mapping=WINDOW if reads_window else None)


def _automation(table: Table, deps: Sequence[str]) -> dg.AutomationCondition | None:
    if table.grain == "window" or DAYS.end is not None:
        return None
    return WITH_ITS_DEPS if deps else day_has_ended(DAYS.timezone)


def _column_schema(columns: Iterable[Column]) -> dg.TableSchema:
    return dg.TableSchema(
        columns=[
            dg.TableColumn(column.name, str(column.dtype), description=_meaning(column))
            for column in columns
        ]
    )


def _meaning(column: Column) -> str:
    return f"{column.description} [{column.unit}]" if column.unit else column.description
