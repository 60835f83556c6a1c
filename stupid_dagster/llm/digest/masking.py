"""Insights as a language model may see them: what the data named stands there as pseudonyms.

A title says no longer which of its words came from a log. So every word counts as a name that is
neither the event model's nor ordinary English: none leaves the machine, and none can tell the
model what to write.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stupid_dagster.compute import words
from stupid_dagster.compute.insights import phrases
from stupid_dagster.llm.labelling.checks import is_known
from stupid_dagster.llm.privacy import PSEUDONYM, Pseudonyms

_TELLING = (
    "rose risen fell fallen grew grown shrank shrunk surge finding insight window critical second "
    "ongoing resolved told score signal gap machine worst meanwhile led act"
)
PLAIN = frozenset(word.lower() for word in (*phrases.WEEKDAYS, *phrases.MONTHS, *_TELLING.split()))
"""Words of insights that labels have no use for."""
_WORD = re.compile(rf"(?P<shown>{PSEUDONYM.pattern})|[^\W_]+", re.IGNORECASE)
_JOINS = re.compile(r"[ \-./_&:']{1,2}")
_EXAMPLE = 160


@dataclass(frozen=True)
class Shown:
    """An insight as it is sent; `number` stands for its id."""

    number: int
    insight_id: str
    kind: str
    severity: str
    status: str
    title: str
    text: str


def shown_insights(
    rows: Sequence[Mapping[str, Any]],
    pseudonyms: Pseudonyms,
    vocabulary: frozenset[str],
    *,
    samples: bool,
) -> list[Shown]:
    """Return insights as they may be sent, numbered from 1; without `samples` no event's text."""
    found = []
    for number, row in enumerate(rows, start=1):
        parts = []
        for said in (row["title"], row["text"]):
            if not samples:
                said = _without_example(said, row["evidence"])
            parts.append(masked(_without_keys(said, row["subjects"], pseudonyms), pseudonyms,
                                vocabulary))  # fmt: skip
        head = (number, row["insight_id"], row["kind"], row["severity"], row["status"])
        found.append(Shown(*head, *parts))
    return found


def masked(text: str, pseudonyms: Pseudonyms, vocabulary: frozenset[str]) -> str:
    """Return a text whose unknown words are pseudonyms, a run of them as one."""
    text = pseudonyms.hide(text)
    runs: list[list[int]] = []
    for match in _WORD.finditer(text):
        word = match.group()
        known = word.isdigit() or (word.isalpha() and is_known(word, vocabulary | PLAIN))
        if match["shown"] or known:
            continue
        if runs and _JOINS.fullmatch(text[runs[-1][1] : match.start()]):
            runs[-1][1] = match.end()
        else:
            runs.append([match.start(), match.end()])
    for start, end in reversed(runs):
        text = text[:start] + pseudonyms.name(text[start:end]) + text[end:]
    return text


def _without_keys(text: str, subjects: Sequence[str], pseudonyms: Pseudonyms) -> str:
    """Return a text without the keys of the entities that it is about: numbers are keys too."""
    for subject in sorted(subjects, key=len, reverse=True):
        prefix, colon, key = subject.partition(":")
        if colon and key and (entity_type := pseudonyms.prefixes.get(prefix)):
            hidden = pseudonyms.of(entity_type, key)
            text = re.sub(rf"(?<!\w){re.escape(key)}(?!\w)", hidden, text)
    return text


def _without_example(text: str, evidence: str | None) -> str:
    parameters = json.loads(evidence or "{}").get("parameters") or {}
    for value in parameters.values():
        if isinstance(value, str) and (example := words.tidy(value, limit=_EXAMPLE)):
            text = text.replace(example, "...")
    return text
