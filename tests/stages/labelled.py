"""A window's labels by models on loopback: what they are asked, and what became of it."""

from __future__ import annotations

import json
import socket
from dataclasses import replace
from typing import Any

import polars as pl

from stupid_dagster.project import Project
from stupid_dagster.stages.labels import make_labels
from stupid_dagster.stages.written import Written
from tests.llm.servers import Act, Protocol, Say

DAY = "2013-02-09"

DAY = "2013-02-09"


def with_model(project: Project, protocol: Protocol, url: str, **settings: Any) -> Project:
    named = {f"llm_{protocol}_model": "m", f"llm_{protocol}_url": url, "llm": (protocol,)}
    return Project(replace(project.settings, **{**named, "llm_labels_most": 12, **settings}))


def prompt_of(body: dict[str, Any]) -> dict[str, Any]:
    """Return the profile that a request asks about."""
    texts = [message["content"] for message in body["messages"]]
    text = [text for text in texts if text.startswith("<profile>")][-1]
    return json.loads(text.removeprefix("<profile>\n").removesuffix("\n</profile>"))


def first_tries(requests: list[dict[str, Any]]) -> set[str]:
    """Return the conversations in which a profile was asked about, not those that ask again."""
    asked = [body["messages"] for body in requests]
    return {json.dumps(m) for m in asked if m[-1]["content"].startswith("<profile>")}


def say(label: str, description: str = "Flights of one kind.", *items: str) -> Say:
    return Say(json.dumps({"label": label, "description": description, "distinguishing": items}))


def better(body: dict[str, Any]) -> Act:
    """A model that says something else, and true, of each profile."""
    told = prompt_of(body)
    label = told["words of the rule"]["label"]
    return say(f"Mostly {label[0].lower()}{label[1:]}"[:90], f"{told['size']} of a kind.")


def made(project: Project) -> tuple[Written, pl.DataFrame]:
    (written,) = make_labels(project, DAY)
    return written, project.lake.read("labels", DAY)


def by_model(labels: pl.DataFrame) -> pl.DataFrame:
    return labels.filter(pl.col("provenance") != "rule")


def unchanged(labels: pl.DataFrame, rules: pl.DataFrame) -> bool:
    told = ["subject", "kind", "label", "description", "distinguishing", "provenance"]
    return labels.select(told).equals(rules.select(told))


def dead_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]
