"""Is a plan one that can run? Every mistake is told at once, and nothing is read for it."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any

from stupid_dagster.query.plans.checks import checked_schema
from stupid_dagster.query.plans.context import Schema, StepContext
from stupid_dagster.query.plans.form import ReadStep, read_form
from stupid_dagster.query.plans.model import Plan, Render, RowsRef, Step, ValuesRef
from stupid_dagster.query.plans.problems import Problems, unknown
from stupid_dagster.query.reader import SnapshotReader


def validate_plan(reader: SnapshotReader, raw: Mapping[str, Any] | Plan) -> Plan:
    """Return the plan that `raw` states, its steps depending on all that they refer to.

    Raises InvalidPlanError, whose `problems` are all that is wrong with its form, references,
    event types, columns, operators, values, times and limits. Takes milliseconds, whatever it is
    given.
    """
    if isinstance(raw, Plan):
        raw = raw.model_dump()
    problems = Problems()
    read, render = read_form(raw, reader.project.settings.plan_steps, problems)
    _check_ids(read, problems)
    by_id = _by_id(read)
    steps = [_depending(one, by_id, problems) for one in read]
    schemas: dict[str, Schema | None] = {}
    for one in _in_order(read, by_id, steps, problems):
        step = steps[one.index]
        if step is not None:
            where = f"steps[{one.index}].params"
            context = StepContext(reader, reader.catalog(), schemas, one.kept, where, problems)
            schemas[step.id] = checked_schema(step, context)
    _check_render(render, by_id, schemas, problems)
    problems.raise_any()
    return Plan(steps=[step for step in steps if step], render=render)


def output_schemas(reader: SnapshotReader, plan: Plan) -> dict[str, Schema]:
    """Return the columns that each step of a plan which `validate_plan` returned will give."""
    schemas: dict[str, Schema | None] = {}
    graph = {step.id: step.depends_on for step in plan.steps}
    steps = {step.id: step for step in plan.steps}
    for name in TopologicalSorter(graph).static_order():
        context = StepContext(reader, reader.catalog(), schemas, {}, name, Problems())
        schemas[name] = checked_schema(steps[name], context)
    return {name: schema or {} for name, schema in schemas.items()}


def references(
    step: Step, kept: Mapping[str, Sequence[int]] | None = None
) -> list[tuple[str, str]]:
    """Return where a step's parameters refer to another (`params.rows`), and to which.

    `kept` are the places of the conditions in the plan as it was given.
    """
    places = (kept or {}).get("filters", range(sys.maxsize))
    found = []
    for name in type(step.params).model_fields:
        value = getattr(step.params, name)
        if isinstance(value, RowsRef | ValuesRef):
            found.append((f"params.{name}", value.ref))
    for index, one in enumerate(getattr(step.params, "filters", ())):
        if isinstance(one.value, ValuesRef):
            found.append((f"params.filters[{places[index]}].value", one.value.ref))
    return found


def _by_id(read: Sequence[ReadStep]) -> dict[str, ReadStep]:
    found: dict[str, ReadStep] = {}
    for one in read:
        if one.id is not None:
            found.setdefault(one.id, one)
    return found


def _check_ids(read: Sequence[ReadStep], problems: Problems) -> None:
    first = _by_id(read)
    for one in read:
        if one.id is not None and first[one.id] is not one:
            problems.add(f"steps[{one.index}].id", f"steps[{first[one.id].index}] has the same id")


def _depending(one: ReadStep, by_id: Mapping[str, ReadStep], problems: Problems) -> Step | None:
    """Return a step that depends on all that it refers to, and nothing unknown."""
    step, where = one.step, f"steps[{one.index}]"
    for place, name in one.references.items():
        if name not in by_id:
            problems.add(f"{where}.{place}", unknown("step", name, by_id))
    if step is None:
        return None
    for index, name in enumerate(step.depends_on):
        if name not in by_id:
            problems.add(f"{where}.depends_on[{index}]", unknown("step", name, by_id))
    for place, name in references(step, one.kept):
        if name not in by_id:
            problems.add(f"{where}.{place}.ref", unknown("step", name, by_id))
    wanted = [*step.depends_on, *(name for _, name in references(step))]
    known = [name for name in dict.fromkeys(wanted) if name in by_id]
    return step.model_copy(update={"depends_on": known})


def _in_order(
    read: Sequence[ReadStep],
    by_id: Mapping[str, ReadStep],
    steps: Sequence[Step | None],
    problems: Problems,
) -> list[ReadStep]:
    """Return the steps, each after those that it depends on; those in circles come last."""
    graph = {name: _dependencies(steps[one.index]) for name, one in by_id.items()}
    ordered: list[ReadStep] = []
    while not ordered and graph:
        try:
            order = TopologicalSorter(graph).static_order()
            ordered = [by_id[name] for name in order if name in graph]
        except CycleError as error:
            circle = error.args[1][::-1]
            place = f"steps[{by_id[circle[0]].index}].depends_on"
            problems.add(place, f"steps depend on each other in a circle: {' on '.join(circle)}")
            graph = {name: before for name, before in graph.items() if name not in circle}
    placed = {one.index for one in ordered}
    return ordered + [one for one in read if one.index not in placed]


def _dependencies(step: Step | None) -> Sequence[str]:
    return step.depends_on if step else ()


def _check_render(
    render: Render | None,
    by_id: Mapping[str, ReadStep],
    schemas: Mapping[str, Schema | None],
    problems: Problems,
) -> None:
    if render is None:
        return
    if render.step not in by_id:
        problems.add("render.step", unknown("step", render.step, by_id))
        return
    schema = schemas.get(render.step)
    if schema is None:
        return
    if render.x is not None and render.x not in schema:
        problems.add("render.x", unknown("column", render.x, schema))
    for index, name in enumerate(render.y):
        if name not in schema:
            problems.add(f"render.y[{index}]", unknown("column", name, schema))
        elif render.type in ("line", "bar") and not schema[name].is_numeric():
            problems.add(f"render.y[{index}]", f"{name!r} holds no numbers to draw")
