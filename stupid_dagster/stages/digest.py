"""The stage of the digest: the insights in one paragraph, by rule or by a language model."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from datetime import date
from typing import Any

import polars as pl

from stupid_dagster.compute.names import entity_names
from stupid_dagster.errors import LanguageModelError
from stupid_dagster.llm.chain import configured_model
from stupid_dagster.llm.digest import asking
from stupid_dagster.llm.digest.asking import asked_hash, digest_messages
from stupid_dagster.llm.digest.masking import Shown, hidden_entities, shown_insights
from stupid_dagster.llm.digest.rule import (
    PROVENANCE,
    Sentence,
    opening,
    paragraph,
    rule_sentences,
)
from stupid_dagster.llm.ending import Ending
from stupid_dagster.llm.labelling.checks import model_words
from stupid_dagster.llm.labelling.run import STOPPED
from stupid_dagster.llm.phrases import revealed
from stupid_dagster.llm.privacy import Pseudonyms
from stupid_dagster.llm.protocol import Message
from stupid_dagster.llm.spending import SPENT, spending, spending_told, window_budget
from stupid_dagster.project import Project
from stupid_dagster.stages.labels import window_pseudonyms
from stupid_dagster.stages.window import Window, open_window
from stupid_dagster.stages.written import Written
from stupid_dagster.tables import TABLES, conform

Rows = list[dict[str, Any]]


def make_digest(project: Project, last_day: str) -> list[Written]:
    """Write `digest`: the window's insights in a paragraph.

    With a language model in the settings, its sentences stand where all of them are right; whatever
    it does, the stage ends within the setting `llm_run_seconds`, and there is a paragraph. It may
    take what the labels left of the budget. The same insights are not asked about again.
    """
    window = open_window(project, last_day)
    stage, settings = window.stage(), project.settings
    rows = _insights(window)
    first = opening(rows, date.fromisoformat(last_day), len(window.days))
    row: dict[str, Any] = dict.fromkeys(TABLES["digest"].schema)
    row |= {"sentences": [first, *rule_sentences(rows)], "provenance": PROVENANCE}
    details: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    labels = window.find("labels")
    budget = window_budget(settings, *([labels.metadata] if labels else []))
    ending = Ending(settings.llm_run_seconds)
    model = configured_model(settings, budget, ending)
    pseudonyms = None
    if model is not None and rows and settings.llm_share != "nothing":
        try:
            pseudonyms = window_pseudonyms(window)
        except LanguageModelError as error:
            details[STOPPED] = str(error)
    if model is not None and pseudonyms is not None:
        with closing(model):
            shown, messages = _request(window, rows, pseudonyms)
            row["asked_hash"] = asked_hash(model.model_id, messages)
            kept = _kept(window, row["asked_hash"])
            if kept is not None:
                row |= kept
                if kept["provenance"] != PROVENANCE:
                    row["sentences"] = [first, *map(_sentence, kept["sentences"][1:])]
                else:
                    row["sentences"] = [first, *rule_sentences(rows)]
            else:
                vocabulary = model_words(project.model)
                done = asking.ask(model, shown, messages, vocabulary, ending)
                row |= {
                    "prompt_tokens": done.usage.prompt_tokens,
                    "completion_tokens": done.usage.completion_tokens,
                    "refused": done.refused,
                    "prompt": asking.VERSION if done.asked else None,
                }
                if done.refused is None:
                    said = [
                        Sentence(revealed(one.text, pseudonyms), one.insights)
                        for one in done.sentences
                    ]
                    row |= {"sentences": [first, *said], "provenance": done.model_id}
                metadata = {SPENT: spending(model, under_way=True)}
                details |= spending_told(metadata[SPENT])
            details["model: kept"] = int(kept is not None)
            if row["refused"]:
                details["model: why not"] = row["refused"]
    ranks = {one["insight_id"]: one["rank"] for one in rows}
    row["text"] = paragraph(row["sentences"], ranks)
    row["sentences"] = [{"text": s.text, "insights": [*s.insights]} for s in row["sentences"]]
    table = pl.DataFrame([row], schema=TABLES["digest"].schema)
    details |= {"provenance": row["provenance"], "text": row["text"]}
    stage.table("digest", conform("digest", table), metadata=metadata, details=details)
    return stage.written


def digest_prompt(project: Project, last_day: str) -> list[Message]:
    """Return what the stage would send for the window's digest; nothing where nobody is asked."""
    window = open_window(project, last_day)
    rows = _insights(window)
    if not rows or project.settings.llm_share == "nothing":
        return []
    return _request(window, rows, window_pseudonyms(window, keep_key=False))[1]


def _insights(window: Window) -> Rows:
    return window.read("insights").sort("rank").to_dicts()


def _request(
    window: Window, rows: Rows, pseudonyms: Pseudonyms
) -> tuple[list[Shown], list[Message]]:
    project = window.project
    samples = project.settings.llm_share == "samples"
    vocabulary = model_words(project.model)
    first = rows[: asking.MOST_INSIGHTS]
    names = _hidden_names(window, first, pseudonyms)
    shown = shown_insights(first, pseudonyms, vocabulary, names, samples=samples)
    return shown, digest_messages(shown)


def _hidden_names(window: Window, rows: Rows, pseudonyms: Pseudonyms) -> dict[str, str]:
    """Return the names of the hidden entities that insights name, by their groups' labels too."""
    groups = {subject for row in rows for subject in row["subjects"]}
    of_groups = [
        window.scan("cluster_entities").filter(pl.col("cluster_id").is_in(groups)),
        window.scan("communities")
        .filter(pl.col("community_id").is_in(groups))
        .select(pl.col("key_members").alias("entity_id").explode()),
    ]
    linked = pl.concat([one.select("entity_id") for one in of_groups]).drop_nulls().collect()
    prefixes = tuple(f"{prefix}:" for prefix in pseudonyms.secret_prefixes)
    named = {entity for entity in linked["entity_id"] if entity.startswith(prefixes)}
    named = sorted(named | hidden_entities(rows, pseudonyms))
    nodes = window.scan("graph_nodes").filter(pl.col("entity_id").is_in(named)).collect()
    return entity_names(nodes, window.project.model, named)


def _kept(window: Window, asked: str) -> dict[str, Any] | None:
    """Return the digest that the same was asked for before, if there is one."""
    lake, own = window.project.lake, window.project.lake.find("digest", window.last_day)
    tables: Sequence[pl.DataFrame | None] = [
        lake.scan_versions([own]).collect() if own else None,
        window.previous("digest"),
    ]
    for table in tables:
        for row in table.iter_rows(named=True) if table is not None else ():
            if row["asked_hash"] == asked and row["prompt"] is not None:
                return row
    return None


def _sentence(row: dict[str, Any]) -> Sentence:
    return Sentence(row["text"], tuple(row["insights"]))
