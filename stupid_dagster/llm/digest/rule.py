"""The paragraph that needs no model: what the insights' titles say, as sentences."""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from stupid_dagster.compute import words
from stupid_dagster.compute.insights.findings import SEVERITIES
from stupid_dagster.compute.insights.phrases import date_text
from stupid_dagster.compute.insights.status import RESOLVED

PROVENANCE = "rule"
MOST_IMPORTANT, MOST_OTHERS = 5, 2
"""Insights that are told: of those that are more than information, and of the others."""
OF_A_KIND = 2
"""Important ones of a kind, if there are other kinds to tell of."""
_TREND = re.compile(r"(?P<metric>.+?) (?P<way>above|below) usual(?P<rest>.*)", re.DOTALL)
_RANKED = re.compile(
    r"(?P<what>(?:Strongest|Largest|Second largest|Most unusual) [^:]*): (?P<name>.+)", re.DOTALL
)
_NEW = re.compile(r"New (?P<what>[^:]*): (?P<name>.+)", re.DOTALL)
_GONE = re.compile(r"(?P<what>[^:]*) gone: (?P<name>.+)", re.DOTALL)
Row = Mapping[str, Any]


class Sentence(NamedTuple):
    """A sentence, and the ids of the insights that show it."""

    text: str
    insights: tuple[str, ...] = ()


def opening(insights: Sequence[Row], last_day: dt.date, days: int) -> Sentence:
    """Return what a paragraph begins with: the window, and how many insights there are."""
    day = f"{date_text(last_day)} {last_day.year}"
    window = f"In the {days} days to {day}" if days > 1 else f"On {day}"
    holding = [row for row in insights if row["status"] != RESOLVED]
    if not holding:
        return Sentence(f"{window} nothing stands out.")
    counts = Counter(row["severity"] for row in holding)
    said = [f"{counts[name]} {name}" for name in SEVERITIES if counts[name] and name != "info"]
    if counts["info"]:
        said.append(f"{counts['info']} for information")
    parts = f": {words.listed(said)}" if len(said) > 1 else f", {said[0]}"
    new = sum(row["status"] == "new" for row in holding)
    since = "" if new == len(holding) else f"; {new or 'none'} of them new"
    are = "is" if len(holding) == 1 else "are"
    total = words.counted(len(holding), "finding")
    return Sentence(f"{window} there {are} {total}{parts}{since}.")


def rule_sentences(insights: Sequence[Row]) -> list[Sentence]:
    """Return sentences about the most important insights; `insights` are in the order of rank."""
    holding = [row for row in insights if row["status"] != RESOLVED]
    important = _varied([row for row in holding if row["severity"] != "info"])
    kinds: dict[str, Row] = {}
    for row in holding:
        if row["severity"] == "info":
            kinds.setdefault(row["kind"], row)
    told = [*important, *[*kinds.values()][:MOST_OTHERS]]
    found = [Sentence(_said(row["title"]), (row["insight_id"],)) for row in told]
    if gone := tuple(row["insight_id"] for row in insights if row["status"] == RESOLVED):
        number = words.counted(len(gone), "finding")
        verb = "no longer holds" if len(gone) == 1 else "no longer hold"
        found.append(Sentence(f"{number} of the window before {verb}.", gone))
    return found


def paragraph(sentences: Iterable[Sentence], ranks: Mapping[str, int]) -> str:
    """Return sentences as one text, each with the ranks of its insights: `Snow fell [1].`"""
    return " ".join(_marked(one, ranks) for one in sentences)


def _varied(rows: Sequence[Row]) -> list[Row]:
    """Return the first rows, those of one kind not before others have had their turn."""
    counts: Counter[str] = Counter()
    first, more = [], []
    for row in rows:
        counts[row["kind"]] += 1
        (first if counts[row["kind"]] <= OF_A_KIND else more).append(row)
    chosen = [*first, *more][:MOST_IMPORTANT]
    return [row for row in rows if row in chosen]


def _marked(sentence: Sentence, ranks: Mapping[str, int]) -> str:
    text = sentence.text.strip()
    end = text[-1] if text[-1:] in (".", "!", "?") else "."
    marks = "".join(f" [{ranks[name]}]" for name in sentence.insights)
    return f"{text.removesuffix(end)}{marks}{end}"


def _named(name: str) -> str:
    return name if name.startswith("“") and name.endswith("”") else f"“{name}”"


def _said(title: str) -> str:
    if found := _TREND.fullmatch(title):
        metric = found["metric"]
        head = re.split(r" (?:for|of|in) ", metric)[0]
        were = "were" if words.plural(head.lower()) == head.lower() else "was"
        return f"{metric} {were} {found['way']} usual{found['rest']}."
    if found := _RANKED.fullmatch(title):
        return f"The {found['what'].lower()} is {_named(found['name'])}."
    if found := _NEW.fullmatch(title):
        return f"There is a new {found['what']}, {_named(found['name'])}."
    if found := _GONE.fullmatch(title):
        return f"The {found['what'].lower()} {_named(found['name'])} is gone."
    return f"{title.rstrip('.')}."
