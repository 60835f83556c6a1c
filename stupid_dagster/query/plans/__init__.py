"""Query plans: steps over all stores, checked before they run.

plan = validate_plan(reader, raw)
run_plan(reader, plan).rendered.rows
"""

from stupid_dagster.query.plans.explain import ExplainedPlan, ExplainedStep, explain_plan
from stupid_dagster.query.plans.run import PlanResult, StepResult, run_plan
from stupid_dagster.query.plans.validate import validate_plan

__all__ = [
    "ExplainedPlan",
    "ExplainedStep",
    "PlanResult",
    "StepResult",
    "explain_plan",
    "run_plan",
    "validate_plan",
]
