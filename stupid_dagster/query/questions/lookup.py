"""What of some words the window knows as a key, an id, a name or a value of what is hidden."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import polars as pl

from stupid_dagster.llm.privacy import Pseudonyms
from stupid_dagster.query.frames import collected, collected_all, schema_of
from stupid_dagster.query.knowledge import KNOWLEDGE_TABLES
from stupid_dagster.query.reader import SnapshotReader
from stupid_dagster.tables import TABLES

_TOKEN = r"[\p{L}\p{M}\p{N}_]+"
_JOINED = r"[\p{L}\p{M}\p{N}_][^\p{L}\p{M}\p{N}_]+[\p{L}\p{M}\p{N}_]"
_LEAST_SAID = 12
"""Characters of a text that is one rather than the name of its event type."""


class Known(NamedTuple):
    """What a word stands for; `value` is the key as the window has it, the name or the value.

    A value of a field that is hidden by itself, or names a hidden type, has its `field`.
    """

    entity_type: str
    value: str
    is_id: bool = False
    field: str = ""


LookUp = Callable[[Collection[str], bool], Mapping[str, Known]]
"""Returns those of some words that are known; the flag says whether keys are in any case."""


class Index(NamedTuple):
    """Names of the window by their words, in any case and spelling; `lengths` are their numbers."""

    rows: pl.DataFrame
    lengths: tuple[int, ...]


_INDEXES: WeakKeyDictionary[SnapshotReader, dict[frozenset[str], Index]] = WeakKeyDictionary()
"""By what is hidden; an index goes with the reader of its snapshot."""
_LOCK = threading.Lock()


def name_index(reader: SnapshotReader, names: Pseudonyms) -> Index:
    """Return the index of a snapshot's names; it is made once. Raises SnapshotError.

    It has names of hidden types, keys of several words, and values of hidden fields as far as they
    are an entity's properties or among a day's most frequent ones.
    """
    with _LOCK:
        known = _INDEXES.setdefault(reader, {})
    if names.hidden not in known:
        known[names.hidden] = _made(reader, names)
    return known[names.hidden]


def _made(reader: SnapshotReader, names: Pseudonyms) -> Index:
    scans = [*_named(reader, names)] if reader.manifest.of("graph_nodes") else []
    if names.apart and reader.manifest.of("field_statistics"):
        frequent = reader.snapshot.scan("field_statistics").filter(
            pl.col("field").is_in([*names.apart])
        )
        scans.append(
            frequent.select(pl.lit("").alias("type"), "field", "top_values")
            .explode("top_values")
            .select("type", "field", pl.col("top_values").struct.field("value"))
        )
    empty = pl.DataFrame(schema=dict.fromkeys(("type", "field", "value"), pl.String))
    rows = (
        pl.concat([empty, *collected_all(scans)])
        .drop_nulls("value")
        .unique(maintain_order=True)
        .with_columns(by_words(pl.col("value")).alias("words"))
        .filter(pl.col("words") != "")
    )
    lengths = (rows["words"].str.count_matches(" ", literal=True) + 1).unique().sort()
    return Index(rows, tuple(lengths))


def _named(reader: SnapshotReader, names: Pseudonyms) -> Iterator[pl.LazyFrame]:
    nodes = reader.snapshot.scan("graph_nodes")
    stored = {field.name for field in getattr(schema_of(nodes).get("properties"), "fields", ())}

    def values(chosen: pl.LazyFrame, field: str) -> pl.LazyFrame:
        value = pl.col("properties").struct.field(field).alias("value")
        return chosen.select("type", pl.lit(field).alias("field"), value).unique()

    for entity_type, properties in names.names.items():
        of_type = nodes.filter(pl.col("type") == entity_type)
        yield from (values(of_type, name) for name in properties if name in stored)
    yield from (values(nodes, name) for name in sorted(names.apart) if name in stored)
    joined = pl.col("type").is_in([*names.prefixes.values()]) & pl.col("key").str.contains(_JOINED)
    yield nodes.filter(joined).select("type", pl.lit("").alias("field"), value="key")


def by_words(text: pl.Expr) -> pl.Expr:
    """Return texts as their words alone: composed (NFKC), in small letters, a space between."""
    return text.str.normalize("NFKC").str.to_lowercase().str.extract_all(_TOKEN).list.join(" ")


def window_lookup(reader: SnapshotReader, names: Pseudonyms) -> LookUp:
    """Return what looks words up in a snapshot's nodes; raises SnapshotError when asked."""
    if not reader.manifest.of("graph_nodes"):
        return lambda words, any_case: {}
    nodes = reader.snapshot.scan("graph_nodes")
    of_type = pl.col("type").is_in([*names.prefixes.values()])

    def look_up(words: Collection[str], any_case: bool) -> Mapping[str, Known]:
        if not words or not names.prefixes:
            return {}
        listed = pl.Series([*words], dtype=pl.String)
        wanted = listed.implode()
        is_known = pl.col("key").is_in(wanted) | pl.col("entity_id").is_in(wanted)
        spoken = pl.DataFrame({"word": listed}).with_columns(
            by_words(pl.col("word")).alias("words")
        )
        named = spoken.join(name_index(reader, names).rows, on="words")
        found: dict[str, Known] = {}
        for word, entity_type, field, value in named.select(
            "word", "type", "field", "value"
        ).iter_rows():
            # Of several that are spelled alike, the one that is meant as it stands.
            if word not in found or value == word:
                found[word] = Known(entity_type, value, field=field)
        asked = set(words)
        chosen = nodes.filter(of_type).select("type", "key", "entity_id")
        if any_case:
            lowered: dict[str, list[str]] = {}
            for word in words:
                lowered.setdefault(word.lower(), []).append(word)
            lower = pl.Series([*lowered], dtype=pl.String).implode()
            same = pl.col("key").str.to_lowercase().is_in(lower)
            rows = collected(chosen.filter(is_known | same))
            for entity_type, key, _ in rows.iter_rows():
                found |= dict.fromkeys(lowered.get(key.lower(), ()), Known(entity_type, key))
        else:
            rows = collected(chosen.filter(is_known))
        for entity_type, key, entity_id in rows.iter_rows():
            if key in asked:
                found[key] = Known(entity_type, key)
            if entity_id in asked:
                found[entity_id] = Known(entity_type, key, is_id=True)
        return found

    return look_up


def said_columns(plan: Any) -> set[str]:
    """Return the columns of what a plan's steps read that hold whole texts of events."""
    steps = plan.get("steps", ()) if isinstance(plan, Mapping) else ()
    found: set[str] = set()
    for step in steps:
        params = step.get("params") if isinstance(step, Mapping) else None
        table = params.get("table") if isinstance(params, Mapping) else None
        if isinstance(table, str) and table in TABLES:
            found |= _said(table)
        elif isinstance(step, Mapping) and step.get("op") in ("documents.scan", "vectors.search"):
            found |= _said("texts")
    return found


def _said(table: str) -> set[str]:
    return {column.name for column in TABLES[table].columns if column.refers == "said"}


def window_texts(reader: SnapshotReader) -> list[str]:
    """Return the texts of events that tables of a window hold, which others may quote."""
    scans = [
        reader.snapshot.scan(table).select(pl.col(column).alias("text")).unique()
        for table in KNOWLEDGE_TABLES
        if reader.manifest.of(table)
        for column in _said(table)
    ]
    texts = {text for rows in collected_all(scans) for text in rows["text"].drop_nulls()}
    return sorted((t for t in texts if len(t) >= _LEAST_SAID), key=len, reverse=True)
