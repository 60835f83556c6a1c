"""Results put in words: by a language model as far as its numbers hold, else by rule."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import polars as pl
import structlog

from stupid_dagster.errors import LanguageModelError
from stupid_dagster.llm.grounding import Evidence, split_sentences
from stupid_dagster.llm.protocol import LanguageModel, Usage
from stupid_dagster.query.plans import PlanResult, StepResult
from stupid_dagster.query.plans.model import Plan
from stupid_dagster.query.questions.privacy import Screen
from stupid_dagster.query.questions.prompts import MOST_DATA, telling_messages

log = structlog.get_logger(__name__)
_ROWS, _OTHER_ROWS = 40, 5
_MOST_CELL, _MOST_READ = 120, 2000
"""Characters of a cell that are told, and that are looked through for what is hidden."""


@dataclass(frozen=True)
class AnswerText:
    """An answer in words; `by` is the model's id, or `rule`."""

    text: str
    by: str
    usage: Usage
    removed: int
    """Sentences taken out, as they said what stands in no result."""


def tell(
    language_model: LanguageModel,
    question: str,
    result: PlanResult,
    on_text: Callable[[str, bool], None],
    screen: Screen,
) -> AnswerText:
    """Return a result in words, telling each sentence as soon as it is known to hold.

    `on_text` is called with a text and whether it stands instead of all before. Where the model
    fails, or nothing of what it says holds, the rule tells. What is sent, and what comes back,
    goes through the `screen`.
    """
    data = results_text(result, screen)
    # A model called the steps what it liked.
    found = [{**json.loads(line), "step": None} for line in data.split("\n") if line]
    asked = _plan_values(result.plan)
    evidence = Evidence.of(_json(screen.plan(asked)), _json(found))
    kept: list[str] = []
    removed = 0

    def check(sentence: str) -> None:
        nonlocal removed
        if not sentence.strip():
            return
        if wrong := evidence.unsupported(sentence):
            removed += 1
            log.info("sentence removed", unsupported=wrong)
        else:
            kept.append(screen.reveal(sentence))
            on_text(kept[-1], False)

    stream = language_model.stream(telling_messages(screen.question(question), data))
    rest = ""
    try:
        for piece in stream:
            done, rest = split_sentences(rest + piece)
            for sentence in done:
                check(sentence)
        check(rest)
    except LanguageModelError as error:
        # What it said until then stands; an unfinished sentence doesn't.
        log.warning("no summary", problem=str(error))
    if any(not _announces(sentence) for sentence in kept):
        return AnswerText("".join(kept).strip(), stream.model_id, stream.usage, removed)
    told = [{**_cut(_told(one, _ROWS)), "step": None} for one in result.steps.values()]
    text = rule_text(result, Evidence.of(_json(asked), _json(told)))
    on_text(text, True)
    return AnswerText(text, "rule", stream.usage, removed)


def _announces(sentence: str) -> bool:
    """Return whether a sentence says nothing by itself: what it announced may be gone."""
    return sentence.rstrip().endswith(":")


def _plan_values(plan: Plan) -> Any:
    """Return what a plan asks the stores for: no names of steps, nor its title."""
    asked = [step.params.model_dump(mode="json", exclude_defaults=True) for step in plan.steps]
    return _without_references(asked)


def _json(tree: Any) -> str:
    return json.dumps(tree, ensure_ascii=False)


