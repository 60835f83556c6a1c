"""Every op of a plan is checked, run, explained and drawn at random."""

from __future__ import annotations

import pytest

from stupid_dagster.query.plans.checks import _CHECKS
from stupid_dagster.query.plans.explain import _STORES
from stupid_dagster.query.plans.form import OPS
from stupid_dagster.query.plans.ops import _OPS
from tests.query.plans.random_plans import _Step


@pytest.mark.parametrize("op", OPS)
def test_an_op_is_everywhere(op: str) -> None:
    assert op in _CHECKS, "what it demands, and its columns: query/plans/checks.py"
    assert op in _OPS, "what it does: query/plans/ops.py"
    assert op.split(".")[0] in _STORES, "the store that it reads: query/plans/explain.py"
    assert hasattr(_Step, op.replace(".", "_")), "a method in tests/query/plans/random_plans.py"


def test_there_are_no_others() -> None:
    assert {*_CHECKS, *_OPS} == {*OPS}, "query/plans/model.py: Step has the ops' forms"
