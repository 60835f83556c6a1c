"""Write the reference pages from the code that they describe: `python docs/generate.py`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import polars as pl

from stupid_dagster.event_model.schema import EventModel
from stupid_dagster.settings import SETTINGS, Settings
from stupid_dagster.settings.load import CONFIG_FILE
from stupid_dagster.settings.variables import PREFIX, ROOT, VARIABLES
from stupid_dagster.tables import TABLES, Table

FOLDER = Path(__file__).parent / "reference"
_MOST_NAMED = 20
_GRAINS = {
    "day": "Of each day",
    "window": "Of each window",
    "all": "Of all time",
}


def pages() -> dict[str, str]:
    """Return the reference pages, Markdown by file name."""
    parts = {
        "settings.md": _settings(),
        "tables.md": _tables(),
        "event-model.md": _event_model(),
        "commands.md": _commands(),
        "assets.md": _assets(),
        "routes.md": _routes(),
    }
    note = "<!-- Made by docs/generate.py: change the code that it describes, then `make docs`. -->"
    return {name: "\n".join([note, *lines]) + "\n" for name, lines in parts.items()}


def _settings() -> Iterator[str]:
    yield "# Settings"
    yield ""
    yield (
        f"Each can be set in `{CONFIG_FILE}` by its name, or in the environment as `{PREFIX}` and "
        "the name in capitals, which wins. `stupid-dagster status --settings` shows what is set, "
        f"and by what. The file is that of the project's folder: `stupid-dagster --root FOLDER …`, "
        f"else the variable `{ROOT}`, else the folder that the command is started in. Relative "
        "paths are relative to that folder."
    )
    yield ""
    rows = []
    for name, of in SETTINGS.items():
        lowest, highest = of.metadata["range"]
        bounds = [f"from {lowest:g}"] if lowest is not None else []
        bounds += [f"to {highest:g}"] if highest != sys.maxsize else []
        default = f"`{_plain(of.default)}`" if of.default not in (None, (), {}) else ""
        rows.append((f"`{name}`", default, " ".join(bounds), of.metadata["help"]))
    yield from _table(("setting", "default", "range", "meaning"), rows)
    yield from ("", "## Variables", "", "What only the environment says.", "")
    yield from _table(("variable", "meaning"), [(f"`{k}`", v) for k, v in VARIABLES.items()])


def _plain(value: Any) -> str:
    return value.as_posix() if isinstance(value, Path) else str(value)


def _tables() -> Iterator[str]:
    yield "# Tables"
    yield ""
    yield (
        "The lake's tables, each a Dagster asset of its name. A day's partition is the day, a "
        "window's its last day; the API and the command line read those of the published snapshot."
    )
    for grain, title in _GRAINS.items():
        yield from ("", f"## {title}")
        for table in TABLES.values():
            if table.grain == grain:
                yield from _described(table)


def _described(table: Table) -> Iterator[str]:
    yield from ("", f"### {table.name}", "", table.description)
    if table.outlives:
        yield "Kept when its days are evicted."
    yield from ("", f"How: {table.algorithm}")
    if table.columns:
        yield ""
        yield from _table(
            ("column", "type", "unit", "meaning"),
            [(f"`{c.name}`", _type(c.dtype), c.unit or "", c.description) for c in table.columns],
        )
    if table.model_columns:
        yield from ("", f"And the event model's columns. {table.model_columns}")


def _type(dtype: Any) -> str:
    """Return a Polars type in a reader's words."""
    if isinstance(dtype, pl.List | pl.Array):
        return f"list of {_type(dtype.inner)}"
    if isinstance(dtype, pl.Struct):
        return f"struct ({', '.join(f'{f.name}: {_type(f.dtype)}' for f in dtype.fields)})"
    if isinstance(dtype, pl.Datetime):
        return "time (UTC)"
    return str(dtype).lower()


def _event_model() -> Iterator[str]:
    schema = EventModel.model_json_schema()
    parts = schema["$defs"]
    yield "# The event model's keys"
    yield from ("", "What a YAML file of an event model may say; how to write one: "
                "[the event model](../event-model.md).")  # fmt: skip
    yield from ("", "## The file", "")
    yield from _keys(schema, parts)
    for name in sorted(parts):
        told = parts[name].get("description", "")
        yield from ("", f"## {name}", "", " ".join(told.split()), "")
        yield from _keys(parts[name], parts)


def _keys(schema: Mapping[str, Any], parts: Mapping[str, Any]) -> Iterator[str]:
    needed = schema.get("required", ())
    rows = []
    for name, of in schema["properties"].items():
        default = of.get("default")
        told = "required" if name in needed else "" if default in (None, [], {}) else f"`{default}`"
        rows.append((f"`{name}`", _shape(of), told, of.get("description", "")))
    yield from _table(("key", "value", "default", "meaning"), rows)