def _without_references(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {name: _without_references(part) for name, part in tree.items() if name != "ref"}
    return [_without_references(part) for part in tree] if isinstance(tree, list) else tree


def results_text(result: PlanResult, screen: Screen) -> str:
    """Return the steps' results as JSON lines, bounded: counts, sums, and first rows.

    Texts of events are only in it where the screen lets them through.
    """
    shown = result.render.step
    plan = result.plan.model_dump(mode="json", exclude_defaults=True)
    lines: list[str] = []
    left = MOST_DATA
    for one in sorted(result.steps.values(), key=lambda one: one.id != shown):
        for rows in (_ROWS if one.id == shown else _OTHER_ROWS, _OTHER_ROWS, 1, 0):
            line = _json(_cut(_sent(_told(one, rows), screen, plan)))
            if len(line) <= left:
                lines.append(line)
                left -= len(line)
                break
    return "\n".join(lines)


def _sent(told: dict[str, Any], screen: Screen, plan: Any) -> dict[str, Any]:
    """Return what is told of a step as it may be sent: its values, as its names are the plan's."""
    sent = dict(told)
    if "error" in told:
        sent["error"] = screen.message(told["error"])
    if "notes" in told:
        sent["notes"] = [screen.message(note) for note in told["notes"]]
    if "sums" in told:
        # The sum of a single row's key is that key.
        sums = {name: v for name, v in told["sums"].items() if not screen.hides(name, plan)}
        sent["sums"] = screen.tree(sums, plan)
    if "rows" in told:
        rows = [screen.without_texts(row, plan) for row in told["rows"]]
        sent["rows"] = screen.tree(rows, plan)
    return sent


def _told(one: StepResult, most: int) -> dict[str, Any]:
    told: dict[str, Any] = {"step": one.id, "status": one.status}
    if one.error:
        told["error"] = one.error[:300]
    if one.rows is None:
        return told
    rows = one.rows
    told |= {"row_count": rows.height, "truncated": one.truncated}
    if one.notes:
        told["notes"] = [note[:200] for note in one.notes[:3]]
    sums = {
        column: rows[column].sum()
        for column, dtype in rows.schema.items()
        if dtype.is_numeric() and rows.height > 1
    }
    if sums:
        told["sums"] = json.loads(pl.DataFrame([sums]).write_json())[0]
    told["rows"] = _bounded(json.loads(rows.head(most).write_json()))
    return told


def _bounded(tree: Any) -> Any:
    """Return rows with less of what is cut anyway; never with a part of a word at an end."""
    if isinstance(tree, dict):
        return {name: _bounded(part) for name, part in tree.items()}
    if isinstance(tree, list):
        return [_bounded(part) for part in tree[:_ROWS]]
    if isinstance(tree, str) and len(tree) > _MOST_READ:
        return tree[:_MOST_READ].rpartition(" ")[0]
    return tree


def _cut(told: dict[str, Any]) -> dict[str, Any]:
    """Return what is told of a step with each cell in one short text, cut where it is long."""
    rows = [{name: _cell(cell) for name, cell in row.items()} for row in told.get("rows", ())]
    return {**told, "rows": rows} if "rows" in told else told


def _cell(value: Any) -> Any:
    if isinstance(value, dict | list):
        value = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return value[:_MOST_CELL] if isinstance(value, str) else value


def rule_text(result: PlanResult, evidence: Evidence) -> str:
    """Return what came of a plan without a model's words: rows, the first, what is missing.

    The plan's title, which a model wrote, only where it holds.
    """
    shown, title = result.rendered, result.render.title
    parts = [f"{title.rstrip('.')}:"] if title and not evidence.unsupported(title) else []
    if shown.rows is None:
        parts.append("there is no result.")
    elif shown.rows.is_empty():
        parts.append("no rows.")
    else:
        rows = shown.rows
        parts.append(f"{_counted(result)}.")
        first = json.loads(rows.head(1).write_json())[0]
        named = [
            f"{name.replace('_', ' ')} {_said(value)}"
            for name, value in first.items()
            if value is not None
        ]
        parts.append(f"The first: {', '.join(named[:8])}.")
    for one in result.steps.values():
        if one.status == "failed":
            parts.append(f"Step {one.id} failed: {(one.error or '').rstrip('.')}.")
    skipped = [one.id for one in result.steps.values() if one.status == "skipped"]
    if skipped:
        parts.append(f"Left out for that: {', '.join(skipped)}.")
    return " ".join(parts)


def _counted(result: PlanResult) -> str:
    """Return how many rows the shown step has, and whether there are more than it was to give."""
    shown = result.rendered
    height = 0 if shown.rows is None else shown.rows.height
    count = "1 row" if height == 1 else f"{height:,} rows"
    if not shown.truncated:
        return count
    step = next(one for one in result.plan.steps if one.id == shown.id)
    if getattr(step.params, "limit", None) != height:
        return f"{count}, more were cut off"
    return f"the first {count}" + (f" of {shown.total:,}" if shown.total else "")


def _said(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(_cell(value))
    return f"{value:,}" if isinstance(value, int) or abs(value) >= 1000 else f"{value:.4g}"
