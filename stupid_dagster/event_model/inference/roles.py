"""The timestamp and the actor of a sample, with the evidence for them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from stupid_dagster.errors import InferenceError, hint
from stupid_dagster.event_model.inference import names
from stupid_dagster.event_model.inference.columns import Column
from stupid_dagster.event_model.inference.dependence import Dependencies, shared_words
from stupid_dagster.event_model.inference.sample import Sample

_WIDE_SPAN = 400
"""Days; days that events lie in are fewer, birthdays and registrations lie in more."""
_FEWEST_REPEATS = 1.08
"""Events an actor must have on the average; a sample shows few of each one's."""


@dataclass(frozen=True)
class Found:
    """A choice of columns, with its reasons and what a human should look at."""

    columns: list[str]
    reasons: list[str]
    checks: list[str] = field(default_factory=list)


def find_timestamp(sample: Sample, wanted: str | None = None) -> Found:
    """Return the columns that hold the events' times, the best first.

    More than one are given where the first isn't in all event types. Raises InferenceError when
    there is none.
    """
    candidates = [c for c in sample.columns.values() if c.kind == "time"]
    chosen = None if wanted is None else _named(sample, wanted)
    if chosen is not None and chosen.kind != "time":
        raise InferenceError(
            f"the column {wanted!r} holds no times that can be read, such as "
            f"{_examples(chosen)}; ISO 8601, epoch seconds and milliseconds can be"
        )
    if not candidates:
        raise InferenceError(
            "no column holds the events' times. Looked for values in ISO 8601, as dates with hours "
            "in common orders, and for epoch seconds or milliseconds (10 or 13 digits) in columns "
            f"named like a time, in {len(sample.columns)} columns: {_listed(sample.columns)}. "
            "Convert the time to ISO 8601, or write the event model by hand "
            "(docs/event-model.md)"
        )
    shortest = min(c.times.span_days for c in candidates if c.times)
    candidates.sort(key=lambda c: (-_time_score(sample, c, shortest), c.name))
    chosen_columns = [chosen or candidates[0]]
    for event_type in sample.rows:
        if not any(c.filled_share(event_type) for c in chosen_columns):
            fitting = [c for c in candidates if c.filled_share(event_type)]
            if fitting:
                chosen_columns.append(fitting[0])
    reasons, checks = [], []
    for column in chosen_columns:
        fit = column.times
        assert fit is not None
        form = "epoch seconds or milliseconds" if fit.epoch else fit.format or "ISO 8601"
        reasons.append(
            f"{column.name}: {fit.share:.0%} of the values looked at are times ({form}); "
            f"{_coverage(sample, column)}"
        )
        if fit.ambiguous:
            checks.append(f"{column.name}: day and month may be the other way round")
        if not fit.has_clock:
            checks.append(f"{column.name} has dates but no hours: the order within a day is lost")
    if others := [c.name for c in candidates if c not in chosen_columns]:
        reasons.append(f"other columns with times: {_listed(others, 6)}")
    for event_type in sample.rows:
        if not any(c.filled_share(event_type) for c in chosen_columns):
            checks.append(f"{event_type} has no time: its rows get their file's date")
    return Found([c.name for c in chosen_columns], reasons, checks)


def _time_score(sample: Sample, column: Column, shortest: float) -> float:
    fit = column.times
    assert fit is not None
    score = 3 * _presence(sample, column) + fit.share
    score += 0.6 * names.has(column.name, names.TIME)
    score -= 1.0 * names.has(column.name, names.OTHER_TIME)
    score += 0.5 * fit.has_clock
    # The time of an event is told most finely; its day, or a weather report's hour, recurs.
    score += 0.3 * column.cardinality
    if fit.span_days > _WIDE_SPAN and fit.span_days > 3 * shortest:
        score -= 1.5
    if names.words(column.name)[:1] == ("timestamp",):
        score += 0.2
    return score


