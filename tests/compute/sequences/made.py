"""A small event model with sequences, tables of them, and the plain definition of a pattern."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import combinations

import polars as pl

from stupid_dagster.compute.sequences.timelines import Timelines, join_timelines
from stupid_dagster.event_model import EventModel, parse_event_model
from stupid_dagster.tables import TABLES

START = dt.datetime(2025, 3, 1, tzinfo=dt.UTC)
PATTERNS = """
  silence: {code: quiet, of: [Buy, Gift], hours: 48}
  categories:
    - {name: Lost, contains: [F, quiet]}
    - {name: Failing, contains: [F, F]}
    - {name: Funnel, contains: [V, B]}
    - {name: Keen, contains: [B, B], without: [F]}
"""
MODEL = """
name: shop
actor: Member
timestamp: {{fields: [at]}}
entities: {{Member: {{prefix: member, key: code}}}}
events:
  Visit: {{fields: [code], text: visit, symbol: {{code: V}}}}
  Buy: {{fields: [code, kind], text: buy, symbol: {{code: B, field: kind}}}}
  Gift: {{fields: [code], text: gift, symbol: {{code: A}}}}
  Fault: {{fields: [code, kind], text: fault, symbol: {{code: F, field: kind}}}}
  Ping: {{fields: [code], text: ping}}
features: {{columns: {{visits: {{count: Visit}}}}}}
patterns: {0}
"""
Event = tuple[float, str]


@cache
def model(patterns: str = PATTERNS) -> EventModel:
    """Return the model; `patterns` is that part of it."""
    return parse_event_model(MODEL.format(patterns), "tests")


def sequence_table(actors: Mapping[str, Iterable[Event]]) -> pl.DataFrame:
    """Return the day tables `sequences` of each actor's (hour, symbol), a row per day."""
    rows: dict[tuple[str, int], list[Event]] = {}
    for actor, events in actors.items():
        for hour, symbol in sorted(events):
            rows.setdefault((actor, int(hour // 24)), []).append((hour, symbol))
    return pl.DataFrame(
        [
            {
                "actor": actor,
                "symbols": [symbol for _, symbol in events],
                "times": [START + dt.timedelta(hours=hour) for hour, _ in events],
            }
            for (actor, _), events in rows.items()
        ],
        schema=TABLES["sequences"].schema,
    )


def timelines(
    sequences: Mapping[str, Sequence[str]], patterns: str = "{}", days: int = 7
) -> Timelines:
    """Return timelines with a symbol every minute."""
    table = sequence_table(
        {a: [(n / 60, s) for n, s in enumerate(symbols)] for a, symbols in sequences.items()}
    )
    return join_timelines(model(patterns), table, START + dt.timedelta(days=days))


def patterns_in(symbols: Sequence[str], max_length: int) -> set[tuple[str, ...]]:
    """Return every pattern of a sequence: 2 or more symbols in order, none more than twice."""
    return {
        pattern
        for length in range(2, max_length + 1)
        for pattern in combinations(symbols, length)
        if max(Counter(pattern).values()) <= 2
    }


def leftmost(symbols: Sequence[str], pattern: Sequence[str]) -> tuple[int, int] | None:
    """Return where the pattern begins and ends when every symbol is taken as soon as it comes."""
    places, place = [], -1
    for symbol in pattern:
        try:
            place = symbols.index(symbol, place + 1)
        except ValueError:
            return None
        places.append(place)
    return places[0], places[-1]
