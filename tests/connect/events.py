"""Hypothesis-made documents of the gaming model, and the flights' of one day."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import polars as pl
import xxhash
from hypothesis import settings
from hypothesis import strategies as st

from stupid_dagster.event_model import EventModel
from stupid_dagster.event_model.expressions import POLARS_TYPES
from stupid_dagster.tables import TABLES
from tests.connect.slow import derive, fill
from tests.gaming import gaming_model

MODEL = gaming_model()
# The first example pays for imports; other jobs may share the machine.
unhurried = settings(deadline=None, max_examples=15)
START = dt.datetime(2025, 3, 1, 17, tzinfo=dt.UTC)  # midnight in Bangkok

_words = {
    "memberCode": ["ann", "bob", "Ćiro", "d:e"],
    "platform": ["ios", "web", "IOS"],
    "currency": ["THB", "IDR"],
    "rGroup": ["VIPB", "VIPS", "VIPX"],
    "fingerprint": ["f1", "f2"],
    "affiliateId": ["7"],
    "homeCountry": ["TH", "ID"],
    "ipCountry": ["TH"],
    "simCountry": ["ID", "TH"],
    "game": ["Slots", "slots", "a {b} c", "雪山"],
    "gameUid": ["G1", "g1"],
    "error": ["boom", "x" * 150, "x" * 150 + "y", "brace { here"],
}
_values: dict[str, st.SearchStrategy[Any]] = {
    "string": st.text("ab", min_size=1, max_size=2),
    "boolean": st.booleans(),
    "integer": st.integers(-2, 12),
    "float": st.integers(-4, 400).map(lambda n: n / 2),
}


@st.composite
def day_documents(draw: st.DrawFn, model: EventModel = MODEL) -> dict[str, pl.DataFrame]:
    """Return a day's documents by event type, as `build_documents` makes them."""
    events: dict[str, list[dict[str, Any]]] = {}
    for name, event_type in model.events.items():
        fields = {}
        for field in event_type.fields:
            kind = model.field_type(field)
            value = st.sampled_from(_words[field]) if field in _words else _values[kind]
            fields[field] = st.none() | value
        # Few moments, so that some fall together; some of them at a session's very end.
        minutes = st.sampled_from([0, 0, 1, 30, 31, 61, 600, 601, 1000, 1439])
        millis = st.sampled_from([0, 1, 59_999])
        late = st.builds(lambda m, s: dt.timedelta(minutes=m, milliseconds=s), minutes, millis)
        row = st.fixed_dictionaries({"timestamp": late.map(START.__add__), **fields})
        events[name] = draw(st.lists(row, max_size=12))
    return documents(model, events)


def documents(
    model: EventModel, events: Mapping[str, list[dict[str, Any]]]
) -> dict[str, pl.DataFrame]:
    """Return documents of events that have a timestamp and typed fields."""
    rows = {
        name: [_completed(model, name, event) for event in found] for name, found in events.items()
    }
    testers = {e["actor"] for found in rows.values() for e in found if e["is_test"]} - {None}
    frames = {}
    for name, found in rows.items():
        found.sort(key=lambda e: (e["actor"] is None, e["actor"] or "", e["timestamp"]))
        for n, event in enumerate(found):
            event["row"] = n
            event["is_test"] = event["is_test"] or event["actor"] in testers
        types = {f: POLARS_TYPES[model.field_type(f)] for f in model.events[name].fields}
        schema = TABLES["documents"].schema | types
        frames[name] = pl.DataFrame(found, schema=schema, orient="row")
    return frames


def _completed(model: EventModel, name: str, event: dict[str, Any]) -> dict[str, Any]:
    words = fill(model.events[name].text, derive(model, event), whole=False)
    prefix = model.entities[model.actor].prefix
    member = event.get(model.entities[model.actor].key[0])
    return {
        **dict.fromkeys(model.events[name].fields),
        **event,
        "event_type": name,
        "timestamp_missing": False,
        "actor": None if member is None else f"{prefix}:{member}",
        "text_id": xxhash.xxh64_intdigest(f"{name}\0{words}".encode()),
        "is_test": bool(event.get(model.test_flag)) if model.test_flag else False,
    }