def find_actor(
    sample: Sample, dependencies: Dependencies, taken: Iterable[str], wanted: str | None = None
) -> Found:
    """Return the column whose values name who acts; raises InferenceError when there is none."""
    if wanted is not None:
        column = _named(sample, wanted)
        if not column.distinct:
            raise InferenceError(f"the column {wanted!r} has no values in the sample")
        return Found(
            [column.name],
            [f"asked for; {column.describe()}", *_without(sample, column)],
        )
    scores = {
        column.name: score
        for column in sample.columns.values()
        if column.name not in set(taken) and (score := _actor_score(sample, column)) > 0
    }
    for name in scores:
        # A session or a card belongs to one person, who has several: the person is the actor.
        owners = [
            other
            for other in scores
            if other != name
            and sample.columns[other].distinct > sample.columns[name].distinct / 10
            and dependencies.determines(name, other)
            and not dependencies.determines(other, name)
        ]
        if owners:
            scores[name] *= 0.6
    if not scores:
        tried = [c for c in sample.columns.values() if c.kind in ("word", "ip", "integer")]
        tried.sort(key=lambda c: -c.distinct)
        shown = [f"{c.name} ({c.describe()})" for c in tried[:5]]
        raise InferenceError(
            "no column plausibly says who acts. Looked for codes or names (no amounts, times, "
            "texts or addresses of pages) with many values, several events each, in most event "
            f"types. Nearest: {'; '.join(shown) or 'none'}. Name it with --actor COLUMN"
        )
    ranked = sorted(scores, key=lambda name: (-scores[name], name))
    best = sample.columns[ranked[0]]
    shared = shared_words(best)
    reasons = [
        f"{best.name}: {best.describe()}, {best.repeats:.1f} events each; "
        f"{_coverage(sample, best)}{'; ' + shared if shared else ''}",
        *_without(sample, best),
    ]
    checks = []
    if others := ranked[1:4]:
        weighed = ", ".join(f"{name} ({scores[name] / scores[ranked[0]]:.2f})" for name in others)
        reasons.append(f"next best, relative to it: {weighed}")
        if scores[others[0]] > 0.8 * scores[ranked[0]]:
            checks.append(f"the actor may as well be {others[0]} (--actor {others[0]})")
    if not names.is_person(best.name):
        checks.append(f"nothing but its values says that {best.name} acts")
    return Found([best.name], reasons, checks)


def _without(sample: Sample, column: Column) -> list[str]:
    """Return how many of the events have no actor, if any."""
    events = sum(sample.rows.values())
    if column.filled == events:
        return []
    missing = events - column.filled
    return [
        f"{missing:,} of {events:,} events ({missing / events:.1%}) have none: they are kept and "
        "counted, as nobody's"
    ]


def _actor_score(sample: Sample, column: Column) -> float:
    person = names.is_person(column.name)
    numbered = column.kind == "integer" and person
    if column.kind not in ("word", "ip") and not numbered:
        return 0.0
    fewest = 2 if person else max(2, min(20, int(column.filled**0.4)))
    if column.distinct < fewest or column.repeats < _FEWEST_REPEATS:
        return 0.0
    score = _presence(sample, column) * column.cardinality
    if person:
        score *= 2.0
    elif names.is_key(column.name):
        score *= 1.2
    if names.is_title(column.name):
        score *= 0.9
    if names.has(column.name, names.PASSING):
        score *= 0.3
    elif names.has(column.name, names.DEVICE) or column.kind == "ip":
        score *= 0.4
    return score


def _presence(sample: Sample, column: Column) -> float:
    """Return the mean over event types of the share of rows that have a value."""
    return sum(column.filled_share(e) for e in sample.rows) / len(sample.rows)


def _coverage(sample: Sample, column: Column) -> str:
    shares = [f"{event_type} {column.filled_share(event_type):.0%}" for event_type in sample.rows]
    return f"filled in {_listed(shares, 8)}"


def _named(sample: Sample, wanted: str) -> Column:
    for column in sample.columns.values():
        if wanted in (column.name, *column.spellings):
            return column
    raise InferenceError(f"no column is named {wanted!r}{hint(wanted, sample.columns)}")


def _examples(column: Column) -> str:
    return ", ".join(repr(value[:40]) for value in column.looked_at["value"].head(3)) or "none"


def _listed(items: Iterable[str], most: int = 12) -> str:
    shown = list(items)
    more = f" and {len(shown) - most} more" if len(shown) > most else ""
    return ", ".join(item[:60] for item in shown[:most]) + more
