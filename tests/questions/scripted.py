"""A conversation that we wrote, served in OpenAI's protocol, so that the real client takes part."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from stupid_dagster.project import Project
from tests.llm.servers import Fail, Say, Served, model_server

SCRIPT = Path(__file__).parent / "conversation.yaml"


@contextmanager
def scripted(project: Project, *exchanges_by_number: int) -> Iterator[Any]:
    """Yield the project with a language model that follows the script, and its server.

    All exchanges in their order, unless the numbers of some are given.
    """
    script = yaml.safe_load(SCRIPT.read_text(encoding="utf-8"))
    numbers = exchanges_by_number or range(len(script))
    exchanges = iter([script[number] for number in numbers])

    def answer(request: dict[str, Any]) -> Say | Fail:
        exchange = next(exchanges, None)
        said = request["messages"][-1]["content"]
        if exchange is None or exchange["asked"] not in said:
            return Fail(400, f"that is not in the script: {said[:200]}")
        told = exchange["answer"]
        assert isinstance(told, str) == request.get("stream", False)
        return Say(told if isinstance(told, str) else json.dumps(told))

    with model_server("openai", answer) as server:
        yield with_model(project, server), server


def with_model(
    project: Project, server: Served, overrides: Mapping[str, Any] | None = None
) -> Project:
    """Return the project with the language model of a server, and other settings."""
    overrides = {
        **(overrides or {}),
        "llm": "openai",
        "llm_openai_model": "scripted",
        "llm_openai_url": server.url,
    }
    return Project.load(project.settings.root, overrides)
