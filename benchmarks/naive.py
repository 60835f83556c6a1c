"""What a user would write first for a day of gaming events: pandas, dictionaries, networkx.

It makes the tables of a day that the engine makes, from the same files and by the same rules
(those of gaming.yaml, written out), row by row. Checked against the engine in tests/benchmarks.
It gets what is fair: only the columns it needs are read, timestamps are parsed by column, and
each event's text is embedded by the engine's own embedder, all in one call.

Left out are rejects, checks, and the versions and checksums of what is written.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from benchmarks import naive_actors
from benchmarks.naive_rules import (
    BOOLEANS,
    EDGES,
    ENTITIES,
    FALSE,
    FIELDS,
    FOLDERS,
    KEYS,
    LOWER,
    NULLS,
    PHONES,
    PREFIXES,
    PROPERTIES,
    SPELLINGS,
    TEXTS,
    TIMESTAMP,
    TRUE,
    UPPER,
)

Event = dict[str, Any]
Rows = Callable[[Any], Iterator[Any]]
COUNTED = ("documents", "entities", "edges", "texts", "activity", "sequences", "metrics")


def run(landing: str, day: str, out: str, rows: str = "dicts") -> dict[str, int]:
    """Make a day's tables in the folder `out`; tell how much is in each.

    `rows` is how frames are gone through: `dicts` (`to_dict("records")`) or `iterrows`.
    """
    import pandas as pd

    each = _records if rows == "dicts" else _iterrows
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    documents = read_documents(Path(landing), day, each)
    for event_type, frame in documents.items():
        frame.to_parquet(folder / f"documents {event_type}.parquet", compression="zstd")

    graph = build_graph(documents, each)
    entities = pd.DataFrame([{"entity_id": n} | values for n, values in graph.nodes(data=True)])
    edges = pd.DataFrame(
        [
            {"source": source, "target": target, "type": kind} | values
            for source, target, kind, values in graph.edges(keys=True, data=True)
        ]
    )
    texts, embedded = build_texts(documents, each, folder)
    activity = pd.DataFrame(naive_actors.activity(documents, each))
    sequences = pd.DataFrame(naive_actors.sequences(documents, each))
    metrics = pd.DataFrame(naive_actors.metrics(documents, each))
    tables: dict[str, Any] = {
        "entities": entities,
        "edges": edges,
        "texts": texts,
        "activity": activity,
        "sequences": sequences,
        "metrics": metrics,
    }
    for name, frame in tables.items():
        frame.to_parquet(folder / f"{name}.parquet", compression="zstd")
    return {name: len(frame) for name, frame in tables.items()} | {
        "documents": sum(len(frame) for frame in documents.values()),
        "edge_weight": int(tables["edges"]["weight"].sum()),
        "entity_events": int(tables["entities"]["events"].sum()),
        "text_events": int(tables["texts"]["count"].sum()),
        "activity_events": int(tables["activity"]["events"].sum()),
        "embedded": embedded,
    }


def _records(frame: Any) -> Iterator[Event]:
    return iter(frame.to_dict("records"))


def _iterrows(frame: Any) -> Iterator[Any]:
    return (row for _, row in frame.iterrows())


def read_documents(landing: Path, day: str, each: Rows) -> dict[str, Any]:
    """Return a frame of cleaned, typed and distinct documents by event type."""
    import pandas as pd

    found: dict[str, dict[tuple[Any, ...], Event]] = {event_type: {} for event_type in FIELDS}
    for event_type, fields in FIELDS.items():
        for file in _files(landing, event_type, day):
            frame = _read(file, fields)
            time = pd.to_datetime(
                frame[TIMESTAMP].str.strip(), format="ISO8601", errors="coerce", utc=True
            )
            belongs = time.dt.strftime("%Y-%m-%d") == day
            if file.stem == day:
                belongs |= time.isna()
            frame = frame[belongs].assign(time=time[belongs])
            for row in each(frame):
                event = clean(row, fields)
                event["timestamp_missing"] = pd.isna(row["time"])
                missing = event["timestamp_missing"]
                event["timestamp"] = pd.Timestamp(day, tz="UTC") if missing else row["time"]
                # A dictionary's first entry stays: so are duplicates left out.
                key = (event["timestamp"], *(event[field] for field in fields))
                found[event_type].setdefault(key, event)
    documents = {event_type: list(events.values()) for event_type, events in found.items()}
    tests = {
        event["memberCode"]
        for events in documents.values()
        for event in events
        if event["isTestAccount"] and event["memberCode"] is not None
    }
    for event_type, events in documents.items():
        for event in events:
            is_test = event["memberCode"] in tests or event["isTestAccount"] is True
            event |= {"event_type": event_type, "is_test": is_test}
            event["text"] = describe(event_type, event)
        events.sort(key=lambda event: event["timestamp"])
    # As objects, so that what is missing stays None and booleans stay what they are.
    return {
        event_type: pd.DataFrame(events, dtype=object)
        for event_type, events in documents.items()
        if events
    }


def _files(landing: Path, event_type: str, day: str) -> list[Path]:
    """Return the day's own file and its neighbours', which may hold late or early events."""
    dates = [date.fromisoformat(day) + timedelta(days=n) for n in (-1, 0, 1)]
    paths = [landing / name / f"{each}.parquet" for name in FOLDERS[event_type] for each in dates]
    return [path for path in paths if path.is_file()]


def _read(file: Path, fields: list[str]) -> Any:
    import pandas as pd
    import pyarrow.parquet as pq

    wanted = {TIMESTAMP, *fields, *(s for field in fields for s in SPELLINGS.get(field, []))}
    names = [name for name in pq.read_schema(file).names if name in wanted]
    return pd.read_parquet(file, columns=names).astype(object)


def clean(row: Any, fields: list[str]) -> Event:
    """Return the kept fields of a row, typed, with what says nothing as None."""
    event: Event = {}
    for field in fields:
        value = None
        for name in (field, *SPELLINGS.get(field, [])):
            raw = row.get(name)
            if isinstance(raw, str) and raw.strip() not in NULLS:
                value = raw.strip()
                break
        event[field] = value if value is None else typed(field, value)
    if "error" in event:
        parts = (event["stage"], event["error"])
        event["error_at_stage"] = None if None in parts else f"{parts[0]}: {parts[1]}"
    if "clickType" in event:
        clicked = event["clickType"]
        opened = ("cta", "click", "open", "claim")
        event["clicked"] = None if clicked is None else clicked in opened
    platform = event["platform"]
    event["on_mobile"] = None if platform is None else platform in PHONES
    return event


def typed(field: str, value: str) -> Any:
    """Return a field's value in its type; None where it can't be one."""
    if field in BOOLEANS:
        lower = value.lower()
        return True if lower in TRUE else False if lower in FALSE else None
    if field == "displayTime":
        try:
            return float(value)
        except ValueError:
            return None
    if field in LOWER:
        return value.lower()
    return value.upper() if field in UPPER else value


def describe(event_type: str, event: Event) -> str:
    """Return an event's text."""
    title, parts = TEXTS[event_type]
    words = [title]
    for label, field in parts:
        value = event[field]
        if value is not None:
            shown = str(value).lower() if isinstance(value, bool) else value
            words.append(f"{label}:{shown[:100] if field == 'error' else shown}")
    return " ".join(words)