def _shape(of: Mapping[str, Any]) -> str:
    """Return what a JSON Schema allows, in a reader's words."""
    if "$ref" in of:
        name = of["$ref"].rsplit("/", 1)[1]
        return f"[{name}](#{name.lower()})"
    if "enum" in of:
        return ", ".join(f"`{value}`" for value in of["enum"])
    for either in ("anyOf", "oneOf", "allOf"):
        if either in of:
            shapes = (_shape(one) for one in of[either] if one.get("type") != "null")
            return " or ".join(dict.fromkeys(shapes))
    kind = of.get("type", "any")
    if kind == "array":
        inner = of.get("items") or {}
        if "prefixItems" in of:
            return f"list of {len(of['prefixItems'])}"
        return f"list of {_shape(inner)}"
    if kind == "object" and isinstance(of.get("additionalProperties"), dict):
        return f"name: {_shape(of['additionalProperties'])}"
    return {"string": "text", "boolean": "true or false"}.get(kind, kind)


def _commands() -> Iterator[str]:
    from stupid_dagster.cli.main import main as cli

    yield "# Commands"
    yield from ("", "`stupid-dagster [OPTIONS] COMMAND …`; these options stand before the command:")
    context = click.Context(
        cli, info_name="stupid-dagster", terminal_width=80, **cli.context_settings
    )
    yield from ("", *_options(cli, context))
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        yield from _command(command, click.Context(command, parent=context, info_name=name))


def _command(command: click.Command, context: click.Context) -> Iterator[str]:
    yield from ("", f"## {context.command_path}", "", "```text")
    usage = command.get_usage(context)
    yield from (usage, "```", "", *_unwrapped(command.help or ""))
    if told := [*_options(command, context)]:
        yield from ("", *told)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from _command(inner, click.Context(inner, parent=context, info_name=name))


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    """Yield the table of a command's options; what all have, `--help`, only of the whole."""
    params = command.get_params(context) if context.parent is None else command.params
    records = [of.get_help_record(context) for of in params]
    if rows := [(f"`{record[0]}`", record[1]) for record in records if record and record[1]]:
        yield from _table(("option", "meaning"), rows)


def _unwrapped(text: str) -> Iterator[str]:
    for place, paragraph in enumerate(text.split("\n\n")):
        if place:
            yield ""
        if paragraph.startswith("\b"):
            yield from ("```text", *paragraph.strip("\b\n").splitlines(), "```")
        else:
            yield " ".join(paragraph.split())


def _assets() -> Iterator[str]:
    from stupid_dagster.definitions import defs

    yield "# Assets, checks, jobs and sensors"
    yield from ("", "What Dagster's UI shows. An asset that is a table: [tables](tables.md).")
    graph = defs.resolve_asset_graph()
    specs = sorted(defs.resolve_all_asset_specs(), key=lambda spec: spec.key.to_user_string())
    by_group: dict[str, list[Any]] = {}
    for spec in specs:
        by_group.setdefault(spec.group_name or "default", []).append(spec)
    for group, members in sorted(by_group.items()):
        yield from ("", f"## Group {group}", "")
        rows = []
        for spec in members:
            name = spec.key.to_user_string()
            first = (spec.description or "").split("\n\n")[0]
            upstream = sorted(dep.asset_key.to_user_string() for dep in spec.deps)
            made_of = ", ".join(upstream) if len(upstream) <= _MOST_NAMED else "nearly all tables"
            rows.append((f"`{name}`", made_of, first))
        yield from _table(("asset", "made of", "what it is"), rows)
    yield from ("", "## Checks", "")
    keys = sorted(
        graph.asset_check_keys, key=lambda key: (key.asset_key.to_user_string(), key.name)
    )
    yield from _table(
        ("asset", "check", "protects"),
        [
            (
                f"`{key.asset_key.to_user_string()}`",
                f"`{key.name}`",
                graph.get_check_spec(key).description or "",
            )
            for key in keys
        ],
    )
    yield from ("", "## Jobs", "")
    jobs = sorted(defs.jobs or (), key=lambda job: job.name)
    yield from _table(("job", "what it does"), [(f"`{j.name}`", j.description or "") for j in jobs])
    yield from ("", "## Sensors and schedules", "")
    watches = sorted((*(defs.sensors or ()), *(defs.schedules or ())), key=lambda one: one.name)
    yield from _table(
        ("name", "what it does"), [(f"`{one.name}`", one.description or "") for one in watches]
    )


def _routes() -> Iterator[str]:
    from stupid_dagster.api.app import create_app
    from stupid_dagster.project import Project

    yield "# Routes"
    yield from ("", "How to use them: [the API](../api.md). Parameters, forms of answers and "
                "examples: a server's `/docs` and `/openapi.json`.", "")  # fmt: skip
    rows = []
    for path, methods in create_app(Project(Settings())).openapi()["paths"].items():
        for method, of in methods.items():
            first = of.get("description", "").split("\n\n")[0]
            rows.append((f"`{method.upper()} {path}`", first))
    yield from _table(("route", "what it answers"), rows)


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    heads = [*head]
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * len(heads)}"
    for row in rows:
        cells = (" ".join(cell.split()).replace("|", "\\|") for cell in row)
        yield f"| {' | '.join(cells)} |"


def main(folder: Path = FOLDER) -> None:
    """Write all pages to a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
