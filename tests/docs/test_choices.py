"""What can be chosen among is told on the page that is about it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from stupid_dagster.ingest.readers import READERS
from stupid_dagster.query.knowledge import KNOWLEDGE_TABLES
from stupid_dagster.query.plans.form import OPS
from stupid_dagster.query.plans.model import Step
from stupid_dagster.settings.table import BACKENDS, PROVIDERS

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize(
    ("page", "choices"),
    [
        ("event-model", {suffix.split(".")[1] for suffix in READERS}),
        ("embedders", BACKENDS),
        ("words", PROVIDERS),
        ("plans", OPS),
        ("knowledge", KNOWLEDGE_TABLES),
    ],
)
def test_each_is_told(page: str, choices: Iterable[str]) -> None:
    text = (DOCS / f"{page}.md").read_text("utf-8")
    missing = [n for n in choices if not re.search(rf"\b{re.escape(n)}\b", text, re.IGNORECASE)]
    assert not missing, f"say in docs/{page}.md what these are"


@pytest.mark.parametrize("step", get_args(get_args(Step)[0]))
def test_each_parameter_of_each_op_is_told(step: type[BaseModel]) -> None:
    (op,) = get_args(step.model_fields["op"].annotation)
    text = (DOCS / "plans.md").read_text("utf-8")
    (told,) = re.findall(rf"^\| `{re.escape(op)}` \|[^|]*\|(.*)\|$", text, re.MULTILINE)
    params = step.model_fields["params"].annotation
    assert isinstance(params, type) and issubclass(params, BaseModel)
    assert re.findall(r"\w+", told.replace(" or ", ", ")) == [*params.model_fields]
    needed = [name for name, one in params.model_fields.items() if one.is_required()]
    assert needed == re.findall(r"\*\*(\w+)\*\*", told)
