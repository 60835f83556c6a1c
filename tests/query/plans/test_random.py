"""Random plans: the right ones run, and give what was foretold; wrong ones are told so."""

from __future__ import annotations

import copy

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stupid_dagster.errors import InvalidPlanError
from stupid_dagster.query import SnapshotReader
from stupid_dagster.query.plans import explain_plan, run_plan, validate_plan
from stupid_dagster.query.plans.context import Schema
from stupid_dagster.query.plans.model import Plan
from stupid_dagster.query.plans.tables import measure_name
from stupid_dagster.query.plans.validate import output_schemas
from tests.query.plans.random_plans import mutated, plans

quick = settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def check_runs(reader: SnapshotReader, plan: Plan) -> None:
    schemas = output_schemas(reader, plan)
    explained = {step.id: step for step in explain_plan(reader, plan).steps}
    for one in run_plan(reader, plan).steps.values():
        assert one.status == "ok", (one.op, one.error)
        assert one.rows is not None
        assert one.rows.schema == pl.Schema(schemas[one.id]), one.op
        assert one.rows.height <= one.limit
        assert one.truncated or one.total in (None, one.rows.height)
        assert one.rows.height <= explained[one.id].most_rows
        assert explained[one.id].columns == one.rows.columns
    check_names(plan, schemas)


def check_names(plan: Plan, schemas: dict[str, Schema]) -> None:
    """Fail where a column is new by name alone: the fields that models don't see go by names."""
    for step in plan.steps:
        if step.op.startswith("table.") and step.op != "table.contrast":
            known = {name for before in step.depends_on for name in schemas[before]}
            known |= {measure_name(one) for one in getattr(step.params, "measures", ())}
            new = {name.removesuffix("_right") for name in schemas[step.id]} - known
            assert not new, f"query/questions/origins.py must know what {step.op} makes these of"


@quick
@given(data=st.data())
def test_what_is_right_by_construction_runs(reader: SnapshotReader, data: st.DataObject) -> None:
    plan = validate_plan(reader, data.draw(plans(reader)))
    assert validate_plan(reader, plan) == plan
    check_runs(reader, plan)


@quick
@given(data=st.data())
def test_what_is_wrong_is_told_and_nothing_else_happens(
    reader: SnapshotReader, data: st.DataObject
) -> None:
    raw = data.draw(mutated(reader))
    before = copy.deepcopy(raw)
    try:
        plan = validate_plan(reader, raw)
    except InvalidPlanError as error:
        assert error.problems
        assert all(len(where) < 300 and 0 < len(what) < 3000 for where, what in error.problems)
    else:
        check_runs(reader, plan)
    assert repr(raw) == repr(before), "the plan that was given must stay as it is"


@pytest.mark.parametrize("raw", [None, 3, "steps", [], {}, {"steps": {}}, {"steps": []}, b"{}"])
def test_what_is_no_plan_at_all(reader: SnapshotReader, raw: object) -> None:
    with pytest.raises(InvalidPlanError):
        validate_plan(reader, raw)  # type: ignore[arg-type]
