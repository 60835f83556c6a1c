"""The group of commands, and what they share."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

import click
import structlog

from stupid_dagster import __version__
from stupid_dagster.cli.console import errors_to
from stupid_dagster.settings import load_settings


class _Group(click.Group):
    """Prints the project's own errors as messages, without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        with errors_to(sys.stderr):
            return super().invoke(ctx)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="stupid-dagster")
@click.option(
    "--root",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the project (its stupid.toml); default: STUPID_ROOT, else here.",
)
@click.option("-v", "--verbose", is_flag=True, help="Show what is logged.")
@click.pass_context
def main(ctx: click.Context, root: Path | None, verbose: bool) -> None:
    """Turn daily event logs into knowledge that people can query."""
    ctx.obj = load_settings(root)
    level = logging.INFO if verbose else logging.ERROR
    renderer = (
        structlog.processors.JSONRenderer()
        if ctx.obj.log_format == "json"
        else structlog.dev.ConsoleRenderer(
            # The default shows local variables, which may be anything, and takes seconds.
            colors=sys.stderr.isatty(),
            exception_formatter=structlog.dev.plain_traceback,
        )
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def _register() -> None:
    from stupid_dagster.cli import (
        ask,
        check,
        data,
        demo,
        embedder,
        estimate,
        evict,
        infer,
        knowledge,
        label,
        mcp,
        plan,
        run,
        search,
        serve,
        status,
    )

    for command in (
        data.init,
        data.sample,
        infer.infer,
        check.check,
        check.rejects,
        estimate.estimate,
        run.run,
        evict.evict,
        status.status,
        knowledge.knowledge,
        knowledge.path,
        label.label,
        plan.plan,
        ask.ask,
        search.search,
        serve.serve,
        serve.dev,
        mcp.mcp,
        embedder.embedder,
        demo.demo,
    ):
        main.add_command(command)


_register()
