"""An event type's text and symbol: the fields that tell most with the fewest values."""

from __future__ import annotations

import math
import re

import numpy as np

from stupid_dagster.event_model.inference import names
from stupid_dagster.event_model.inference.columns import Column
from stupid_dagster.event_model.inference.dependence import Dependencies
from stupid_dagster.event_model.inference.entities import Entity
from stupid_dagster.event_model.inference.sample import Sample

_MOST_CATEGORIES = 200
_MOST_TEXT_FIELDS = 8
_PROSE_LENGTH = 100
_FILLED = 0.3
_MOST_TEXTS = 0.25
"""Distinct texts a row: few, as only they are embedded."""
_TELLING = 1.0
_MOST_SYMBOLS = 16


def tells(column: Column, event_type: str) -> float:
    """Return how much a field is likely to say of an event: what its type alone has says most."""
    score = 2.0 * names.has(column.name, names.TROUBLE)
    score += 1.5 * names.has(column.name, names.OUTCOME)
    score += 0.5 * names.has(column.name, names.MANNER)
    score += 1 / len(column.event_types)
    filled = column.filled_share(event_type)
    return filled * (score + min(column.entropy, 3) / 6 + 0.5)


def draft_text(
    sample: Sample,
    dependencies: Dependencies,
    event_type: str,
    entities: list[Entity],
    fields: list[str],
    test_flag: str | None,
) -> str:
    """Return the template: the event type's name, and fields as long as texts stay few.

    Neither the actor nor codes nor numbers are in it, so that events share texts.
    """
    spoken = " ".join(re.sub(r"[{}]", " ", event_type).split()) or "event"
    rows = sample.rows[event_type]
    titled = {e.key[0]: t for e in entities for t in e.titles if t in fields}
    # Only the first of the names of one thing is told.
    skipped = {*entities[0].key, *titled, *(t for e in entities for t in e.titles)} - {
        titled[key] for key in titled
    } | ({test_flag} - {None})
    keys = {key for entity in entities for key in entity.key} | set(titled.values())
    candidates = [
        column
        for name in fields
        if name not in skipped
        and (column := sample.columns[name]).kind in ("word", "boolean", "prose", "url")
        and not (column.opaque and column.distinct > _MOST_CATEGORIES)
        and column.distinct_in(event_type) > 1
        and column.filled_share(event_type) >= _FILLED
    ]
    candidates.sort(
        key=lambda c: (
            -_belongs_in_text(c, event_type, c.name in keys, c.name in titled.values()),
            c.name,
        )
    )
    combined = np.zeros(rows, dtype=np.int64)
    chosen: list[str] = []
    for column in candidates:
        if len(chosen) == _MOST_TEXT_FIELDS:
            break
        if any(
            dependencies.determines(c, column.name) and dependencies.determines(column.name, c)
            for c in chosen
        ):
            continue
        codes = sample.codes(event_type, column.name)
        _, trial = np.unique(combined * (int(codes.max()) + 2) + codes + 1, return_inverse=True)
        if int(trial.max()) < max(50, _MOST_TEXTS * rows):
            combined = trial
            chosen.append(column.name)
    parts = [_part(sample.columns[name]) for name in fields if name in chosen]
    return " ".join([spoken, *parts])


def _belongs_in_text(column: Column, event_type: str, is_key: bool, is_title: bool) -> float:
    """Return how early a field is taken into a text: what tells most with the fewest values."""
    named = 1 + 2 / len(column.event_types) if is_key else 0
    named += 1.5 * is_title  # What has a name beside a code is meant to be read.
    many = math.log2(max(column.distinct_in(event_type), 1))
    return tells(column, event_type) + named - 0.25 * many


def _part(column: Column) -> str:
    about = names.stem(column.name) if names.is_title(column.name) else names.words(column.name)
    label = "_".join(about) or "value"
    cut = f":.{_PROSE_LENGTH}" if column.kind == "prose" else ""
    return f"{label}:{{{column.name}{cut}}}"


def find_symbol_field(
    sample: Sample,
    dependencies: Dependencies,
    event_type: str,
    entities: list[Entity],
    fields: list[str],
) -> tuple[str | None, str]:
    """Return the field that best tells how an event went, with evidence; None if there is none."""
    actor = entities[0].key[0]
    best: tuple[float, str] | None = None
    for name in fields:
        column = sample.columns[name]
        few = column.distinct_in(event_type) >= 2 and 2 <= column.common <= _MOST_SYMBOLS
        if not few or column.kind not in ("boolean", "word", "url") or name == actor:
            continue
        if column.filled_share(event_type) < 0.5 or dependencies.strength(actor, name) > 0.8:
            continue
        score = tells(column, event_type) + 0.5 * (column.kind == "boolean")
        score -= 0.05 * column.common
        if score >= _TELLING and (best is None or score > best[0]):
            best = score, name
    if best is None:
        return None, ""
    column = sample.columns[best[1]]
    share = column.filled_share(event_type)
    return best[1], f"{column.common} common values, filled in {share:.0%}"