def entity_id(entity: str, event: Any) -> str | None:
    """Return the id of the entity of a type that an event speaks of, if it does."""
    import xxhash

    for field in KEYS[entity]:
        key = event.get(field)
        if key is not None:
            key = xxhash.xxh64_hexdigest(key.encode()) if entity == "Error" else key
            return f"{PREFIXES[entity]}:{key}"
    return None


def build_graph(documents: dict[str, Any], each: Rows) -> Any:
    """Return the graph of a day's entities, edges counted."""
    import networkx as nx

    graph = nx.MultiDiGraph()
    for event_type, frame in documents.items():
        for event in each(frame):
            time, ids = event["timestamp"], {}
            for entity in ENTITIES[event_type]:
                if (found := entity_id(entity, event)) is None:
                    continue
                ids[entity] = found
                if found not in graph:
                    graph.add_node(found, type=entity, events=0, first_seen=time, last_seen=time)
                    graph.nodes[found].update(is_test=True, **dict.fromkeys(PROPERTIES[entity]))
                node = graph.nodes[found]
                node["events"] += 1
                node["first_seen"] = min(node["first_seen"], time)
                node["is_test"] = node["is_test"] and event["is_test"]
                later = time >= node["last_seen"]
                node["last_seen"] = max(node["last_seen"], time)
                for name in PROPERTIES[entity]:
                    value = event.get(name)
                    if value is not None and (later or node[name] is None):
                        node[name] = value
            for kind in EDGES[event_type]:
                source, target = (ids.get(entity) for entity in EDGES[event_type][kind])
                if source is None or target is None:
                    continue
                if graph.has_edge(source, target, key=kind):
                    edge = graph.edges[source, target, kind]
                    edge["weight"] += 1
                    edge["first_seen"] = min(edge["first_seen"], time)
                    edge["last_seen"] = max(edge["last_seen"], time)
                else:
                    seen = {"first_seen": time, "last_seen": time}
                    graph.add_edge(source, target, key=kind, weight=1, **seen)
    return graph


def build_texts(documents: dict[str, Any], each: Rows, folder: Path) -> tuple[Any, int]:
    """Return the distinct texts with their counts; embed every event's text into a file."""
    import numpy as np
    import pandas as pd

    from stupid_dagster.embed import bundled_embedder

    counted: dict[tuple[str, str], int] = defaultdict(int)
    texts: list[str] = []
    for event_type, frame in documents.items():
        for event in each(frame):
            counted[event_type, event["text"]] += 1
            texts.append(event["text"])
    vectors = bundled_embedder().embed(texts).astype(np.float16)
    np.save(folder / "vectors.npy", vectors)
    rows = [{"event_type": t, "text": text, "count": n} for (t, text), n in counted.items()]
    return pd.DataFrame(rows), len(vectors)
