"""Tools for query plans: several steps over all stores, in one call."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from stupid_dagster.errors import InvalidPlanError
from stupid_dagster.mcp.answers import (
    DEFAULT_ROWS,
    DataResult,
    Limit,
    data_result,
    plain_rows,
    table_text,
)
from stupid_dagster.mcp.tools import SnapshotTools
from stupid_dagster.query.plans.model import Plan

PLAN_SCHEMA = Plan.model_json_schema()


class _PlanForm:
    """Tells a dict to clients as the form of a plan."""

    def __get_pydantic_json_schema__(
        self, _: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return handler(Plan.__pydantic_core_schema__)


# Its validator reads the plan as it is given, so that all mistakes are told, and with hints.
RawPlan = Annotated[dict[str, Any], _PlanForm()]


class PlanTools(SnapshotTools):
    """Plans, checked and run."""

    def validate_plan(
        self,
        plan: Annotated[dict[str, Any], Field(description="A query plan, as run_plan takes it.")],
    ) -> DataResult:
        """Check a query plan without running it; tells every mistake at once."""
        from stupid_dagster.query.plans.validate import validate_plan

        with self._reading() as reader:
            try:
                validate_plan(reader, plan)
            except InvalidPlanError as error:
                problems = [{"where": where, "message": what} for where, what in error.problems]
                return data_result(reader, str(error), valid=False, problems=problems)
            return data_result(reader, "the plan is valid", valid=True, problems=[])

    def run_plan(self, plan: RawPlan, limit: Limit = DEFAULT_ROWS) -> DataResult:
        """Run a query plan: steps that read, filter, join, aggregate; each gives a table.

        `limit` is the most rows of each step that are returned; steps work on all of them.
        """
        from stupid_dagster.query.plans.run import run_plan
        from stupid_dagster.query.plans.validate import validate_plan

        with self._reading() as reader:
            result = run_plan(reader, validate_plan(reader, plan))
        steps, texts = {}, []
        for name, step in result.steps.items():
            rows = None if step.rows is None else step.rows.head(limit)
            height = 0 if step.rows is None else step.rows.height
            steps[name] = {
                "status": step.status,
                "error": step.error,
                "total": height,
                "truncated": step.truncated or height > limit,
                "partial": step.partial,
                "notes": step.notes,
                "rows": None if rows is None else plain_rows(rows),
            }
            said = f"{name}: {step.status}, {height} rows"
            said += ", TRUNCATED" if steps[name]["truncated"] else ""
            said += ", of truncated rows" if step.partial else ""
            texts.append(f"{said}: {step.error}" if step.error else said)
        shown = result.render.step
        rows = result.steps[shown].rows
        if rows is not None:
            texts.append(f"{shown}:\n{table_text(rows.head(limit))}")
        return data_result(reader, "\n".join(texts), steps=steps, shown=shown)
