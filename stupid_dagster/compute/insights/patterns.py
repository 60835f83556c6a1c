"""Sequences that became frequent or ceased to be; in the first window, the strongest."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

import polars as pl

from stupid_dagster.compute import words
from stupid_dagster.compute.insights import plans
from stupid_dagster.compute.insights.findings import Findings, Found, Insight, evidence_of
from stupid_dagster.compute.insights.phrases import actors_noun, duration, symbol_text
from stupid_dagster.compute.sequences.patterns import OTHER, VANISHED
from stupid_dagster.compute.sequences.timelines import code_of
from stupid_dagster.event_model import EventModel

MAX_CHANGED, MAX_STRONGEST = 3, 2
NOTABLE_FACTOR = 1.5
"""A change of support by so much is notable; less may be one about the bound."""
MAX_COMPARED = 200
"""Patterns of a kind among which different ones are looked for."""
PLAN_DAYS = 7


def pattern_insights(findings: Findings, model: EventModel, last_day: dt.date) -> Found:
    """Return an insight for 3 new patterns, and for 3 that vanished.

    Those of the event model's first categories come first, then those with the highest
    support * log2(lift), or that had the highest support. Of patterns of which one contains the
    other, the first is told. In the first window they are the strongest of two categories.

    What a pattern's support was before is known if it vanished; a new one's was less than that of
    any pattern there is now. It is notable if it changed by half or more.
    """
    # The window may be shorter, or have begun later.
    first_day = last_day - dt.timedelta(days=PLAN_DAYS - 1)
    days = (max(first_day, min(findings.days, default=first_day)), last_day)
    table = _ordered(findings.patterns, model)
    there = table.filter(pl.col("status").fill_null("") != VANISHED)
    least = there["support"].min()
    bound = float(least) if isinstance(least, float) else 0.0
    if table["status"].null_count() == table.height:
        strongest = there.filter(pl.col("category") != OTHER)
        strongest = strongest.unique("category", keep="first", maintain_order=True)
        rows = strongest.head(MAX_STRONGEST).to_dicts()
        return Found([_insight(row, n, bound, model, days) for n, row in enumerate(rows)])
    told: list[dict[str, Any]] = []
    changed = 0
    for status in ("new", VANISHED):
        candidates = table.filter(pl.col("status") == status)
        told += _different(candidates)
        changed += candidates.height
    insights = [_insight(row, place, bound, model, days) for place, row in enumerate(told)]
    return Found(insights, changed - len(insights))


def _ordered(patterns: pl.DataFrame, model: EventModel) -> pl.DataFrame:
    categories = list(dict.fromkeys([*(c.name for c in model.patterns.categories), OTHER]))
    place = pl.col("category").replace_strict(
        categories, list(range(len(categories))), default=len(categories), return_dtype=pl.Int64
    )
    # What comes no more often than by chance stands behind all that does, commonest first.
    support, lift = pl.col("support"), pl.col("lift")
    telling = pl.when(lift > 1).then(support * lift.log(2)).otherwise(support - 1)
    gone = pl.col("status").fill_null("") == VANISHED
    return patterns.with_columns(
        place=place, telling=pl.when(gone).then("previous_support").otherwise(telling)
    ).sort(["place", "telling", "pattern_id"], descending=[False, True, False], nulls_last=True)


def _different(candidates: pl.DataFrame) -> list[dict[str, Any]]:
    """Return the first 3 of which none contains another."""
    told: list[dict[str, Any]] = []
    for row in candidates.head(MAX_COMPARED).iter_rows(named=True):
        known = [other["symbols"] for other in told]
        if any(_within(row["symbols"], o) or _within(o, row["symbols"]) for o in known):
            continue
        told.append(row)
        if len(told) == MAX_CHANGED:
            break
    return told


def _within(part: list[str], whole: list[str]) -> bool:
    """Return whether the symbols are in the whole in their order, others between them or not."""
    rest = iter(whole)
    return all(symbol in rest for symbol in part)


def _insight(
    row: dict[str, Any],
    place: int,
    bound: float,
    model: EventModel,
    days: tuple[dt.date, dt.date],
) -> Insight:
    pattern, status, support = row["pattern_id"], row["status"], row["support"]
    category = "" if row["category"] == OTHER else f"{words.humanise(row['category'])} "
    steps = ", then ".join(symbol_text(symbol, model) for symbol in row["symbols"])
    actors = words.counted(row["actors"], actors_noun(model))
    still = "still show" if status == VANISHED else "show"
    text = f"{actors} {still} it, {words.percent(support)} of those with a sequence"
    speed = _speed(row, model)
    text += f"; {speed}" if speed else ""
    match status:
        case "new":
            named = f"New {category}pattern"
            text += ". In the previous window too few did."
            factor = support / bound if bound else math.inf
        case "vanished":
            named = words.capitalised(f"{category}pattern no longer frequent")
            text += f". In the previous window {words.percent(row['previous_support'])} did."
            factor = row["previous_support"] / support if support else math.inf
        case _:
            named, factor = f"Strongest {category}pattern", 1.0
            text += "."
    title = f"{named}: {steps}"
    codes = {code_of(symbol) for symbol in row["symbols"]}
    event_types = [n for n, e in model.events.items() if e.symbol and e.symbol.code in codes]
    shown = {key: value for key, value in row.items() if key not in ("place", "telling")}
    supports = [row["previous_support"] or 0.0, support] if status else [support]
    return Insight(
        "/".join(["pattern", pattern, *filter(None, [status])]),
        "pattern",
        "notable" if factor >= NOTABLE_FACTOR else "info",
        title,
        text,
        [pattern],
        evidence_of("patterns", {"pattern_id": pattern}, [shown], notable_factor=NOTABLE_FACTOR),
        plans.pattern_plan(pattern, event_types, *days, title),
        supports,
        (place,),
    )


def _speed(row: dict[str, Any], model: EventModel) -> str:
    """Return how often the last step follows, and after what time; empty if nobody knows."""
    silence = model.patterns.silence
    # A silence stands at its end, and begins with the actor's last event, not with the step before:
    # "a cancellation, then no departure for 2 days; it takes 24 hours" would contradict itself.
    timed = not (silence and silence.code in (row["symbols"][0], row["symbols"][-1]))
    parts = []
    if row["lift"] is not None and row["lift"] >= 1.1:
        parts.append(
            f"the last step follows {words.number(row['lift'])} times as often as by chance"
        )
    if row["median_seconds"] is not None and timed:
        parts.append(f"it takes {duration(row['median_seconds'])} (median)")
    return "; ".join(parts)
