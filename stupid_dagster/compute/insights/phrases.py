"""Dates, durations and steps in words."""

from __future__ import annotations

import datetime as dt

from stupid_dagster.compute import words
from stupid_dagster.event_model import EventModel

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
NEXT_TO_NOTHING = 0.05
"""Means below this say nothing to a reader: 0.001 cancellations."""


def date_text(day: dt.date) -> str:
    """Return such as "Friday 14 March"."""
    return f"{WEEKDAYS[day.weekday()]} {day.day} {MONTHS[day.month - 1]}"


def hour_text(time: dt.datetime, model: EventModel) -> str:
    """Return such as "14:00 on Friday 14 March", in the model's timezone."""
    local = time.astimezone(model.zone)
    return f"{local:%H:%M} on {date_text(local.date())}"


def duration(seconds: float) -> str:
    """Return such as "1 second", "2.5 hours": in the largest unit of which it is two, or one."""
    value, unit = words.in_units(seconds)
    said = words.number(value)
    return f"{said} {unit if said == '1' else words.plural(unit)}"


def usually(value: float, said: str, *, counts: bool) -> str:
    """Return what is usual as it is `said`, but a mean of next to nothing as "none".

    Of a measure that `counts` nothing as "almost 0".
    """
    if not 0 <= value < NEXT_TO_NOTHING:
        return said
    if counts:
        return "none"
    return "almost 0" if value else said


def actors_noun(model: EventModel) -> str:
    """Return what the actors are called, one of them, lower case."""
    return words.humanise(model.actor)


def symbol_text(symbol: str, model: EventModel) -> str:
    """Return a symbol of a sequence in words: `G:slots` -> "game opened (category slots)"."""
    silence = model.patterns.silence
    if silence and symbol == silence.code:
        of = words.listed([words.humanise(name) for name in silence.of])
        return f"no {of} for {duration(3_600 * silence.hours)}"
    code, _, value = symbol.partition(":")
    for name, event in model.events.items():
        if event.symbol and event.symbol.code == code:
            text = words.humanise(name)
            field = words.humanise(event.symbol.field or "")
            return f"{text} ({field} {words.tidy(value)})" if value and field else text
    return words.tidy(symbol)
